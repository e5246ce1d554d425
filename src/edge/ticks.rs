//! The ticks: each minute one of each database, each in an invocation of its own, so that one that is slow or down holds up no other.
//!
//! The cron trigger's invocation ticks `DB`. For each other database it asks an object of the class [`super::hub::Hub`], of which there is
//! one for each of them: that says at once whether it begins, and then ticks. So nobody waits for a tick, however long it takes, and a
//! database has one at a time.

use std::cell::Cell;
use std::rc::Rc;

use estop_protocol::time::Timestamp;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::{Env, Response, Result, State};

use super::d1::EdgeRuntime;
use super::webhooks::deliver;
use super::{config, fullness, hub, log, now};
use crate::archive;
use crate::database::{Database, Home};
use crate::runtime::Runtime as _;
use crate::sweeper;
use crate::webhooks::Which;

#[wasm_bindgen(module = "/src/edge/glue.js")]
extern "C" {
    #[wasm_bindgen(js_name = beginTicks)]
    fn begin_ticks(env: &JsValue, databases: &[f64], scheduled_for: f64, ms: f64) -> Promise;
}

/// How long an object may take to say whether it begins. Milliseconds.
const DEADLINE: f64 = 10_000.0;

/// The header that orders a tick: the database's number and when it was scheduled (ms). A client's own does not get here: the Worker
/// makes this request.
pub const ORDER: &str = "x-estop-tick";

/// What an object answers: it begins, or the last tick goes on.
const BEGUN: u16 = 202;
const BUSY: u16 = 409;

/// After how many milliseconds a tick that has not ended is taken for lost. It has ended long before: each of its calls has a deadline.
const LOST_AFTER: i64 = 600_000;

/// The ticks of all databases, at the time for which they were scheduled: one that comes late sweeps no more than it would have on time.
pub async fn all(env: Env, scheduled_for: Timestamp) {
    let databases = EdgeRuntime::new(&env).databases().to_vec();
    let others: Vec<i64> = databases.into_iter().filter(|number| *number > 0).collect();
    #[expect(clippy::cast_precision_loss, reason = "numbers up to 511, and milliseconds of this era")]
    let begun = {
        let numbers: Vec<f64> = others.iter().map(|number| *number as f64).collect();
        JsFuture::from(begin_ticks(&env, &numbers, scheduled_for.0 as f64, DEADLINE))
    };
    // The others are on their way by now, however this one fares.
    tick(env, 0, scheduled_for).await;
    let answers = begun.await.ok().and_then(|answers| answers.as_string()).unwrap_or_default();
    let statuses: Vec<u16> = serde_json::from_str(&answers).unwrap_or_default();
    for (index, number) in others.into_iter().enumerate() {
        match statuses.get(index) {
            Some(&BEGUN) => {}
            Some(&BUSY) => log::no_tick(scheduled_for, number, "busy"),
            _ => log::no_tick(scheduled_for, number, "not_begun"),
        }
    }
}

/// One tick of a database. There is nobody to answer, so the log has the tally and the failures.
async fn tick(env: Env, number: i64, scheduled_for: Timestamp) {
    let home = Home::Database(number);
    let (begun, config) = (now(), config(&env));
    let runtime = EdgeRuntime::new(&env);
    let database = Database { runtime: &runtime, config: &config, home };
    let outcome = sweeper::tick(&database, scheduled_for).await;
    log::tick(scheduled_for, number, now().since(begun), &outcome, runtime.usage(), fullness(&database));
    hub::tell(env.clone(), runtime.news()).await;
    let has_deliveries = outcome.as_ref().unwrap_or_else(|(tally, _)| tally).has_deliveries;
    if (has_deliveries || !runtime.delivers().is_empty()) && config.webhook_secret.is_some() {
        // A receiver takes no signature of an earlier time than its own by much, so a late tick sends as of now.
        deliver(env.clone(), home, Which::Due, scheduled_for.max(now())).await;
    }
    // Last, so that it keeps nothing else waiting. It needs some of the 50 queries that an invocation has, and a tick that sweeps much
    // leaves it few.
    if outcome.is_ok_and(|tally| !tally.more && tally.rounds <= 1) {
        let runtime = EdgeRuntime::new(&env);
        let archived = archive::step(&Database { runtime: &runtime, ..database }, scheduled_for).await;
        log::archive(number, &archived, runtime.usage());
    }
}

/// What an object knows of its ticks: since when one goes on.
#[derive(Default)]
pub struct Ticker(Rc<Cell<Option<Timestamp>>>);

impl Ticker {
    /// Begins a tick, unless one goes on: the next minute has another.
    pub fn begin(&self, state: &State, env: &Env, order: &str) -> Result<Response> {
        let Some((number, scheduled_for)) = read(order) else { return Response::error("no order", 400) };
        let began = now();
        if self.0.get().is_some_and(|since| began.since(since) < LOST_AFTER) {
            return Ok(Response::empty()?.with_status(BUSY));
        }
        self.0.set(Some(began));
        let (goes_on, env) = (Rc::clone(&self.0), env.clone());
        // With this the object stays until it is done.
        state.wait_until(async move {
            tick(env, number, scheduled_for).await;
            if goes_on.get() == Some(began) {
                goes_on.set(None);
            }
        });
        Ok(Response::empty()?.with_status(BEGUN))
    }
}

fn read(order: &str) -> Option<(i64, Timestamp)> {
    let (number, scheduled_for) = order.split_once(' ')?;
    Some((number.parse().ok()?, Timestamp(scheduled_for.parse().ok()?)))
}
