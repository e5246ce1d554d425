//! The sweeper: one tick cancels what went stale, and closes the stop records that nobody will close any more.
//!
//! Each clock is one guarded UPDATE over its own partial index, oldest first, with a LIMIT. A tick is a few rounds of
//! all clocks at most; what is left waits for the next tick. Ticks may overlap, come twice or come late: the guards
//! sit in the statements, so a run is swept once or not at all.

use serde::Serialize;

use crate::config::Config;
use crate::host::{self, DbError, Host, Statement};
use crate::run::Clock;
use crate::sql::sweep as sql;
use crate::time::Timestamp;

/// How many rounds a tick makes at most. With four statements each, it stays below D1's 50 queries an invocation
/// (Cloudflare's free plan).
pub const ROUNDS: u32 = 5;

/// What a tick did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Runs cancelled that no runner ever took.
    pub unclaimed: usize,
    /// Runs cancelled whose lease ran out.
    pub lapsed: usize,
    /// Runs cancelled that ran too long.
    pub over_age: usize,
    /// Stop records closed as `lost`.
    pub unconfirmed: usize,
    /// Round trips to the database.
    pub rounds: u32,
    /// Whether the last round was full, so that there may be more to do at the next tick.
    pub more: bool,
}

/// Does one tick at `now`, which need not be the present.
///
/// # Errors
/// The tally so far and why the database ended it. The next tick carries on.
pub async fn tick(host: &impl Host, config: &Config, now: Timestamp) -> Result<Tally, (Tally, DbError)> {
    let tick_id = format!("tick:{}", host::random_id(host));
    let mut tally = Tally::default();
    while tally.rounds == 0 || (tally.more && tally.rounds < ROUNDS) {
        let rows = round(host, config, now, &tick_id).await.map_err(|error| (tally, error))?;
        let swept = |clock: Clock| rows.get(clock as usize).map_or(0, Vec::len);
        tally.unclaimed += swept(Clock::Unclaimed);
        tally.lapsed += swept(Clock::Lapsed);
        tally.over_age += swept(Clock::OverAge);
        tally.unconfirmed += swept(Clock::Unconfirmed);
        tally.rounds += 1;
        let full = usize::try_from(config.sweep_rows).unwrap_or(usize::MAX);
        tally.more = rows.iter().any(|ids| ids.len() >= full);
    }
    Ok(tally)
}

/// Every clock once, in one round trip, in the order of [`Clock`]: a run that has lapsed is called so before it is
/// called over-age, unless there are more than a statement may change.
async fn round(host: &impl Host, config: &Config, now: Timestamp, tick_id: &str) -> Result<host::Rows, DbError> {
    let statement = |text: &'static str, span: i64| {
        Statement::new(text, vec![now.0.into(), span.into(), config.sweep_rows.into(), tick_id.into()])
    };
    let mut unconfirmed = statement(sql::UNCONFIRMED, config.unconfirmed_after);
    unconfirmed.params.pop();
    let statements = [
        statement(sql::UNCLAIMED, config.unclaimed_after),
        statement(sql::LAPSED, config.lapsed_after),
        statement(sql::OVER_AGE, config.over_age_after),
        unconfirmed,
    ];
    host::batch(host, &statements, config.d1_deadline).await
}
