//! Somebody whose socket to the hub is open when the service dies.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::client::Project;
use crate::line::{Heard, Line};
use crate::record::Record;

/// Longer than any round takes.
const ROUND: Duration = Duration::from_secs(120);

pub struct Listener(JoinHandle<Vec<Value>>);

impl Listener {
    /// Listens to all that happens in a project until its socket is cut.
    pub fn of(project: &Project) -> Self {
        let mut line = Line::of_project(project);
        Self(thread::spawn(move || {
            let mut runs = Vec::new();
            loop {
                match line.within(ROUND) {
                    Some(Heard::Json(mut message)) => runs.push(message["run"].take()),
                    Some(Heard::Closed(_)) => return runs,
                    other => panic!("the service died, and its socket said {other:?}"),
                }
            }
        }))
    }

    /// Checks that what was told is stored, by the time the service is dead; the number of messages.
    #[track_caller]
    pub fn was_told_the_truth(self, record: &Record) -> usize {
        let told = self.0.join().expect("a listener");
        for run in &told {
            let id = run["id"].as_i64().expect("an id");
            let stored = record.runs.get(&id).unwrap_or_else(|| panic!("it was told of {run}, which is not stored"));
            let version = run["version"].as_i64().expect("a version");
            assert!(version <= stored.version, "{run} is newer than {stored:?}");
            if version == stored.version {
                let told = (run["state"].as_str(), run["cancel"]["reason"].as_str(), run["stop"]["outcome"].as_str());
                let stored = (Some(stored.state.as_str()), stored.reason.as_deref(), stored.stop.as_deref());
                assert_eq!(told, stored, "{run}");
            }
        }
        told.len()
    }
}
