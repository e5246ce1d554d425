//! Somebody who watches a project while others race, and what he has made of it.

use std::collections::BTreeMap;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;

use crate::client::Project;
use crate::line::{Heard, Line};

/// After this long without a message, no more will come.
const SILENCE: Duration = Duration::from_secs(3);

pub struct Watcher(JoinHandle<BTreeMap<i64, Value>>);

impl Watcher {
    /// Watches from now on, until nothing has come for a while.
    pub fn of(project: &Project) -> Self {
        let mut line = Line::of_project(project);
        Self(thread::spawn(move || {
            let mut runs = BTreeMap::<i64, Value>::new();
            // The first message may be long in coming.
            let mut span = Duration::from_secs(60);
            while let Some(heard) = line.within(span) {
                span = SILENCE;
                let Heard::Json(mut message) = heard else { panic!("{heard:?}") };
                let run = message["run"].take();
                let known = runs.entry(run["id"].as_i64().expect("an id")).or_default();
                // Messages come in any order, and twice: the version says which one is newer.
                if run["version"].as_i64() > known["version"].as_i64() {
                    *known = run;
                }
            }
            runs
        }))
    }

    /// Checks that he believes of each run what the database says, as far as he has heard the last of it; the number of those
    /// of which he has.
    pub fn agrees(self, db: &Connection) -> usize {
        let runs = self.0.join().expect("a watcher");
        let mut select = db.prepare("SELECT version, test_run FROM listed_runs WHERE id = ?1").expect("SQL");
        let mut last = 0;
        for (id, heard) in runs {
            let (version, run): (i64, String) =
                select.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).expect("the run");
            let told = heard["version"].as_i64().expect("a version");
            assert!(told <= version, "run {id}: version {told} has not been yet");
            if told == version {
                let run: Value = serde_json::from_str(&run).expect("JSON");
                assert_eq!(heard, run, "run {id} at version {version}");
                last += 1;
            }
        }
        last
    }
}
