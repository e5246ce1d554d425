//! The tables whose rows go along, and the statements that read, write and remove them. These are put together here: their columns
//! are the schema's, whatever they are, so that one that is added later goes along, too.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::progress::Cursor;
use crate::runtime::{Sql, Statement};

/// What the rows of a table are looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The whole bucket.
    Bucket,
    /// One project after the other.
    Project,
}

/// A table.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What its rows are looked up by.
    pub of: Of,
    /// Says which rows come next: `a` and `b`, in the order in which both databases have them.
    pub pick: Sql,
    /// The row `t` of a pick `p`.
    on: &'static str,
    /// How many rows of it are read at once, where there are many.
    pub most: usize,
    /// A column whose value is given anew, and how.
    anew: Option<(&'static str, &'static str)>,
}

impl Table {
    /// A table whose rows go along as they are.
    pub const fn new(name: &'static str, of: Of, pick: Sql, on: &'static str) -> Self {
        Self { name, of, pick, on, most: 300, anew: None }
    }

    /// With rows that are all small.
    pub const fn small(self) -> Self {
        Self { most: 1000, ..self }
    }

    /// With a column that is given anew.
    pub const fn with(self, column: &'static str, value: &'static str) -> Self {
        Self { anew: Some((column, value)), ..self }
    }

    /// Reads the next rows of it: of the bucket or the project `?1`, after `?2` and `?3`, at most `?4` and no more of them once they
    /// have `?5` bytes. Gives `[a, b, how many there were to choose from, row]`; a pick that has no row of this table gives null.
    pub fn read(&self, shape: &Shape) -> String {
        let columns: Vec<String> = shape.columns.iter().map(|column| self.value(column)).collect();
        // D1 takes 32 arguments for a function.
        let parts: Vec<String> = columns.chunks(30).map(|part| format!("json_array({})", part.join(", "))).collect();
        let key = shape.columns.first().map_or_else(String::new, |column| quoted(column));
        format!(
            "SELECT json_array(a, b || '', n, json(item)) AS row \
               FROM (SELECT a, b, item, count(*) OVER () AS n, \
                            sum(octet_length(item)) OVER (ORDER BY a, b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before \
                       FROM (SELECT p.a, p.b, CASE WHEN t.{key} IS NOT NULL THEN json_array({}) END AS item \
                               FROM ({}) p LEFT JOIN {} t ON {})) \
              WHERE coalesce(before, 0) < ?5 ORDER BY a, b",
            parts.join(", "),
            self.pick.text.trim_end_matches(';'),
            self.name,
            self.on,
        )
    }

    fn value(&self, column: &str) -> String {
        match self.anew {
            Some((anew, value)) if anew == column => value.to_owned(),
            _ => format!("t.{}", quoted(column)),
        }
    }

    /// Writes rows, a JSON array of them as they were read (`?1`), unless they are there, while the row of the bucket `?2` has the
    /// state `?3` and the progress `?4`.
    pub fn write(&self, shape: &Shape) -> String {
        let (mut names, mut values) = (String::new(), String::new());
        for (index, column) in shape.columns.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(names, "{comma}{}", quoted(column));
            let _ = write!(values, "{comma}value ->> '$[{}][{}]'", index / 30, index % 30);
        }
        format!(
            "INSERT INTO {} ({names}) SELECT {values} FROM json_each(?1) \
              WHERE EXISTS (SELECT 1 FROM buckets WHERE bucket = ?2 AND state = ?3 AND progress = ?4) \
             ON CONFLICT DO NOTHING",
            self.name
        )
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What a table looks like in one database.
#[derive(Debug, Deserialize)]
pub struct Shape {
    /// Its name.
    pub table: String,
    /// Its columns but for those that are generated.
    pub columns: Vec<String>,
    inserts: Box<RawValue>,
    deletes: Box<RawValue>,
}

/// Which triggers stand in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    /// Those of what is inserted.
    Insert,
    /// Those of what is deleted.
    Delete,
}

impl Fired {
    /// What the head of such a trigger has in it.
    pub fn head(self) -> &'static str {
        match self {
            Self::Insert => " INSERT ON ",
            Self::Delete => " BEFORE DELETE ON ",
        }
    }
}

/// A trigger: its name and its text.
#[derive(Debug, Deserialize)]
pub struct Trigger(String, String);

impl Trigger {
    /// Takes it away.
    pub fn drop(&self) -> Statement<'static> {
        sent(format!("DROP TRIGGER {}", quoted(&self.0)))
    }

    /// Puts it back.
    pub fn create(self) -> Statement<'static> {
        sent(self.1)
    }
}

impl Shape {
    /// Its triggers, as they were read.
    pub fn triggers(&self, fired: Fired) -> &RawValue {
        match fired {
            Fired::Insert => &self.inserts,
            Fired::Delete => &self.deletes,
        }
    }
}

/// A statement that was put together here.
pub fn sent(text: String) -> Statement<'static> {
    Statement { file: "moving", text: text.into(), params: Vec::new() }
}

/// The next rows of a table, as one database has them.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The rows.
    pub rows: Vec<Box<RawValue>>,
    /// Where they end, unless there were none.
    pub end: Option<Cursor>,
    /// Whether there may be more.
    pub goes_on: bool,
}

impl Chunk {
    /// Reads what [`Table::read`] gave of at most so many.
    pub fn of(picks: Vec<(i64, String, usize, Option<Box<RawValue>>)>, most: usize) -> Self {
        let mut chunk = Self::default();
        let given = picks.len();
        for (a, b, found, row) in picks {
            chunk.goes_on = found >= most || given < found;
            chunk.end = Some(Cursor { a, b });
            chunk.rows.extend(row);
        }
        chunk
    }
}
