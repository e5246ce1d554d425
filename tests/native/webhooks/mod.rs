//! Webhooks: what is written for them, who takes it, what is sent, and what comes of it.

mod heard;
mod kept;
mod routes;
mod sent;
mod switched_off;
mod taken;

use std::cell::RefCell;
use std::collections::VecDeque;

use estop::http::operation::Operation;
use estop::operations::admin::webhooks as room;
use estop::runtime::LocalFuture;
use estop::webhooks::plan::Heard;
use estop::webhooks::{self, Post, Sender, Tally, Which};
use estop_protocol::webhooks::{Deliveries, NewWebhook, OneWebhook};
use pollster::block_on;
use serde_json::{Value, json};

use crate::world::{ADMIN, Ask, MINUTE, World, data};

const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const URL: &str = "https://example.com/hooks";

/// A receiver that these tests make up.
#[derive(Default)]
struct Receiver<'a> {
    /// What it answers, in turn; 204 once that is over.
    answers: RefCell<VecDeque<Heard>>,
    heard: RefCell<Vec<Post>>,
    /// What happens while it thinks.
    meanwhile: Option<&'a dyn Fn()>,
}

impl Sender for Receiver<'_> {
    fn send<'a>(&'a self, posts: &'a [Post]) -> LocalFuture<'a, Vec<Heard>> {
        self.heard.borrow_mut().extend(posts.iter().cloned());
        if let Some(meanwhile) = self.meanwhile {
            meanwhile();
        }
        let mut answers = self.answers.borrow_mut();
        let heard = posts.iter().map(|_| answers.pop_front().unwrap_or_else(|| status(204))).collect();
        Box::pin(async move { heard })
    }
}

fn status(status: u16) -> Heard {
    Heard { status: Some(status), body: Some(format!("status {status}")), ..Heard::default() }
}

fn timeout() -> Heard {
    Heard { timed_out: true, ..Heard::default() }
}

impl Receiver<'_> {
    fn that_answers(answers: impl IntoIterator<Item = Heard>) -> Self {
        Self { answers: RefCell::new(answers.into_iter().collect()), ..Self::default() }
    }

    /// The types of what it heard, and of which run.
    fn types(&self) -> Vec<(String, i64)> {
        let message = |post: &Post| serde_json::from_str::<Value>(&post.body).expect("JSON");
        let types = self.heard.borrow().iter().map(message).collect::<Vec<_>>();
        let of = |message: &Value| message["data"]["id"].as_i64().unwrap_or(0);
        types.iter().map(|m| (m["type"].as_str().expect("a type").to_owned(), of(m))).collect()
    }
}

fn header<'a>(post: &'a Post, name: &str) -> &'a str {
    post.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str()).expect("a header")
}

/// Sends what is to be sent, now.
fn deliver(world: &World, receiver: &Receiver<'_>, which: Which) -> Tally {
    let sent = block_on(webhooks::deliver(&world.database(), receiver, which, world.now.get()));
    sent.expect("it is sent")
}

fn ask(world: &World, operation: &Operation, id: i64, body: &Value) -> estop::http::reply::Reply {
    world.send(&Ask::new(operation).about(id).with_key(ADMIN).body(body))
}

/// A webhook of project 1: its id and secret.
fn webhook(world: &World, extra: &Value) -> (i64, String) {
    let mut body = json!({"url": URL});
    body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
    let reply = ask(world, &room::CREATE, 1, &body);
    assert_eq!(reply.status, 200, "{reply:?}");
    let made = data(&reply);
    is_a::<NewWebhook>(&made);
    (made["webhook"]["id"].as_i64().expect("an id"), made["secret"].as_str().expect("a secret").to_owned())
}

/// The database writes what is answered: it has to be what the protocol's types say.
fn is_a<T: serde::de::DeserializeOwned>(answer: &Value) {
    serde_json::from_value::<T>(answer.clone()).unwrap_or_else(|error| panic!("{error}: {answer}"));
}

fn shown(world: &World, id: i64) -> Value {
    let mut shown = data(&ask(world, &room::SHOW, id, &json!({})));
    is_a::<OneWebhook>(&shown);
    shown["webhook"].take()
}

/// Its deliveries, oldest first.
fn deliveries(world: &World, id: i64) -> Vec<Value> {
    let listed = data(&ask(world, &room::DELIVERIES, id, &json!({})));
    is_a::<Deliveries>(&listed);
    let mut all = listed["deliveries"].as_array().expect("some").clone();
    all.reverse();
    all
}

fn states(world: &World, id: i64) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    deliveries(world, id).iter().map(|one| (text(&one["event"]), text(&one["state"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}
