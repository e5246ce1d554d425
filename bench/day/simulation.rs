//! The day, event by event.

mod runner;

use std::cell::{Cell, OnceCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::path::Path;

use estop::config::Config;
use estop::database::{Database, Home};
use estop::http::operation::Operation;
use estop::http::reply::Reply;
use estop::http::request::{Call, GitHub, Request};
use estop::operations::{self, cancel, list, register, show};
use estop::sweeper;
use estop_protocol::run::{Cause, ConfirmedStop};
use estop_protocol::time::Timestamp;
use pollster::block_on;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::plan::{self, Ends, Push};
use super::runtime::Writer;
use super::{Account, HOUR, MINUTE, SECOND};
use crate::random::Random;

/// When it begins: a midnight, in ms.
const BEGUN: i64 = 20_833 * 24 * HOUR;
/// Between two heartbeats of a runner whose line is open, and of one that stops.
const BEAT: i64 = 30 * SECOND;
const BEAT_STOPPING: i64 = 2 * SECOND;
/// The longest that a job which waits for another run goes without asking.
const ASK_AGAIN: i64 = 30 * SECOND;

/// What became of a run, as those who had to do with it know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Ended(Ends),
    Cancelled(Cause),
}

pub struct Run {
    pub fate: Option<Fate>,
    /// The push that registered it; the first run is of none.
    push: usize,
    project: usize,
    jobs: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Has not claimed its shard; `asked` says whether it was told to wait.
    Waits {
        asked: bool,
    },
    Runs,
    Stops(ConfirmedStop),
    /// Its machine is gone.
    Lost,
    Over,
}

/// A CI job that runs a shard of a run.
pub struct Job {
    pub run: usize,
    pub shard: usize,
    pub phase: Phase,
    /// When its lease ends, as it was told (ms).
    pub lease_ends: i64,
    lease: String,
    takes: Option<i64>,
    ends: Ends,
    /// What was planned in an earlier turn does not happen.
    turn: u32,
    hears: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick,
    /// The machines of a project are gone.
    Disaster(usize),
    Push(usize),
    Cancel(usize),
    Look(usize),
    /// A job comes; the first of a run has come with the push.
    Join(usize),
    /// A job does something, unless another turn has come.
    Act(usize, u32, Act),
    /// A machine that was gone is back and tells its result.
    Late(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Claim,
    OpenLine,
    Beat,
    Finish,
    /// It hears that it is to stop.
    Order,
    /// Its machine is gone.
    Vanish,
}

/// A run that has changed, as the hub is told of it.
#[derive(Deserialize)]
struct Changed {
    id: i64,
    run: Option<Shown>,
    stop: Option<IgnoredAny>,
}
#[derive(Deserialize)]
struct Shown {
    cancel: Option<Cancelled>,
}
#[derive(Deserialize)]
struct Cancelled {
    cause: Cause,
}

pub struct Day {
    pub writer: Writer,
    database: u8,
    /// The first run's id; each next one's is one more.
    pub first: i64,
    pub runs: Vec<Run>,
    pub jobs: Vec<Job>,
    config: Config,
    /// `Authorization` of each project.
    keys: Vec<String>,
    pushes: Vec<Push>,
    queue: BinaryHeap<Reverse<(i64, u64, Event)>>,
    planned: u64,
    random: Random,
    /// What was answered.
    counted: Account,
}

/// A request.
#[derive(Clone, Copy)]
struct Ask<'a> {
    operation: &'a Operation,
    run: i64,
    key: Option<usize>,
    lease: Option<&'a str>,
    idempotency_key: Option<&'a str>,
    body: &'a str,
}

impl<'a> Ask<'a> {
    fn new(operation: &'a Operation, run: i64) -> Self {
        Self { operation, run, key: None, lease: None, idempotency_key: None, body: "" }
    }
}

/// Lets it pass, until all is quiet.
pub fn pass(database: u8, runs: i64, file: &Path) -> Day {
    let mut random = Random(u64::from(database) + 1);
    let pushes = plan::pushes(runs - 1, &mut random);
    let writer = Writer::new(file, database, BEGUN, random.below(u64::MAX));
    let (mut config, _) = Config::read(|_| None);
    config.database_bytes = 10_000_000_000;
    config.buckets = plan::map();
    let numbers = 1..=u8::try_from(plan::PROJECTS.len()).expect("few");
    let keys = numbers.map(|n| format!("Bearer {}", plan::key(database, n).reveal())).collect();
    // The ids of a database begin where no other's are.
    let first = (i64::from(database) << 44).max(1);
    writer
        .db
        .borrow()
        .execute_batch(&format!(
            "{} INSERT INTO runs (id, project_id, environment_id, state, request_id, created_at, created_by, waiting_since)
                VALUES ({first}, 1, 1, 'queued', '1:first', {BEGUN}, 'ci@example.com', {BEGUN})",
            plan::beginning(database, BEGUN)
        ))
        .expect("SQL");
    let mut day = Day {
        writer,
        database,
        first,
        runs: vec![Run { fate: None, push: 0, project: 0, jobs: 0..0 }],
        jobs: Vec::new(),
        config,
        keys,
        pushes,
        queue: BinaryHeap::new(),
        planned: 0,
        random,
        counted: Account { runs: 1, ..Account::default() },
    };
    day.begin();
    day.go_on();
    day
}

impl Day {
    fn begin(&mut self) {
        self.plan(0, Event::Tick);
        self.plan(SECOND, Event::Cancel(0));
        self.plan(plan::DISASTER, Event::Disaster(plan::STRICKEN));
        for push in 0..self.pushes.len() {
            self.plan(self.pushes[push].at, Event::Push(push));
        }
    }

    fn go_on(&mut self) {
        while let Some(Reverse((at, _, event))) = self.queue.pop() {
            assert!(at < BEGUN + 72 * HOUR, "it never ends: {event:?}");
            self.writer.now.set(at);
            match event {
                Event::Tick => self.tick(),
                Event::Disaster(project) => self.disaster(project),
                Event::Push(push) => self.push(push),
                Event::Cancel(run) => self.cancel(run),
                Event::Look(run) => self.look(run),
                Event::Join(job) => self.join(job),
                Event::Late(job) => self.finish(job, None),
                Event::Act(job, turn, _) if self.jobs[job].turn != turn => {}
                Event::Act(job, _, act) => self.act(job, act),
            }
            self.hear();
        }
    }

    /// What those who had to do with the runs know of them.
    pub fn account(&self) -> Account {
        let is_lost = |job: &&Job| job.phase == Phase::Lost;
        let lost = self.jobs.iter().filter(is_lost).count() as u64 + self.counted.late;
        Account { lost, ..self.counted.clone() }
    }

    fn id(&self, run: usize) -> i64 {
        self.first + i64::try_from(run).expect("few")
    }

    /// At some time from now on; before it has begun, from the beginning on.
    fn plan(&mut self, after: i64, event: Event) {
        self.planned += 1;
        self.queue.push(Reverse((self.writer.now.get() + after, self.planned, event)));
    }

    fn send(&self, ask: Ask<'_>) -> Reply {
        let id = if ask.run == 0 { String::new() } else { ask.run.to_string() };
        let request = Request {
            request_id: "request",
            id: &id,
            slugs: ("", ""),
            query: "",
            client: Some("192.0.2.1"),
            authorization: ask.key.map(|project| self.keys[project].as_str()),
            cookie: None,
            origin: None,
            own_origin: "https://estop.example",
            assertion: None,
            if_none_match: None,
            bookmark: None,
            idempotency_key: ask.idempotency_key,
            content_type: Some("application/json"),
            wants_websocket: ask.operation.pattern.ends_with("/watch"),
            github: GitHub::default(),
            lease: ask.lease,
            body: Ok(ask.body.as_bytes()),
            now: Timestamp(self.writer.now.get()),
        };
        let Ask { operation, .. } = ask;
        let (runtime, config, caller) = (&self.writer, &self.config, OnceCell::new());
        let home = Cell::new(Home::FIRST);
        block_on(operations::answer(&Call { operation, runtime, config, request: &request, caller, home }))
    }

    /// The sweeper's, each minute, until nothing happens any more and nothing is left to it.
    fn tick(&mut self) {
        let now = self.writer.now.get();
        let home = Home::Database(i64::from(self.database));
        let database = Database { runtime: &self.writer, config: &self.config, home };
        block_on(sweeper::tick(&database, Timestamp(now))).expect("a tick");
        const QUIET: &str = "SELECT NOT EXISTS (SELECT 1 FROM runs WHERE open_state IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM runs WHERE stop_outcome = 'stopping') AND NOT EXISTS (SELECT 1 FROM closed_runs)";
        let is_quiet = || self.writer.db.borrow().query_row(QUIET, [], |row| row.get::<_, bool>(0)).expect("SQL");
        if !self.queue.is_empty() || !is_quiet() {
            self.plan(MINUTE, Event::Tick);
        }
    }

    fn registration(&self, push: usize) -> String {
        let Push { environment, branch, shards, project, .. } = &self.pushes[push];
        let mut body = json!({
            "environment": environment, "tags": ["e2e", "full"], "metadata": {"ci": "github", "number": push},
            "github_actor": format!("dev-{}", push % 400),
            "build": {"branch": branch, "url": format!("https://github.com/acme/shop-{project}/actions/runs/{push}"),
                      "commit": format!("{:040x}", push * 2_654_435_761)},
        });
        if shards.len() > 1 {
            body["total_shards"] = json!(shards.len());
            body["group"] = json!(format!("ci-{push}"));
        }
        body.to_string()
    }

    fn register(&self, push: usize, write: &str) -> Value {
        let (body, project) = (self.registration(push), self.pushes[push].project);
        let ask =
            Ask { key: Some(project), idempotency_key: Some(write), body: &body, ..Ask::new(&register::OPERATION, 0) };
        let reply = self.send(ask);
        assert_eq!(reply.status, 200, "{reply:?}");
        serde_json::from_str(&reply.body).expect("JSON")
    }

    fn push(&mut self, push: usize) {
        let answer = self.register(push, &format!("push-{push}"));
        let run = self.runs.len();
        assert_eq!(answer["data"]["test_run"]["id"], self.id(run), "{answer}");
        self.counted.runs += 1;
        let Push { project, takes, stopped, ends, ref shards, .. } = self.pushes[push];
        let shards = shards.clone();
        let jobs = self.jobs.len()..self.jobs.len() + shards.len();
        self.runs.push(Run { fate: None, push, project, jobs: jobs.clone() });
        for (job, (shard, comes)) in jobs.zip((1..).zip(shards)) {
            let (phase, lease, hears) = (Phase::Waits { asked: false }, String::new(), self.random.below(20) > 0);
            self.jobs.push(Job { run, shard, phase, lease_ends: 0, lease, takes, ends, turn: 0, hears });
            match comes {
                Some(after) if shard == 1 => self.plan(after, Event::Act(job, 0, Act::Claim)),
                Some(after) => self.plan(after, Event::Join(job)),
                None => self.jobs[job].phase = Phase::Over,
            }
        }
        if let Some(after) = stopped {
            self.plan(after, Event::Cancel(run));
        }
        let after = self.random.number(15 * MINUTE);
        self.plan(after, Event::Look(run));
    }

    fn disaster(&mut self, project: usize) {
        for job in 0..self.jobs.len() {
            let Job { run, phase, .. } = self.jobs[job];
            if self.runs[run].project == project && matches!(phase, Phase::Runs | Phase::Stops(_)) {
                self.vanish(job);
            }
        }
    }

    fn cancel(&mut self, run: usize) {
        let (id, project, write) = (self.id(run), self.runs[run].project, format!("cancel-{run}"));
        let body = r#"{"reason":"wrong branch"}"#;
        let reply = self.send(Ask {
            key: Some(project),
            idempotency_key: Some(&write),
            body,
            ..Ask::new(&cancel::OPERATION, id)
        });
        match reply.status {
            200 => self.counted.user += 1,
            _ => assert!(reply.status == 412 && self.runs[run].fate.is_some(), "{reply:?}"),
        }
    }

    fn look(&self, run: usize) {
        let (id, key) = (self.id(run), Some(self.runs[run].project));
        let list = run.is_multiple_of(4).then_some(Ask::new(&list::OPERATION, 0));
        for ask in list.into_iter().chain([Ask::new(&show::OPERATION, id)]) {
            let reply = self.send(Ask { key, ..ask });
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    }

    /// The hub passes on what it was told.
    fn hear(&mut self) {
        for news in self.writer.told.take() {
            let changed: Vec<Changed> = serde_json::from_str(news.runs.get()).expect("what the hub takes");
            for Changed { id, run: shown, stop } in changed {
                let (Ok(run), Some(shown)) = (usize::try_from(id - self.first), shown) else { continue };
                if let Some(Cancelled { cause }) = shown.cancel {
                    self.cancelled(run, cause);
                }
                for job in self.runs.get(run).map_or(0..0, |run| run.jobs.clone()) {
                    let turn = self.jobs[job].turn;
                    match self.jobs[job].phase {
                        Phase::Runs if stop.is_some() && self.jobs[job].hears => {
                            let after = 50 + self.random.number(400);
                            self.plan(after, Event::Act(job, turn, Act::Order));
                        }
                        // Whatever it was, it asks again.
                        Phase::Waits { asked: true } => {
                            self.jobs[job].turn += 1;
                            let after = 50 + self.random.number(400);
                            self.plan(after, Event::Act(job, turn + 1, Act::Claim));
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn cancelled(&mut self, run: usize, cause: Cause) {
        let fate = self.runs[run].fate.replace(Fate::Cancelled(cause));
        match (fate, cause) {
            (None, Cause::Superseded) => self.counted.superseded += 1,
            (None, Cause::Stale) => self.counted.stale += 1,
            (None, Cause::User) => {}
            (Some(before), _) => assert_eq!(before, Fate::Cancelled(cause), "run {run}"),
            (None, Cause::FailFast) => panic!("no run here has that"),
        }
    }
}
