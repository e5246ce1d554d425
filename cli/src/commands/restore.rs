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
}

/// The rows of each table by what tells them apart.
type Rows = [BTreeMap<Vec<i64>, Map<String, Value>>; TABLES.len()];

pub fn restore(args: &RestoreArgs) -> Result<Exit, Failure> {
    let mut rows = Rows::default();
    for path in &args.files {
        read(path, &mut rows).map_err(|why| {
            Failure::new(Exit::Usage, format!("{} cannot be restored: {why}", sanitize(&path.display().to_string())))
        })?;
    }
    for statement in sql(&rows).map_err(|why| Failure::new(Exit::Usage, why))? {
        terminal::print(statement);
    }
    let [_, _, runs, ..] = &rows;
    terminal::info(format!("{} test runs", runs.len()));
    Ok(Exit::Done)
}

fn read(path: &Path, rows: &mut Rows) -> Result<(), String> {
    let mut file = BufReader::new(File::open(path).map_err(|error| error.to_string())?);
    let is_gzip = file.fill_buf().map_err(|error| error.to_string())?.starts_with(&[0x1f, 0x8b]);
    let text: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    for (index, line) in BufReader::new(text).lines().enumerate() {
        let line = line.map_err(|error| error.to_string())?;
        take(&line, rows).map_err(|why| format!("line {}: {why}", index + 1))?;
    }
    Ok(())
}

fn take(line: &str, rows: &mut Rows) -> Result<(), String> {
    let Line { kind, version, row } = serde_json::from_str(line).map_err(|_| "not a line of an export".to_owned())?;
    if kind == "archive" {
        return match version {
            Some(1) => Ok(()),
            _ => Err("an archive of a later version. Use a newer estop".to_owned()),
        };
    }
    let table = TABLES.iter().zip(rows).find(|((name, ..), _)| *name == kind);
    let ((_, name, key), rows) =
        table.ok_or_else(|| "a kind of line that this estop does not know. Use a newer one".to_owned())?;
    let key: Option<Vec<i64>> = key.iter().map(|column| row.get(*column)?.as_i64()).collect();
    let key = key.ok_or_else(|| format!("a row of {name} without its id"))?;
    let is_record = !matches!(kind.as_str(), "project" | "environment");
    match rows.insert(key, row.clone()) {
        // What was archived once and exported again.
        Some(before) if is_record && before != row => {
            Err(format!("a row of {name} differs from an earlier one with its id"))
        }
        _ => Ok(()),
    }
}

/// The statements, one a line or more.
fn sql(rows: &Rows) -> Result<Vec<String>, String> {
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
    for ((_, table, _), rows) in TABLES.iter().zip(rows) {
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

/// A value in SQL. Whatever is no plain character is written by its number, so that each statement is one line.
fn literal(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok("NULL".to_owned()),
        Value::Number(number) if number.is_i64() => Ok(number.to_string()),
        Value::String(text) => {
            let mut sql = "'".to_owned();
            for c in text.chars() {
                match c {
                    '\0' => return Err("a text with a NUL".to_owned()),
                    '\'' => sql.push_str("''"),
                    c if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                        sql.push_str(&format!("' || char({}) || '", u32::from(c)));
                    }
                    c => sql.push(c),
                }
            }
            Ok(sql + "'")
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
        assert_eq!(literal("a\n');DROP").as_deref(), Ok("'a' || char(10) || ''');DROP'"));
        assert!(literal("\0").is_err());
        let odd = serde_json::from_str(r#"{"id) VALUES (1); --":1}"#).expect("JSON");
        assert!(insert("runs", &odd).is_err());
    }

    #[test]
    fn lines_of_another_format_are_refused() {
        let mut rows = Rows::default();
        for line in [
            "",
            "{}",
            "[]",
            r#"{"kind":"archive","version":2}"#,
            r#"{"kind":"key","row":{"id":1}}"#,
            r#"{"kind":"run","row":{}}"#,
        ] {
            assert!(take(line, &mut rows).is_err(), "{line}");
        }
        let run = |reason: &str| format!(r#"{{"kind":"run","run":1,"row":{{"id":1,"cancel_reason":"{reason}"}}}}"#);
        assert_eq!(take(&run("a"), &mut rows), Ok(()));
        assert_eq!(take(&run("a"), &mut rows), Ok(()), "what is there twice is restored once");
        assert!(take(&run("b"), &mut rows).is_err());
    }
}
