//! `estop restore`: the SQL that brings exported or archived runs into an empty database, as they were.
//!
//! The schema lets runs come into being only as the service makes them. So the SQL takes the triggers away that see to that, inserts the
//! rows, and puts the triggers back as they are in schema.sql.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::args::RestoreArgs;
use crate::exit::Exit;
use crate::service::Failure;
use crate::terminal::{self, sanitize};

const SCHEMA: &str = include_str!("../../../schema.sql");

/// The tables, in the order in which their rows are inserted: the kind of their lines, their name, and what tells a row from others.
const TABLES: [(&str, &str, &[&str]); 5] = [
    ("project", "projects", &["id"]),
    ("environment", "environments", &["id"]),
    ("run", "runs", &["id"]),
    ("shard", "run_shards", &["run_id", "shard"]),
    ("event", "run_events", &["run_id", "step"]),
];

#[derive(Deserialize)]
struct Line {
    kind: String,
    version: Option<i64>,
    #[serde(default)]
    row: Map<String, Value>,
    /// Of a run's line: what is shown of it, which says how many events and shards it has.
    #[serde(default)]
    events: Vec<IgnoredAny>,
    #[serde(default)]
    test_run: Shown,
}

#[derive(Deserialize, Default)]
struct Shown {
    #[serde(default)]
    shards: Vec<IgnoredAny>,
}

/// What the files have.
#[derive(Default)]
struct Found {
    /// The rows of each table by what tells them apart.
    rows: [BTreeMap<Vec<i64>, Map<String, Value>>; TABLES.len()],
    /// How many shards and events each run has.
    parts: BTreeMap<i64, [usize; 2]>,
}

pub fn restore(args: &RestoreArgs) -> Result<Exit, Failure> {
    let mut found = Found::default();
    for path in &args.files {
        read(path, &mut found).map_err(|why| {
            Failure::new(Exit::Usage, format!("{} cannot be restored: {why}", sanitize(&path.display().to_string())))
        })?;
    }
    for statement in sql(&found).map_err(|why| Failure::new(Exit::Usage, why))? {
        terminal::print(statement);
    }
    let [_, _, runs, ..] = &found.rows;
    terminal::info(format!("{} test runs", runs.len()));
    Ok(Exit::Done)
}

fn read(path: &Path, found: &mut Found) -> Result<(), String> {
    let mut file = BufReader::new(File::open(path).map_err(|error| error.to_string())?);
    let is_gzip = file.fill_buf().map_err(|error| error.to_string())?.starts_with(&[0x1f, 0x8b]);
    let text: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    take_all(BufReader::new(text).lines(), found)
}

/// Takes the lines of a file. The first says in which format they are.
fn take_all(lines: impl Iterator<Item = std::io::Result<String>>, found: &mut Found) -> Result<(), String> {
    let mut is_known = false;
    for (index, line) in lines.enumerate() {
        let kind = line.map_err(|error| error.to_string()).and_then(|line| take(&line, found));
        is_known |= kind.map_err(|why| format!("line {}: {why}", index + 1))? == "archive";
        if !is_known {
            break;
        }
    }
    if is_known { Ok(()) } else { Err("it does not begin as an export or an archive does".to_owned()) }
}

/// Gives the line's kind.
fn take(line: &str, found: &mut Found) -> Result<String, String> {
    let line = serde_json::from_str(line).map_err(|_| "not a line of an export".to_owned())?;
    let Line { kind, version, row, events, test_run } = line;
    if kind == "archive" {
        return match version {
            Some(1) => Ok(kind),
            _ => Err("an archive of a later version. Use a newer estop".to_owned()),
        };
    }
    let table = TABLES.iter().zip(&mut found.rows).find(|((name, ..), _)| *name == kind);
    let ((_, name, key), rows) =
        table.ok_or_else(|| "a kind of line that this estop does not know. Use a newer one".to_owned())?;
    let key: Option<Vec<i64>> = key.iter().map(|column| row.get(*column)?.as_i64()).collect();
    let key = key.ok_or_else(|| format!("a row of {name} without its id"))?;
    if let (true, [run]) = (kind == "run", key.as_slice()) {
        found.parts.insert(*run, [test_run.shards.len(), events.len()]);
    }
    let is_record = !matches!(kind.as_str(), "project" | "environment");
    let changed_at = |row: &Map<String, Value>| row.get("changed_at").and_then(Value::as_i64);
    match rows.get(&key) {
        // What was archived once and exported again.
        Some(before) if is_record && *before != row => {
            return Err(format!("a row of {name} differs from an earlier one with its id"));
        }
        // A project or an environment is restored as it was last.
        Some(before) if changed_at(before) > changed_at(&row) => {}
        _ => {
            rows.insert(key, row);
        }
    }
    Ok(kind)
}

/// Refuses what a file lacks that was cut off at the end of a line.
fn check_whole(found: &Found) -> Result<(), String> {
    let [_, _, _, shards, events] = &found.rows;
    for (run, parts) in &found.parts {
        let range = || vec![*run]..vec![*run + 1];
        if [shards.range(range()).count(), events.range(range()).count()] != *parts {
            return Err(format!("Test run {run} lacks events or shards: its file was cut off. Export it anew"));
        }
    }
    Ok(())
}

/// The statements, one a line or more.
fn sql(found: &Found) -> Result<Vec<String>, String> {
    check_whole(found)?;
    let triggers = insert_triggers();
    let mut sql = vec![
        // A CHECK that fails ends it before anything is changed.
        "CREATE TABLE restored (is_empty_and_of_this_version INTEGER NOT NULL CHECK (is_empty_and_of_this_version = 1));".to_owned(),
        format!(
            "INSERT INTO restored SELECT (SELECT version FROM schema_version) = {} AND NOT EXISTS (SELECT 1 FROM runs);",
            schema_version()
        ),
        "DROP TABLE restored;".to_owned(),
    ];
    sql.extend(triggers.iter().map(|(name, _)| format!("DROP TRIGGER {name};")));
    for ((_, table, _), rows) in TABLES.iter().zip(&found.rows) {
        for row in rows.values() {
            sql.push(insert(table, row)?);
        }
    }
    // They are counted anew.
    sql.push("INSERT INTO closed_runs (run_id) SELECT id FROM runs ORDER BY id;".to_owned());
    sql.extend(triggers.into_iter().map(|(_, text)| text));
    Ok(sql)
}

fn insert(table: &str, row: &Map<String, Value>) -> Result<String, String> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if let Some(odd) = row.keys().find(|name| !is_name(name)) {
        return Err(format!("{} is no column of {table}", sanitize(odd)));
    }
    let columns: Vec<String> = row.keys().map(|name| format!("\"{name}\"")).collect();
    let values: Result<Vec<String>, String> = row.values().map(literal).collect();
    Ok(format!("INSERT INTO {table} ({}) VALUES ({});", columns.join(", "), values?.join(", ")))
}

/// A value in SQL. A text that has other than plain characters is written by its bytes, so that each statement is one line, and as
/// a single term: D1 takes expressions of 100 levels, and statements of 100 KB.
fn literal(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok("NULL".to_owned()),
        Value::Number(number) if number.is_i64() => Ok(number.to_string()),
        Value::String(text) => {
            let is_odd = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if text.contains('\0') {
                Err("a text with a NUL".to_owned())
            } else if text.contains(is_odd) {
                let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
                Ok(format!("CAST(x'{hex}' AS TEXT)"))
            } else {
                Ok(format!("'{}'", text.replace('\'', "''")))
            }
        }
        other => Err(format!("{} is no value of a row", sanitize(&other.to_string()))),
    }
}

fn schema_version() -> &'static str {
    let inserted = SCHEMA.split("INSERT INTO schema_version (only_row, version) VALUES (1, ").nth(1);
    inserted.and_then(|rest| rest.split(')').next()).unwrap_or_default()
}

/// What fires when a run, an event or a shard is inserted: names and texts.
fn insert_triggers() -> Vec<(&'static str, String)> {
    let texts = SCHEMA.split("\nCREATE TRIGGER ").skip(1);
    let triggers = texts.filter_map(|text| {
        let name = text.split(' ').next()?;
        let (_, table) = text.lines().next()?.split_once(" INSERT ON ")?;
        let inserts = ["runs", "run_events", "run_shards"].contains(&table);
        let (body, _) = text.split_once("\nEND;")?;
        inserts.then(|| (name, format!("CREATE TRIGGER {body}\nEND;")))
    });
    triggers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_triggers_that_inserts_fire_are_known() {
        let names: Vec<&str> = insert_triggers().iter().map(|(name, _)| *name).collect();
        let expected = [
            "runs_are_registered_once",
            "runs_registered",
            "run_shards_claimed",
            "runs_carry",
            "run_events_are_true",
            "runs_supersede",
            "runs_begin_where_they_live",
        ];
        assert_eq!(names, expected);
        for (name, text) in insert_triggers() {
            assert!(text.starts_with(&format!("CREATE TRIGGER {name} ")) && text.ends_with("\nEND;"), "{text}");
        }
        assert!(schema_version().parse::<i64>().is_ok_and(|version| version > 16));
    }

    #[test]
    fn a_text_is_only_a_text() {
        let literal = |text: &str| literal(&Value::from(text));
        assert_eq!(literal("it's").as_deref(), Ok("'it''s'"));
        assert_eq!(literal("a\n');DROP").as_deref(), Ok("CAST(x'610a27293b44524f50' AS TEXT)"));
        assert_eq!(literal("\u{202e}é").as_deref(), Ok("CAST(x'e280aec3a9' AS TEXT)"));
        let longest = literal(&"\n".repeat(32 * 1024)).expect("a text");
        assert!(longest.len() < 70_000, "a statement of D1 has 100 KB at most");
        assert!(literal("\0").is_err());
        let odd = serde_json::from_str(r#"{"id) VALUES (1); --":1}"#).expect("JSON");
        assert!(insert("runs", &odd).is_err());
    }

    #[test]
    fn lines_of_another_format_are_refused() {
        let mut found = Found::default();
        for line in [
            "",
            "{}",
            "[]",
            r#"{"kind":"archive","version":2}"#,
            r#"{"kind":"key","row":{"id":1}}"#,
            r#"{"kind":"run","row":{}}"#,
        ] {
            assert!(take(line, &mut found).is_err(), "{line}");
        }
        let run = |reason: &str| format!(r#"{{"kind":"run","run":1,"row":{{"id":1,"cancel_reason":"{reason}"}}}}"#);
        assert!(take(&run("a"), &mut found).is_ok());
        assert!(take(&run("a"), &mut found).is_ok(), "what is there twice is restored once");
        assert!(take(&run("b"), &mut found).is_err());
    }

    const HEAD: &str = r#"{"kind":"archive","version":1}"#;

    fn all(lines: &[&str]) -> Result<Found, String> {
        let mut found = Found::default();
        take_all(lines.iter().map(|line| Ok((*line).to_owned())), &mut found).map(|()| found)
    }

    #[test]
    fn a_file_says_first_in_which_format_it_is() {
        let project = r#"{"kind":"project","row":{"id":1}}"#;
        assert!(all(&[HEAD, project]).is_ok());
        for lines in [&[project][..], &[project, HEAD], &[]] {
            assert!(all(lines).is_err_and(|why| why.contains("does not begin")), "{lines:?}");
        }
    }

    #[test]
    fn a_project_is_restored_as_it_was_last() {
        let project = |name: &str, at: &str| {
            format!(r#"{{"kind":"project","row":{{"id":1,"name":"{name}","changed_at":{at}}}}}"#)
        };
        let [first, second, third] = [("a", "null"), ("b", "5"), ("c", "7")].map(|(name, at)| project(name, at));
        for lines in [[&first, &second, &third], [&third, &second, &first], [&second, &third, &first]] {
            let found = all(&[HEAD, lines[0], lines[1], lines[2]]).expect("lines");
            let row = found.rows[0].values().next().expect("a row");
            assert_eq!(row["name"], "c", "{lines:?}");
        }
    }

    #[test]
    fn a_file_that_was_cut_off_is_refused() {
        let lines = [
            HEAD,
            r#"{"kind":"run","run":1,"row":{"id":1},"test_run":{"shards":[{}]},"events":[{},{}]}"#,
            r#"{"kind":"event","run":1,"row":{"run_id":1,"step":2}}"#,
            r#"{"kind":"event","run":1,"row":{"run_id":1,"step":4}}"#,
            r#"{"kind":"shard","run":1,"row":{"run_id":1,"shard":1}}"#,
        ];
        for length in 1..=lines.len() {
            let restored = sql(&all(&lines[..length]).expect("lines"));
            if length == 1 || length == lines.len() {
                assert!(restored.is_ok(), "{restored:?}");
            } else {
                assert!(restored.is_err_and(|why| why.contains("cut off")), "{length}");
            }
        }
    }
}
