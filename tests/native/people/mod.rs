//! People who sign in with the company's account: whom a project lets in, as whom they act, and how that ends.

mod acting;
mod ended;
mod let_in;
mod tokens;

use estop::http::reply::Reply;
use estop::operations::{access, admin, session};
use serde_json::{Value, json};

use crate::world::{ADMIN, Ask, World, assertion, data};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn send_admit(world: &World, body: &Value) -> Reply {
    world.send(&Ask::new(&admin::people::ADMIT).with_key(ADMIN).body(body))
}

/// Lets somebody into a project; gives the key.
fn admit(world: &World, project: i64, address: &str, scopes: &[&str]) -> Value {
    let reply = send_admit(world, &json!({"project_id": project, "address": address, "scopes": scopes}));
    assert_eq!((reply.status, reply.outcome), (200, "admitted"), "{reply:?}");
    data(&reply)["key"].clone()
}

fn revoke(world: &World, id: &Value) {
    let id = id.as_i64().expect("an id");
    assert_eq!(world.send(&Ask::new(&admin::keys::REVOKE).about(id).with_key(ADMIN)).status, 200);
}

/// What comes of it when Access sends somebody here.
fn arrive(world: &World, email: &str, query: &str) -> Reply {
    let token = assertion(email, "k1", world.now.get());
    world.send(&Ask::new(&access::OPERATION).with_key("").of_page(None).vouched(&token).query(query))
}

/// What the browser sends back once somebody is signed in.
fn cookie(reply: &Reply) -> String {
    let header = |wanted: &str| reply.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
    assert_eq!((reply.status, reply.outcome, reply.body.as_str()), (303, "signed_in", ""), "{reply:?}");
    assert_eq!(header("Location").as_deref(), Some("/"));
    let set = header("Set-Cookie").expect("a cookie");
    let (pair, attributes) = set.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200");
    pair.to_owned()
}

fn signed_in(world: &World, email: &str) -> String {
    cookie(&arrive(world, email, ""))
}

fn is_not_let_in(world: &World, email: &str, query: &str) {
    let changes = world.runtime.db.borrow().total_changes();
    let reply = arrive(world, email, query);
    assert_eq!((reply.status, reply.outcome, reply.headers.len()), (403, "not_admitted", 0), "{email}: {reply:?}");
    assert!(reply.body.contains(&email.to_ascii_lowercase()), "{reply:?}");
    assert_eq!(world.runtime.db.borrow().total_changes(), changes, "nothing was written");
}

/// Who somebody is here, by their cookie; or the outcome of their request.
fn who(world: &World, cookie: &str) -> Result<Value, &'static str> {
    let reply = world.send(&Ask::new(&session::SHOW).with_cookie(cookie).of_page(None));
    if reply.status == 200 { Ok(data(&reply)) } else { Err(reply.outcome) }
}

fn keys(world: &World) -> Vec<Value> {
    let reply = world.send(&Ask::new(&admin::keys::LIST).with_key(ADMIN));
    data(&reply)["keys"].as_array().expect("keys").iter().filter(|key| !key["access"].is_null()).cloned().collect()
}

fn events(world: &World) -> Vec<String> {
    let reply = world.send(&Ask::new(&admin::events::LIST).with_key(ADMIN));
    let events = data(&reply)["events"].clone();
    let said = |event: &Value| {
        format!("{} {}", event["what"].as_str().expect("a word"), event["subject"].as_str().expect("whom"))
    };
    events.as_array().expect("events").iter().map(said).take_while(|said| said != "key_created ada").collect()
}
