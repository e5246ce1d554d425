//! The list: what it gives, and that every query walks the index that it is meant to.

use estop::operations::list;
use estop::operations::list::query::RunsQuery;
use estop::operations::list::statement::list as statements;
use estop_protocol::list::RunList;
use estop_protocol::run::State;
use estop_protocol::time::Timestamp;

use crate::answers;
use crate::statements::plan;
use crate::world::{Ask, World};

fn page(world: &World, query: &str) -> RunList {
    let reply = world.send(&Ask::new(&list::OPERATION).query(query));
    assert_eq!(reply.status, 200, "{reply:?}");
    answers::read(serde_json::from_str(&reply.body).expect("JSON"))
}

fn ids(page: &RunList) -> Vec<i64> {
    page.data.test_runs.items.iter().map(|run| run.id).collect()
}

const FILTERS: [(&str, &str); 27] = [
    ("", "runs_by_project (project_id=?)"),
    ("before=9", "runs_by_project (project_id=? AND rowid<?)"),
    ("branch=main", "runs_by_branch (project_id=? AND branch=?)"),
    ("branch=main&state=ended&before=9", "runs_by_branch (project_id=? AND branch=? AND rowid<?)"),
    ("environment_ids=1", "runs_by_environment (project_id=? AND environment_id=?)"),
    ("environment_ids=1,2", "runs_by_project (project_id=?)"),
    ("result=failed", "runs_by_result (project_id=? AND result=?)"),
    ("state=started", "runs_open (open_state=? AND project_id=?)"),
    ("state=queued&branch=main", "runs_open (open_state=? AND project_id=?)"),
    ("state=ended", "runs_by_project (project_id=?)"),
    ("state=ended&result=failed", "runs_by_result (project_id=? AND result=?)"),
    ("interval_in_days=3", "runs_by_project (project_id=?)"),
    ("id=3", "INTEGER PRIMARY KEY (rowid=?)"),
    ("actor=ada", "runs_by_actor (project_id=? AND actor=?)"),
    ("actor=ada&environment=staging&before=9", "runs_by_actor (project_id=? AND actor=? AND rowid<?)"),
    ("environment=staging", "runs_by_environment (project_id=? AND environment_id=?)"),
    ("environment=staging&environment=production", "runs_by_project (project_id=?)"),
    ("environment=staging&branch=main", "runs_by_branch (project_id=? AND branch=?)"),
    ("state=queued&state=started", "runs_by_project (project_id=?)"),
    ("environment_ids=1,2,3", "runs_by_project (project_id=?)"),
    ("tag=e2e&tag=smoke", "runs_by_project (project_id=?)"),
    ("metadata.ci=7", "runs_by_project (project_id=?)"),
    ("cancelled_by=ada", "runs_by_project (project_id=?)"),
    ("cause=user&stop=lost", "runs_by_project (project_id=?)"),
    ("created_from=2026-11-22T09:30:00Z", "runs_by_project (project_id=?)"),
    ("created_to=2026-11-22T09:30:00Z", "runs_by_project (project_id=?)"),
    ("tag=e2e&metadata.ci=7&actor=ada&cause=user", "runs_by_actor (project_id=? AND actor=?)"),
];

#[test]
fn every_filter_walks_its_index_newest_first_without_a_sort() {
    let world = World::new();
    for (query, index) in FILTERS {
        let parsed = RunsQuery::parse(query, Timestamp(0)).expect("a query");
        for statement in statements(&parsed.filter, "", 0, 0, 20) {
            let plan = plan(&world, &statement.text);
            let guard = "k.can_read = 1 AND k.valid_until > ?2";
            assert!(statement.text.contains("k.hash = ?1") && statement.text.contains(guard), "{query}");
            assert!(plan.contains(index), "{query}\n{plan}");
            for line in plan.lines().filter(|line| line.contains("SCAN")) {
                assert!(
                    line.contains("SCAN CONSTANT ROW")
                        || line.contains("SCAN (subquery")
                        || line.contains("SCAN page")
                        || line.trim() == "SCAN r",
                    "{query}: {line}"
                );
            }
            assert!(!plan.contains("USE TEMP B-TREE"), "{query} sorts\n{plan}");
        }
    }
}

#[test]
fn pages_come_newest_first_with_totals() {
    let world = World::new();
    for _ in 0..5 {
        world.run_in(State::Queued);
    }
    let first = page(&world, "per_page=2");
    assert_eq!(ids(&first), [5, 4]);
    assert_eq!(
        (first.pagination.total, first.pagination.total_pages, first.pagination.next_before),
        (Some(5), Some(3), Some(4))
    );
    let last = page(&world, "per_page=2&page=3");
    assert_eq!((ids(&last), last.pagination.next_before), (vec![1], None));
    let beyond = world.send(&Ask::new(&list::OPERATION).query("per_page=2&page=4"));
    assert_eq!(beyond.status, 400);
    assert!(beyond.body.contains("`page`") && beyond.body.contains("`before`"), "{beyond:?}");
    let onward = page(&world, "per_page=2&before=4");
    assert_eq!((ids(&onward), onward.pagination.total), (vec![3, 2], None));
}

#[test]
fn filters_narrow_and_combine() {
    let world = World::new();
    let ended = world.run_in(State::Ended).id;
    let queued = world.register(&serde_json::json!({"environment": "production", "branch": "main"}));
    for (query, expected) in [
        ("state=ended", vec![ended]),
        ("result=passed", vec![ended]),
        ("result=failed", vec![]),
        ("branch=main", vec![queued]),
        ("branch=main&state=queued", vec![queued]),
        ("branch=main&state=ended", vec![]),
        ("environment_ids=1", vec![ended]),
        ("environment_ids=2,1", vec![queued, ended]),
        ("environment_ids=7", vec![]),
        ("id=1", vec![ended]),
        ("id=1&state=queued", vec![]),
        ("interval_in_days=1", vec![queued, ended]),
    ] {
        let found = page(&world, query);
        assert_eq!(ids(&found), expected, "{query}");
        assert_eq!(found.pagination.total, i64::try_from(expected.len()).ok(), "{query}");
    }
    world.pass(25 * 3600 * 1000);
    assert_eq!(ids(&page(&world, "interval_in_days=1")), Vec::<i64>::new());
}

#[test]
fn a_run_is_found_by_who_set_it_off_by_its_tags_and_by_its_metadata() {
    let world = World::new();
    let run = |actor: Option<&str>, tags: &[&str], metadata: serde_json::Value| {
        let body =
            serde_json::json!({"environment": "staging", "github_actor": actor, "tags": tags, "metadata": metadata});
        world.register(&body)
    };
    let odd = r#"a"b,c\"#;
    let one = run(Some("grace"), &["e2e", "smoke"], serde_json::json!({"ci": 7, "name": "x"}));
    let two = run(None, &["e2e", odd, "é"], serde_json::json!({"ci": "7", odd: odd}));
    let three = run(Some("ada"), &[], serde_json::json!({"ci": 7.5, "ci2": 7}));
    let bare = world.run_in(State::Queued).id;
    let (quoted, tag) = (form(odd), form(r#"e2e","smoke"#));
    for (query, expected) in [
        ("actor=grace".to_owned(), vec![one]),
        // Without a GitHub account it is the key's user.
        ("actor=ada".to_owned(), vec![bare, three, two]),
        ("tag=e2e".to_owned(), vec![two, one]),
        ("tag=e2e&tag=smoke".to_owned(), vec![one]),
        ("tag=smoke&tag=e2e".to_owned(), vec![one]),
        ("tag=e2".to_owned(), vec![]),
        ("tag=c%5C".to_owned(), vec![]),
        ("tag=b".to_owned(), vec![]),
        ("tag=%C3%A9".to_owned(), vec![two]),
        (format!("tag={quoted}"), vec![two]),
        // Two tags are no one tag, however they are written.
        (format!("tag={tag}"), vec![]),
        ("metadata.ci=7".to_owned(), vec![two, one]),
        ("metadata.ci=7.5".to_owned(), vec![three]),
        ("metadata.ci=7.50".to_owned(), vec![three]),
        ("metadata.name=x&metadata.ci=7".to_owned(), vec![one]),
        ("metadata.x=name".to_owned(), vec![]),
        (format!("metadata.{quoted}={quoted}"), vec![two]),
        (format!("metadata.ci={}", form(r#"7","name":"x"#)), vec![]),
    ] {
        assert_eq!(ids(&page(&world, &query)), expected, "{query}");
    }
}

fn form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[test]
fn cancelled_runs_are_found_by_who_stopped_them_for_what_cause_and_how_they_stopped() {
    let world = World::new();
    let (queued, stopping) = (world.run_in(State::Queued).id, world.run_in(State::Cancelled).id);
    let never = world.run_in(State::Queued).id;
    assert_eq!(world.ask(&estop::operations::cancel::OPERATION, never, &serde_json::json!({})).status, 200);
    let lapsed = world.run_in(State::Started).id;
    assert_eq!(world.sweep(estop::run::Timeout::Lapsed), [lapsed]);
    for (query, expected) in [
        ("cancelled_by=ada", vec![never, stopping]),
        ("cancelled_by=system:sweeper", vec![lapsed]),
        ("cause=user", vec![never, stopping]),
        ("cause=stale", vec![lapsed]),
        ("cause=superseded", vec![]),
        ("stop=never_started", vec![never]),
        ("stop=stopping", vec![stopping]),
        ("stop=lost&cause=stale", vec![lapsed]),
        ("state=queued&state=cancelled", vec![lapsed, never, stopping, queued]),
        ("state=queued&state=started", vec![queued]),
        ("environment=staging&cause=user", vec![never, stopping]),
        ("environment=production", vec![]),
        ("environment=production&environment=staging&state=queued", vec![queued]),
        ("environment=nowhere", vec![]),
        ("environment=elsewhere&environment=nowhere", vec![]),
    ] {
        assert_eq!(ids(&page(&world, query)), expected, "{query}");
    }
}

#[test]
fn a_span_of_time_holds_its_first_moment_and_not_its_last() {
    let world = World::new();
    let first = world.run_in(State::Queued).id;
    let at = world.now.get();
    world.pass(1);
    let second = world.run_in(State::Queued).id;
    let found = |from: Timestamp, to: Timestamp| ids(&page(&world, &format!("created_from={from}&created_to={to}")));
    assert_eq!(found(at, at.plus(1)), [first]);
    assert_eq!(found(at, at.plus(2)), [second, first]);
    assert_eq!(found(at.plus(1), at.plus(2)), [second]);
    assert_eq!(found(at.plus(2), at.plus(9)), [0; 0]);
}

/// A history of so many runs, of which only the first is on the branch `rare`.
fn with_history(runs: i64) -> World {
    let world = World::new();
    world.sql(&format!(
        "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since, branch) \
           SELECT 1, 1, 'queued', 'h' || value, value, 'ada', value, iif(value = 1, 'rare', 'main') FROM (WITH RECURSIVE n(value) AS \
           (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < {runs}) SELECT value FROM n)"
    ));
    world
}

#[test]
fn a_list_counts_five_pages_beyond_the_first_and_before_goes_on_without_end() {
    let world = with_history(450);
    let counted =
        |page: &RunList| (page.pagination.total, page.pagination.total_pages, page.pagination.total_is_lower_bound);
    let first = page(&world, "");
    assert_eq!(counted(&first), (Some(101), Some(5), Some(true)), "pages with a number end after 100");
    assert_eq!(counted(&page(&world, "per_page=100")), (Some(450), Some(5), Some(false)), "this reaches further");
    assert_eq!(ids(&page(&world, "page=5")), (351..=370).rev().collect::<Vec<_>>());
    assert_eq!(world.send(&Ask::new(&list::OPERATION).query("page=6")).status, 400);
    // By `before`, every run comes once.
    let (mut seen, mut query) = (Vec::new(), String::new());
    loop {
        let next = page(&world, &query);
        assert_eq!(counted(&next).0.is_none(), !query.is_empty());
        seen.extend(ids(&next));
        let Some(before) = next.pagination.next_before else { break };
        query = format!("before={before}");
    }
    assert_eq!(seen, (1..=450).rev().collect::<Vec<_>>());
}

#[test]
fn a_filter_without_an_index_reads_a_window_and_says_where_to_go_on() {
    let world = with_history(450);
    assert_eq!(ids(&page(&world, "branch=rare")), [1], "its own index finds it at once");
    let none = page(&world, "environment_ids=2,3");
    assert_eq!((ids(&none), none.pagination.next_before), (vec![], Some(350)), "what is older was not looked at");
    assert_eq!((none.pagination.total, none.pagination.total_is_lower_bound), (Some(0), Some(true)));
    let (mut windows, mut next) = (1, none.pagination.next_before);
    while let Some(before) = next {
        next = page(&world, &format!("environment_ids=2,3&before={before}")).pagination.next_before;
        windows += 1;
    }
    assert_eq!(windows, 5);
}

#[test]
fn a_page_of_the_largest_runs_stays_under_a_megabyte_and_loses_none() {
    let world = World::new();
    let wide = "🛑".repeat(255);
    let body = serde_json::json!({
        "environment": "staging",
        "build": {"branch": wide},
        "metadata": {"a": "🛑".repeat(1_000), "b": "x".repeat(1_000), "c": "y".repeat(1_000)},
        "github_actor": wide,
    });
    for _ in 0..100 {
        let id = world.register(&body);
        let reason = serde_json::json!({"reason": "🛑".repeat(1024)});
        assert_eq!(world.ask(&estop::operations::cancel::OPERATION, id, &reason).status, 200);
    }
    let (mut seen, mut query) = (Vec::new(), "per_page=100".to_owned());
    loop {
        let reply = world.send(&Ask::new(&list::OPERATION).query(&query));
        assert!(reply.body.len() < 1_000_000, "{} bytes", reply.body.len());
        let page = page(&world, &query);
        seen.extend(ids(&page));
        let Some(before) = page.pagination.next_before else { break };
        query = format!("per_page=100&before={before}");
    }
    assert_eq!(seen, (1..=100).rev().collect::<Vec<_>>());
}
