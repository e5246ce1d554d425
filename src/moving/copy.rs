//! Reads the rows of a bucket, writes them, compares them and removes them: what a move does with them, chunk by chunk.

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::piece::Piece;
use super::progress::Cursor;
use super::table::{Chunk, Fired, Of, Shape, Table, Trigger, sent};
use super::{HOLDS, OVERTAKEN, PROJECTS_OF, REMOVALS, SAME_TRIGGERS, SHAPE, Stop, TABLES};
use crate::buckets::State;
use crate::http::json;
use crate::runtime::{DbError, Statement};

/// How many projects a bucket has at most that moves.
const MOST_PROJECTS: usize = 10_000;

/// How many parts are read at once, as long as they are small, and how many rows and bytes of each; and how many bytes of one that is
/// not.
const WIDTH: usize = 8;
const SMALL: (usize, i64) = (40, 40_000);
const LARGE: i64 = 300_000;

/// How many rows of a table a batch removes at most. A run takes its events and shards along.
const REMOVED: i64 = 50;

/// Where a chunk begins: in which table, of which project, after which row.
struct Position {
    table: usize,
    project: i64,
    after: Cursor,
}

/// What came of comparing.
pub enum Compared {
    /// So far they are alike.
    GoesOn,
    /// They are alike.
    Same,
    /// They are not.
    Differs,
}

/// What is known for a piece: the bucket's projects, and what the tables look like in both databases.
pub struct Tables {
    projects: Vec<i64>,
    from: Vec<Shape>,
    to: Vec<Shape>,
}

impl Tables {
    /// Reads it.
    pub async fn read(piece: &mut Piece<'_>) -> Result<Self, Stop> {
        let names = json(&TABLES.iter().map(|table| table.name).collect::<Vec<_>>());
        let (bucket, from, to) = (piece.bucket, piece.from, piece.progress.to);
        let shape = || Statement::new(SHAPE, vec![names.as_str().into()]);
        let most = i64::try_from(MOST_PROJECTS + 1).unwrap_or(0);
        let projects = Statement::new(PROJECTS_OF, vec![bucket.as_str().into(), most.into()]);
        let answer = piece.batch(from, vec![projects, shape()]).await?;
        let (projects, from): (Vec<i64>, Vec<Shape>) = (answer.only(0)?, answer.all(1)?);
        if projects.len() > MOST_PROJECTS {
            return Err(Stop::TooManyProjects);
        }
        let to: Vec<Shape> = piece.batch(to, vec![shape()]).await?.all(0)?;
        let alike = |one: &Shape| to.iter().any(|other| (&one.table, &one.columns) == (&other.table, &other.columns));
        // Otherwise one of them lacks a migration that the other has.
        let all_alike = from.len() == TABLES.len() && to.len() == TABLES.len() && from.iter().all(alike);
        if all_alike { Ok(Self { projects, from, to }) } else { Err(DbError::Upgrading.into()) }
    }

    /// Where the next chunks begin: several, of parts that are small or are begun with them.
    fn positions(&self, piece: &Piece<'_>) -> Vec<Position> {
        let (mut table, mut project) = (piece.progress.table, piece.progress.project);
        let mut after = piece.progress.after.clone();
        let width = if after == Cursor::default() { WIDTH } else { 1 };
        let mut found = Vec::new();
        while found.len() < width
            && let Some(Table { of, .. }) = TABLES.get(table)
        {
            let begins = std::mem::take(&mut after);
            let next = match of {
                Of::Bucket => None,
                Of::Project => self.projects.iter().copied().find(|id| *id >= project),
            };
            match next {
                Some(id) => {
                    found.push(Position { table, project: id, after: begins });
                    project = id + 1;
                }
                None => {
                    if *of == Of::Bucket {
                        found.push(Position { table, project: 0, after: begins });
                    }
                    (table, project) = (table + 1, 0);
                }
            }
        }
        found
    }

    /// Reads the chunks that begin there, as the database of this number has them.
    async fn chunks(&self, piece: &mut Piece<'_>, number: i64, positions: &[Position]) -> Result<Vec<Chunk>, Stop> {
        let bucket = piece.bucket;
        let (mut statements, mut limits) = (Vec::new(), Vec::new());
        for Position { table, project, after } in positions {
            let (table, shape) = table_at(*table, &self.from)?;
            let subject = if table.of == Of::Bucket { bucket.as_str().into() } else { (*project).into() };
            let (most, bytes) = if positions.len() > 1 { SMALL } else { (table.most, LARGE) };
            limits.push(most);
            let limit = i64::try_from(most).unwrap_or(0);
            let params = vec![subject, after.a.into(), after.b.as_str().into(), limit.into(), bytes.into()];
            statements.push(Statement { params, ..sent(table.read(shape)) });
        }
        let answer = piece.batch(number, statements).await?;
        let chunks = limits.iter().enumerate().map(|(index, most)| Ok(Chunk::of(answer.all(index)?, *most)));
        Ok(chunks.collect::<Result<_, DbError>>()?)
    }

    /// Copies the next chunks, into a database whose row of the bucket has this fence; `false` if there are none.
    pub async fn copy(&self, piece: &mut Piece<'_>, open: &str) -> Result<bool, Stop> {
        let positions = self.positions(piece);
        if positions.is_empty() {
            return Ok(false);
        }
        let (from, to) = (piece.from, piece.progress.to);
        let chunks = self.chunks(piece, from, &positions).await?;
        let mut texts: Vec<(usize, String)> = Vec::new();
        let mut copied = 0;
        for (position, chunk) in positions.iter().zip(&chunks) {
            if !chunk.rows.is_empty() {
                texts.push((position.table, json(&chunk.rows)));
                copied += count(&chunk.rows);
            }
            if advance(piece, position, chunk) {
                break;
            }
        }
        if !texts.is_empty() {
            self.write(piece, to, &texts, open).await?;
        }
        piece.progress.copied += copied;
        Ok(true)
    }

    async fn write(&self, piece: &mut Piece<'_>, to: i64, texts: &[(usize, String)], open: &str) -> Result<(), Stop> {
        let bucket = piece.bucket;
        let row = [bucket.as_str().into(), State::Arriving.name().into(), open.into()];
        let mut touched: Vec<&str> = Vec::new();
        let mut inserts = Vec::new();
        for (table, text) in texts {
            let (table, shape) = table_at(*table, &self.to)?;
            if !touched.contains(&table.name) {
                touched.push(table.name);
            }
            let params = [&[text.as_str().into()], row.as_slice()].concat();
            inserts.push(Statement { params, ..sent(table.write(shape)) });
        }
        let mut statements = unguarded(&self.to, &touched, Fired::Insert, inserts)?;
        statements.push(Statement::new(HOLDS, row.to_vec()));
        let last = statements.len() - 1;
        if piece.batch(to, statements).await?.only(last)? { Ok(()) } else { Err(OVERTAKEN) }
    }

    /// Compares the next chunks of both databases.
    pub async fn check(&self, piece: &mut Piece<'_>) -> Result<Compared, Stop> {
        let positions = self.positions(piece);
        if positions.is_empty() {
            return Ok(Compared::Same);
        }
        let (from, to) = (piece.from, piece.progress.to);
        let ours = self.chunks(piece, from, &positions).await?;
        let theirs = self.chunks(piece, to, &positions).await?;
        for ((position, one), other) in positions.iter().zip(&ours).zip(&theirs) {
            let hash = hash(&piece.progress.hash, &one.rows);
            let alike = one.rows.len() == other.rows.len() && one.goes_on == other.goes_on;
            if !alike || hash != self::hash(&piece.progress.hash, &other.rows) {
                piece.progress.table = position.table;
                return Ok(Compared::Differs);
            }
            piece.progress.hash = hash;
            piece.progress.checked += count(&one.rows);
            if advance(piece, position, one) {
                break;
            }
        }
        Ok(Compared::GoesOn)
    }

    /// Removes some rows of the bucket from the database of this number, while its row of it has this state and progress. Gives how
    /// many, and whether there may be more.
    pub async fn remove(
        &self,
        piece: &mut Piece<'_>,
        number: i64,
        state: State,
        progress: &str,
    ) -> Result<(i64, bool), Stop> {
        let bucket = piece.bucket;
        let row = [bucket.as_str().into(), state.name().into(), progress.into()];
        let removals: Vec<Statement<'_>> = REMOVALS
            .iter()
            .map(|(_, sql)| Statement::new(*sql, [row.as_slice(), &[REMOVED.into()]].concat()))
            .collect();
        let touched: Vec<&str> = REMOVALS.iter().map(|(table, _)| *table).collect();
        let shapes = if number == piece.from { &self.from } else { &self.to };
        let mut statements = unguarded(shapes, &touched, Fired::Delete, removals)?;
        statements.push(Statement::new(HOLDS, row.to_vec()));
        let last = statements.len() - 1;
        let answer = piece.batch(number, statements).await?;
        if !answer.only(last)? {
            return Err(OVERTAKEN);
        }
        let removed = (0..last).map(|index| answer.rows(index)).filter(|rows| rows.iter().all(|row| row.get() == "0"));
        let removed = removed.map(count).sum();
        Ok((removed, removed > 0))
    }
}

/// The table of this index, and what it looks like.
fn table_at(index: usize, shapes: &[Shape]) -> Result<(&'static Table, &Shape), DbError> {
    let table = TABLES.get(index).ok_or(DbError::Unreadable(SHAPE.file))?;
    Ok((table, shape_of(table.name, shapes)?))
}

fn shape_of<'a>(table: &str, shapes: &'a [Shape]) -> Result<&'a Shape, DbError> {
    shapes.iter().find(|shape| shape.table == table).ok_or(DbError::Unreadable(SHAPE.file))
}

/// Statements without the triggers of these tables that would stand in their way: in one transaction with what takes those away and
/// puts them back, so that nobody else ever sees the schema without them.
fn unguarded<'a>(
    shapes: &'a [Shape],
    tables: &[&'a str],
    fired: Fired,
    statements: Vec<Statement<'a>>,
) -> Result<Vec<Statement<'a>>, DbError> {
    let (mut all, mut back) = (Vec::new(), Vec::new());
    for table in tables {
        let read = shape_of(table, shapes)?.triggers(fired);
        let triggers: Vec<Trigger> = serde_json::from_str(read.get()).map_err(|_| DbError::Unreadable(SHAPE.file))?;
        if !triggers.is_empty() {
            all.push(Statement::new(SAME_TRIGGERS, vec![(*table).into(), fired.head().into(), read.get().into()]));
        }
        for trigger in triggers {
            all.push(trigger.drop());
            back.push(trigger.create());
        }
    }
    all.extend(statements);
    all.extend(back);
    Ok(all)
}

/// Notes that a chunk is done; `true` if the next one is of the same part.
fn advance(piece: &mut Piece<'_>, position: &Position, chunk: &Chunk) -> bool {
    let progress = &mut piece.progress;
    (progress.table, progress.project) = (position.table, position.project);
    match &chunk.end {
        Some(end) if chunk.goes_on => {
            progress.after = end.clone();
            return true;
        }
        _ => progress.after = Cursor::default(),
    }
    if TABLES.get(position.table).is_some_and(|table| table.of == Of::Bucket) {
        (progress.table, progress.project) = (position.table + 1, 0);
    } else {
        progress.project += 1;
    }
    false
}

fn count(rows: &[Box<RawValue>]) -> i64 {
    i64::try_from(rows.len()).unwrap_or(0)
}

/// The hash of rows, and of all that came before.
fn hash(before: &str, rows: &[Box<RawValue>]) -> String {
    let mut hash = Sha256::new();
    hash.update(before);
    for row in rows {
        hash.update(row.get());
        hash.update("\n");
    }
    base16ct::lower::encode_string(&hash.finalize())
}
