//! One run, many machines: shards through the service's own operations.

mod claim;
mod fail_fast;
mod groups;
mod join;
mod late;
pub mod model;
mod result;
mod stale;
mod stop;

use std::collections::HashMap;

use estop::http::reply::Reply;
use estop::operations::{cancel, claim as claim_operation, finish, heartbeat, register, show};
use estop::sweeper::{Tally, tick};
use pollster::block_on;
use serde_json::{Map, Value as Json, json};

use crate::world::{Ask, World, data};

/// A run with shards, and the leases of its runners.
pub struct Suite {
    pub world: World,
    pub id: i64,
    leases: HashMap<i64, String>,
}

impl Suite {
    /// A run of so many shards, in a world of its own.
    pub fn of(total: i64) -> Self {
        Self::registered(World::new(), json!({"environment": "staging", "total_shards": total}))
    }

    /// A run that is registered with `body`.
    pub fn registered(world: World, body: Json) -> Self {
        let id = world.register(&body);
        Self { world, id, leases: HashMap::new() }
    }

    /// A run of so many shards of which these are claimed.
    pub fn started(total: i64, shards: impl IntoIterator<Item = i64>) -> Self {
        let mut suite = Self::of(total);
        suite.claim_all(shards);
        suite
    }

    pub fn claim_all(&mut self, shards: impl IntoIterator<Item = i64>) {
        for shard in shards {
            let reply = self.claim(shard);
            assert_eq!(reply.outcome, "claimed", "shard {shard}: {reply:?}");
        }
    }

    pub fn claim(&mut self, shard: i64) -> Reply {
        let runner = format!("machine {shard}");
        let reply = self.world.ask(&claim_operation::OPERATION, self.id, &json!({"shard": shard, "runner": runner}));
        if reply.outcome == "claimed" {
            let token = data(&reply)["lease"]["token"].as_str().expect("a token").to_owned();
            self.leases.insert(shard, token);
        }
        reply
    }

    pub fn lease(&self, shard: i64) -> &str {
        &self.leases[&shard]
    }

    pub fn heartbeat(&self, shard: i64) -> Reply {
        self.world.ask(&heartbeat::OPERATION, self.id, &json!({"lease": self.lease(shard)}))
    }

    /// A heartbeat that says how many tests have failed so far.
    pub fn heartbeat_with_failed(&self, shard: i64, failed: u32) -> Reply {
        let body = json!({"lease": self.lease(shard), "counts": {"failed": failed}});
        self.world.ask(&heartbeat::OPERATION, self.id, &body)
    }

    /// A finish with `body` and the shard's lease.
    pub fn finish(&self, shard: i64, body: Json) -> Reply {
        let mut with_lease = Map::from_iter([("lease".to_owned(), json!(self.lease(shard)))]);
        with_lease.extend(body.as_object().expect("an object").clone());
        self.world.ask(&finish::OPERATION, self.id, &Json::Object(with_lease))
    }

    /// The shards finish as `body` says.
    pub fn finish_all(&self, shards: impl IntoIterator<Item = i64>, body: &Json) {
        for shard in shards {
            let reply = self.finish(shard, body.clone());
            assert_eq!(reply.outcome, "finished", "shard {shard}: {reply:?}");
        }
    }

    /// The shard's runner confirms that it stopped.
    pub fn confirm(&self, shard: i64, how: &str) {
        let reply = self.finish(shard, json!({"state": "ended", "result": "failed", "stop": {"outcome": how}}));
        assert_eq!(reply.outcome, "already_over", "{reply:?}");
    }

    pub fn cancel(&self) -> Reply {
        self.world.ask(&cancel::OPERATION, self.id, &json!({"reason": "wrong branch"}))
    }

    /// The run as `GET /api/test-runs/{id}` shows it.
    pub fn shown(&self) -> Json {
        shown(&self.world, self.id)
    }

    /// The shard as it is shown; null if no runner has claimed it.
    pub fn shard(&self, shard: i64) -> Json {
        shard_of(&self.shown(), shard)
    }
}

/// The run as `GET /api/test-runs/{id}` shows it.
pub fn shown(world: &World, id: i64) -> Json {
    let reply = world.send(&Ask::new(&show::OPERATION).about(id));
    assert_eq!(reply.status, 200, "{reply:?}");
    data(&reply)["test_run"].take()
}

/// A shard of a run as it is shown; null if no runner has claimed it.
pub fn shard_of(run: &Json, shard: i64) -> Json {
    let shards = run["shards"].as_array().expect("shards");
    shards.iter().find(|found| found["shard"] == shard).cloned().unwrap_or_default()
}

/// Sends a registration.
pub fn register(world: &World, body: Json) -> Reply {
    world.send(&Ask::new(&register::OPERATION).body(&body))
}

/// One tick of the sweeper.
pub fn sweep(world: &World) -> Tally {
    block_on(tick(&world.database(), world.now.get())).expect("a tick")
}

/// What a 412 or an error says, for a person.
pub fn message(reply: &Reply) -> String {
    let body: Json = serde_json::from_str(&reply.body).expect("JSON");
    let message = body["message"].as_str().or_else(|| body["error"]["message"].as_str());
    message.unwrap_or_else(|| panic!("no message: {reply:?}")).to_owned()
}

/// The body of a finish in which every test passed.
pub fn passed() -> Json {
    json!({"state": "ended", "result": "passed"})
}

/// The body of a finish in which some test failed.
pub fn failed() -> Json {
    json!({"state": "ended", "result": "failed"})
}

/// The body of a finish of tests that broke.
pub fn broken(code: &str) -> Json {
    json!({"state": "error", "error_code": code})
}
