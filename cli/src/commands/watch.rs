//! `estop watch`: a line for each change of a run, or of all runs of the project.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use estop_protocol::envelope::Data;
use estop_protocol::list::RunList;
use estop_protocol::show::{RunProgress, Shown, TestRun};
use estop_protocol::time::Timestamp;
use estop_protocol::watch::Message;

use super::wait::{exit_once_over, is_stopping, unless_lost};
use super::{RETRY_FOR, query, who_and_why};
use crate::args::WatchArgs;
use crate::clock;
use crate::exit::Exit;
use crate::push::{Credential, Line, News};
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::table;
use crate::terminal::{self, sanitize_json};

/// How long to go without asking while a line is open, on which a message may be lost.
const WATCHED_DELAY: Duration = Duration::from_secs(60);

/// The same while none is.
const POLL_DELAY: Duration = Duration::from_secs(2);

/// The shortest time between two lines that say how far the tests are.
const PROGRESS_DELAY: Duration = Duration::from_secs(5);

/// How many runs are asked for at a time: the newest.
const NEWEST: i64 = 100;

/// How many runs that were open and are not among the newest any more are asked for by id at a time.
const OLDER: usize = 20;

/// The widths of the columns, but for the last: time, id, state, environment, branch.
const WIDTHS: [usize; 5] = [20, 6, 24, 12, 20];

pub fn watch(args: &WatchArgs, service: &Service) -> Result<Exit, Failure> {
    let (news, inbox) = channel();
    let mut followed = Followed::new(args.id, if args.json { print_json } else { print_row });
    followed.print_progress = Some(print_progress as fn(&Heard)).filter(|_| args.id.is_some() && !args.json);
    let mut line: Option<Line> = None;
    loop {
        followed.look(service)?;
        if args.push.is_on() && line.is_none() {
            let path = args.id.map_or_else(|| "/api/watch".to_owned(), |id| format!("/api/test-runs/{id}/watch"));
            let news = news.clone();
            line = Some(Line::open(service, path, Credential::Key, move |what| {
                let _ = news.send(what);
            }));
        }
        let watched = line.as_ref().is_some_and(Line::is_open);
        followed.listen(&inbox, if watched { WATCHED_DELAY } else { POLL_DELAY });
        if let Some(exit) = followed.end() {
            return Ok(exit);
        }
    }
}

/// What is known of the runs that are followed.
struct Followed {
    /// The one run; `None` for all.
    only: Option<i64>,
    print: fn(&TestRun),
    /// Not for all runs of a project: they would drown what changes.
    print_progress: Option<fn(&Heard)>,
    /// By id.
    known: BTreeMap<i64, Known>,
    /// How far the shards of the one run are, by number.
    progress: BTreeMap<i64, RunProgress>,
    /// When a line last said so.
    told_progress: Option<Duration>,
}

/// How far the tests of a run are, over all shards of which that is known.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    run: i64,
    progress: RunProgress,
    at: Timestamp,
}

struct Known {
    version: i64,
    is_open: bool,
    /// How `estop watch` ends once nothing more will happen to the run.
    end: Option<Exit>,
}

impl Followed {
    fn new(only: Option<i64>, print: fn(&TestRun)) -> Self {
        let (known, progress) = (BTreeMap::new(), BTreeMap::new());
        Self { only, print, print_progress: None, known, progress, told_progress: None }
    }

    /// Asks for the runs as they are now.
    fn look(&mut self, service: &Service) -> Result<(), Failure> {
        if let Some(id) = self.only {
            self.see(&show(id, service)?);
            return Ok(());
        }
        let is_first = self.known.is_empty();
        let path = query("/api/test-runs", [("per_page", Some(NEWEST))]);
        let list: RunList = retry::send(service, &Call::new("GET", path), RETRY_FOR)?.read()?;
        let newest = list.data.test_runs.items;
        let listed = newest.last().map_or(0, |run| run.id);
        for run in newest.into_iter().rev() {
            if is_first && !is_open(&run) {
                // It was over before anyone looked.
                self.note(&run);
            } else {
                self.see(&run);
            }
        }
        let older = self.known.range(..listed).filter(|(_, run)| run.is_open).map(|(id, _)| *id).take(OLDER);
        for id in older.collect::<Vec<_>>() {
            self.see(&show(id, service)?);
        }
        // Older runs that are over say nothing more, so that this does not grow for as long as it is watched.
        self.known.retain(|id, run| *id >= listed || run.is_open);
        Ok(())
    }

    /// Hears what the line says for so long, or until there is a reason to look again.
    fn listen(&mut self, inbox: &Receiver<News>, within: Duration) {
        let started = clock::now();
        while self.end().is_none() {
            let left = within.saturating_sub(clock::since(started));
            match inbox.recv_timeout(left) {
                Ok(News::Message(text)) => match serde_json::from_str::<Message<TestRun>>(&text) {
                    Ok(Message::Run { run }) => self.see(&run),
                    Ok(Message::Progress { test_run, shard, progress, at }) => {
                        if let (Some(heard), Some(print)) =
                            (self.hear(test_run, shard, progress, at, clock::now()), self.print_progress)
                        {
                            print(&heard);
                        }
                    }
                    _ => {}
                },
                // What happened before it opened was not heard; and once it is closed nothing is.
                Ok(News::Opened | News::Closed) | Err(_) => return,
            }
        }
    }

    /// Prints a run if this is a newer state of it than is known: a message may be late, and so may an answer.
    fn see(&mut self, run: &TestRun) {
        if self.known.get(&run.id).is_some_and(|known| known.version >= run.version) {
            return;
        }
        self.note(run);
        (self.print)(run);
    }

    /// Hears how far a shard of the one run is, and gives how far all are if it is time to say so.
    fn hear(&mut self, run: i64, shard: i64, progress: RunProgress, at: Timestamp, now: Duration) -> Option<Heard> {
        if self.only != Some(run) || self.end().is_some() {
            return None;
        }
        self.progress.insert(shard, progress);
        if self.told_progress.is_some_and(|told| now.saturating_sub(told) < PROGRESS_DELAY) {
            return None;
        }
        self.told_progress = Some(now);
        // Last the shard that has just spoken, so that its test is the one that is named.
        let others = self.progress.iter().filter(|(number, _)| **number != shard).map(|(_, progress)| progress);
        let all = others.chain(self.progress.get(&shard)).cloned().reduce(|sum, one| sum.and(&one))?;
        Some(Heard { run, progress: all, at })
    }

    fn note(&mut self, run: &TestRun) {
        if self.only == Some(run.id) {
            for shard in run.shards() {
                // What was heard is newer than what is written down.
                if let Some(progress) = &shard.progress {
                    self.progress.entry(shard.shard).or_insert_with(|| progress.clone());
                }
            }
        }
        let end = (!is_open(run)).then(|| exit_once_over(run)).flatten().map(|exit| unless_lost(run, exit));
        self.known.insert(run.id, Known { version: run.version, is_open: is_open(run), end });
    }

    fn end(&self) -> Option<Exit> {
        self.known.get(&self.only?)?.end
    }
}

fn print_json(run: &TestRun) {
    terminal::print(sanitize_json(&serde_json::to_string(run).unwrap_or_default()));
}

fn print_row(run: &TestRun) {
    let why = run.cancel.as_ref().map(who_and_why);
    let cells = [
        table::time(changed_at(run)),
        table::id(run.id),
        table::state(run),
        table::text(&run.environment.slug),
        table::optional(run.test_run_branch.as_deref()),
        table::text(why.as_deref().unwrap_or(&run.created_by)),
    ];
    table::print_row(&WIDTHS, &cells);
}

fn print_progress(Heard { run, progress, at }: &Heard) {
    table::print_row(&WIDTHS, &[table::time(*at), table::id(*run), table::text(table::progress(progress))]);
}

/// Whether anything can still happen to it.
fn is_open(run: &TestRun) -> bool {
    exit_once_over(run).is_none() || is_stopping(run)
}

fn show(id: i64, service: &Service) -> Result<TestRun, Failure> {
    let call = Call::new("GET", format!("/api/test-runs/{id}"));
    Ok(retry::send(service, &call, RETRY_FOR)?.read::<Data<Shown>>()?.data.test_run)
}

/// When the last of what is known of a run happened.
fn changed_at(run: &TestRun) -> Timestamp {
    let stopped = run.stop.as_ref().and_then(|stop| stop.confirmed_at);
    let cancelled = run.cancel.as_ref().map(|cancel| cancel.at);
    [run.started_at, run.ended_at, cancelled, stopped].into_iter().flatten().fold(run.created_at, Ord::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn run(id: i64, version: i64, fields: Value) -> TestRun {
        let mut run = json!({
            "id": id, "version": version, "state": "started", "tags": [], "created_at": "2026-11-24T09:30:00.000Z",
            "environment": {"id": 1, "name": "Staging", "slug": "staging"}, "created_by": "ada", "protected": false,
        });
        for (name, value) in fields.as_object().into_iter().flatten() {
            run[name] = value.clone();
        }
        serde_json::from_value(run).expect("a run")
    }

    fn followed(only: Option<i64>) -> Followed {
        Followed::new(only, |_| {})
    }

    #[test]
    fn how_far_the_one_run_is_is_said_over_all_shards_and_every_five_seconds_at_most() {
        let shards: Vec<Value> = [
            (1, json!({"total": 10, "done": 4, "failed": 1, "flaky": 0, "skipped": 0, "current": "a"})),
            (2, json!(null)),
        ]
        .into_iter()
        .map(|(shard, progress)| {
            json!({"shard": shard, "state": "started", "started_at": "2026-11-24T09:30:00.000Z", "started_by": "ci",
                       "carried": false, "progress": progress})
        })
        .collect();
        let mut followed = followed(Some(7));
        followed.see(&run(7, 2, json!({"total_shards": 2, "shards": shards})));
        let of = |total, done| RunProgress { total, done, current: Some("b".to_owned()), ..RunProgress::default() };
        let mut hear = |id, shard, progress, seconds| {
            followed.hear(id, shard, progress, Timestamp(0), Duration::from_secs(seconds)).map(|heard| heard.progress)
        };
        assert_eq!(hear(8, 1, of(Some(1), 1), 100), None, "another run");
        assert_eq!(hear(7, 2, of(Some(20), 5), 100), Some(RunProgress { failed: 1, ..of(Some(30), 9) }));
        assert_eq!(hear(7, 1, of(Some(10), 5), 104), None, "not yet");
        assert_eq!(hear(7, 2, of(None, 6), 105), Some(of(None, 11)), "a total that is not known");
        followed.see(&run(7, 3, json!({"state": "ended", "result": "failed"})));
        assert_eq!(followed.hear(7, 1, of(Some(10), 6), Timestamp(0), Duration::from_secs(200)), None, "it is over");
    }

    #[test]
    fn what_is_older_than_what_is_known_changes_nothing() {
        let mut followed = followed(None);
        followed.see(&run(7, 3, json!({"state": "ended", "result": "passed"})));
        followed.see(&run(7, 2, json!({})));
        let known = &followed.known[&7];
        assert_eq!((known.version, known.is_open), (3, false));
    }

    #[test]
    fn a_run_is_followed_until_its_tests_have_stopped() {
        let cancel = json!({"reason": null, "cause": "user", "by": "ada", "at": "2026-11-24T09:31:00.000Z"});
        for (outcome, end) in [("stopping", None), ("graceful", Some(Exit::Cancelled)), ("lost", Some(Exit::Fenced))] {
            let mut followed = followed(Some(7));
            let stop = json!({"outcome": outcome, "confirmed_at": null});
            followed.see(&run(7, 3, json!({"state": "cancelled", "cancel": cancel, "stop": stop})));
            assert_eq!(followed.end(), end, "{outcome}");
        }
        let mut followed = followed(Some(7));
        followed.see(&run(7, 2, json!({})));
        assert_eq!(followed.end(), None);
        followed.see(&run(7, 3, json!({"state": "ended", "result": "failed"})));
        assert_eq!(followed.end(), Some(Exit::Failed));
    }

    #[test]
    fn the_time_is_that_of_the_last_change() {
        let started = run(7, 2, json!({"started_at": "2026-11-24T09:31:00.000Z"}));
        assert_eq!(Some(changed_at(&started)), started.started_at);
        assert_eq!(changed_at(&run(7, 1, json!({}))), run(7, 1, json!({})).created_at);
    }
}
