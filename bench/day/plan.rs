//! What happens on the day, before anybody has decided anything: who pushes when, how long the tests take, who stops them, whose
//! machine dies.

use std::fmt::Write as _;

use estop::buckets::{Bucket, Map};
use estop::key::PlainKey;

use super::{HOUR, MINUTE, SECOND};
use crate::random::Random;

/// A project: the share of its database's runs in per mille, its concurrency limit, and how many of a hundred of its runs have shards.
pub struct Project {
    pub share: i64,
    scope: &'static str,
    behaviour: &'static str,
    sharded: i64,
}

const fn project(share: i64, scope: &'static str, behaviour: &'static str, sharded: i64) -> Project {
    Project { share, scope, behaviour, sharded }
}

/// The projects of each database. One with few active runs at once cannot have many a day.
pub const PROJECTS: [Project; 9] = [
    project(300, "none", "cancel_previous", 5),
    project(150, "none", "cancel_previous", 15),
    project(90, "none", "queue_new", 0),
    project(250, "branch_environment", "cancel_previous", 5),
    project(120, "branch_environment", "cancel_previous", 0),
    project(60, "branch_environment", "queue_new", 0),
    project(15, "environment", "cancel_previous", 0),
    project(10, "environment", "queue_new", 0),
    project(5, "project", "queue_new", 0),
];

/// The project whose machines all die at once, at [`DISASTER`].
pub const STRICKEN: usize = 2;
pub const DISASTER: i64 = 15 * HOUR + 7 * MINUTE + 31 * SECOND;

pub const ENVIRONMENTS: [&str; 3] = ["preview", "staging", "production"];

/// Pushes in each hour of the day, in parts: a team in one time zone, and some in others.
const HOURS: [i64; 24] = [1, 1, 1, 1, 2, 3, 6, 12, 20, 22, 20, 14, 12, 18, 20, 18, 14, 9, 6, 4, 3, 2, 2, 1];
/// How many times a day, in working hours, many push within a minute: a merge queue, a dependency's update.
const RUSHES: i64 = 24;

/// A run that will be registered.
pub struct Push {
    /// When, from the beginning of the day (ms).
    pub at: i64,
    pub project: usize,
    pub environment: &'static str,
    pub branch: String,
    /// Each with how long after the push its job comes; `None` if it never does.
    pub shards: Vec<Option<i64>>,
    /// How long its tests take, each shard's (ms); `None` if they hang.
    pub takes: Option<i64>,
    /// When a person presses stop, after the push.
    pub stopped: Option<i64>,
    pub ends: Ends,
}

/// How its tests end if nobody stops them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    Passed,
    Failed,
    Broken,
}

/// SQL for the projects, their environments and their keys.
pub fn beginning(database: u8, at: i64) -> String {
    let mut sql = String::new();
    let bucket = bucket(database);
    if database > 0 {
        let last = (i64::from(database) << 44) - 1;
        let _ = write!(
            sql,
            "INSERT INTO this_database VALUES (1, {database}, {last}, {last}, {last});
             INSERT INTO buckets (bucket, state, since, frozen) VALUES ('{}', 'here', {at}, 0);",
            bucket.as_str()
        );
    }
    for (n, project) in (1_u8..).zip(&PROJECTS) {
        let Project { scope, behaviour, .. } = project;
        let hash = key(database, n).hash();
        let _ = write!(
            sql,
            "INSERT INTO projects (id, slug, name, request_id, created_at, concurrency_scope, concurrency_behaviour, bucket)
                 VALUES ({n}, 'shop-{n}', 'Shop', 'p{n}', {at}, '{scope}', '{behaviour}', '{}');
             INSERT INTO keys (id, project_id, user, name, hash, can_read, can_cancel, can_run, created_at)
                 VALUES ({n}, {n}, 'ci@example.com', 'CI', '{}', 1, 1, 1, {at});",
            bucket.as_str(),
            hash.as_str()
        );
        for slug in ENVIRONMENTS {
            let _ = write!(
                sql,
                "INSERT INTO environments (project_id, slug, name, request_id, created_at) VALUES ({n}, '{slug}', '{slug}', 'e', {at});"
            );
        }
    }
    sql
}

/// The bucket that a database's projects live in: `00`, `10`, `20` and so on.
fn bucket(database: u8) -> Bucket {
    Bucket::parse(&format!("{database}0")).expect("a bucket")
}

/// Fewer databases than this.
pub const MOST: u8 = 10;

/// Which database has which bucket.
pub fn map() -> Map {
    let parts: Vec<String> = (1..MOST).map(|number| format!("{number}0={number}")).collect();
    Map::parse(&parts.join(" ")).expect("a map")
}

/// The key of a project, which are numbered from 1.
pub fn key(database: u8, project: u8) -> PlainKey {
    let mut bytes = [project; 32];
    bytes[0] = database;
    PlainKey::from_random(bucket(database), bytes)
}

/// So many pushes, over the projects.
pub fn pushes(runs: i64, random: &mut Random) -> Vec<Push> {
    let rushes: Vec<i64> = (0..RUSHES).map(|_| 8 * HOUR + random.number(9 * HOUR)).collect();
    let mut pushes: Vec<Push> = Vec::new();
    for (project, settings) in PROJECTS.iter().enumerate() {
        // The first has what rounding leaves.
        let others: i64 = PROJECTS[1..].iter().map(|other| runs * other.share / 1000).sum();
        let count = if project == 0 { runs - others } else { runs * settings.share / 1000 };
        let until = pushes.len() + usize::try_from(count).expect("few");
        let mut branches = 0;
        while pushes.len() < until {
            // Somebody pushes a branch, sees that it is not what they meant, and pushes again.
            branches += 1;
            let branch = format!("feature/{branches}");
            let environment = ENVIRONMENTS[[0, 0, 0, 0, 1, 1, 2][usize::try_from(random.below(7)).expect("few")]];
            let mut at = moment(&rushes, random);
            loop {
                pushes.push(push(at, project, environment, &branch, pushes.len(), random));
                at += 30 * SECOND + random.number(14 * MINUTE);
                if pushes.len() == until || at >= 24 * HOUR || random.below(100) < 45 {
                    break;
                }
            }
        }
    }
    pushes
}

fn moment(rushes: &[i64], random: &mut Random) -> i64 {
    match random.below(100) {
        // Scheduled, on the hour.
        0..5 => random.number(24) * HOUR + random.number(20 * SECOND),
        5..15 => rushes[usize::try_from(random.below(rushes.len() as u64)).expect("few")] + random.number(MINUTE),
        _ => {
            let mut part = random.number(HOURS.iter().sum());
            let hour = HOURS.iter().position(|parts| {
                part -= parts;
                part < 0
            });
            i64::try_from(hour.unwrap_or(0)).expect("few") * HOUR + random.number(HOUR)
        }
    }
}

/// The `n`th push.
fn push(at: i64, project: usize, environment: &'static str, branch: &str, n: usize, random: &mut Random) -> Push {
    // Two in ten thousand: tests that hang, and a matrix of which one job never comes. Nobody notices.
    let (hangs, incomplete) = (n % 10_000 == 7, n % 10_000 == 11);
    let sharded = incomplete || random.number(100) < PROJECTS[project].sharded;
    let count = if sharded { 2 + random.below(3) } else { 1 };
    // Half of the runners are there, the others wait for a machine.
    let comes = |random: &mut Random| Some(300 + if random.below(2) == 0 { 0 } else { random.number(45 * SECOND) });
    let mut shards: Vec<Option<i64>> = (0..count).map(|_| comes(random)).collect();
    let takes = (!hangs).then(|| 7 * MINUTE + random.number(6 * MINUTE));
    match random.below(200) {
        0 if !hangs && !incomplete => shards.fill(None),
        1..4 if sharded => shards[1] = None,
        _ if incomplete => shards[1] = None,
        _ => {}
    }
    let stopped = (random.below(100) < 5 && !hangs && !incomplete).then(|| random.number(10 * MINUTE));
    let ends = match random.below(100) {
        0..2 => Ends::Broken,
        2..12 => Ends::Failed,
        _ => Ends::Passed,
    };
    Push { at, project, environment, branch: branch.to_owned(), shards, takes, stopped, ends }
}
