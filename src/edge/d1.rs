//! The core's [`Host`] on Workers: D1, the rate limiter, chance.
//!
//! D1 is called through a function of our own, because `worker` crosses into JavaScript for every statement, parameter
//! and row, and reads each row through serde; here a batch crosses once as one text, and its rows as another. It uses the
//! same JavaScript API ("D1 Workers Binding API" in Cloudflare's documentation). The rate limiter too: for its one
//! boolean `worker`'s brings a whole serde format along, a hundredth of the upload.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::time::Duration;

use js_sys::{Object, Promise};
use serde::{Serialize, Serializer};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::{Delay, Env};

use super::now_ms;
use crate::host::{DbError, Host, Rows, Statement};
use crate::wire::json;

#[wasm_bindgen]
extern "C" {
    type Bindings;
    #[wasm_bindgen(structural, method, getter, js_name = RATE_LIMIT)]
    fn rate_limiter(this: &Bindings) -> Option<Object>;

    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);
}

#[wasm_bindgen(module = "/src/edge/glue.js")]
extern "C" {
    fn keep(text: &str) -> u32;
    fn batch(env: &JsValue, statements: &str, ms: f64) -> Promise;
    #[wasm_bindgen(js_name = withinRate)]
    fn within_rate(limiter: &Object, key: &str) -> Promise;
}

thread_local! {
    /// The texts that JavaScript keeps, and their numbers there: those of [`crate::sql`]'s constants, so there are few.
    static KEPT: RefCell<Vec<(&'static str, u32)>> = const { RefCell::new(Vec::new()) };
}

/// The number of a text that JavaScript keeps. It is found by its address: to compare kilobytes would cost more than to
/// send them.
fn number(text: &'static str) -> u32 {
    KEPT.with_borrow_mut(|kept| {
        let found = kept.iter().find(|(one, _)| std::ptr::eq(*one, text));
        found.map(|(_, number)| *number).unwrap_or_else(|| {
            let number = keep(text);
            kept.push((text, number));
            number
        })
    })
}

/// What one request or tick cost at D1.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Usage {
    /// Batches sent, repeats included.
    round_trips: u32,
    /// As D1 counts them.
    rows_read: u64,
    /// As D1 counts them: a row of an index is one too.
    rows_written: u64,
}

/// The host of one request or tick.
pub struct EdgeHost<'a> {
    env: &'a Env,
    usage: Cell<Usage>,
}

impl<'a> EdgeHost<'a> {
    /// A host that has asked nothing yet.
    pub fn new(env: &'a Env) -> Self {
        Self { env, usage: Cell::default() }
    }

    /// What was asked so far.
    pub fn usage(&self) -> Usage {
        self.usage.get()
    }

    /// Counts what the batch cost, and takes its rows apart.
    fn receive(&self, answer: &str) -> Option<Rows> {
        let mut parts = answer.split('\x1d');
        let mut count = || parts.next()?.parse::<u64>().ok();
        let mut usage = self.usage.get();
        usage.rows_read += count()?;
        usage.rows_written += count()?;
        self.usage.set(usage);
        Some(parts.map(|rows| rows.split_terminator('\x1e').map(str::to_owned).collect()).collect())
    }
}

impl Host for EdgeHost<'_> {
    async fn batch(&self, statements: &[Statement<'_>], deadline: i64) -> Result<Rows, DbError> {
        let mut usage = self.usage.get();
        usage.round_trips += 1;
        self.usage.set(usage);
        let statements: Vec<_> = statements.iter().map(Sent).collect();
        #[expect(clippy::cast_precision_loss, reason = "a deadline is short")]
        let answer =
            JsFuture::from(batch(self.env, &json(&statements), deadline as f64)).await.map_err(|error| sort(&error))?;
        if answer.is_null() {
            return Err(DbError::Deadline);
        }
        answer.as_string().and_then(|answer| self.receive(&answer)).ok_or(DbError::Garbled)
    }

    async fn pause(&self, span: i64) {
        Delay::from(Duration::from_millis(span.unsigned_abs())).await;
    }

    fn elapsed(&self) -> i64 {
        now_ms().0
    }

    fn random(&self, bytes: &mut [u8]) {
        get_random_values(bytes);
    }

    /// Lets the request pass if the limiter itself fails: it protects, it does not decide.
    async fn within_rate(&self, who: &str) -> bool {
        let Some(limiter) = self.env.unchecked_ref::<Bindings>().rate_limiter() else { return true };
        JsFuture::from(within_rate(&limiter, who)).await.map_or(true, |within| within.is_truthy())
    }
}

/// A statement as JavaScript takes it: its text, or the number of that, and its parameters. D1 takes no BigInt, but
/// every integer that we bind is below 2^53, so the double that JSON makes of it holds it exactly.
struct Sent<'a>(&'a Statement<'a>);

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Statement { sql, params } = self.0;
        match sql {
            Cow::Borrowed(text) => (number(text), params).serialize(serializer),
            Cow::Owned(text) => (text, params).serialize(serializer),
        }
    }
}

/// Sorts a JavaScript error by its message. `Display` of `worker`'s D1Error traps where the error has no cause.
fn sort(error: &JsValue) -> DbError {
    let message: Option<String> = error.dyn_ref::<js_sys::Error>().map(|e| e.message().into());
    message.map_or(DbError::Garbled, |text| DbError::from_message(&text))
}
