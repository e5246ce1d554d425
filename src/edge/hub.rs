//! The hub: one Durable Object a project, which holds the WebSockets of its watchers and runners and tells them what has
//! changed. It keeps no state beyond its sockets, and sleeps between messages. Others of the class tick databases (`ticks.rs`).
//!
//! Nothing that a client sends may make it panic: it may share its isolate with requests that are under way.

use std::time::Duration;

use estop_protocol::watch::{KEY_IS_OVER, PING, PONG};
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::worker_sys::WebSocketRequestResponsePair;
use worker::worker_sys::ext::WebSocketExt as _;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, State, WebSocket, WebSocketIncomingMessage, WebSocketPair,
    durable_object,
};

use super::d1::EdgeRuntime;
use super::ticks::{self, Ticker};
use super::{config, log, now};
use crate::database::{Database, Home};
use crate::http::json;
use crate::http::reply::Line;
use crate::hub::{
    Frame, UNWATCHED, VALID_KEYS, WATCHED, bucket_of, end_of, frames, key_of, may_report, report, watched_by,
    watchers_of,
};
use crate::runtime::Statement;

#[wasm_bindgen(module = "/src/edge/glue.js")]
extern "C" {
    #[wasm_bindgen(js_name = tellHub)]
    fn tell_hub(env: &JsValue, project: &str, runs: &str, ms: f64) -> Promise;
    #[wasm_bindgen(js_name = openLine)]
    fn open_line(env: &JsValue, project: &str, tags: &str, ms: f64) -> Promise;
}

/// How long a hub may take to be told, or to take a socket. Milliseconds.
const DEADLINE: f64 = 5000.0;

/// How often the keys of open sockets are looked up, while there are any.
const CHECK_KEYS_EVERY: Duration = Duration::from_secs(45);

/// The header in which the Worker names a socket's tags. A client's own does not get here: the Worker makes this request.
const TAGS: &str = "x-estop-tags";

/// Tells the hubs of what has changed.
pub async fn tell(env: Env, news: Vec<(i64, String)>) {
    for (project, runs) in news {
        if JsFuture::from(tell_hub(&env, &project.to_string(), &runs, DEADLINE)).await.is_err() {
            log::hub_not_told(project);
        }
    }
}

/// Opens a line to a hub: the answer that switches protocols, or nothing if there is no hub that takes it.
pub async fn open(env: &Env, line: &Line) -> Option<Response> {
    let answer =
        JsFuture::from(open_line(env, &line.project.to_string(), &line.tags.join(","), DEADLINE)).await.ok()?;
    let answer: worker::web_sys::Response = answer.dyn_into().ok()?;
    (answer.status() == 101).then(|| answer.into())
}

/// The class.
#[durable_object]
pub struct Hub {
    state: State,
    env: Env,
    ticker: Ticker,
}

impl DurableObject for Hub {
    fn new(state: State, env: Env) -> Self {
        if let Ok(pair) = WebSocketRequestResponsePair::new(PING, PONG) {
            state.set_websocket_auto_response(&pair);
        }
        Self { state, env, ticker: Ticker::default() }
    }

    /// What the Worker asks: to take a socket, to tell what is in the body, or to tick a database.
    async fn fetch(&self, mut request: Request) -> Result<Response> {
        if let Some(tags) = request.headers().get(TAGS)? {
            return self.take(&tags).await;
        }
        if let Some(order) = request.headers().get(ticks::ORDER)? {
            return self.ticker.begin(&self.state, &self.env, &order);
        }
        let runs = request.text().await?;
        for frame in frames(&runs, config(&self.env).stop_grace_seconds) {
            self.tell(&frame);
        }
        Response::empty()
    }

    /// Closes the sockets of keys that are no longer valid, and of sessions that are over.
    async fn alarm(&self) -> Result<Response> {
        let is_over = |socket: &WebSocket| {
            self.state.get_tags(socket).iter().find_map(|tag| end_of(tag)).is_some_and(|end| end <= now())
        };
        let (over, sockets): (Vec<_>, Vec<_>) = self.state.get_websockets().into_iter().partition(is_over);
        for socket in over {
            let _ = socket.close(Some(KEY_IS_OVER), Some("This session is over."));
        }
        let key = |socket: &WebSocket| self.state.get_tags(socket).iter().find_map(|tag| key_of(tag));
        let mut keys: Vec<i64> = sockets.iter().filter_map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() {
            return Response::empty();
        }
        self.state.storage().set_alarm(CHECK_KEYS_EVERY).await?;
        let (runtime, ids) = (EdgeRuntime::new(&self.env), json(&keys));
        // A project's keys are in one bucket.
        let mut buckets =
            sockets.iter().flat_map(|socket| self.state.get_tags(socket)).filter_map(|tag| bucket_of(&tag));
        let statement = Statement::new(VALID_KEYS, vec![ids.as_str().into(), now().0.into()]);
        let config = config(&self.env);
        let home = buckets.next().map_or(Home::FIRST, Home::Bucket);
        let answer = Database { runtime: &runtime, config: &config, home }.batch(vec![statement]).await;
        // Without an answer they stay until the next look.
        if let Ok(valid) = answer.and_then(|rows| rows.all::<i64>(0)) {
            for socket in sockets.iter().filter(|socket| key(socket).is_some_and(|key| !valid.contains(&key))) {
                let _ = socket.close(Some(KEY_IS_OVER), Some("This key is no longer valid."));
            }
        }
        Response::empty()
    }

    /// The runner of a shard may say how far its tests are, now and then. Nobody else has anything to say here.
    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> Result<()> {
        let WebSocketIncomingMessage::String(text) = message else {
            let _ = socket.close(Some(1003), Some("The hub takes no bytes."));
            return Ok(());
        };
        match report(&self.state.get_tags(&socket), &text, now()).filter(|_| may_report_on(&socket)) {
            Some(frames) if frames.iter().map(|frame| self.tell(frame)).sum::<usize>() > 0 => {}
            // Who watched is gone. That is told here and not when he goes, so that it is told for certain.
            Some(_) => drop(socket.send_with_str(UNWATCHED)),
            None => drop(socket.close(Some(1008), Some("The hub takes no such message, or not so many."))),
        }
        Ok(())
    }

    /// Without this the client would wait for the end of the closing handshake until it gives up.
    async fn websocket_close(&self, socket: WebSocket, _code: usize, _reason: String, _was_clean: bool) -> Result<()> {
        let _ = socket.close(Some(1000), Some(""));
        Ok(())
    }

    async fn websocket_error(&self, _socket: WebSocket, _error: Error) -> Result<()> {
        Ok(())
    }
}

/// Whether it has not begun to close.
fn is_open(socket: &WebSocket) -> bool {
    let socket: &worker::web_sys::WebSocket = socket.as_ref();
    socket.ready_state() == worker::web_sys::WebSocket::OPEN
}

/// Whether a line may report now. What it has used up is with its socket, and outlives the hub's sleep.
fn may_report_on(socket: &WebSocket) -> bool {
    let socket: &worker::web_sys::WebSocket = socket.as_ref();
    let used = socket.deserialize_attachment().ok().and_then(|used| used.as_f64()).unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, reason = "a moment in milliseconds")]
    let used = may_report(used as i64, now().0);
    #[expect(clippy::cast_precision_loss, reason = "a moment in milliseconds")]
    used.is_some_and(|used| socket.serialize_attachment(JsValue::from_f64(used as f64)).is_ok())
}

impl Hub {
    /// Sends a frame, and gives to how many.
    fn tell(&self, frame: &Frame) -> usize {
        let sockets = self.state.get_websockets_with_tag(&frame.tag);
        // One that is closing takes no more; its client opens another and asks anew.
        sockets.iter().filter(|socket| is_open(socket) && socket.send_with_str(&frame.text).is_ok()).count()
    }

    async fn take(&self, tags: &str) -> Result<Response> {
        let pair = WebSocketPair::new()?;
        let tags: Vec<&str> = tags.split(',').collect();
        self.state.accept_websocket_with_tags(&pair.server, &tags);
        if let Some(tag) = watched_by(&tags) {
            self.tell(&Frame { tag, text: WATCHED.to_owned() });
        }
        let is_watched = |tag: &String| self.state.get_websockets_with_tag(tag).iter().any(is_open);
        if watchers_of(&tags).is_some_and(|watchers| watchers.iter().any(is_watched)) {
            let _ = pair.server.send_with_str(WATCHED);
        }
        if tags.iter().any(|tag| key_of(tag).is_some()) && self.state.storage().get_alarm().await?.is_none() {
            self.state.storage().set_alarm(CHECK_KEYS_EVERY).await?;
        }
        Response::from_websocket(pair.client)
    }
}
