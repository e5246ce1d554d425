//! Rows read and written, as the runtime's own SQLite counts them, in databases of several sizes.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::client::Server;
use crate::fixture::{self, CANCELLED, ENDED, NEVER, OLD, OPS, Op, THEN};
use crate::load::ask;
use crate::peer::{self, Built, PEERS, Peer};

/// Rows read and written.
pub type Rows = (u64, u64);

/// What a database of one size costs.
pub struct Counted {
    pub runs: i64,
    pub requests: BTreeMap<(Peer, Op), Rows>,
    /// A tick while every run is over and has stopped.
    pub idle_tick: Rows,
    /// A tick that finds nothing to do among [`SWEPT`] runs that go on.
    pub busy_tick: Rows,
    /// A tick that cancels [`SWEPT`] runs.
    pub tick: Rows,
}

/// How many runs a tick sweeps.
pub const SWEPT: u64 = 100;

/// How many runs are made in one transaction.
const STEP: i64 = 50_000;

pub fn count(built: &Built, sizes: &[i64]) -> Vec<Counted> {
    let workerd = built.start_counted();
    let database = Server::at(format!("http://{}", workerd.address("database")));
    let driver = Server::at(format!("http://{}", workerd.address("driver")));
    let script = |sql: &str| {
        let answer = database.send("POST", "/script", &[], sql.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}: {}", workerd.log());
    };
    let rows = || {
        let counted = database.send("GET", "/count", &[], b"").json();
        (counted["read"].as_u64().expect("a count"), counted["written"].as_u64().expect("a count"))
    };
    let tick = |at: i64| {
        rows();
        let answer = driver.send("GET", &format!("/?at={at}"), &[], b"");
        assert_eq!(answer.json()["outcome"], "ok", "{answer:?}");
        rows()
    };
    script(include_str!("../schema.sql"));
    script(&fixture::projects());
    // An isolate's first batch reads the schema's version, too, and the first request of a key notes the day of its use.
    let (status, _) = ask(&workerd.address(peer::socket(Peer::Estop)), &Op::List.request(OLD, 0));
    assert_eq!(status, 200, "{}", workerd.log());
    let mut used = 1..1;
    let mut take = |count: i64| -> Range<i64> {
        used = used.end..used.end + count;
        used.clone()
    };
    let mut counted = Vec::new();
    for &size in sizes {
        eprintln!("bench: counting rows at {size} runs");
        script(&fixture::unguard());
        loop {
            let missing = size - take(0).end + 1;
            if missing <= 0 {
                break;
            }
            script(&fixture::history(&take(missing.min(STEP))));
        }
        script(&fixture::guard());
        let mut requests = BTreeMap::new();
        for op in OPS {
            for peer in PEERS {
                let id = match op {
                    Op::Cancel | Op::Heartbeat => {
                        let ids = take(1);
                        script(&fixture::started(OLD, &ids, NEVER));
                        ids.start
                    }
                    Op::CancelOver => CANCELLED,
                    Op::List | Op::Show => ENDED,
                };
                rows();
                let (status, body) = ask(&workerd.address(peer::socket(peer)), &op.request(OLD, id));
                assert_eq!(
                    status,
                    op.status(),
                    "{peer:?} {op:?}: {} {}",
                    String::from_utf8_lossy(&body),
                    workerd.log()
                );
                requests.insert((peer, op), rows());
                if op == Op::Heartbeat {
                    // Over, as all others are by then.
                    ask(&workerd.address(peer::socket(Peer::Estop)), &Op::Cancel.request(OLD, id));
                }
            }
        }
        script(fixture::CONFIRM_STOPS);
        // It counts what has closed; the next one has nothing to do.
        tick(THEN + 60_000);
        let idle_tick = tick(THEN + 60_000);
        let stale = take(i64::try_from(SWEPT).expect("few"));
        script(&fixture::started(OLD, &stale, THEN + 60_000));
        let busy_tick = tick(THEN + 60_000);
        let swept = tick(THEN + 3_600_000);
        counted.push(Counted { runs: size, requests, idle_tick, busy_tick, tick: swept });
    }
    counted
}
