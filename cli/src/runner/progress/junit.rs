//! `--junit`: counts the tests of JUnit XML reports, for a COMMAND that tells nothing itself.
//!
//! There is no one JUnit format. Read is what all have in common: `testcase` elements, which hold a `failure` or an `error`, a
//! `skipped`, or what Surefire and its kin write of a test that passed at its second try.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use estop_protocol::time::Timestamp;
use roxmltree::{Document, Node};

use super::told::{Ending, Told};
use crate::terminal::sanitize;

/// The largest report that is read.
const LARGEST: u64 = 32 * 1024 * 1024;

/// The most reports that are read.
const MOST: usize = 1000;

/// File systems cut their times, to two seconds at most.
const CUT_MS: i64 = 2000;

/// Counts the tests of all reports that these patterns name and that are from `since` or later. Returns what could not be
/// counted, in sentences.
pub fn count(patterns: &[String], since: Timestamp) -> (Told, Vec<String>) {
    let (mut told, mut problems) = (Told::default(), Vec::new());
    let (mut files, mut all) = (0, Vec::new());
    for pattern in patterns {
        let found = paths(pattern).unwrap_or_else(|why| {
            problems.push(format!("--junit {}: {why}", sanitize(pattern)));
            Vec::new()
        });
        all.extend(found);
    }
    all.sort();
    all.dedup();
    if all.len() > MOST {
        problems.push(format!("--junit names {} files, and the first {MOST} are read", all.len()));
    }
    for path in all.iter().take(MOST) {
        match read(path, since).and_then(|xml| add(&xml, &mut told)) {
            Ok(()) => files += 1,
            Err(why) => problems.push(format!("--junit {}: {why}", sanitize(&path.display().to_string()))),
        }
    }
    if files > 0 { (told, problems) } else { (Told::default(), problems) }
}

fn paths(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let found: Vec<PathBuf> = glob::glob(pattern).map_err(|error| error.to_string())?.flatten().collect();
    if found.is_empty() { Err("there is no such file".to_owned()) } else { Ok(found) }
}

fn read(path: &Path, since: Timestamp) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    let changed = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let is_old =
        changed.is_some_and(|at| i64::try_from(at.as_millis()).is_ok_and(|at| at.saturating_add(CUT_MS) < since.0));
    if is_old {
        return Err("it is older than the command, and not counted".to_owned());
    }
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} MB", LARGEST / 1024 / 1024));
    }
    Ok(text)
}

/// Adds the tests of a report.
fn add(xml: &str, told: &mut Told) -> Result<(), String> {
    let document =
        Document::parse(xml.trim_start_matches('\u{feff}')).map_err(|error| format!("it is no XML: {error}"))?;
    if !matches!(document.root_element().tag_name().name(), "testsuites" | "testsuite") {
        return Err("it is no JUnit report".to_owned());
    }
    for case in document.descendants().filter(|node| node.tag_name().name() == "testcase") {
        let child = |names: &[&str]| case.children().find(|child| names.contains(&child.tag_name().name()));
        if let Some(failure) = child(&["failure", "error"]) {
            told.test(Ending::Failed);
            told.failed(&title(case), place(case).as_deref(), line(case), message(failure).as_deref());
        } else if child(&["skipped"]).is_some() {
            told.test(Ending::Skipped);
        } else if child(&["flakyFailure", "flakyError"]).is_some() {
            told.test(Ending::Flaky);
        } else {
            told.test(Ending::Passed);
        }
    }
    Ok(())
}

fn title(case: Node) -> String {
    let name = case.attribute("name").unwrap_or("a test without a name");
    match case.attribute("classname").filter(|class| !class.is_empty() && !name.starts_with(class)) {
        Some(class) => format!("{class} › {name}"),
        None => name.to_owned(),
    }
}

/// The file, which some name of the test and some of its suite.
fn place(case: Node) -> Option<String> {
    case.ancestors().find_map(|node| node.attribute("file").or_else(|| node.attribute("filepath"))).map(str::to_owned)
}

fn line(case: Node) -> Option<u32> {
    case.attribute("line").or_else(|| case.attribute("lineno"))?.parse().ok()
}

fn message(failure: Node) -> Option<String> {
    let text: String = failure.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect();
    let said = failure.attribute("message").unwrap_or_default();
    // Most repeat in the text what the attribute says.
    let said = if text.contains(said) { text.trim().to_owned() } else { format!("{said}\n{}", text.trim()) };
    (!said.trim().is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(xml: &str) -> Result<Told, String> {
        let mut told = Told::default();
        add(xml, &mut told).map(|()| told)
    }

    #[test]
    fn the_tests_of_all_suites_are_counted_by_how_they_ended() {
        let told = told(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <testsuites tests="99" failures="0">
              <testsuite name="checkout.spec.ts" file="tests/checkout.spec.ts">
                <testcase name="pays" classname="checkout" time="1.5"/>
                <testcase name="refunds" classname="checkout" line="12">
                  <failure message="expected 3" type="AssertionError"><![CDATA[expected 3
    at checkout.spec.ts:12]]></failure>
                </testcase>
                <testcase name="later"><skipped/></testcase>
              </testsuite>
              <testsuite name="a">
                <testsuite name="nested">
                  <testcase name="a.b.c" classname="a.b"><error message="boom"/></testcase>
                  <testcase name="shaky"><flakyFailure message="at first"/></testcase>
                  <testcase name="again"><rerunFailure/><failure>twice</failure></testcase>
                </testsuite>
              </testsuite>
            </testsuites>"#,
        )
        .expect("a report");
        let progress = told.progress().expect("counts");
        assert_eq!((progress.total, progress.done, progress.failed), (Some(6), 6, 3));
        assert_eq!((progress.skipped, progress.flaky, progress.counts().success), (1, 1, 1));
        let failures = told.failures();
        let refunds = &failures[0];
        assert_eq!((refunds.title.as_str(), refunds.line), ("checkout › refunds", Some(12)));
        assert_eq!(refunds.file.as_deref(), Some("tests/checkout.spec.ts"));
        assert_eq!(refunds.message.as_deref(), Some("expected 3\n    at checkout.spec.ts:12"));
        assert_eq!((failures[1].title.as_str(), failures[1].message.as_deref()), ("a.b.c", Some("boom")));
        assert_eq!(failures[2].message.as_deref(), Some("twice"));
    }

    #[test]
    fn what_is_no_report_is_said_to_be_none() {
        for (odd, why) in [
            ("", "no XML"),
            ("<testsuite><testcase>", "no XML"),
            ("{}", "no XML"),
            ("<html><testcase/></html>", "no JUnit report"),
            (r#"<!DOCTYPE x [<!ENTITY a "aaaa">]><testsuite>&a;</testsuite>"#, "no XML"),
        ] {
            let error = told(odd).expect_err(odd);
            assert!(error.contains(why), "{odd}: {error}");
        }
        assert_eq!(told("\u{feff}<testsuite/>").expect("a report").progress(), None, "of no tests");
    }

    #[test]
    fn files_are_found_by_patterns_and_what_is_wrong_with_one_does_not_keep_others_from_counting() {
        let folder = std::env::temp_dir().join(format!("estop-junit-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("deep")).expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
        write("deep/good.xml", r#"<testsuite><testcase name="a"/></testsuite>"#);
        write("bad.xml", "<testsuite>");
        let pattern = |name: &str| format!("{}/{name}", folder.display());
        let (told, problems) =
            count(&[pattern("**/*.xml"), pattern("deep/good.xml"), pattern("none.xml")], Timestamp(0));
        assert_eq!(told.progress().map(|progress| progress.done), Some(1), "one that is named twice counts once");
        assert!(
            problems.len() == 2 && problems[0].contains("no such file") && problems[1].contains("no XML"),
            "{problems:?}"
        );
        let (told, problems) = count(&[pattern("deep/*.xml")], Timestamp(i64::MAX));
        assert!(told.progress().is_none() && problems[0].contains("older than the command"), "{problems:?}");
        assert_eq!(count(&["[".to_owned()], Timestamp(0)).1.len(), 1);
        std::fs::remove_dir_all(folder).expect("a folder");
    }
}
