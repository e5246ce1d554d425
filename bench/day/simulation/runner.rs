//! What a CI job does with its shard: it claims it, beats, finishes it or stops, or is lost.

use estop::http::reply::Reply;
use estop::operations::{claim, finish, heartbeat, watch};
use estop_protocol::run::ConfirmedStop;
use estop_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::super::plan::Ends;
use super::super::{HOUR, MINUTE, SECOND};
use super::{ASK_AGAIN, Act, Ask, BEAT, BEAT_STOPPING, Day, Event, Fate, Job, Phase};

impl Day {
    pub(super) fn act(&mut self, job: usize, act: Act) {
        match act {
            Act::Claim => self.claim(job),
            Act::OpenLine => self.open_line(job),
            Act::Beat => self.beat(job),
            Act::Finish => {
                let stop = match self.jobs[job].phase {
                    Phase::Stops(how) => Some(how),
                    _ => None,
                };
                self.finish(job, stop);
            }
            Act::Order => self.stop(job),
            Act::Vanish => self.vanish(job),
        }
    }

    /// A job of a matrix registers, too, and so joins the run of the first one.
    pub(super) fn join(&mut self, job: usize) {
        let run = self.jobs[job].run;
        let answer = self.register(self.runs[run].push, &format!("join-{job}"));
        assert_eq!(
            (&answer["data"]["joined"], &answer["data"]["test_run"]["id"]),
            (&json!(true), &json!(self.id(run)))
        );
        self.plan(200, Event::Act(job, 0, Act::Claim));
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
                self.plan(ASK_AGAIN, Event::Act(job, self.jobs[job].turn, Act::Claim));
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
        self.plan(after, Event::Act(job, turn, Act::OpenLine));
        if let Some(takes) = self.jobs[job].takes {
            self.plan(takes, Event::Act(job, turn, Act::Finish));
        }
        if self.random.below(200) < 3 {
            let after = self.random.number(self.jobs[job].takes.unwrap_or(HOUR));
            self.plan(after, Event::Act(job, turn, Act::Vanish));
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
            Phase::Runs => self.plan(BEAT, Event::Act(job, turn, Act::Beat)),
            _ => self.plan(BEAT_STOPPING, Event::Act(job, turn, Act::Beat)),
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
        self.plan(0, Event::Act(job, turn, Act::Beat));
        self.plan(after, Event::Act(job, turn, Act::Finish));
        if self.random.below(50) == 0 {
            self.plan(after / 2, Event::Act(job, turn, Act::Vanish));
        }
    }

    pub(super) fn finish(&mut self, job: usize, stop: Option<ConfirmedStop>) {
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

    pub(super) fn vanish(&mut self, job: usize) {
        self.jobs[job].phase = Phase::Lost;
        self.jobs[job].turn += 1;
        // One in ten was only cut off.
        if self.random.below(10) == 0 {
            let after = 5 * MINUTE + self.random.number(15 * MINUTE);
            self.plan(after, Event::Late(job));
        }
    }
}
