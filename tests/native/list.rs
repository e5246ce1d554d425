//! The list: what it gives, and that every query walks the index that it is meant to.

use estop::run::State;
use estop::sql::list::list as statements;
use estop::sql::sweep;
use estop::store::list::list;
use estop::time::Timestamp;
use estop::wire::answers::{Items, RunList, RunListData};
use estop::wire::query::RunsQuery;
use pollster::block_on;
use rusqlite::StatementStatus;
use rusqlite::types::Null;

use crate::answers;
use crate::world::World;

fn page(world: &World, query: &str) -> RunList {
    let query = RunsQuery::parse(query, world.now.get()).expect("a query");
    let page = block_on(list(&world.host, &world.caller(&world.key), &query)).expect("a page");
    let test_runs = Items { items: page.items.iter().map(|run| answers::read(run)).collect() };
    RunList { data: RunListData { project: answers::read(&page.project), test_runs }, pagination: page.pagination }
}

fn ids(page: &RunList) -> Vec<i64> {
    page.data.test_runs.items.iter().map(|run| run.id).collect()
}

/// How SQLite goes about a statement, in its own words.
pub fn plan(world: &World, sql: &str) -> String {
    let db = world.host.db.borrow();
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("SQL");
    let count = statement.parameter_count();
    let params = rusqlite::params_from_iter(vec![rusqlite::types::Null; count]);
    let lines: Vec<String> =
        statement.query_map(params, |row| row.get(3)).expect("rows").collect::<Result<_, _>>().expect("lines");
    lines.join("\n")
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
            let plan = plan(&world, &statement.sql);
            let counts = statement.sql.contains("'counted', json(NULL)");
            assert!(counts || plan.contains(index), "{query}\n{plan}");
            for line in plan.lines().filter(|line| line.contains("SCAN")) {
                assert!(
                    line.contains("SCAN CONSTANT ROW") || line.contains("SCAN (subquery") || line.contains("SCAN page"),
                    "{query}: {line}"
                );
            }
            // The page is sorted by id once more after its at most 100 runs were picked; the window never is.
            let sorts = plan.matches("USE TEMP B-TREE").count();
            assert!(sorts <= usize::from(statement.sql.contains("ORDER BY r.id")), "{query}\n{plan}");
        }
    }
}

#[test]
fn every_clock_of_the_sweeper_walks_its_own_index() {
    let world = World::new();
    for (statement, index) in [
        (sweep::UNCLAIMED, "runs_unclaimed (waiting_since<?)"),
        (sweep::LAPSED, "runs_lapsing (lease_expires_at<?)"),
        (sweep::OVER_AGE, "runs_ageing (started_at<?)"),
        (sweep::UNCONFIRMED, "runs_unconfirmed (lease_expires_at<?)"),
    ] {
        let plan = plan(&world, statement);
        assert!(plan.contains(index) && !plan.contains("SCAN runs"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

/// The steps of SQLite's virtual machine that a statement takes: what it costs, whatever the clock on the wall says.
fn steps(world: &World, sql: &str, params: &[&dyn rusqlite::ToSql]) -> i32 {
    let db = world.host.db.borrow();
    let mut statement = db.prepare(sql).expect("SQL");
    let mut rows = statement.query(params).expect("rows");
    while rows.next().expect("a row").is_some() {}
    drop(rows);
    statement.get_status(StatementStatus::VmStep)
}

#[test]
fn what_a_statement_costs_does_not_grow_with_the_table() {
    let mut costs = Vec::new();
    for history in [200, 20_000] {
        let world = World::new();
        world.sql(&format!(
            "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since) \
               SELECT 1, 1, 'queued', 'h' || value, value, 'ada', value FROM (WITH RECURSIVE n(value) AS \
               (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < {history}) SELECT value FROM n); \
             UPDATE runs SET state = 'cancelled', cancelled_at = 1, cancel_cause = 'user', cancel_by = 'ada', cancel_request_id = 'r', \
               stop_outcome = 'never_started'"
        ));
        let run = world.run_in(State::Started);
        let (hash, now) = (world.key.as_str().to_owned(), world.now.get().0);
        let later = now + 1_000_000;
        let other = world.run_in(State::Started);
        let queued = world.run_in(State::Queued);
        use estop::sql::run as sql;
        costs.push([
            steps(&world, sweep::UNCLAIMED, &[&now, &1, &100, &"tick"]),
            steps(&world, sweep::LAPSED, &[&now, &1, &100, &"tick"]),
            steps(&world, sweep::OVER_AGE, &[&now, &1, &100, &"tick"]),
            steps(&world, sweep::UNCONFIRMED, &[&later, &0, &100]),
            steps(&world, sql::HEARTBEAT, &[&hash, &now, &run.id, &run.token, &1, &1]),
            steps(&world, sql::EXPLAIN_HEARTBEAT, &[&hash, &now, &run.id, &run.token]),
            steps(&world, sql::CANCEL, &[&hash, &now, &run.id, &"own:1", &"why"]),
            steps(&world, sql::EXPLAIN_CANCEL, &[&hash, &now, &run.id, &"own:1"]),
            steps(&world, sql::CONFIRM_STOP, &[&hash, &now, &run.id, &run.token, &"graceful"]),
            steps(
                &world,
                sql::FINISH,
                &[&hash, &now, &other.id, &"own:2", &other.token, &"ended", &"passed", &Null, &Null],
            ),
            steps(&world, sql::EXPLAIN_FINISH, &[&hash, &now, &other.id, &"own:2", &other.token]),
            steps(&world, sql::CLOSE_LOST, &[&hash, &now, &queued.id]),
            steps(&world, sql::CLAIM, &[&hash, &now, &queued.id, &"own:3", &"token", &1, &Null]),
            steps(&world, sql::EXPLAIN_CLAIM, &[&hash, &now, &queued.id, &"own:3"]),
            steps(
                &world,
                sql::REGISTER,
                &[&hash, &now, &"own:4", &"staging", &"main", &Null, &Null, &"[]", &Null, &Null, &0],
            ),
            steps(&world, sql::EXPLAIN_REGISTER, &[&hash, &now, &"own:4", &"staging", &"main"]),
            steps(&world, sql::SHOW, &[&hash, &now, &run.id]),
            steps(&world, sql::EVENTS, &[&hash, &now, &run.id]),
        ]);
    }
    assert_eq!(costs[0], costs[1]);
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
