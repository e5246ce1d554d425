//! What COMMAND has told of its tests, line by line: a pure state. docs/progress.md says what a line may hold.

use anstream::adapter::strip_str;
use estop_protocol::limits::{FAILURE_CHARS, FAILURES, FAILURES_BYTES, TITLE_CHARS};
use estop_protocol::progress::{Failure, Progress};
use estop_protocol::whole;
use serde::Deserialize;

/// How many failed tests are remembered: one that is taken back must be found.
const MOST: usize = 200;

#[derive(Debug, Clone, Default)]
pub struct Told {
    progress: Option<Progress>,
    failures: Vec<Failure>,
    /// How often the failures have changed.
    changes: u64,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Passed,
    Failed,
    /// It passed, but not at the first try.
    Flaky,
    Skipped,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default, deserialize_with = "whole::optional_count")]
    total: Option<u32>,
    #[serde(default, deserialize_with = "whole::optional_count")]
    done: Option<u32>,
    #[serde(default, deserialize_with = "whole::optional_count")]
    failed: Option<u32>,
    #[serde(default, deserialize_with = "whole::optional_count")]
    flaky: Option<u32>,
    #[serde(default, deserialize_with = "whole::optional_count")]
    skipped: Option<u32>,
    #[serde(default)]
    current: Option<String>,
    #[serde(default)]
    failure: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    title: String,
    #[serde(default)]
    file: Option<String>,
    #[serde(default, deserialize_with = "whole::optional_count")]
    line: Option<u32>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    retracted: Option<bool>,
}

impl Told {
    /// Hears a line. What is none changes nothing.
    pub fn hear(&mut self, line: &[u8]) {
        let Ok(Line { total, done, failed, flaky, skipped, current, failure }) = serde_json::from_slice(line) else {
            return;
        };
        let says_how_far = [total, done, failed, flaky, skipped].iter().any(Option::is_some) || current.is_some();
        if says_how_far {
            let progress = self.progress.get_or_insert_default();
            progress.total = total.or(progress.total);
            for (number, told) in [
                (&mut progress.done, done),
                (&mut progress.failed, failed),
                (&mut progress.flaky, flaky),
                (&mut progress.skipped, skipped),
            ] {
                *number = told.unwrap_or(*number);
            }
            if let Some(current) = current {
                progress.current = one_line(&current);
            }
        }
        if let Some(named) = failure {
            self.name(named);
        }
    }

    /// A test has ended, and is one of the total.
    pub fn test(&mut self, ending: Ending) {
        let progress = self.progress.get_or_insert_default();
        let add = |number: &mut u32| *number = number.saturating_add(1);
        add(progress.total.get_or_insert_default());
        add(&mut progress.done);
        match ending {
            Ending::Passed => {}
            Ending::Failed => add(&mut progress.failed),
            Ending::Flaky => add(&mut progress.flaky),
            Ending::Skipped => add(&mut progress.skipped),
        }
    }

    /// A test has failed.
    pub fn failed(&mut self, title: &str, file: Option<&str>, line: Option<u32>, message: Option<&str>) {
        let (title, file, message) = (title.to_owned(), file.map(str::to_owned), message.map(str::to_owned));
        self.name(Named { title, file, line, message, retracted: None });
    }

    fn name(&mut self, Named { title, file, line, message, retracted }: Named) {
        let Some(title) = one_line(&title) else { return };
        let file = file.as_deref().and_then(one_line);
        let known = self.failures.iter().position(|failure| failure.title == title && failure.file == file);
        if retracted == Some(true) {
            if let Some(index) = known {
                self.failures.remove(index);
                self.changes += 1;
            }
            return;
        }
        let message = message.as_deref().and_then(lines);
        self.fail(known, Failure { title, file, line, message });
    }

    fn fail(&mut self, known: Option<usize>, failure: Failure) {
        match known {
            Some(index) => match self.failures.get_mut(index) {
                Some(before) if *before != failure => *before = failure,
                _ => return,
            },
            None if self.failures.len() < MOST => self.failures.push(failure),
            None => return,
        }
        self.changes += 1;
    }

    /// COMMAND has ended: no test runs now.
    pub fn end(&mut self) {
        if let Some(progress) = &mut self.progress {
            progress.current = None;
        }
    }

    /// How far the tests are, if that was told.
    pub fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// As many of the first failures as the service takes, and as much of their messages.
    pub fn failures(&self) -> Vec<Failure> {
        let mut failures: Vec<Failure> = self.failures.iter().take(FAILURES).cloned().collect();
        let is_too_long =
            |failures: &[Failure]| serde_json::to_string(failures).is_ok_and(|json| json.len() > FAILURES_BYTES);
        let mut limit = FAILURE_CHARS;
        while is_too_long(&failures) {
            limit /= 2;
            for failure in &mut failures {
                failure.message = failure.message.take().filter(|_| limit > 0).map(|message| cut(&message, limit));
            }
            if limit == 0 {
                failures.pop();
            }
        }
        failures
    }
}

/// As one line without control characters; `None` if nothing is left.
fn one_line(text: &str) -> Option<String> {
    let plain: String = strip_str(text).to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = cut(plain.trim(), TITLE_CHARS);
    (!plain.is_empty()).then_some(plain)
}

/// As lines without other control characters; `None` if nothing is left.
fn lines(text: &str) -> Option<String> {
    let is_kept = |c: &char| !c.is_control() || matches!(c, '\t' | '\n');
    let plain: String = strip_str(text).to_string().chars().filter(is_kept).collect();
    let plain = cut(plain.trim_end(), FAILURE_CHARS);
    (!plain.trim().is_empty()).then_some(plain)
}

/// At most so many characters, the last of them an ellipsis if some are left out.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Told {
        let mut told = Told::default();
        lines.iter().for_each(|line| told.hear(line.as_bytes()));
        told
    }

    fn progress(lines: &[&str]) -> Progress {
        told(lines).progress().cloned().expect("progress")
    }

    #[test]
    fn the_newest_line_wins_and_what_it_leaves_out_keeps_its_value() {
        let first = r#"{"total":412,"done":170,"failed":2,"flaky":1,"skipped":3,"current":"checkout › pays"}"#;
        let current = Some("checkout › pays".to_owned());
        let expected = Progress { total: Some(412), done: 170, failed: 2, flaky: 1, skipped: 3, current };
        assert_eq!(progress(&[first]), expected);
        assert_eq!(
            progress(&[first, r#"{"done":171.0,"more":{"a":[1]}}"#]),
            Progress { done: 171, ..expected.clone() }
        );
        assert_eq!(progress(&[first, r#"{"failed":1}"#]), Progress { failed: 1, ..expected.clone() });
        assert_eq!(progress(&[first, r#"{"current":""}"#]), Progress { current: None, ..expected.clone() });
        let mut ended = told(&[first]);
        ended.end();
        assert_eq!(ended.progress(), Some(&Progress { current: None, ..expected }));
    }

    #[test]
    fn what_is_no_line_changes_nothing() {
        let good = r#"{"done":7}"#;
        for odd in [
            "",
            "\r",
            "{",
            "{}",
            "[]",
            "7",
            "null",
            "\"done\"",
            r#"{"done":-1}"#,
            r#"{"done":1.5}"#,
            r#"{"done":4294967296}"#,
            r#"{"done":"8"}"#,
            r#"{"done":8"#,
            r#"{"done":8}{"done":9}"#,
            r#"{"failure":{}}"#,
            r#"{"failure":{"title":""}}"#,
            r#"{"failure":{"title":"\u0007 \t"}}"#,
            r#"{"failure":{"title":"x","line":-1}}"#,
            r#"{"failure":{"title":"x","file":"y","retracted":true}}"#,
            r#"{"failure":7}"#,
            r#"{"current":"\ud800"}"#,
            &format!("{{\"x\":{}", "[".repeat(50_000)),
        ] {
            let told = told(&[good, odd]);
            assert_eq!((told.progress().map(|p| p.done), told.changes()), (Some(7), 0), "{odd}");
        }
        let mut told = told(&[good]);
        told.hear(b"{\"done\":8,\"current\":\"\xff\"}");
        assert_eq!(told.progress().map(|p| p.done), Some(7), "not UTF-8");
    }

    #[test]
    fn a_line_of_nonsense_never_panics_and_is_never_more_than_it_may_be() {
        let mut random = fastrand::Rng::with_seed(7);
        let pieces = [
            "{", "}", "\"", "failure", "title", ":", ",", "[", "]", "done", "1", "e9", "-", "\\u00", "é", "\u{0}",
            "\x1b[31m", " ",
        ];
        let mut told = Told::default();
        for _ in 0..20_000 {
            let line: String = (0..random.usize(0..30)).map(|_| pieces[random.usize(0..pieces.len())]).collect();
            told.hear(line.as_bytes());
            told.hear(format!("{{\"failure\":{{\"title\":\"{}\"}}}}", line.replace(['"', '\\'], "")).as_bytes());
        }
        assert!(told.failures.len() <= MOST && told.failures().len() <= FAILURES);
    }

    fn titles(told: &Told) -> Vec<(String, Option<String>)> {
        told.failures().into_iter().map(|failure| (failure.title, failure.message)).collect()
    }

    #[test]
    fn a_failure_is_replaced_by_a_later_one_of_the_same_test_and_taken_back() {
        let pays = r#"{"failure":{"title":"pays","file":"a.ts","line":12,"message":"expected 3"}}"#;
        let mut told = told(&[pays, r#"{"failure":{"title":"pays","file":"b.ts"}}"#, pays]);
        assert_eq!((told.failures().len(), told.changes()), (2, 2), "a repeat is no change");
        told.hear(br#"{"failed":1,"failure":{"title":"pays","file":"a.ts","message":"expected 4"}}"#);
        assert_eq!(titles(&told)[0], ("pays".to_owned(), Some("expected 4".to_owned())));
        assert_eq!(told.progress().map(|p| p.failed), Some(1));
        told.hear(br#"{"failure":{"title":"pays","file":"a.ts","retracted":true}}"#);
        told.hear(br#"{"failure":{"title":"pays","retracted":true}}"#);
        assert_eq!((told.failures()[0].file.as_deref(), told.failures().len()), (Some("b.ts"), 1));
    }

    #[test]
    fn texts_are_cut_and_lose_what_could_control_a_terminal() {
        let long = "é".repeat(3000);
        let told = told(&[
            &format!(r#"{{"failure":{{"title":"{long}","file":"{long}","message":"{long}"}}}}"#),
            r#"{"failure":{"title":"\u001b[31mred\u001b[0m\ntext","message":"a\r\n\tb\u0000\u001b[2J"}}"#,
        ]);
        let failures = told.failures();
        let lengths = [Some(&failures[0].title), failures[0].file.as_ref(), failures[0].message.as_ref()];
        assert_eq!(lengths.map(|text| text.map_or(0, |text| text.chars().count())), [500, 500, 2000]);
        assert_eq!((failures[1].title.as_str(), failures[1].message.as_deref()), ("red text", Some("a\n\tb")));
    }

    #[test]
    fn as_many_failures_are_sent_as_the_service_takes() {
        let mut told = Told::default();
        for n in 0..2000 {
            told.hear(format!(r#"{{"failure":{{"title":"{n}","message":"{}"}}}}"#, "m".repeat(1999)).as_bytes());
        }
        let failures = told.failures();
        assert_eq!((told.failures.len(), failures.len(), failures[49].title.as_str()), (MOST, FAILURES, "49"));
        let json = serde_json::to_string(&failures).expect("JSON");
        assert!(json.len() <= FAILURES_BYTES && json.len() > FAILURES_BYTES / 3, "{}", json.len());
        assert!(failures.iter().all(|failure| failure.message.as_ref().is_some_and(|m| m.ends_with('…'))));
        let mut told = Told::default();
        for n in 0..50 {
            let title = format!("{n}{}", "\u{1f6d1}".repeat(499));
            told.hear(format!(r#"{{"failure":{{"title":"{title}","file":"{title}","message":"m"}}}}"#).as_bytes());
        }
        assert!(serde_json::to_string(&told.failures()).expect("JSON").len() <= FAILURES_BYTES);
        assert!(!told.failures().is_empty());
    }
}
