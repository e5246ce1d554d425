//! A bucket moves from one database to another.
//!
//! What decides is the bucket's row in the database that it leaves; whatever the other database says follows from it.
//!
//! 1. **clear**: the other database awaits the bucket (`arriving`), and what an earlier attempt left there is removed. So far the
//!    bucket is served as before.
//! 2. **copy**: the bucket freezes (`leaving`): from that commit on no batch for it passes. Its rows are copied, table by table.
//! 3. **check**: the other database takes no more rows (its row is sealed), and both sides are compared, row by row. If they differ,
//!    all is copied once more.
//! 4. The bucket has **moved**: one guarded UPDATE.
//! 5. **thaw**: the other database serves it (`here`), and those that had it before point there.
//! 6. **remove**: its old rows go. The row `moved` stays for good.
//!
//! Each call does a bounded piece, and each batch may be repeated: whoever dies, the next call goes on where the rows say. Two that
//! work at once do no harm. What one writes in the database that the bucket leaves, it writes only if the row still says what it has
//! read. What it writes in the other, it writes only while that takes rows of its very attempt (`epoch`, which only grows), and the
//! bucket moves only after that is sealed: an attempt that was overtaken writes and removes nothing.

mod copy;
mod piece;
mod progress;
mod table;

use estop_protocol::buckets::MoveReport;

use crate::buckets::Bucket;
use crate::config::Config;
use crate::runtime::{DbError, Runtime, Sql, sql};
use piece::Piece;
pub use progress::Phase;
use table::{Of, Table};

const SHAPE: Sql = sql!("moving/shape.sql");
const SAME_TRIGGERS: Sql = sql!("moving/same_triggers.sql");
const KNOWN: Sql = sql!("moving/known.sql");
const HOLDS: Sql = sql!("moving/holds.sql");
const PROJECTS_OF: Sql = sql!("moving/projects_of.sql");
const ANNOUNCE: Sql = sql!("moving/announce.sql");
const SAVE: Sql = sql!("moving/save.sql");
const FREEZE: Sql = sql!("moving/freeze.sql");
const OPEN: Sql = sql!("moving/open.sql");
const FLIP: Sql = sql!("moving/flip.sql");
const THAW: Sql = sql!("moving/thaw.sql");
const POINT: Sql = sql!("moving/point.sql");
const STAY: Sql = sql!("moving/stay.sql");
const LEASES: Sql = sql!("moving/leases.sql");
const CLOSE: Sql = sql!("moving/close.sql");
const END: Sql = sql!("moving/end.sql");

/// The tables whose rows go along, in the order in which they are copied: a row that others refer to comes before them.
pub static TABLES: [Table; 14] = [
    Table::new("projects", Of::Bucket, sql!("moving/pick_projects.sql"), "t.id = p.a"),
    Table::new("environments", Of::Project, sql!("moving/pick_environments.sql"), "t.id = p.a"),
    Table::new("keys", Of::Project, sql!("moving/pick_keys.sql"), "t.id = p.a"),
    Table::new("runs", Of::Project, sql!("moving/pick_runs.sql"), "t.id = p.a"),
    Table::new("run_shards", Of::Project, sql!("moving/pick_run_shards.sql"), "t.run_id = p.a AND t.shard = p.b"),
    Table::new("run_events", Of::Project, sql!("moving/pick_run_events.sql"), "t.run_id = p.a AND t.step = p.b")
        .small(),
    Table::new("check_runs", Of::Project, sql!("moving/pick_runs.sql"), "t.run_id = p.a").small(),
    Table::new("bulk_cancels", Of::Project, sql!("moving/pick_bulk_cancels.sql"), "t.request_id = p.b"),
    Table::new(
        "daily_runs",
        Of::Project,
        sql!("moving/pick_daily_runs.sql"),
        "t.project_id = ?1 AND t.environment_id = p.a AND t.day = p.b",
    ),
    Table::new("archives", Of::Project, sql!("moving/pick_archives.sql"), "t.project_id = ?1 AND t.last_run = p.a"),
    // Before all that the other database counts itself, and in no other row's place.
    Table::new("closed_runs", Of::Bucket, sql!("moving/pick_closed_runs.sql"), "t.position = p.b")
        .with("position", "-t.run_id"),
    Table::new("admin_events", Of::Bucket, sql!("moving/pick_admin_events.sql"), "t.id = p.a"),
    Table::new("webhooks", Of::Bucket, sql!("moving/pick_webhooks.sql"), "t.id = p.a"),
    Table::new("deliveries", Of::Bucket, sql!("moving/pick_deliveries.sql"), "t.id = p.b"),
];

/// The tables whose rows stay: what each database knows of itself, and what `DB` knows of all.
pub const STAYING: [&str; 5] = ["schema_version", "durations", "project_directory", "buckets", "this_database"];

/// What removes rows, and of which table: those that are found through others before those.
const REMOVALS: [(&str, Sql); 11] = [
    ("deliveries", sql!("moving/remove_deliveries.sql")),
    ("webhooks", sql!("moving/remove_webhooks.sql")),
    ("admin_events", sql!("moving/remove_admin_events.sql")),
    ("closed_runs", sql!("moving/remove_closed_runs.sql")),
    ("runs", sql!("moving/remove_runs.sql")),
    ("daily_runs", sql!("moving/remove_daily_runs.sql")),
    ("archives", sql!("moving/remove_archives.sql")),
    ("bulk_cancels", sql!("moving/remove_bulk_cancels.sql")),
    ("keys", sql!("moving/remove_keys.sql")),
    ("environments", sql!("moving/remove_environments.sql")),
    ("projects", sql!("moving/remove_projects.sql")),
];

/// After so many batches, or so many milliseconds, a piece ends.
const MOST_BATCHES: u32 = 18;
const MOST_MS: i64 = 3000;

/// How many databases are looked at, one after another, to find a bucket; and how many of those that had it are told where it went.
const MOST_HOPS: usize = 16;

/// Why a move does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A database failed, or says that this passes.
    Db(DbError),
    /// The database of this number is not bound.
    NotBound(i64),
    /// The bucket has projects, and is in the database of this number, which is a greater one.
    Downwards(i64),
    /// The bucket has more projects than can be moved.
    TooManyProjects,
    /// It is on its way to another database, the one of this number.
    OnItsWay(i64),
    /// It has moved already, to the database of this number.
    HasMoved(i64),
    /// The copy differed twice.
    Differs(&'static str),
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

/// Somebody else works on it, too, and was faster.
const OVERTAKEN: Stop = Stop::Db(DbError::Moving);

/// What is wanted of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    To(i64),
    Stay,
}

/// Does the next piece of a bucket's move to the database of this number.
///
/// # Errors
/// Why it does not go on. Whatever was done stays, and the next call goes on from there.
pub async fn go_on(
    runtime: &dyn Runtime,
    config: &Config,
    bucket: Bucket,
    now: i64,
    to: i64,
) -> Result<MoveReport, Stop> {
    if !runtime.databases().contains(&to) {
        return Err(Stop::NotBound(to));
    }
    Piece::find(runtime, config, bucket, now).await?.work(Goal::To(to)).await
}

/// Does the next piece of calling a bucket's move off.
///
/// # Errors
/// As [`go_on`], and [`Stop::HasMoved`].
pub async fn call_off(runtime: &dyn Runtime, config: &Config, bucket: Bucket, now: i64) -> Result<MoveReport, Stop> {
    Piece::find(runtime, config, bucket, now).await?.work(Goal::Stay).await
}
