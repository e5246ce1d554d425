//! What goes to GitHub: which projects have it, what is written of a run and when, and what comes of what GitHub answers.

mod answers;
mod settings;
mod workflow_runs;
mod written;

use std::cell::RefCell;
use std::collections::VecDeque;

use estop::http::reply::Reply;
use estop::operations::{admin, cancel, claim, events, finish};
use estop::runtime::LocalFuture;
use estop::webhooks::plan::Heard;
use estop::webhooks::{self, Post, Sender, Which};
use estop_protocol::events::Events;
use estop_protocol::projects::Project;
use pollster::block_on;
use serde_json::{Value, json};

use crate::world::{ADMIN, Ask, World, data};

const SHA: &str = "C0FFEE00c0ffee00c0ffee00c0ffee00c0ffee00";
const BUILD: &str = "https://github.com/mallory/other/actions/runs/4711/attempts/2";

/// GitHub, as far as the core sees it.
#[derive(Default)]
struct GitHub {
    /// What it answers, in turn; once that is over, what it would if all is well.
    answers: RefCell<VecDeque<Heard>>,
    heard: RefCell<Vec<Post>>,
}

impl Sender for GitHub {
    fn send<'a>(&'a self, posts: &'a [Post]) -> LocalFuture<'a, Vec<Heard>> {
        let mut heard = self.heard.borrow_mut();
        let mut answers = self.answers.borrow_mut();
        let all = posts.iter().map(|post| {
            heard.push(post.clone());
            answers.pop_front().unwrap_or_else(|| well(post))
        });
        let all: Vec<Heard> = all.collect();
        Box::pin(async move { all })
    }
}

/// What GitHub answers if all is well. Each repository has its own numbers.
fn well(post: &Post) -> Heard {
    let grant = post.grant.as_ref().expect("a grant");
    let (status, id) = match (post.method, grant.writes) {
        ("POST", "checks") => (201, Some(900)),
        ("PATCH", "checks") => (200, Some(900)),
        _ => (202, None),
    };
    Heard { status: Some(status), id, calls: 1, ..Heard::default() }
}

fn status(status: u16) -> Heard {
    Heard { status: Some(status), body: Some(format!("POST /x: {status}")), calls: 3, ..Heard::default() }
}

impl GitHub {
    fn that_answers(answers: impl IntoIterator<Item = Heard>) -> Self {
        Self { answers: RefCell::new(answers.into_iter().collect()), ..Self::default() }
    }

    /// Takes what it has heard: the method, what follows the repository, and the body.
    fn take(&self) -> Vec<(String, String, Value)> {
        let posts = std::mem::take(&mut *self.heard.borrow_mut());
        let told = posts.iter().map(|post| {
            let path =
                post.url.strip_prefix("https://api.github.com/repos/acme/shop/").expect("the admin's repository");
            let body = serde_json::from_str(&post.body).unwrap_or_default();
            (post.method.to_owned(), path.to_owned(), body)
        });
        told.collect()
    }
}

fn send(world: &World, github: &GitHub, which: Which) {
    let sent = block_on(webhooks::deliver(&world.database(), github, which, world.now.get()));
    sent.expect("it is sent");
}

/// Sends all that is fresh.
fn flush(world: &World, github: &GitHub) {
    for _ in 0..5 {
        send(world, github, Which::Fresh);
    }
}

fn change(world: &World, body: &Value) -> Reply {
    world.send(&Ask::new(&admin::projects::CHANGE).about(1).with_key(ADMIN).body(body))
}

fn changed(world: &World, body: &Value) -> Value {
    let reply = change(world, body);
    assert_eq!(reply.status, 200, "{reply:?}");
    let project = data(&reply)["project"].clone();
    // The database writes it.
    let read: Project = serde_json::from_value(project.clone()).expect("a project of the protocol's");
    assert_eq!(serde_json::to_value(&read).expect("JSON"), project);
    project
}

/// A world whose project 1 has this on.
fn world(settings: &Value) -> World {
    let world = World::new();
    let mut body = json!({"repo_name": "acme/shop"});
    body.as_object_mut().expect("an object").extend(settings.as_object().expect("an object").clone());
    changed(&world, &body);
    world
}

/// From now on a run takes the place of the one before it.
fn cancel_previous(world: &World) {
    let limit = json!({"scope": "environment", "behaviour": "cancel_previous"});
    let limit = world.send(&Ask::new(&admin::projects::LIMIT).about(1).with_key(ADMIN).body(&limit));
    assert_eq!(limit.status, 200, "{limit:?}");
}

fn registered(world: &World) -> i64 {
    world.register(&json!({"environment": "staging", "build": {"branch": "main", "commit": SHA, "url": BUILD}}))
}

/// A started run, and the lease.
fn started(world: &World) -> (i64, String) {
    let id = registered(world);
    let reply = world.ask(&claim::OPERATION, id, &json!({}));
    (id, data(&reply)["lease"]["token"].as_str().expect("a token").to_owned())
}

fn cancel(world: &World, id: i64, reason: &str) {
    assert_eq!(world.ask(&cancel::OPERATION, id, &json!({"reason": reason})).status, 200);
}

fn ended(world: &World, id: i64, body: Value) {
    assert_eq!(world.ask(&finish::OPERATION, id, &body).status, 200);
}

fn causes(world: &World, id: i64) -> Vec<(String, String, Option<String>)> {
    let reply = world.ask(&events::OPERATION, id, &json!({}));
    let Events { events } = serde_json::from_value(data(&reply)).expect("events");
    events.into_iter().map(|event| (event.cause, event.by, event.reason)).collect()
}

fn failures(world: &World) -> Value {
    let reply = world.send(&Ask::new(&admin::projects::LIST).with_key(ADMIN));
    let projects = data(&reply)["projects"].clone();
    projects.as_array().expect("projects").iter().find(|p| p["id"] == 1).expect("one")["github_failures"].clone()
}
