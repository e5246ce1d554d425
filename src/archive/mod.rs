//! The archive: runs that are over, and older than their project keeps them, move from the database to a bucket (R2).
//!
//! A step of the tick puts the oldest runs of one project into an object, makes sure that it is there, and then, in one transaction,
//! writes down what was archived and deletes it. What decides is that transaction: it archives the runs as they were read, or
//! nothing. Whatever comes before may be repeated: the same runs make the same object, under a name that its hash is part of.
//!
//! An object is NDJSON, gzipped in members of a few runs each, one after another, which gunzip takes for one file. The row in
//! `archives` says where each member lies, so that one run is found with one read of a few kilobytes.

pub mod read;

use estop_protocol::time::Timestamp;
use serde::Serialize;

use crate::config::Archive;
use crate::database::{Answer, Database};
use crate::http::json;
use crate::run::KEEP_LATE_FOR;
use crate::runtime::{DbError, Sql, Statement, Stored, Value, sql};

const CHOOSE: Sql = sql!("archive/choose.sql");
const HEAD: Sql = sql!("archive/head.sql");
const LINES: Sql = sql!("archive/lines.sql");
const RECORD: Sql = sql!("archive/record.sql");
const DELETE: Sql = sql!("archive/delete.sql");
const DELETED: Sql = sql!("archive/deleted.sql");
const DELIVERIES: Sql = sql!("archive/deliveries.sql");

/// How many bytes of lines an object has at most, by the statement's estimate, unless a single run has more. As many as fit into the
/// free plan's 10 ms of CPU.
const OBJECT_BYTES: i64 = 500_000;

/// From how many bytes on a run's shards go without their failed tests, by the same estimate. Its own line has those that are shown.
const RUN_BYTES: i64 = 4_000_000;

/// From how many bytes of lines on a member ends with its run.
const MEMBER_BYTES: usize = 48 * 1024;

/// What a step did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The project whose turn it was.
    pub project: i64,
    /// Runs that were archived and deleted.
    pub archived: i64,
    /// Bytes of the object.
    pub bytes: i64,
    /// Whether the bucket did not take it.
    pub bucket_failed: bool,
}

/// Runs that may be archived: as choose.sql gives them. (An array costs the upload a tenth of what reading an object does.)
#[derive(Clone, Copy)]
struct Chosen {
    project: i64,
    first_run: i64,
    last_run: i64,
    runs: i64,
    events: i64,
    shards: i64,
    versions: i64,
    bytes: i64,
}

/// Does one step at `now`: archives runs of one project, if there is one to archive. Without a bucket it does nothing, unless the
/// operator wants old runs deleted all the same.
///
/// # Errors
/// Why the database ended it. The next tick begins anew, and what was put into the bucket is found there.
pub async fn step(database: &Database<'_>, now: Timestamp) -> Result<Option<Tally>, DbError> {
    let keeps = database.runtime.has_bucket();
    if !keeps && database.config.archive != Archive::None {
        return Ok(None);
    }
    let choose = vec![now.0.into(), database.config.archive_runs.into(), OBJECT_BYTES.into(), KEEP_LATE_FOR.into()];
    let rows = database.batch(vec![Statement::new(CHOOSE, choose)]).await?;
    let Some([project, first_run, last_run, runs, events, shards, versions, bytes]) = rows.first::<[i64; 8]>(0)? else {
        return Ok(None);
    };
    let chosen = Chosen { project, first_run, last_run, runs, events, shards, versions, bytes };
    let mut tally = Tally { project: chosen.project, ..Tally::default() };
    let stored = if keeps {
        let Some(stored) = keep(database, &chosen).await? else {
            return Ok(Some(Tally { bucket_failed: true, ..tally }));
        };
        tally.bytes = stored.0.bytes;
        Some(stored)
    } else {
        None
    };
    tally.archived = record(database, &chosen, stored, now).await?;
    Ok(Some(tally))
}

/// What an archive of these runs has: first the lines that it begins with, then those of the runs, which by the estimate have so
/// many bytes.
///
/// # Errors
/// As [`Database::batch`].
pub async fn lines(
    database: &Database<'_>,
    project: i64,
    first: i64,
    last: i64,
    bytes: i64,
) -> Result<Answer, DbError> {
    let range = || vec![project.into(), first.into(), last.into()];
    let mut params: Vec<Value<'_>> = range();
    params.push(i64::from(bytes > RUN_BYTES).into());
    let statements = vec![Statement::new(HEAD, range()), Statement::new(LINES, params)];
    database.batch(statements).await
}

/// Puts the chosen runs into the bucket. Gives the object, and the first run of each of its members.
async fn keep(database: &Database<'_>, chosen: &Chosen) -> Result<Option<(Stored, Vec<i64>)>, DbError> {
    let rows = lines(database, chosen.project, chosen.first_run, chosen.last_run, chosen.bytes).await?;
    let mut members: Vec<String> = Vec::new();
    let mut firsts = Vec::new();
    let mut head = String::new();
    for line in rows.rows(0) {
        head.push_str(line.get());
        head.push('\n');
    }
    for line in rows.rows(1).iter().map(|line| line.get()) {
        if let Some(run) = read::run_of(line)
            && read::begins_run(line)
            && members.last().is_none_or(|member| member.len() >= MEMBER_BYTES)
        {
            firsts.push(run);
            members.push(std::mem::take(&mut head));
        }
        let Some(member) = members.last_mut() else { return Err(DbError::Unreadable(LINES.file)) };
        member.push_str(line);
        member.push('\n');
    }
    let prefix = format!("{}/{}-{}-", chosen.project, chosen.first_run, chosen.last_run);
    let stored = database.runtime.put_object(&prefix, &members).await;
    Ok(stored.filter(|stored| stored.lengths.len() == firsts.len()).map(|stored| (stored, firsts)))
}

/// Writes down what was archived, and deletes it: all of it, as it was read, or nothing. Gives how many runs it deleted.
async fn record(
    database: &Database<'_>,
    chosen: &Chosen,
    stored: Option<(Stored, Vec<i64>)>,
    now: Timestamp,
) -> Result<i64, DbError> {
    let members = stored.as_ref().map(|(stored, firsts)| json(&places(firsts, &stored.lengths)));
    let object = stored.as_ref().map(|(stored, _)| stored);
    let range = || vec![chosen.project.into(), chosen.first_run.into(), chosen.last_run.into()];
    let mut params: Vec<Value<'_>> = range();
    params.extend([chosen.runs, chosen.events, chosen.shards, chosen.versions, now.0].map(Value::from));
    let text = |of: fn(&Stored) -> &str| Value::from(object.map(of));
    params.extend([text(|object| &object.key), text(|object| &object.sha256)]);
    params.extend([Value::from(object.map(|object| object.bytes)), members.as_deref().into()]);
    let statements = vec![
        Statement::new(RECORD, params),
        Statement::new(DELETE, range()),
        Statement::new(DELETED, Vec::new()),
        Statement::new(DELIVERIES, range()),
    ];
    let rows = database.batch(statements).await?;
    rows.only(2)
}

/// Where the members lie: of each its first run, its offset and its length.
fn places(firsts: &[i64], lengths: &[i64]) -> Vec<i64> {
    let mut offset = 0;
    let mut places = Vec::new();
    for (first, length) in firsts.iter().zip(lengths) {
        places.extend([*first, offset, *length]);
        offset += length;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_lie_one_after_another() {
        assert_eq!(places(&[3, 9, 12], &[10, 20, 5]), [3, 0, 10, 9, 10, 20, 12, 30, 5]);
    }
}
