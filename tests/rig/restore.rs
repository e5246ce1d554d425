//! The restore drill of docs/operations.md: export, wipe, restore, and every run, event and shard is as it was.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::archive::{DAY, rows};
use crate::backend::Backend;
use crate::bucket::Bucket;
use crate::client::{Project, unique};
use crate::orders::estop;
use crate::workerd::Rig;

/// What the command prints.
fn printed(command: &mut Command) -> String {
    let output = command.output().expect("estop");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn export(project: &Project, arguments: &[&str]) -> String {
    printed(
        Command::new(estop())
            .arg("export")
            .args(arguments)
            .env("ESTOP_URL", &project.server.url)
            .env("ESTOP_KEY", &project.key),
    )
}

fn restore(files: &[&Path]) -> String {
    printed(Command::new(estop()).arg("restore").args(files))
}

fn schema(backend: &Backend) -> BTreeSet<String> {
    let db = backend.db();
    let mut select = db.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").expect("SQL");
    select.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("texts")
}

/// The run that a row is of.
fn run_of(row: &str) -> i64 {
    let row: Value = serde_json::from_str(row).expect("JSON");
    row["run_id"].as_i64().or(row["id"].as_i64()).expect("an id")
}

/// Runs that have been through everything: passed, failed, broke, cancelled in every way, with failed tests and odd texts.
fn runs(project: &Project) -> Vec<i64> {
    let mut ids = Vec::new();
    for body in [
        json!({"state": "ended", "result": "passed"}),
        json!({"state": "ended", "result": "failed", "counts": {"total": 9, "success": 7, "failed": 2, "skipped": 0, "flaky": 0}}),
        json!({"state": "error", "error_code": "run_failed_with_error"}),
    ] {
        let (id, token) = project.started();
        let beat = json!({"lease": token, "progress": {"done": 1, "failed": 1}, "failures": [{"title": "it's \u{1F600}", "message": "a\nb'"}]});
        assert_eq!(project.post(&format!("/api/test-runs/{id}/heartbeat"), &beat).status, 200);
        let mut finish = body;
        finish["lease"] = json!(token);
        assert_eq!(project.post(&format!("/api/test-runs/{id}/finish"), &finish).status, 200);
        ids.push(id);
    }
    // D1 takes no expression of more than 100 levels.
    let lines = project.queued();
    let reason = json!({"reason": "a\n\t".repeat(341)});
    assert_eq!(project.post(&format!("/api/test-runs/{lines}/cancel"), &reason).status, 200);
    ids.push(lines);
    let queued = project.queued();
    let reason = json!({"reason": "\"wrong\", it's\n\tour branch'); DROP TABLE runs; --"});
    assert_eq!(project.post(&format!("/api/test-runs/{queued}/cancel"), &reason).status, 200);
    ids.push(queued);
    let (id, token) = project.started();
    assert_eq!(project.cancel(id).status, 200);
    let stopped =
        json!({"lease": token, "state": "error", "error_code": "run_failed_with_error", "stop": {"outcome": "killed"}});
    assert_eq!(project.post(&format!("/api/test-runs/{id}/finish"), &stopped).status, 412);
    ids.push(id);
    ids
}

#[test]
fn what_is_exported_and_restored_is_what_there_was() {
    let bucket = Bucket::start();
    let rig = Rig::start_with_bucket(&bucket);
    let project = rig.project();
    let old = runs(&project);
    // It waits, now and when the others are old.
    let waiting = project.queued();
    let now: i64 = rig.backend.value("SELECT max(created_at) FROM runs");
    let later = now + 100 * DAY;
    rig.backend.sql(&format!("UPDATE runs SET version = version + 1, waiting_since = {later} WHERE id = {waiting}"));
    let before = rows(&rig.backend);
    let shown = |project: &Project, id: i64| {
        ["", "/events", "/failures"].map(|what| {
            let mut answer = project.call("GET", &format!("/api/test-runs/{id}{what}"), None).ok();
            if let Some(run) = answer["data"]["test_run"].as_object_mut() {
                run.remove("archived");
            }
            answer
        })
    };
    let before_shown: Vec<[Value; 3]> = old.iter().map(|id| shown(&project, *id)).collect();
    // They move to the archive. What comes after it is in the database.
    rig.tick(now + 95 * DAY);
    assert_eq!(rig.backend.value::<i64>("SELECT runs FROM archives"), 6);
    let young = runs(&project);
    project.queued();
    let mut expected = rows(&rig.backend);
    for (expected, archived) in expected.iter_mut().zip(before) {
        expected.extend(archived);
        expected.retain(|row| run_of(row) != waiting);
    }

    let exported = export(&project, &[]);
    let folder = std::env::temp_dir().join(format!("estop-restore-{}", unique()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("runs.ndjson");
    std::fs::write(&file, &exported).expect("a file");
    let mut files = vec![file];
    for (index, object) in bucket.objects().values().enumerate() {
        files.push(folder.join(format!("{index}.ndjson.gz")));
        std::fs::write(&files[index + 1], object).expect("a file");
    }
    let paths: Vec<&Path> = files.iter().map(std::path::PathBuf::as_path).collect();
    // The export alone, and together with the archive's objects, which have some of it again.
    for sql in [restore(&paths[..1]), restore(&paths)] {
        let second = Rig::start();
        let fresh = schema(&second.backend);
        second.backend.sql(&sql);
        assert_eq!(schema(&second.backend), fresh, "the schema is as it was");
        // The service works on it.
        let body = json!({"project_id": project.id, "user": "ada@example.com", "name": "new", "scopes": ["read", "cancel", "run"]});
        let made = second.server.admin("POST", "/api/keys", Some(&body)).ok();
        let key = made["data"]["token"].as_str().expect("a key").to_owned();
        let slug = project.slug.clone();
        let again = Project { server: second.server.clone(), key, slug, ..project };
        assert!(again.queued() > young[5], "no id of what was restored is given again");
        assert_eq!(rows(&second.backend), expected);
        for (id, before) in old.iter().zip(&before_shown) {
            assert_eq!(&shown(&again, *id), before);
            assert_eq!(again.cancel(*id).status, 412);
        }
        let refused = second.backend.db().execute_batch(&sql).expect_err("a database that has runs").to_string();
        assert!(refused.contains("is_empty_and_of_this_version"), "{refused}");
    }
    let csv = export(&project, &["--format", "csv", "--from", "2020-01-01"]);
    assert_eq!(csv.lines().count(), 1 + old.len() + young.len(), "{csv}");
    assert_eq!(
        export(&project, &["--to", "2020-01-01"]).lines().filter(|line| line.contains(r#""kind":"run""#)).count(),
        0
    );
    let _ = std::fs::remove_dir_all(folder);
}
