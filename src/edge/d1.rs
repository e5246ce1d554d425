//! The core's [`Host`] on Workers: D1, the rate limiter, chance.
//!
//! D1 is called through bindings of our own, because `worker`'s read every row through serde; here a row is one string
//! and crosses once. They use the same JavaScript API ("D1 Workers Binding API" in Cloudflare's documentation). The rate
//! limiter is too: for its one boolean `worker`'s brings a whole serde format along, a hundredth of the upload.

use std::cell::Cell;
use std::time::Duration;

use base64::Engine as _;
use js_sys::{Array, Object, Promise};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::{Delay, Env};

use super::now_ms;
use crate::host::{DbError, Host, Rows, Statement, Value};

#[wasm_bindgen]
extern "C" {
    type Database;
    #[wasm_bindgen(structural, method, catch)]
    fn prepare(this: &Database, sql: &str) -> Result<Prepared, JsValue>;
    #[wasm_bindgen(structural, method, catch)]
    fn batch(this: &Database, statements: &Array) -> Result<Promise, JsValue>;

    type Prepared;
    #[wasm_bindgen(structural, method, catch, variadic)]
    fn bind(this: &Prepared, values: &Array) -> Result<JsValue, JsValue>;

    type Answer;
    #[wasm_bindgen(structural, method, getter)]
    fn results(this: &Answer) -> Option<Array>;
    #[wasm_bindgen(structural, method, getter)]
    fn meta(this: &Answer) -> Option<Meta>;

    type Meta;
    #[wasm_bindgen(structural, method, getter)]
    fn rows_read(this: &Meta) -> Option<f64>;
    #[wasm_bindgen(structural, method, getter)]
    fn rows_written(this: &Meta) -> Option<f64>;

    type Row;
    #[wasm_bindgen(structural, method, getter)]
    fn row(this: &Row) -> JsValue;

    type Bindings;
    #[wasm_bindgen(structural, method, getter, js_name = DB)]
    fn database(this: &Bindings) -> Database;
    #[wasm_bindgen(structural, method, getter, js_name = RATE_LIMIT)]
    fn rate_limiter(this: &Bindings) -> Option<Object>;

    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);
}

#[wasm_bindgen(module = "/src/edge/glue.js")]
extern "C" {
    fn within(promise: Promise, ms: f64) -> Promise;
    #[wasm_bindgen(js_name = withinRate)]
    fn within_rate(limiter: &Object, key: &str) -> Promise;
}

/// What one request or tick cost at D1.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Usage {
    /// Batches sent, repeats included.
    round_trips: u32,
    /// As D1 counts them.
    rows_read: f64,
    /// As D1 counts them: a row of an index is one too.
    rows_written: f64,
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

    fn send(&self, statements: &[Statement<'_>]) -> Result<Promise, JsValue> {
        let database = self.env.unchecked_ref::<Bindings>().database();
        let bound = Array::new();
        for statement in statements {
            let values: Array = statement.params.iter().map(to_js).collect();
            let prepared = database.prepare(&statement.sql)?;
            bound.push(&if statement.params.is_empty() { prepared.into() } else { prepared.bind(&values)? });
        }
        database.batch(&bound)
    }

    fn receive(&self, answers: JsValue) -> Result<Rows, DbError> {
        let answers: Array = answers.dyn_into().map_err(|_| DbError::Garbled)?;
        let mut usage = self.usage.get();
        let mut rows = Vec::with_capacity(answers.length() as usize);
        for answer in answers.iter() {
            let answer: Answer = answer.unchecked_into();
            if let Some(meta) = answer.meta() {
                usage.rows_read += meta.rows_read().unwrap_or_default();
                usage.rows_written += meta.rows_written().unwrap_or_default();
            }
            let texts = answer.results().into_iter().flat_map(|results| results.to_vec());
            let texts: Option<Vec<String>> = texts.map(|row| row.unchecked_into::<Row>().row().as_string()).collect();
            rows.push(texts.ok_or(DbError::Garbled)?);
        }
        self.usage.set(usage);
        Ok(rows)
    }
}

impl Host for EdgeHost<'_> {
    async fn batch(&self, statements: &[Statement<'_>], deadline: i64) -> Result<Rows, DbError> {
        let mut usage = self.usage.get();
        usage.round_trips += 1;
        self.usage.set(usage);
        let answers = self.send(statements).map_err(|error| sort(&error))?;
        #[expect(clippy::cast_precision_loss, reason = "a deadline is short")]
        let answers = JsFuture::from(within(answers, deadline as f64)).await.map_err(|error| sort(&error))?;
        if answers.is_null() { Err(DbError::Deadline) } else { self.receive(answers) }
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

/// 96 random bits as a text, for the id of a request.
pub fn random_id() -> String {
    let mut bytes = [0; 12];
    get_random_values(&mut bytes);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn to_js(value: &Value<'_>) -> JsValue {
    match value {
        Value::Null => JsValue::NULL,
        // D1 takes no BigInt. Every integer that we bind is below 2^53, so a double holds it exactly.
        #[expect(clippy::cast_precision_loss, reason = "ids, spans and moments stay below 2^53")]
        Value::Integer(n) => JsValue::from_f64(*n as f64),
        Value::Text(text) => JsValue::from_str(text),
    }
}

/// Sorts a JavaScript error by its message. `Display` of `worker`'s D1Error traps where the error has no cause.
fn sort(error: &JsValue) -> DbError {
    let message: Option<String> = error.dyn_ref::<js_sys::Error>().map(|e| e.message().into());
    message.map_or(DbError::Garbled, |text| DbError::from_message(&text))
}
