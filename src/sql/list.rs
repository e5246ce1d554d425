//! The list of runs. Its text depends on which filters are given, so that each query walks one index, newest first.
//!
//! A list never costs more than its window: of the runs that the chosen index gives it looks at the newest
//! [`WINDOW`] and no further, and `before` moves the window on.

use super::{iso, key_verdict, project, test_run, valid_key};
use crate::host::{Statement, Value};

/// How many runs of the chosen index one list looks at, and where `total` stops counting.
pub const WINDOW: i64 = 10_000;

/// What a list is narrowed to. Times are ms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// This run only.
    pub id: Option<i64>,
    /// Runs of this branch.
    pub branch: Option<String>,
    /// Runs in this state.
    pub state: Option<&'static str>,
    /// Runs with this result.
    pub result: Option<String>,
    /// Runs in one of these environments; empty for all.
    pub environment_ids: Vec<i64>,
    /// Runs created at or after this moment.
    pub created_from: Option<i64>,
    /// Runs with a smaller id than this.
    pub before: Option<i64>,
}

/// The two statements of a list: the head (`{key, project, counted}`) and the items, a `test_run` a row.
///
/// `counted` is `{matched, scanned, last_id}` for the window, or null where nothing needs counting: after `before`,
/// when the index alone answers the filter.
pub fn list<'a>(filter: &'a Filter, key: &'a str, now: i64, offset: i64, limit: i64) -> [Statement<'a>; 2] {
    let mut params: Vec<Value<'a>> = vec![key.into(), now.into()];
    let window = Window::of(filter, &mut params);
    let counts = filter.before.is_none() || !window.rest.is_empty();
    let counted = if counts {
        format!(
            "(SELECT json_object('matched', count(*) FILTER (WHERE {rest}), 'scanned', count(*), 'last_id', min(id)) FROM ({from}))",
            rest = window.condition(),
            from = window.select
        )
    } else {
        "NULL".to_owned()
    };
    let head = format!(
        concat!(
            "SELECT json_object('key', ",
            key_verdict!("can_read"),
            ", \
                'project', json(CASE WHEN p.id IS NOT NULL THEN \
                    ",
            project!(),
            " END), \
                'counted', json({})) AS row \
             FROM (SELECT 1) LEFT JOIN keys k ON k.hash = ?1 LEFT JOIN projects p ON p.id = k.project_id"
        ),
        counted
    );
    let mut item_params = params.clone();
    item_params.extend([Value::Integer(limit), Value::Integer(offset)]);
    let items = format!(
        concat!(
            "SELECT ",
            test_run!(),
            " AS row \
             FROM (SELECT id FROM ({}) WHERE {} LIMIT ?{} OFFSET ?{}) page \
             JOIN runs r ON r.id = page.id JOIN environments e ON e.id = r.environment_id ORDER BY r.id DESC"
        ),
        window.select,
        window.condition(),
        item_params.len() - 1,
        item_params.len()
    );
    if !counts {
        // D1 refuses a parameter that the text does not use.
        params.truncate(2);
    }
    [Statement::new(head, params), Statement::new(items, item_params)]
}

/// The newest runs of one index, and what is left to filter among them.
struct Window {
    select: String,
    rest: Vec<String>,
}

impl Window {
    fn of<'a>(filter: &'a Filter, params: &mut Vec<Value<'a>>) -> Self {
        let mut bind = |value: Value<'a>| {
            params.push(value);
            format!("?{}", params.len())
        };
        // One condition a filter, with the index that answers it: the first of them is walked, the others are tested.
        let mut conditions: Vec<(Option<&str>, &str, String)> = Vec::new();
        if let Some(id) = filter.id {
            conditions.push((None, "id", format!("id = {}", bind(id.into()))));
        }
        if let Some(branch) = &filter.branch {
            conditions.push((Some("runs_by_branch"), "branch", format!("branch = {}", bind(branch.as_str().into()))));
        }
        if let [only] = filter.environment_ids.as_slice() {
            let condition = format!("environment_id = {}", bind((*only).into()));
            conditions.push((Some("runs_by_environment"), "environment_id", condition));
        }
        if let Some(result) = &filter.result {
            conditions.push((Some("runs_by_result"), "result", format!("result = {}", bind(result.as_str().into()))));
        }
        if let Some(state) = filter.state {
            conditions.push((Some("runs_by_state"), "state", format!("state = {}", bind(state.into()))));
        }
        let walked_by_filter = !conditions.is_empty();
        let mut rest: Vec<(&str, String)> =
            conditions.iter().skip(1).map(|(_, column, text)| (*column, text.clone())).collect();
        if filter.environment_ids.len() > 1 {
            let ids: Vec<String> = filter.environment_ids.iter().map(|id| bind((*id).into())).collect();
            rest.push(("environment_id", format!("environment_id IN ({})", ids.join(", "))));
        }
        if let Some(from) = filter.created_from {
            rest.push(("created_at", format!("created_at >= {}", bind(from.into()))));
        }
        let before = filter.before.map(|id| format!(" AND id < {}", bind(id.into()))).unwrap_or_default();
        let (index, walked) = match conditions.into_iter().next().filter(|_| walked_by_filter) {
            Some((index, _, text)) => (index, format!(" AND {text}")),
            None => (Some("runs_by_project"), String::new()),
        };
        let columns: String = rest.iter().map(|(column, _)| format!(", {column}")).collect();
        let indexed_by = index.map(|name| format!(" INDEXED BY {name}")).unwrap_or_default();
        let select = format!(
            concat!(
                "SELECT id{} FROM runs{} WHERE project_id = (SELECT k.project_id FROM keys k WHERE ",
                valid_key!("can_read"),
                "){}{} ORDER BY id DESC LIMIT {}"
            ),
            columns, indexed_by, walked, before, WINDOW
        );
        Self { select, rest: rest.into_iter().map(|(_, text)| text).collect() }
    }

    fn condition(&self) -> String {
        if self.rest.is_empty() { "1".to_owned() } else { self.rest.join(" AND ") }
    }
}
