//! Read replicas: what may be a moment old is read there, but nobody misses what they have seen or done themselves.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::workerd::Rig;

fn rig() -> Rig {
    Rig::of(|estop| estop.replacen(r#"(name = "REPLICAS", text = "")"#, r#"(name = "REPLICAS", text = "1")"#, 1))
}

fn ids(answer: &Answer) -> Vec<i64> {
    let items = answer.json()["data"]["test_runs"]["items"].clone();
    items.as_array().expect("runs").iter().filter_map(|run| run["id"].as_i64()).collect()
}

#[test]
fn a_list_may_lag_but_not_behind_what_its_reader_has_done_or_seen() {
    let rig = rig();
    let project = rig.project();
    let register = || {
        let answer = project.call("PUT", "/api/test-runs", Some(&json!({"environment": "staging"})));
        let id = answer.json()["data"]["test_run"]["id"].as_i64().expect("an id");
        (id, answer.header("estop-bookmark").expect("a bookmark").to_owned())
    };
    let bearer = format!("Bearer {}", project.key);
    let list = |seen: Option<&str>| {
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend(seen.map(|seen| ("Estop-Bookmark", seen)));
        rig.server.send("GET", "/api/test-runs", &headers, b"")
    };
    let (first, old) = register();
    // Its key is noted today, so that a list writes nothing.
    assert_eq!(ids(&list(None)), [first]);
    rig.backend.replicate();
    let (second, new) = register();
    rig.backend.lagged();

    assert_eq!((ids(&list(None)), rig.backend.lagged()), (vec![first], 1), "whatever the replica has");
    assert_eq!((ids(&list(Some(&old))), rig.backend.lagged()), (vec![first], 1));
    for seen in [new.as_str(), "latest", "7:00000001-0", "0:", "nonsense; DROP"] {
        assert_eq!((ids(&list(Some(seen))), rig.backend.lagged()), (vec![second, first], 0), "{seen}");
    }
    // What a list has seen, the next one sees too.
    let seen = list(Some("latest")).header("estop-bookmark").expect("a bookmark").to_owned();
    assert_eq!(ids(&list(Some(&seen))), [second, first]);

    rig.backend.replicate();
    assert_eq!((ids(&list(Some(&new))), rig.backend.lagged()), (vec![second, first], 1), "it has caught up");
}

#[test]
fn only_what_may_be_old_is_read_from_a_replica() {
    let rig = rig();
    let project = rig.project();
    let run = project.call("PUT", "/api/test-runs", Some(&json!({"environment": "staging"}))).ok();
    let run = run["data"]["test_run"]["id"].as_i64().expect("an id");
    project.call("GET", "/api/test-runs", None).ok();
    rig.backend.replicate();
    rig.backend.lagged();
    let lagged = |path: &str| {
        project.call("GET", path, None).ok();
        rig.backend.lagged()
    };
    for path in ["/api/test-runs", "/api/analytics/test-runs", "/api/cancels"] {
        assert_eq!(lagged(path), 1, "{path}");
    }
    for path in
        [format!("/api/test-runs/{run}"), format!("/api/test-runs/{run}/events"), "/api/environments".to_owned()]
    {
        assert_eq!(lagged(&path), 0, "{path}");
    }
    let cancelled = project.post(&format!("/api/test-runs/{run}/cancel"), &json!({}));
    assert_eq!((cancelled.status, rig.backend.lagged()), (200, 0));
    assert_ne!(cancelled.json(), Value::Null);
}

#[test]
fn without_replicas_nothing_is_said_of_them() {
    let rig = Rig::start();
    let project = rig.project();
    let answer = project.call("GET", "/api/test-runs", None);
    assert_eq!((answer.status, answer.header("estop-bookmark")), (200, None));
}
