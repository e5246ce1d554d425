//! The day, event by event.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::path::Path;

use estop::config::Config;
use estop::http::operation::Operation;
use estop::http::reply::Reply;
use estop::http::request::{Call, GitHub, Request};
use estop::operations::{self, cancel, claim, finish, heartbeat, list, register, show, watch};
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
    Claim(usize, u32),
    OpenLine(usize, u32),
    Beat(usize, u32),
    Finish(usize, u32),
    Order(usize, u32),
    Vanish(usize, u32),
    /// A machine that was gone is back and tells its result.
    Late(usize),
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
    let writer = Writer::new(file, BEGUN, random.below(u64::MAX));
    let (mut config, _) = Config::read(|_| None);
    config.database_bytes = 10_000_000_000;
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
                Event::Claim(job, turn)
                | Event::OpenLine(job, turn)
                | Event::Beat(job, turn)
                | Event::Finish(job, turn)
                | Event::Order(job, turn)
                | Event::Vanish(job, turn)
                    if self.jobs[job].turn == turn =>
                {
                    match event {
                        Event::Claim(..) => self.claim(job),
                        Event::OpenLine(..) => self.open_line(job),
                        Event::Beat(..) => self.beat(job),
                        Event::Finish(..) => self.finish_now(job),
                        Event::Order(..) => self.stop(job),
                        _ => self.vanish(job),
                    }
                }
                _ => {}
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
        block_on(operations::answer(&Call { operation, runtime, config, request: &request, caller }))
    }

    /// The sweeper's, each minute, until nothing happens any more and nothing is left to it.
    fn tick(&mut self) {
        let now = self.writer.now.get();
        block_on(sweeper::tick(&self.writer, &self.config, Timestamp(now))).expect("a tick");
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
                Some(after) if shard == 1 => self.plan(after, Event::Claim(job, 0)),
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

    /// A job of a matrix registers, too, and so joins the run of the first one.
    fn join(&mut self, job: usize) {
        let run = self.jobs[job].run;
        let answer = self.register(self.runs[run].push, &format!("join-{job}"));
        assert_eq!(
            (&answer["data"]["joined"], &answer["data"]["test_run"]["id"]),
            (&json!(true), &json!(self.id(run)))
        );
        self.plan(200, Event::Claim(job, 0));
    }

    fn claim(&mut self, job: usize) {
        let Job { run, shard, phase, .. } = self.jobs[job];
        let body = format!(r#"{{"runner":"runner-{}","shard":{shard}}}"#, job % 500);
        let (id, project, write) = (self.id(run), self.runs[run].project, format!("claim-{job}"));
        let ask =
            Ask { key: Some(project), idempotency_key: Some(&write), body: &body, ..Ask::new(&claim::OPERATION, id) };
        let reply = self.send(ask);
        match (reply.status, reply.outcome) {
            (200, "claimed") => self.claimed(job, &reply),
            (412, "waits") => {
                if phase == (Phase::Waits { asked: false }) {
                    self.jobs[job].phase = Phase::Waits { asked: true };
                    let line = self.send(Ask { key: Some(project), ..Ask::new(&watch::RUN, id) });
                    assert_eq!(line.status, 101, "{line:?}");
                }
                self.plan(ASK_AGAIN, Event::Claim(job, self.jobs[job].turn));
            }
            (412, "already_over") => self.jobs[job].phase = Phase::Over,
            _ => panic!("{reply:?}"),
        }
    }

    fn claimed(&mut self, job: usize, reply: &Reply) {
        let answer: Value = serde_json::from_str(&reply.body).expect("JSON");
        let now = self.writer.now.get();
        let turn = {
            let job = &mut self.jobs[job];
            job.lease = answer["data"]["lease"]["token"].as_str().expect("a lease").to_owned();
            job.phase = Phase::Runs;
            job.lease_ends = now + self.config.lease;
            job.turn += 1;
            job.turn
        };
        let after = 100 + self.random.number(200);
        self.plan(after, Event::OpenLine(job, turn));
        if let Some(takes) = self.jobs[job].takes {
            self.plan(takes, Event::Finish(job, turn));
        }
        if self.random.below(200) < 3 {
            let after = self.random.number(self.jobs[job].takes.unwrap_or(HOUR));
            self.plan(after, Event::Vanish(job, turn));
        }
    }

    /// It sends a heartbeat as soon as its line is open.
    fn open_line(&mut self, job: usize) {
        let Job { run, ref lease, .. } = self.jobs[job];
        let line = self.send(Ask { lease: Some(lease), ..Ask::new(&watch::RUN, self.id(run)) });
        assert_eq!(line.status, 101, "{line:?}");
        self.beat(job);
    }

    fn beat(&mut self, job: usize) {
        let Job { run, ref lease, phase, turn, .. } = self.jobs[job];
        let body = match phase {
            Phase::Stops(_) => format!(r#"{{"lease":"{lease}","step":"sigint"}}"#),
            _ => format!(r#"{{"lease":"{lease}"}}"#),
        };
        let reply = self.send(Ask { body: &body, ..Ask::new(&heartbeat::OPERATION, self.id(run)) });
        assert_eq!(reply.status, 200, "{reply:?}");
        let answer: Option<Value> =
            (reply.outcome != "alive").then(|| serde_json::from_str(&reply.body).expect("JSON"));
        if let Some(ends) = answer.and_then(|answer| Timestamp::parse(answer["data"]["lease"]["expires_at"].as_str()?))
        {
            self.jobs[job].lease_ends = ends.0;
        }
        match phase {
            Phase::Runs if reply.outcome == "told_to_stop" => self.stop(job),
            Phase::Runs => self.plan(BEAT, Event::Beat(job, turn)),
            _ => self.plan(BEAT_STOPPING, Event::Beat(job, turn)),
        }
    }

    /// It has heard the order: it interrupts its tests, and says so at once.
    fn stop(&mut self, job: usize) {
        let (how, after) = match self.random.below(100) {
            0..70 => (ConfirmedStop::Graceful, 300 + self.random.number(8 * SECOND)),
            70..92 => (ConfirmedStop::Terminated, 10 * SECOND + self.random.number(5 * SECOND)),
            _ => (ConfirmedStop::Killed, 20 * SECOND + self.random.number(5 * SECOND)),
        };
        let turn = {
            let job = &mut self.jobs[job];
            job.phase = Phase::Stops(how);
            job.turn += 1;
            job.turn
        };
        self.plan(0, Event::Beat(job, turn));
        self.plan(after, Event::Finish(job, turn));
        if self.random.below(50) == 0 {
            self.plan(after / 2, Event::Vanish(job, turn));
        }
    }

    fn finish_now(&mut self, job: usize) {
        let stop = match self.jobs[job].phase {
            Phase::Stops(how) => Some(how),
            _ => None,
        };
        self.finish(job, stop);
    }

    fn finish(&mut self, job: usize, stop: Option<ConfirmedStop>) {
        let Job { run, ref lease, ends, .. } = self.jobs[job];
        let counts =
            |failed: u8| json!({"total": 90, "success": 90 - failed, "failed": failed, "skipped": 0, "flaky": 0});
        let mut body = match (ends, stop) {
            (Ends::Broken, None) => json!({"state": "error", "error_code": "run_failed_with_error"}),
            (Ends::Passed, None) => json!({"state": "ended", "result": "passed", "counts": counts(0)}),
            (Ends::Failed, None) | (_, Some(_)) => json!({"state": "ended", "result": "failed", "counts": counts(2)}),
        };
        body["lease"] = json!(lease);
        if let Some(how) = stop {
            body["stop"] = json!({"outcome": how});
        }
        let (body, write) = (body.to_string(), format!("finish-{job}"));
        let reply =
            self.send(Ask { body: &body, idempotency_key: Some(&write), ..Ask::new(&finish::OPERATION, self.id(run)) });
        self.jobs[job].phase = Phase::Over;
        self.jobs[job].turn += 1;
        match (reply.status, reply.outcome) {
            (200, "finished") => {
                self.counted.finished += 1;
                self.finished(run, &reply);
            }
            (412, "kept_late") => self.counted.late += 1,
            // The tests were at their end before the order came.
            (412, "already_over") => match stop.unwrap_or(ConfirmedStop::Graceful) {
                ConfirmedStop::Graceful => self.counted.graceful += 1,
                ConfirmedStop::Terminated => self.counted.terminated += 1,
                ConfirmedStop::Killed => self.counted.killed += 1,
            },
            _ => panic!("{reply:?}"),
        }
    }

    fn finished(&mut self, run: usize, reply: &Reply) {
        let answer: Value = serde_json::from_str(&reply.body).expect("JSON");
        let test_run = &answer["data"]["test_run"];
        let ends = match (test_run["state"].as_str(), test_run["result"].as_str()) {
            (Some("started"), _) => return,
            (Some("ended"), Some("passed")) => Ends::Passed,
            (Some("ended"), Some("failed")) => Ends::Failed,
            (Some("error"), None) => Ends::Broken,
            _ => panic!("{answer}"),
        };
        match ends {
            Ends::Passed => self.counted.passed += 1,
            Ends::Failed => self.counted.failed += 1,
            Ends::Broken => self.counted.errors += 1,
        }
        assert_eq!(self.runs[run].fate.replace(Fate::Ended(ends)), None, "{answer}");
    }

    fn vanish(&mut self, job: usize) {
        self.jobs[job].phase = Phase::Lost;
        self.jobs[job].turn += 1;
        // One in ten was only cut off.
        if self.random.below(10) == 0 {
            let after = 5 * MINUTE + self.random.number(15 * MINUTE);
            self.plan(after, Event::Late(job));
        }
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
                            self.plan(after, Event::Order(job, turn));
                        }
                        // Whatever it was, it asks again.
                        Phase::Waits { asked: true } => {
                            self.jobs[job].turn += 1;
                            let after = 50 + self.random.number(400);
                            self.plan(after, Event::Claim(job, turn + 1));
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
