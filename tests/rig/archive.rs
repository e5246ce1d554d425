//! The archive of the real Worker, with the runtime's own R2 client and compression: a fault before and after each step, and then
//! ticks until nothing is left to do.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::backend::{self, Backend};
use crate::bucket::{Bucket, Fault};
use crate::client::Project;
use crate::orders::estop;
use crate::workerd::Rig;

pub const DAY: i64 = 24 * 3600 * 1000;

struct Archive {
    rig: Rig,
    bucket: Bucket,
    project: Project,
    ids: Vec<i64>,
    /// When its runs are old.
    then: i64,
    before: [BTreeSet<String>; 3],
}

impl Archive {
    /// A project with runs that are over, and a newer one that is not.
    fn new() -> Self {
        let bucket = Bucket::start();
        let rig = Rig::start_with_bucket(&bucket);
        let project = rig.project();
        let mut ids = Vec::new();
        for _ in 0..3 {
            let (id, token) = project.started();
            assert_eq!(project.finish(id, &token).status, 200);
            ids.push(id);
        }
        let (id, token) = project.started();
        assert_eq!(project.cancel(id).status, 200);
        let stopped = json!({"lease": token, "state": "error", "error_code": "run_failed_with_error", "stop": {"outcome": "graceful"}});
        assert_eq!(project.post(&format!("/api/test-runs/{id}/finish"), &stopped).status, 412);
        ids.push(id);
        let newest = project.queued();
        let now: i64 = rig.backend.value("SELECT max(created_at) FROM runs");
        rig.backend.sql(&format!(
            "UPDATE runs SET version = version + 1, waiting_since = {} WHERE id = {newest}",
            now + 100 * DAY
        ));
        let before = rows(&rig.backend);
        assert_eq!((before[0].len(), before[2].len()), (4, 4));
        Self { rig, bucket, project, ids, then: now + 95 * DAY, before }
    }

    fn tick(&self) {
        self.rig.tick(self.then);
    }

    fn left(&self, table: &str) -> i64 {
        self.rig.backend.value(&format!("SELECT count(*) FROM {table}"))
    }

    /// Ticks until nothing changes; then every run is in the bucket as it was, once, and can be read.
    fn settles(&self, name: &str) {
        for _ in 0..3 {
            self.tick();
        }
        let mut kept = [const { Vec::new() }; 3];
        let objects = self.bucket.objects();
        for (key, object) in &objects {
            let named: i64 = self.rig.backend.value(&format!("SELECT count(*) FROM archives WHERE object = '{key}'"));
            assert_eq!(named, 1, "{name}: {key}");
            let mut text = String::new();
            flate2::bufread::MultiGzDecoder::new(object.as_slice()).read_to_string(&mut text).expect("gzip");
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).expect("JSON");
                let table = ["run", "event", "shard"].iter().position(|kind| line["kind"] == *kind);
                if let Some(table) = table {
                    kept[table].push(line["row"].to_string());
                }
            }
        }
        for (kept, before) in kept.into_iter().zip(&self.before) {
            assert_eq!(kept.len(), before.len(), "{name}: none lost, none twice");
            assert_eq!(&kept.into_iter().collect::<BTreeSet<_>>(), before, "{name}");
        }
        assert_eq!(
            (self.left("runs"), self.left("archives"), self.left("run_shards")),
            (1, 1, 0),
            "{name}: {}",
            self.rig.log()
        );
        for id in &self.ids {
            assert_eq!(self.project.show(*id)["archived"], json!(true), "{name}");
        }
    }
}

/// What is stored of all runs but the newest.
pub fn rows(backend: &Backend) -> [BTreeSet<String>; 3] {
    let db = backend.db();
    [("runs", "id"), ("run_events", "run_id"), ("run_shards", "run_id")].map(|(table, id)| {
        let mut select =
            db.prepare(&format!("SELECT * FROM {table} WHERE {id} < (SELECT max(id) FROM runs)")).expect("SQL");
        let names: Vec<String> = select.column_names().map(str::to_owned).collect();
        let virtual_columns = ["open_state", "active_group", "held_group", "actor"];
        let row = |row: &rusqlite::Row<'_>| {
            let mut cells = serde_json::Map::new();
            for (index, name) in names.iter().enumerate().filter(|(_, name)| !virtual_columns.contains(&name.as_str()))
            {
                let cell = match row.get_ref(index)? {
                    rusqlite::types::ValueRef::Integer(n) => n.into(),
                    rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
                    _ => Value::Null,
                };
                cells.insert(name.clone(), cell);
            }
            Ok(Value::Object(cells).to_string())
        };
        select.query_map([], row).expect("rows").collect::<Result<_, _>>().expect("rows")
    })
}

#[test]
fn old_runs_move_to_the_bucket_and_are_read_there() {
    let archive = Archive::new();
    let show = |id: i64, what: &str| archive.project.call("GET", &format!("/api/test-runs/{id}{what}"), None).ok();
    let before: Vec<[Value; 3]> =
        archive.ids.iter().map(|id| ["", "/events", "/failures"].map(|what| show(*id, what))).collect();
    archive.tick();
    assert_eq!(archive.bucket.asked(), ["put", "head"]);
    archive.rig.backend.count();
    for (id, before) in archive.ids.iter().zip(before) {
        let mut after = ["", "/events", "/failures"].map(|what| show(*id, what));
        let run = after[0]["data"]["test_run"].as_object_mut().expect("a run");
        assert_eq!(run.remove("archived"), Some(json!(true)));
        assert_eq!(after, before);
        assert_eq!((archive.bucket.asked(), archive.rig.backend.count().0), (vec!["get".to_owned(); 3], 3));
        let cancel = archive.project.cancel(*id);
        assert_eq!((cancel.status, cancel.message()), (412, format!("Test run {id} is over: it is archived.")));
        archive.rig.backend.count();
    }
    let log = archive.rig.log();
    let line = log.lines().find(|line| line.contains(r#""log":"archive""#)).expect("a line of the log");
    assert!(line.contains(r#""archived":4"#), "{line}");
    archive.settles("no fault");
    let says = |arguments: &[&str]| {
        let Project { server, key, .. } = &archive.project;
        let mut command = Command::new(estop());
        let output =
            command.args(arguments).env("ESTOP_URL", &server.url).env("ESTOP_KEY", key).output().expect("estop");
        assert!(output.status.success(), "{output:?}");
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"))
    };
    let last = archive.ids[3].to_string();
    assert!(says(&["show", &last])[0].contains("archived"));
    let note = format!("runs up to {last} are archived");
    assert!(says(&["list"])[1].contains(&note));
    assert!(says(&["list", "--branch", "none"])[1].contains(&note));
    assert!(!says(&["list", "--state", "queued"])[1].contains(&note));
    let cancels = says(&["cancels"]);
    assert!(cancels[1].contains("nothing was stopped") && cancels[1].contains(&note), "{cancels:?}");
    let newest = archive.project.queued();
    assert_eq!(archive.project.cancel(newest).status, 200);
    assert!(says(&["cancels"])[1].contains(&note));
}

#[test]
fn a_fault_of_the_bucket_loses_nothing() {
    for step in 0..2 {
        for fault in [Fault::ErrorBefore, Fault::ErrorAfter, Fault::ClosedAfter] {
            let archive = Archive::new();
            archive.bucket.inject_after(step, fault);
            archive.tick();
            // The runtime asks once more where a connection was closed.
            if fault != Fault::ClosedAfter {
                assert_eq!(
                    archive.left("runs"),
                    5,
                    "nothing is deleted before it is known to be kept: {fault:?} {step}"
                );
            }
            archive.settles(&format!("{fault:?} of request {step}"));
        }
    }
}

#[test]
fn a_fault_of_the_database_loses_nothing() {
    const LOST: &str = "Network connection lost.";
    const BUSY: &str = "D1 DB is overloaded. Requests queued for too long.";
    for fault in [
        backend::Fault::ErrorBefore(BUSY),
        backend::Fault::ErrorAfter(BUSY),
        backend::Fault::ErrorAfter(LOST),
        backend::Fault::ClosedAfter,
        backend::Fault::SilentAfter,
        backend::Fault::OddRowsAfter,
    ] {
        // What is due, the count, the choice, the lines, the record with the deletes.
        for step in 0..5 {
            let archive = Archive::new();
            archive.rig.backend.inject_after(step, fault, 1);
            archive.tick();
            archive.settles(&format!("{fault:?} of batch {step}"));
        }
    }
}

#[test]
fn a_worker_that_dies_on_the_way_loses_nothing() {
    for step in 2..5 {
        let mut archive = Archive::new();
        archive.rig.backend.inject_after(step, backend::Fault::SilentAfter, 1);
        archive.tick();
        archive.rig.backend.heal();
        archive.rig.kill_and_start_again();
        archive.project.server = archive.rig.server.clone();
        archive.settles(&format!("a crash at batch {step}"));
    }
}

#[test]
fn what_the_bucket_keeps_wrongly_is_not_deleted() {
    let archive = Archive::new();
    archive.bucket.inject_after(0, Fault::Garbled);
    archive.tick();
    archive.tick();
    assert_eq!((archive.left("runs"), archive.left("archives")), (5, 0));
    assert!(archive.rig.log().contains("no_archive"));
    let key = archive.bucket.objects().into_keys().next().expect("an object");
    archive.bucket.lose(&key);
    archive.settles("once it is gone");
}

#[test]
fn a_bucket_that_fails_is_503_and_a_lost_object_too() {
    let archive = Archive::new();
    archive.tick();
    let show = || archive.project.call("GET", &format!("/api/test-runs/{}", archive.ids[0]), None);
    archive.bucket.inject_after(0, Fault::ErrorBefore);
    show().is_error(503);
    assert_eq!(show().status, 200);
    let key = archive.bucket.objects().into_keys().next().expect("an object");
    archive.bucket.lose(&key);
    let answer = show();
    answer.is_error(503);
    assert!(answer.header("retry-after").is_some() && !answer.text.contains(&key), "{answer:?}");
}

#[test]
fn without_a_bucket_nothing_is_deleted() {
    let rig = Rig::start();
    let project = rig.project();
    let (id, token) = project.started();
    assert_eq!(project.finish(id, &token).status, 200);
    let now: i64 = rig.backend.value("SELECT max(created_at) FROM runs");
    project.queued();
    rig.tick(now + 1000 * DAY);
    assert_eq!(project.show(id)["state"], "ended");
}
