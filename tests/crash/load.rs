//! Clients that register, claim, keep, finish and cancel runs, their own and each other's, until the service dies.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Project, Server, unique, within};
use crate::ledger::{Act, Deed, Said};
use crate::random::Random;
use crate::service::Service;

const CLIENTS: usize = 8;

/// What the clients of a round share.
struct Round<'a> {
    projects: &'a [Project; 2],
    number: u64,
    acknowledged: AtomicUsize,
    killing: AtomicBool,
    /// The latest runs, by project and id, for others to cancel.
    runs: Mutex<Vec<(usize, i64)>>,
}

/// Lets the clients loose, kills the service once so many changes have been acknowledged, and gives all that they did.
pub fn until_killed(
    projects: &[Project; 2],
    number: u64,
    random: &mut Random,
    service: Service,
    enough: u64,
) -> Vec<Deed> {
    let round = Round {
        projects,
        number,
        acknowledged: AtomicUsize::new(0),
        killing: AtomicBool::new(false),
        runs: Mutex::default(),
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let server = Server::at(service.url.clone());
                let mut client =
                    Client { round: &round, server, random: Random(random.below(u64::MAX)), deeds: Vec::new() };
                scope.spawn(move || {
                    client.live();
                    client.deeds
                })
            })
            .collect();
        let enough = usize::try_from(enough).expect("few");
        within(Duration::from_secs(60), "enough acknowledged changes", || {
            let stopped = threads.iter().any(std::thread::ScopedJoinHandle::is_finished);
            (stopped || round.acknowledged.load(Ordering::Relaxed) >= enough).then_some(())
        });
        round.killing.store(true, Ordering::SeqCst);
        service.kill();
        threads.into_iter().flat_map(|thread| thread.join().expect("a client's deeds")).collect()
    })
}

struct Client<'a> {
    round: &'a Round<'a>,
    server: Server,
    random: Random,
    deeds: Vec<Deed>,
}

impl Client<'_> {
    /// One run after the other, beside one that is kept for longer. Ends with the first answer that does not come.
    fn live(&mut self) -> Option<()> {
        let mut kept = self.claimed(0)?;
        loop {
            if let Some((id, lease)) = &kept {
                self.heartbeat(0, *id, lease)?;
            }
            let project = usize::from(self.random.below(4) == 0);
            let id = self.register(project)?;
            match self.random.below(6) {
                0 => self.cancel(project, id)?,
                1 => {
                    let next = self.claimed(0)?;
                    if let Some((id, lease)) = std::mem::replace(&mut kept, next) {
                        self.finish(0, id, &lease)?;
                    }
                }
                choice => self.run(project, id, choice == 2)?,
            }
            if self.random.below(2) == 0 {
                self.meddle()?;
            }
        }
    }

    /// A run of our own, or none if somebody was quicker.
    fn claimed(&mut self, project: usize) -> Option<Option<(i64, String)>> {
        let id = self.register(project)?;
        Some(self.claim(project, id)?.map(|lease| (id, lease)))
    }

    /// A run from its claim to its end.
    fn run(&mut self, project: usize, id: i64, stopped: bool) -> Option<()> {
        for _ in 0..3 {
            if let Some(lease) = self.claim(project, id)? {
                self.heartbeat(project, id, &lease)?;
                if stopped {
                    self.cancel(project, id)?;
                    self.heartbeat(project, id, &lease)?;
                }
                return self.finish(project, id, &lease);
            }
        }
        // It waits for another or is over. Whoever gives up waiting leaves nothing behind.
        self.cancel(project, id)
    }

    /// Cancels a run that somebody is at.
    fn meddle(&mut self) -> Option<()> {
        let latest = {
            let runs = self.round.runs.lock().unwrap_or_else(PoisonError::into_inner);
            let back = 1 + usize::try_from(self.random.below(8)).expect("small");
            runs.len().checked_sub(back).map(|index| runs[index])
        };
        latest.map_or(Some(()), |(project, id)| self.cancel(project, id))
    }

    fn register(&mut self, project: usize) -> Option<i64> {
        let branch = format!("round-{}-{}", self.round.number, self.random.below(2));
        let body = json!({"environment": "staging", "branch": branch});
        let (status, said) = self.does(Act::Register, project, 0, body, None)?;
        assert_eq!(status, 200, "{said}");
        let id = said["data"]["test_run"]["id"].as_i64().expect("an id");
        self.round.runs.lock().unwrap_or_else(PoisonError::into_inner).push((project, id));
        Some(id)
    }

    fn claim(&mut self, project: usize, id: i64) -> Option<Option<String>> {
        let (_, said) = self.does(Act::Claim, project, id, json!({"runner": "r"}), None)?;
        Some(said["data"]["lease"]["token"].as_str().map(str::to_owned))
    }

    fn heartbeat(&mut self, project: usize, id: i64, lease: &str) -> Option<()> {
        self.does(Act::Heartbeat, project, id, json!({"lease": lease}), Some(lease)).map(|_| ())
    }

    fn finish(&mut self, project: usize, id: i64, lease: &str) -> Option<()> {
        let result = ["passed", "failed"][usize::try_from(self.random.below(2)).expect("small")];
        let body = json!({"lease": lease, "state": "ended", "result": result, "stop": {"outcome": "graceful"}});
        self.does(Act::Finish, project, id, body, Some(lease)).map(|_| ())
    }

    fn cancel(&mut self, project: usize, id: i64) -> Option<()> {
        let body = json!({"reason": unique()});
        self.does(Act::Cancel, project, id, body, None).map(|_| ())
    }

    /// Sends a request and writes down what came of it. `None`: no answer came.
    fn does(&mut self, act: Act, project: usize, run: i64, body: Value, lease: Option<&str>) -> Option<(u16, Value)> {
        let key = unique();
        let mut deed = Deed { act, project, run, key, body, lease: lease.map(str::to_owned), said: Said::CutOff };
        let living = !self.round.killing.load(Ordering::SeqCst);
        let answer = deed.send_to(&self.server, &self.round.projects[project].key);
        let killed = self.round.killing.load(Ordering::SeqCst);
        deed.said = match answer {
            Ok(answer) if matches!(answer.status, 200 | 412) => Said::Answer(answer.status, answer.json()),
            // What stands before the Worker may outlive it by a moment, and says so.
            Ok(_) | Err(_) if killed && living => Said::CutOff,
            Ok(_) | Err(_) if killed => Said::Nothing,
            other => panic!("the service lives, and yet {deed:?}: {other:?}"),
        };
        let heard = match &deed.said {
            Said::Answer(status, said) => Some((*status, said.clone())),
            Said::CutOff | Said::Nothing => None,
        };
        self.round.acknowledged.fetch_add(usize::from(deed.changed()), Ordering::Relaxed);
        self.deeds.push(deed);
        heard
    }
}
