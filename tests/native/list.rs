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

const FILTERS: [(&str, &str); 11] = [
    ("", "runs_by_project (project_id=?)"),
    ("before=9", "runs_by_project (project_id=? AND rowid<?)"),
    ("branch=main", "runs_by_branch (project_id=? AND branch=?)"),
    ("branch=main&state=ended&before=9", "runs_by_branch (project_id=? AND branch=? AND rowid<?)"),
    ("environment_ids=1", "runs_by_environment (project_id=? AND environment_id=?)"),
    ("environment_ids=1,2", "runs_by_project (project_id=?)"),
    ("result=failed", "runs_by_result (project_id=? AND result=?)"),
    ("state=started", "runs_by_state (project_id=? AND state=?)"),
    ("state=ended&result=failed", "runs_by_result (project_id=? AND result=?)"),
    ("interval_in_days=3", "runs_by_project (project_id=?)"),
    ("id=3", "INTEGER PRIMARY KEY (rowid=?)"),
];

#[test]
fn every_filter_walks_its_index_newest_first_without_a_sort() {
    let world = World::new();
    for (query, index) in FILTERS {
        let parsed = RunsQuery::parse(query, Timestamp(0)).expect("a query");
        for statement in statements(&parsed.filter, "", 0, 0, 20) {
            let plan = plan(&world, &statement.text);
            let counts = statement.text.contains("'counted', json(NULL)");
            let guard = "k.can_read = 1 AND k.valid_until > ?2";
            assert!(statement.text.contains("k.hash = ?1") && statement.text.contains(guard), "{query}");
            assert!(counts || plan.contains(index), "{query}\n{plan}");
            for line in plan.lines().filter(|line| line.contains("SCAN")) {
                assert!(
                    line.contains("SCAN CONSTANT ROW") || line.contains("SCAN (subquery") || line.contains("SCAN page"),
                    "{query}: {line}"
                );
            }
            // The page is sorted by id once more after its at most 100 runs were picked; the window never is.
            let sorts = plan.matches("USE TEMP B-TREE").count();
            assert!(sorts <= usize::from(statement.text.contains("ORDER BY r.id")), "{query}\n{plan}");
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
    assert_eq!(ids(&page(&world, "per_page=2&page=4")), Vec::<i64>::new());
    let onward = page(&world, "per_page=2&before=4");
    assert_eq!((ids(&onward), onward.pagination.total), (vec![3, 2], None));
}

#[test]
fn filters_narrow_and_combine() {
    let world = World::new();
    let ended = world.run_in(State::Ended).id;
    let queued = world.run_in(State::Queued).id;
    world.sql(&format!(
        "UPDATE runs SET branch = 'main' WHERE id = {queued}; UPDATE runs SET environment_id = 2 WHERE id = {queued}"
    ));
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
fn a_list_stops_counting_at_ten_thousand_and_before_goes_on_from_there() {
    let world = World::new();
    world.sql(
        "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since, branch) \
           SELECT 1, 1, 'queued', 'h' || value, value, 'ada', value, iif(value = 1, 'rare', 'main') FROM (WITH RECURSIVE n(value) AS \
           (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 10050) SELECT value FROM n)",
    );
    let first = page(&world, "");
    assert_eq!((first.pagination.total, first.pagination.total_pages), (Some(10_000), Some(500)));
    let last = page(&world, "page=500");
    assert_eq!((ids(&last).last(), last.pagination.next_before), (Some(&51), Some(51)));
    assert_eq!(ids(&page(&world, "page=501")), Vec::<i64>::new());
    assert_eq!(ids(&page(&world, "before=51")).first(), Some(&50));
    assert_eq!(ids(&page(&world, "branch=rare")), [1], "its own index finds it at once");

    let sparse = page(&world, "environment_ids=1,2&branch=rare");
    assert_eq!(ids(&sparse), [1]);
    let beyond = page(&world, "environment_ids=2,3");
    assert_eq!((ids(&beyond), beyond.pagination.next_before), (vec![], Some(51)), "what is older was not looked at");
}
