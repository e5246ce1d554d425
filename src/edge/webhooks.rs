//! Sends what goes out to webhooks and to GitHub; the core says what, and what comes of it.

use estop_protocol::limits::WEBHOOK_ANSWER_BYTES;
use estop_protocol::time::Timestamp;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::Env;

use super::d1::EdgeRuntime;
use super::{config, log};
use crate::database::{Database, Home};
use crate::http::json;
use crate::runtime::LocalFuture;
use crate::webhooks::plan::Heard;
use crate::webhooks::{self, DEADLINE, Post, Sender, Which};

#[wasm_bindgen(module = "/src/edge/send.js")]
extern "C" {
    #[wasm_bindgen(js_name = sendAll)]
    fn send_all(env: &Env, posts: &str, ms: f64, most: f64) -> Promise;
}

struct Fetch(Env);

impl Sender for Fetch {
    fn send<'a>(&'a self, posts: &'a [Post]) -> LocalFuture<'a, Vec<Heard>> {
        #[expect(clippy::cast_precision_loss, reason = "both are small")]
        let sent = send_all(&self.0, &json(&posts), DEADLINE as f64, WEBHOOK_ANSWER_BYTES as f64);
        Box::pin(async move {
            let heard = JsFuture::from(sent).await.ok().and_then(|heard| heard.as_string());
            // It gives an answer whatever happens to the requests.
            heard.and_then(|heard| serde_json::from_str(&heard).ok()).unwrap_or_default()
        })
    }
}

/// Sends what is to be sent of a database. There is nobody to answer, so the log has the tally and the failures; the hub hears nothing of
/// it.
pub async fn deliver(env: Env, home: Home, which: Which, at: Timestamp) {
    let runtime = EdgeRuntime::new(&env);
    let config = config(&env);
    let database = Database { runtime: &runtime, config: &config, home };
    let outcome = webhooks::deliver(&database, &Fetch(env.clone()), which, at).await;
    log::deliveries(database.number(), &outcome, runtime.usage());
}
