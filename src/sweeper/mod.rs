//! The sweeper: one tick cancels what went stale, closes the stop records that nobody will close any more, and counts the runs
//! that have closed.
//!
//! Each timeout is one guarded UPDATE over the runs that it can reach, oldest first, with a LIMIT. A tick asks first whether
//! there is anything to do, and then makes a few rounds of all timeouts at most; what is left waits for the next tick.
//! Ticks may overlap, come twice or come late: the guards are in the statements, so a run is swept once or not at all.

use estop_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::database::{Answer, Database};
use crate::run::Timeout;
use crate::runtime::{DbError, Sql, Statement, random_id, sql};

/// How many rounds of sweeping a tick makes at most. With five statements each, it stays below D1's 50 queries an
/// invocation (Cloudflare's free plan).
pub const ROUNDS: u32 = 4;

/// How many runs a tick counts at most.
pub const COUNT_ROWS: i64 = 500;

/// How long a bulk cancel can be repeated, and a pull request's delivery is known again: 30 days, in milliseconds.
pub const REPEAT_FOR: i64 = 30 * 24 * 3600 * 1000;

/// How many of them a tick forgets at most.
const EXPIRE_ROWS: i64 = 500;

const COUNT: Sql = sql!("sweeper/count.sql");
const COUNTED: Sql = sql!("sweeper/counted.sql");
const LEFT: Sql = sql!("sweeper/left.sql");
const NEWS: Sql = sql!("sweeper/news.sql");
const EXPIRE: Sql = sql!("sweeper/expire.sql");
const DUE: Sql = sql!("sweeper/due.sql");

/// The statements, in the order of [`Timeout`]: a run that has lapsed is called so before it is called over-age, unless
/// there are more than a statement may change.
pub const STATEMENTS: [(Timeout, Sql); 5] = [
    (Timeout::Unclaimed, sql!("sweeper/unclaimed.sql")),
    (Timeout::Lapsed, sql!("sweeper/lapsed.sql")),
    (Timeout::Incomplete, sql!("sweeper/incomplete.sql")),
    (Timeout::OverAge, sql!("sweeper/over_age.sql")),
    (Timeout::Unconfirmed, sql!("sweeper/unconfirmed.sql")),
];

/// What a tick did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Runs cancelled that no runner ever took.
    pub unclaimed: usize,
    /// Runs cancelled whose lease ran out.
    pub lapsed: usize,
    /// Runs cancelled of which a shard was never claimed.
    pub incomplete: usize,
    /// Runs cancelled that ran too long.
    pub over_age: usize,
    /// Shards of cancelled runs closed as `lost`.
    pub unconfirmed: usize,
    /// Runs that closed before, and are counted now.
    pub counted: usize,
    /// Whether old bulk cancels were forgotten.
    pub expired: bool,
    /// Rounds of sweeping.
    pub rounds: u32,
    /// Whether the last round was full, or runs are left to be counted, so that there may be more to do at the next tick.
    pub more: bool,
    /// Whether there are deliveries to come, for [`crate::webhooks`] to look at.
    #[serde(skip)]
    pub has_deliveries: bool,
}

/// Does one tick of a database at `now`, which need not be the present.
///
/// # Errors
/// The tally so far and why the database ended it. The next tick carries on.
pub async fn tick(database: &Database<'_>, now: Timestamp) -> Result<Tally, (Tally, DbError)> {
    let tick_id = format!("tick:{}", random_id(database.runtime));
    let full = usize::try_from(database.config.sweep_rows).unwrap_or(usize::MAX);
    let mut tally = Tally::default();
    let due = due(database, now).await.map_err(|error| (tally, error))?;
    tally.more = due.stale;
    tally.has_deliveries = due.deliveries;
    while tally.more && tally.rounds < ROUNDS {
        let rows = round(database, now, &tick_id).await.map_err(|error| (tally, error))?;
        let swept = STATEMENTS.map(|(timeout, _)| (timeout, rows.rows(timeout as usize).len()));
        tell(database, &rows).await;
        for (timeout, count) in swept {
            *tally.count(timeout) += count;
        }
        tally.rounds += 1;
        tally.more = swept.iter().any(|(_, count)| *count >= full);
    }
    if due.expired {
        let params = vec![now.plus(-REPEAT_FOR).0.into(), EXPIRE_ROWS.into()];
        let expire = vec![Statement::new(EXPIRE, params)];
        database.batch(expire).await.map_err(|error| (tally, error))?;
        tally.expired = true;
    }
    if due.closed || tally.rounds > 0 {
        let Left { counted, more } = count(database, now).await.map_err(|error| (tally, error))?;
        tally.counted = counted;
        tally.more |= more;
    }
    Ok(tally)
}

/// What there is to do.
#[derive(Deserialize)]
struct Due {
    /// A timeout has passed for some run.
    stale: bool,
    /// Some run has closed and is not counted.
    closed: bool,
    /// There are bulk cancels that nobody repeats any more.
    expired: bool,
    /// There are deliveries to come, now or later.
    deliveries: bool,
}

async fn due(database: &Database<'_>, now: Timestamp) -> Result<Due, DbError> {
    let timeouts = [Timeout::Unclaimed, Timeout::Lapsed, Timeout::OverAge, Timeout::Unconfirmed];
    let spans = timeouts.map(|timeout| database.config.timeout(timeout).into());
    let params = std::iter::once(now.0.into()).chain(spans).chain([REPEAT_FOR.into()]).collect();
    database.batch(vec![Statement::new(DUE, params)]).await?.only(0)
}

/// What came of counting.
#[derive(Deserialize)]
struct Left {
    counted: usize,
    /// Whether there are more.
    more: bool,
}

/// Counts the first runs that have closed and takes them off the list, in one transaction: if its answer is lost, a repeat goes
/// on with the next ones.
async fn count(database: &Database<'_>, now: Timestamp) -> Result<Left, DbError> {
    let statements = vec![
        Statement::new(COUNT, vec![now.0.into(), COUNT_ROWS.into()]),
        Statement::new(COUNTED, vec![COUNT_ROWS.into()]),
        Statement::new(LEFT, Vec::new()),
    ];
    database.batch(statements).await?.only(2)
}

/// Every timeout once, in one round trip.
async fn round(database: &Database<'_>, now: Timestamp, tick_id: &str) -> Result<Answer, DbError> {
    let statements = STATEMENTS.map(|(timeout, sql)| {
        let mut params = vec![now.0.into(), database.config.timeout(timeout).into(), database.config.sweep_rows.into()];
        if timeout != Timeout::Unconfirmed {
            params.push(tick_id.into());
        }
        Statement::new(sql, params)
    });
    database.batch(statements.into()).await
}

/// Lets the hub know. If that fails, the runners' heartbeats bring the orders all the same.
async fn tell(database: &Database<'_>, swept: &Answer) {
    let ids: Vec<&str> = (0..STATEMENTS.len()).flat_map(|index| swept.rows(index)).map(|id| id.get()).collect();
    if ids.is_empty() {
        return;
    }
    let ids = format!("[{}]", ids.join(","));
    let statement = Statement::new(NEWS, vec![ids.as_str().into()]);
    let news = database.batch(vec![statement]).await;
    for news in news.and_then(|rows| rows.all(0)).unwrap_or_default() {
        database.tell(Some(news));
    }
}

impl Tally {
    fn count(&mut self, timeout: Timeout) -> &mut usize {
        match timeout {
            Timeout::Unclaimed => &mut self.unclaimed,
            Timeout::Lapsed => &mut self.lapsed,
            Timeout::Incomplete => &mut self.incomplete,
            Timeout::OverAge => &mut self.over_age,
            Timeout::Unconfirmed => &mut self.unconfirmed,
        }
    }
}
