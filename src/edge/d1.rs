//! The core's [`Runtime`] on Workers: D1, the rate limiter, random bytes, other services' keys.
//!
//! D1 and the rate limiter are called through two functions of our own (`glue.js`). The `worker` crate crosses into
//! JavaScript for every statement, parameter and row, and has no deadline; here a batch with its deadline crosses once as
//! one text, and its rows as another. For the rate limiter's one boolean the crate's call brings a whole serde format
//! along, a hundredth of the upload. It is the same JavaScript API ("D1 Workers Binding API" in Cloudflare's documentation).

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use js_sys::{Error, Promise};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::{Delay, Env};

use super::now;
use crate::access::{Keyring, PublicKey};
use crate::buckets::{Known, Learned};
use crate::http::json;
use crate::last_use::NotedToday;
use crate::recent::Recent;
use crate::runtime::{DbError, LATEST, Limit, LocalFuture, News, Rows, Runtime, Statement, Stored, Url, Value};

#[wasm_bindgen(module = "/src/edge/glue.js")]
extern "C" {
    fn databases(env: &JsValue) -> Vec<f64>;
    fn batch(env: &JsValue, database: f64, seen: Option<String>, statements: &str, ms: f64) -> Promise;
    #[wasm_bindgen(js_name = withinRate)]
    fn within_rate(env: &JsValue, limiter: &str, key: &str) -> Promise;
    #[wasm_bindgen(js_name = getText)]
    fn get_text(url: &str, most: u32, ms: u32) -> Promise;
    #[wasm_bindgen(js_name = hasSigned)]
    fn has_signed(n: &str, e: &str, signed: &str, signature: &[u8]) -> Promise;
    #[wasm_bindgen(js_name = hasBucket)]
    fn has_bucket(env: &JsValue) -> bool;
    #[wasm_bindgen(js_name = putObject)]
    fn put_object(env: &JsValue, prefix: &str, members: &str, ms: u32) -> Promise;
    #[wasm_bindgen(js_name = getMember)]
    fn get_member(env: &JsValue, object: &str, offset: f64, length: f64, ms: u32) -> Promise;
    #[wasm_bindgen(js_name = parseUrl)]
    fn parse_url(text: &str) -> Option<String>;
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);
}

/// How long a text of another service may be, and how long it may take. Bytes; milliseconds.
const MOST_BYTES: u32 = 64 * 1024;
const GET_DEADLINE: u32 = 5000;

/// How long the bucket may take to take an object, and to give a part of one. Milliseconds.
const PUT_DEADLINE: u32 = 20_000;
const MEMBER_DEADLINE: u32 = 5000;

thread_local! {
    /// The databases that are bound, and what this isolate knows of them.
    static DATABASES: OnceCell<Rc<Databases>> = const { OnceCell::new() };
    /// Where buckets have moved, as far as it has heard.
    static LEARNED: Rc<Learned> = Rc::default();
    /// In which buckets projects are.
    static KNOWN: Rc<Known> = Rc::default();
    /// The addresses that this isolate refuses.
    static BLOCKED: Rc<Recent> = Rc::default();
    /// The keys and leases that it has let in.
    static ACCEPTED: Rc<Recent> = Rc::default();
    /// The keys whose use today it has noted.
    static NOTED: Rc<NotedToday> = Rc::default();
    /// The keys of Cloudflare Access that it has fetched.
    static TEAM_KEYS: Rc<Keyring> = Rc::default();
}

/// The databases by their numbers. Of each, what [`Runtime::checked`] says, and its size as D1 told
/// it last.
#[derive(Debug)]
struct Databases {
    numbers: Vec<i64>,
    known: RefCell<Vec<(Option<bool>, Option<i64>)>>,
}

impl Databases {
    fn of(env: &Env) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "numbers up to 511")]
        let numbers: Vec<i64> = databases(env).into_iter().map(|number| number as i64).collect();
        let known = RefCell::new(vec![(None, None); numbers.len()]);
        Self { numbers, known }
    }

    fn known(&self, database: i64) -> (Option<bool>, Option<i64>) {
        let index = self.numbers.iter().position(|number| *number == database);
        index.and_then(|index| self.known.borrow().get(index).copied()).unwrap_or_default()
    }

    fn note(&self, database: i64, note: impl FnOnce(&mut (Option<bool>, Option<i64>))) {
        let index = self.numbers.iter().position(|number| *number == database);
        if let Some(index) = index
            && let Some(known) = self.known.borrow_mut().get_mut(index)
        {
            note(known);
        }
    }
}

/// What one request or tick cost at D1.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Usage {
    /// Batches sent, retries included.
    round_trips: u32,
    /// As D1 counts them.
    rows_read: u64,
    /// As D1 counts them: a row of an index is one too.
    rows_written: u64,
}

/// The runtime of one request or tick.
pub struct EdgeRuntime<'e> {
    env: &'e Env,
    databases: Rc<Databases>,
    learned: Rc<Learned>,
    known: Rc<Known>,
    usage: Cell<Usage>,
    blocked: Rc<Recent>,
    accepted: Rc<Recent>,
    noted: Rc<NotedToday>,
    team_keys: Rc<Keyring>,
    news: RefCell<Vec<(i64, String)>>,
    /// The databases whose deliveries are to go out at once.
    delivers: RefCell<Vec<i64>>,
    /// Where there are replicas: what an answer has to have seen, of which database; and what the last one has.
    as_of: RefCell<Option<(i64, String)>>,
    seen: RefCell<Option<(i64, String)>>,
}

/// What `glue.js` gives for a batch.
#[derive(Deserialize)]
struct Answer {
    read: u64,
    written: u64,
    size: Option<i64>,
    seen: Option<String>,
    rows: Vec<Vec<Box<RawValue>>>,
}

impl<'e> EdgeRuntime<'e> {
    /// A runtime that has asked nothing yet.
    pub fn new(env: &'e Env) -> Self {
        Self {
            env,
            databases: DATABASES.with(|cell| Rc::clone(cell.get_or_init(|| Rc::new(Databases::of(env))))),
            learned: LEARNED.with(Rc::clone),
            known: KNOWN.with(Rc::clone),
            usage: Cell::default(),
            blocked: BLOCKED.with(Rc::clone),
            accepted: ACCEPTED.with(Rc::clone),
            noted: NOTED.with(Rc::clone),
            team_keys: TEAM_KEYS.with(Rc::clone),
            news: RefCell::default(),
            delivers: RefCell::default(),
            as_of: RefCell::default(),
            seen: RefCell::default(),
        }
    }

    /// What the hub of each project has to be told, once: [`News`] of all that has changed in it.
    pub fn news(&self) -> Vec<(i64, String)> {
        self.news.take()
    }

    /// The databases that have deliveries that are to go out at once, once.
    pub fn delivers(&self) -> Vec<i64> {
        self.delivers.take()
    }

    /// What the last answer has seen of its database, where there are replicas: `Estop-Bookmark`.
    pub fn bookmark(&self) -> Option<String> {
        self.seen.take().map(|(database, seen)| format!("{database}:{seen}"))
    }

    /// What was asked so far.
    pub fn usage(&self) -> Usage {
        self.usage.get()
    }

    /// What a batch for this database has to have seen; nothing, if there are no replicas.
    fn as_of(&self, database: i64) -> Option<String> {
        let wanted = self.as_of.borrow();
        let wanted = wanted.as_ref().filter(|(of, _)| *of == database).map(|(_, seen)| seen.clone());
        super::config(self.env).replicas.then(|| wanted.unwrap_or_else(|| LATEST.to_owned()))
    }

    async fn send(&self, database: i64, statements: &[Statement<'_>], deadline: i64) -> Result<Rows, DbError> {
        let used = self.usage.get();
        self.usage.set(Usage { round_trips: used.round_trips + 1, ..used });
        // Every integer that we bind is below 2^53, so the double that JSON.parse makes of it holds it exactly.
        let sent: Vec<(&str, &[Value<'_>])> = statements.iter().map(|s| (&*s.text, &*s.params)).collect();
        #[expect(clippy::cast_precision_loss, reason = "a deadline is short, and a number small")]
        let answer =
            JsFuture::from(batch(self.env, database as f64, self.as_of(database), &json(&sent), deadline as f64)).await;
        let answer = answer.map_err(|error| classify(&error))?;
        if answer.is_null() {
            return Err(DbError::Deadline);
        }
        let text = answer.as_string().unwrap_or_default();
        // What is no answer of D1's failed above, so this is a row that is not JSON.
        let unreadable = |_| DbError::Unreadable(statements.first().map_or("", |statement| statement.file));
        let Answer { read, written, size, seen, rows } = serde_json::from_str(&text).map_err(unreadable)?;
        // Read again: other databases may have been asked meanwhile.
        let used = self.usage.get();
        self.usage.set(Usage { rows_read: used.rows_read + read, rows_written: used.rows_written + written, ..used });
        *self.seen.borrow_mut() = seen.map(|seen| (database, seen));
        if size.is_some() {
            self.databases.note(database, |known| known.1 = size);
        }
        Ok(rows)
    }
}

impl Runtime for EdgeRuntime<'_> {
    fn databases(&self) -> &[i64] {
        &self.databases.numbers
    }

    fn read_as_of(&self, database: i64, seen: &str) {
        *self.as_of.borrow_mut() = Some((database, seen.to_owned()));
    }

    fn learned(&self) -> &Learned {
        &self.learned
    }

    fn known(&self) -> &Known {
        &self.known
    }

    fn batch<'a>(
        &'a self,
        database: i64,
        statements: &'a [Statement<'a>],
        deadline: i64,
    ) -> LocalFuture<'a, Result<Rows, DbError>> {
        Box::pin(self.send(database, statements, deadline))
    }

    fn sleep(&self, span: i64) -> LocalFuture<'_, ()> {
        Box::pin(Delay::from(Duration::from_millis(span.unsigned_abs())))
    }

    fn elapsed(&self) -> i64 {
        now().0
    }

    fn random(&self, bytes: &mut [u8]) {
        get_random_values(bytes);
    }

    /// Lets the request pass if the limiter itself fails: it protects, it does not decide.
    fn within_rate<'a>(&'a self, limit: Limit, who: &'a str) -> LocalFuture<'a, bool> {
        let binding = match limit {
            Limit::Caller => "RATE_LIMIT",
            Limit::Refusals => "REFUSAL_RATE_LIMIT",
        };
        let asked = JsFuture::from(within_rate(self.env, binding, who));
        Box::pin(async { asked.await.map_or(true, |within| within.is_truthy()) })
    }

    fn tell(&self, database: i64, news: Option<News>) {
        let Some(News { project, runs, deliveries }) = news else { return };
        if deliveries > 0 {
            self.deliver(database);
        }
        let mut told = self.news.borrow_mut();
        // A bulk cancel changes many runs of one project: one message for its hub.
        match (told.iter_mut().find(|(other, _)| *other == project), runs.get().strip_prefix('[')) {
            (Some((_, all)), Some(more)) => {
                all.pop();
                all.push(',');
                all.push_str(more);
            }
            _ => told.push((project, runs.get().to_owned())),
        }
    }

    fn deliver(&self, database: i64) {
        let mut delivers = self.delivers.borrow_mut();
        if !delivers.contains(&database) {
            delivers.push(database);
        }
    }

    fn parse_url(&self, text: &str) -> Option<Url> {
        serde_json::from_str(&parse_url(text)?).ok()
    }

    fn blocked(&self) -> &Recent {
        &self.blocked
    }

    fn accepted(&self) -> &Recent {
        &self.accepted
    }

    fn noted(&self) -> &NotedToday {
        &self.noted
    }

    fn get<'a>(&'a self, url: &'a str) -> LocalFuture<'a, Option<String>> {
        let asked = JsFuture::from(get_text(url, MOST_BYTES, GET_DEADLINE));
        Box::pin(async { asked.await.ok()?.as_string() })
    }

    fn has_signed<'a>(&'a self, key: &'a PublicKey, signed: &'a str, signature: &'a [u8]) -> LocalFuture<'a, bool> {
        let asked = JsFuture::from(has_signed(&key.n, &key.e, signed, signature));
        Box::pin(async { asked.await.is_ok_and(|answer| answer.is_truthy()) })
    }

    fn team_keys(&self) -> &Keyring {
        &self.team_keys
    }

    fn has_bucket(&self) -> bool {
        has_bucket(self.env)
    }

    fn put_object<'a>(&'a self, prefix: &'a str, members: &'a [String]) -> LocalFuture<'a, Option<Stored>> {
        let put = JsFuture::from(put_object(self.env, prefix, &json(&members), PUT_DEADLINE));
        Box::pin(async {
            let (key, sha256, bytes, lengths) = serde_json::from_str(&put.await.ok()?.as_string()?).ok()?;
            Some(Stored { key, sha256, bytes, lengths })
        })
    }

    fn get_member<'a>(&'a self, object: &'a str, offset: i64, length: i64) -> LocalFuture<'a, Option<String>> {
        #[expect(clippy::cast_precision_loss, reason = "an object is small")]
        let got = JsFuture::from(get_member(self.env, object, offset as f64, length as f64, MEMBER_DEADLINE));
        Box::pin(async { got.await.ok()?.as_string() })
    }

    fn database_bytes(&self, database: i64) -> Option<i64> {
        self.databases.known(database).1
    }

    fn checked(&self, database: i64) -> Option<bool> {
        self.databases.known(database).0
    }

    fn set_checked(&self, database: i64, moves: bool) {
        self.databases.note(database, |known| known.0 = Some(moves));
    }
}

/// Classifies a JavaScript error by its message. `Display` of `worker`'s D1Error traps where the error has no cause.
fn classify(error: &JsValue) -> DbError {
    let message: Option<String> = error.dyn_ref::<Error>().map(|error| error.message().into());
    message.map_or(DbError::Transient, |text| DbError::from_message(&text))
}
