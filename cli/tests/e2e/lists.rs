//! `estop projects list` and `estop environments list`.

use std::process::Command;

use serde_json::{Value, json};

use crate::client::{ADMIN, NOBODYS, Project, unique};
use crate::proxy::{Proxy, respond_with};
use crate::support::{Ended, Running, estop};

fn with_key(project: &Project, arguments: &[&str]) -> Ended {
    end(estop(&project.server.url, &project.key).env_remove("ESTOP_ADMIN_TOKEN"), arguments)
}

fn with_admin_token(project: &Project, arguments: &[&str]) -> Ended {
    end(estop(&project.server.url, "").env("ESTOP_ADMIN_TOKEN", ADMIN), arguments)
}

fn end(command: &mut Command, arguments: &[&str]) -> Ended {
    Running::of(command.args(arguments)).end()
}

/// The words of each line of a table, the heading included.
fn rows(ended: &Ended) -> Vec<Vec<&str>> {
    ended.stdout.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn projects_are_listed_newest_first_with_their_limits() {
    let project = Project::new();
    let create = |slug: &str, repo: &[&str]| {
        let arguments = [&["projects", "create", "--name", "Shop", "--slug", slug, "--json"], repo].concat();
        let created = with_admin_token(&project, &arguments).expect_code(0);
        let created: Value = serde_json::from_str(&created.stdout).expect("JSON");
        let project = &created["data"]["project"];
        (project["id"].as_i64().expect("an id"), project["bucket"].as_str().expect("a bucket").to_owned())
    };
    let (older_slug, newer_slug) = (unique(), unique());
    let (older, older_bucket) = create(&older_slug, &[]);
    let (newer, newer_bucket) = create(&newer_slug, &["--repo", "acme/shop"]);
    let (older_id, newer_id) = (older.to_string(), newer.to_string());
    let limit = ["projects", "limit", &newer_id, "--scope", "branch_environment", "--behaviour", "queue_new"];
    with_admin_token(&project, &limit).expect_code(0);

    // Other tests create projects too; no id after `newer` is on this page.
    let before = (newer + 1).to_string();
    let ended = with_admin_token(&project, &["projects", "list", "--before", &before]).expect_code(0);
    let rows = rows(&ended);
    assert_eq!(rows[0], ["ID", "SLUG", "NAME", "REPOSITORY", "SCOPE", "BEHAVIOUR", "BUCKET"]);
    assert_eq!(
        rows[1],
        [&newer_id, &newer_slug, "Shop", "acme/shop", "branch_environment", "queue_new", &newer_bucket]
    );
    assert!(rows[2..].contains(&vec![&older_id, &older_slug, "Shop", "-", "none", "-", &older_bucket]), "{ended:?}");
    let ended = with_admin_token(&project, &["projects", "list", "--before", &newer_id, "--json"]).expect_code(0);
    let page: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let ids: Vec<i64> =
        page["data"]["projects"].as_array().expect("projects").iter().filter_map(|p| p["id"].as_i64()).collect();
    assert!(ids.contains(&older) && ids.iter().all(|id| *id < newer), "{ids:?}");
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
}

#[test]
fn a_key_lists_the_environments_of_its_own_project() {
    let (project, _other) = (Project::new(), Project::new());
    let (staging, production) = (project.environment.to_string(), project.production.to_string());
    let ended = with_key(&project, &["environments", "list"]).expect_code(0);
    assert_eq!(
        rows(&ended),
        [
            vec!["ID", "SLUG", "NAME"],
            vec![&production, "production", "production"],
            vec![&staging, "staging", "staging"]
        ]
    );
    let ended = with_key(&project, &["environments", "list", "--before", &production, "--json"]).expect_code(0);
    let page: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(
        page["data"]["environments"],
        json!([{"id": project.environment, "name": "staging", "slug": "staging", "disabled": false}])
    );

    let id = project.queued();
    for (environment, runs) in [(&staging, 1), (&production, 0)] {
        let ended = with_key(&project, &["list", "--json", "--environment-id", environment]).expect_code(0);
        let page: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let items = page["data"]["test_runs"]["items"].as_array().expect("items");
        assert_eq!(items.iter().filter(|run| run["id"] == id).count(), runs, "{ended:?}");
    }
}

#[test]
fn the_admin_lists_the_environments_of_any_project() {
    let project = Project::new();
    let (id, production) = (project.id.to_string(), project.production.to_string());
    let listed = with_key(&project, &["environments", "list"]).expect_code(0);
    let ended = with_admin_token(&project, &["environments", "list", "--project", &id]).expect_code(0);
    assert_eq!(ended.stdout, listed.stdout);
    let arguments = ["environments", "list", "--project", &id, "--before", &production];
    let ended = with_admin_token(&project, &arguments).expect_code(0);
    assert!(ended.stdout.contains("staging") && !ended.stdout.contains("production"), "{ended:?}");
    let nobodys = NOBODYS.to_string();
    let ended = with_admin_token(&project, &["environments", "list", "--project", &nobodys]).expect_code(122);
    assert!(ended.stderr.contains("Check the id") && ended.stdout.is_empty(), "{ended:?}");
}

#[test]
fn lists_need_the_right_secret() {
    let project = Project::new();
    let id = project.id.to_string();
    for (arguments, name) in [
        (&["projects", "list"][..], "ESTOP_ADMIN_TOKEN is not set"),
        (&["environments", "list", "--project", &id], "ESTOP_ADMIN_TOKEN is not set"),
    ] {
        let ended = with_key(&project, arguments).expect_code(2);
        assert!(ended.stderr.contains(name), "{ended:?}");
    }
    let ended = with_admin_token(&project, &["environments", "list"]).expect_code(2);
    assert!(ended.stderr.contains("ESTOP_KEY is not set"), "{ended:?}");
    for arguments in [&["projects", "list"][..], &["environments", "list", "--project", &id]] {
        let ended = end(estop(&project.server.url, "").env("ESTOP_ADMIN_TOKEN", "wrong"), arguments).expect_code(122);
        assert!(ended.stderr.contains("ESTOP_ADMIN_TOKEN") && ended.stdout.is_empty(), "{ended:?}");
    }
    let canceller = project.key("eve", &["cancel"], None).0;
    let ended = end(&mut estop(&project.server.url, &canceller), &["environments", "list"]).expect_code(122);
    assert!(ended.stderr.contains("scope") && ended.stdout.is_empty(), "{ended:?}");
}

#[test]
fn a_page_says_how_to_get_the_next_one() {
    let project = Project::new();
    let page = json!({
        "data": {"environments": [{"id": 7, "name": "Staging \u{1b}[2J", "slug": "staging"}], "projects": [], "keys": []},
        "pagination": {"per_page": 1, "next_before": 7},
    });
    let proxy = Proxy::before(&project.server.url, respond_with("200 OK", "", &page.to_string()));
    for (arguments, next) in [
        (&["environments", "list"][..], "next page: estop environments list --before 7\n"),
        (
            &["environments", "list", "--project", "3", "--before", "9"],
            "next page: estop environments list --project 3 --before 7\n",
        ),
        (&["projects", "list"], "next page: estop projects list --before 7\n"),
        (&["keys", "list", "--project", "3"], "next page: estop keys list --project 3 --before 7\n"),
    ] {
        let ended = end(estop(&proxy.url, &project.key).env("ESTOP_ADMIN_TOKEN", ADMIN), arguments).expect_code(0);
        assert!(ended.stderr.ends_with(next), "{ended:?}");
        assert!(!ended.stdout.contains('\u{1b}'), "{ended:?}");
        assert!(!ended.stdout.contains("Staging") || ended.stdout.contains("Staging \\u{1b}[2J"), "{ended:?}");
    }
}

#[test]
fn a_rare_run_is_found_behind_a_long_history() {
    let project = Project::new();
    let (rare, token) = project.started();
    project.finish(rare, &token).ok();
    // The service looks at a hundred runs at a time where no index answers a filter.
    for _ in 0..205 {
        project.queued();
    }
    let listed = with_key(&project, &["list", "--state", "ended"]).expect_code(0);
    let rows = rows(&listed);
    assert_eq!((rows.len(), rows[1][0]), (2, rare.to_string().as_str()), "{listed:?}");
    assert!(!listed.stderr.contains("next page"), "{listed:?}");
    let none = with_key(&project, &["list", "--state", "error"]).expect_code(0);
    assert!(none.stderr.contains("no test run matches"), "{none:?}");
}
