//! Rounds in which every peer is asked the same in turn, so that whatever else the machine does meets all of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde_json::Value;

use crate::backend::Backend;
use crate::fixture::{self, CANCELLED, ENDED, NEVER, NEW, OLD, OPS, Op};
use crate::load::{Share, alternate, ask, fire, now};
use crate::peer::{AGAINST, Built, PEERS, Peer};
use crate::process::Workerd;

/// What is measured of a request, once a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// The Worker's process, user and system, in µs a request.
    Cpu,
    /// Latency in ms that half of the requests stay within, at so many ms of D1 latency.
    P50(u64),
    /// The same for 99 of 100.
    P99(u64),
    /// Latency in ms that half of the requests stay within where each comes alone, at [`LAG_ALONE`]: a request's own time,
    /// without what the process still does for the one before.
    Alone,
    /// Requests a second over [`CONNECTIONS`].
    Throughput,
}

/// At how many ms of D1 latency is measured.
pub const LAGS: [u64; 3] = [0, 5, 20];
/// At how many ms of D1 latency [`Figure::Alone`] is measured.
pub const LAG_ALONE: u64 = 5;
/// How many connections throughput is measured over.
pub const CONNECTIONS: usize = 32;
/// How many connections latency is measured over where D1 takes its time.
pub const LAGGING_CONNECTIONS: usize = 8;
/// How many requests each peer gets in turn where CPU is measured: fewer would measure cold caches, more the machine's
/// drift.
pub const FEW: usize = 100;
/// How many runs the database has of old.
pub const HISTORY: i64 = 1000;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub rounds: usize,
    /// Rounds of CPU alone. The machine's speed drifts by more than the peers differ, so these are many and short.
    pub cpu_rounds: usize,
    /// Requests a volley on one connection. Where CPU is measured they go out [`FEW`] at a time.
    pub alone: usize,
    /// Requests a volley where D1 takes its time.
    pub lagging: usize,
    /// Requests a volley over [`CONNECTIONS`].
    pub crowd: usize,
    pub starts: usize,
}

/// One value a round.
pub type Figures = BTreeMap<(Peer, Op, Figure), Vec<f64>>;

/// The peers over one database, each in a workerd of its own.
pub struct Arena<'a> {
    built: &'a Built,
    backend: Backend,
    workers: BTreeMap<Peer, Workerd>,
    next_id: i64,
}

impl<'a> Arena<'a> {
    pub fn new(built: &'a Built) -> Self {
        let backend = Backend::start();
        backend.sql(&fixture::projects());
        backend.sql(&fixture::unguard());
        backend.sql(&fixture::history(&(1..HISTORY + 1)));
        backend.sql(&fixture::guard());
        let workers = PEERS.map(|peer| (peer, built.start(peer, &backend.address.to_string())));
        let mut arena = Self { built, backend, workers: workers.into(), next_id: HISTORY + 1 };
        // One a peer: the heartbeats of one must not renew the lease that another one looks at.
        let held = arena.started(OLD, PEERS.len());
        assert_eq!(held.start, HISTORY + 1);
        arena
    }

    /// Asks every peer everything once: they must give the same answers. Gives the round trips of each.
    pub fn compare(&mut self) -> BTreeMap<(Peer, Op), u32> {
        let mut trips = BTreeMap::new();
        for op in OPS {
            let mut first: Option<Value> = None;
            for peer in PEERS {
                let request = self.requests(peer, op, 1).remove(0);
                self.backend.count();
                let (status, body) = ask(&self.workers[&peer].address("peer"), &request);
                trips.insert((peer, op), self.backend.count().0);
                assert_eq!(
                    status,
                    op.status(),
                    "{peer:?} {op:?}: {} {}",
                    String::from_utf8_lossy(&body),
                    self.workers[&peer].log()
                );
                let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
                // Their own: when it was, and which run.
                match op {
                    Op::Cancel => {
                        answer =
                            answer["message"].as_str().expect("a text").contains("is cancelled: ada@example.com").into()
                    }
                    Op::Heartbeat => answer["data"]["lease"] = Value::Null,
                    _ => {}
                }
                let expected = first.get_or_insert_with(|| answer.clone());
                // It counts every run, as one would; the others count a window of the newest.
                if op == Op::List && peer == Peer::Typical {
                    for name in ["total", "total_pages", "total_is_lower_bound"] {
                        answer["pagination"][name] = expected["pagination"][name].clone();
                    }
                }
                // Another build of estop may say more or less than this one.
                if peer != Peer::Typical || std::env::var_os(AGAINST).is_none() {
                    assert_eq!(*expected, answer, "{peer:?} {op:?} answers something else");
                }
            }
        }
        trips
    }

    /// The CPU of each request.
    pub fn cpu(&mut self, plan: Plan) -> Figures {
        self.rounds("CPU", plan.cpu_rounds, |arena, order, op| {
            let shares = order.map(|peer| Share {
                address: arena.workers[&peer].address("peer"),
                pid: arena.workers[&peer].pid(),
                requests: arena.requests(peer, op, plan.alone),
            });
            let spent = alternate(&shares, FEW, op.status());
            let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / plan.alone as f64;
            order.into_iter().zip(spent).map(|(peer, cpu)| (peer, Figure::Cpu, each(cpu))).collect()
        })
    }

    /// Latency and throughput.
    pub fn times(&mut self, plan: Plan) -> Figures {
        self.rounds("latency and throughput", plan.rounds, |arena, order, op| {
            let figures =
                |peer| arena.time(peer, op, plan).into_iter().map(move |(figure, value)| (peer, figure, value));
            order.into_iter().flat_map(figures).collect()
        })
    }

    /// The rounds, after one that only warms up. Each begins with another peer.
    fn rounds(
        &mut self,
        what: &str,
        count: usize,
        mut measure: impl FnMut(&mut Self, [Peer; PEERS.len()], Op) -> Vec<(Peer, Figure, f64)>,
    ) -> Figures {
        let mut figures = Figures::new();
        for round in 0..=count {
            eprintln!("bench: {what}: round {round} of {count}");
            let mut order = PEERS;
            order.rotate_left(round % PEERS.len());
            for op in OPS {
                for (peer, figure, value) in measure(self, order, op) {
                    if round > 0 {
                        figures.entry((peer, op, figure)).or_default().push(value);
                    }
                }
            }
        }
        figures
    }

    fn time(&mut self, peer: Peer, op: Op, plan: Plan) -> Vec<(Figure, f64)> {
        let mut values = Vec::new();
        for lag in LAGS {
            let (connections, count) = if lag == 0 { (1, plan.alone) } else { (LAGGING_CONNECTIONS, plan.lagging) };
            let requests = self.requests(peer, op, count);
            self.backend.lag(Duration::from_millis(lag));
            let volley = self.fire(peer, op, connections, &requests);
            self.backend.lag(Duration::ZERO);
            values.extend([(Figure::P50(lag), volley.percentile(50)), (Figure::P99(lag), volley.percentile(99))]);
        }
        let requests = self.requests(peer, op, plan.lagging);
        self.backend.lag(Duration::from_millis(LAG_ALONE));
        let volley = self.fire(peer, op, 1, &requests);
        self.backend.lag(Duration::ZERO);
        values.push((Figure::Alone, volley.percentile(50)));
        let requests = self.requests(peer, op, plan.crowd);
        let volley = self.fire(peer, op, CONNECTIONS, &requests);
        values.push((Figure::Throughput, plan.crowd as f64 / volley.wall.as_secs_f64()));
        values
    }

    fn fire(&self, peer: Peer, op: Op, connections: usize, requests: &[Vec<u8>]) -> crate::load::Volley {
        fire(&self.workers[&peer].address("peer"), connections, requests, op.status())
    }

    /// From the start of the process to the first answer, in ms, so many times for each peer.
    pub fn starts(&self, times: usize) -> BTreeMap<Peer, Vec<f64>> {
        let mut starts = BTreeMap::<Peer, Vec<f64>>::new();
        for _ in 0..times {
            for peer in PEERS {
                let begun = now();
                let worker = self.built.start(peer, &self.backend.address.to_string());
                let (status, _) = ask(&worker.address("peer"), &Op::Show.request(OLD, ENDED));
                assert_eq!(status, 200);
                starts.entry(peer).or_default().push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
        starts
    }

    fn requests(&mut self, peer: Peer, op: Op, count: usize) -> Vec<Vec<u8>> {
        match op {
            Op::Cancel => self.started(NEW, count).map(|id| op.request(NEW, id)).collect(),
            Op::CancelOver => vec![op.request(OLD, CANCELLED); count],
            Op::Heartbeat => {
                let place = PEERS.iter().position(|one| *one == peer).expect("one of them");
                vec![op.request(OLD, HISTORY + 1 + i64::try_from(place).expect("four")); count]
            }
            Op::List | Op::Show => vec![op.request(OLD, ENDED); count],
        }
    }

    fn started(&mut self, project: u8, count: usize) -> Range<i64> {
        let ids = self.next_id..self.next_id + i64::try_from(count).expect("few");
        self.next_id = ids.end;
        self.backend.sql(&fixture::started(project, &ids, NEVER));
        ids
    }
}
