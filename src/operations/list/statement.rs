//! The list's two statements, put together from whole pieces: which index is walked depends on the filters given.
//!
//! A list never costs more than its window: of the runs that the chosen index gives it looks at the newest [`WINDOW`] and
//! no further, and `before` moves the window on.

use std::borrow::Cow;

use crate::operations::show::test_run;
use crate::runtime::{Statement, Value};

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
    pub result: Option<&'static str>,
    /// Runs in one of these environments; empty for all.
    pub environment_ids: Vec<i64>,
    /// Runs created at or after this moment.
    pub created_from: Option<i64>,
    /// Runs with a smaller id than this.
    pub before: Option<i64>,
}

/// The name of both statements in the log.
const FILE: &str = "list/statement.rs";

/// The project of the caller; nothing if the key may not read.
const PROJECT: &str = "(SELECT k.project_id FROM keys k WHERE k.hash = ?1 AND k.can_read = 1 AND k.valid_until > ?2)";

/// The head's row: {key, project, counted}.
fn head(counted: &str) -> String {
    format!(
        "SELECT json_object(
            'key', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                        WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END,
            'project', json(CASE WHEN p.id IS NOT NULL THEN json_object(
                'id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name,
                'concurrency', json_object('scope', p.concurrency_scope, 'behaviour', p.concurrency_behaviour)) END),
            'counted', json({counted})) AS row
           FROM (SELECT 1)
           LEFT JOIN keys k ON k.hash = ?1
           LEFT JOIN projects p ON k.can_read = 1 AND k.valid_until > ?2 AND p.id = k.project_id"
    )
}

/// An item's row: a run as show has it.
fn items(Window { runs, rest }: &Window, limit: &str, offset: &str) -> String {
    format!(
        "SELECT {test_run} AS row
           FROM (SELECT id FROM ({runs}) WHERE {rest} LIMIT {limit} OFFSET {offset}) page
           JOIN runs r ON r.id = page.id
           JOIN environments e ON e.id = r.environment_id
          ORDER BY r.id DESC",
        test_run = test_run(),
    )
}

/// How many runs of the window match, how many it has, and the last of them.
fn counted(Window { runs, rest }: &Window) -> String {
    format!(
        "(SELECT json_object('matched', count(*) FILTER (WHERE {rest}), 'scanned', count(*), 'last_id', min(id)) FROM ({runs}))"
    )
}

/// The head and the items of a list.
///
/// `counted` is `{matched, scanned, last_id}` for the window, or null where nothing needs counting: after `before`, when
/// the index alone answers the filter.
pub fn list<'a>(filter: &'a Filter, key: &'a str, now: i64, offset: i64, limit: i64) -> [Statement<'a>; 2] {
    let mut params = Params(vec![key.into(), now.into()]);
    let window = Window::of(filter, &mut params);
    let counts = filter.before.is_none() || window.rest != EVERYTHING;
    let mut head_params = params.0.clone();
    if !counts {
        // D1 refuses a parameter that the text does not use.
        head_params.truncate(2);
    }
    let head = head(&if counts { counted(&window) } else { "NULL".to_owned() });
    let (limit, offset) = (params.bind(limit.into()), params.bind(offset.into()));
    let items = items(&window, &limit, &offset);
    [
        Statement { file: FILE, text: Cow::Owned(head), params: head_params },
        Statement { file: FILE, text: Cow::Owned(items), params: params.0 },
    ]
}

/// The condition that every run meets.
const EVERYTHING: &str = "1";

struct Params<'a>(Vec<Value<'a>>);

impl<'a> Params<'a> {
    /// Adds a parameter and gives its name.
    fn bind(&mut self, value: Value<'a>) -> String {
        self.0.push(value);
        format!("?{}", self.0.len())
    }
}

/// One filter: the column that it tests, and the index that answers it.
struct Condition {
    index: Option<&'static str>,
    column: &'static str,
    text: String,
}

/// The newest runs of one index, and what is left to filter among them.
struct Window {
    runs: String,
    rest: String,
}

impl Window {
    fn of<'a>(filter: &'a Filter, params: &mut Params<'a>) -> Self {
        let mut conditions = Self::indexed(filter, params);
        // The first is walked; the others are tested.
        let walked = (!conditions.is_empty()).then(|| conditions.remove(0));
        if filter.environment_ids.len() > 1 {
            let ids: Vec<String> = filter.environment_ids.iter().map(|id| params.bind((*id).into())).collect();
            let text = format!("environment_id IN ({})", ids.join(", "));
            conditions.push(Condition { index: None, column: "environment_id", text });
        }
        if let Some(from) = filter.created_from {
            let text = format!("created_at >= {}", params.bind(from.into()));
            conditions.push(Condition { index: None, column: "created_at", text });
        }
        let (index, walked) = match walked {
            Some(condition) => (condition.index, format!(" AND {}", condition.text)),
            None => (Some("runs_by_project"), String::new()),
        };
        let before = filter.before.map(|id| format!(" AND id < {}", params.bind(id.into()))).unwrap_or_default();
        let columns: String = conditions.iter().map(|condition| format!(", {}", condition.column)).collect();
        let index = index.map(|name| format!(" INDEXED BY {name}")).unwrap_or_default();
        let runs = format!(
            "SELECT id{columns} FROM runs{index} WHERE project_id = {PROJECT}{walked}{before} ORDER BY id DESC LIMIT {WINDOW}"
        );
        let rest: Vec<String> = conditions.into_iter().map(|condition| condition.text).collect();
        Self { runs, rest: if rest.is_empty() { EVERYTHING.to_owned() } else { rest.join(" AND ") } }
    }

    /// The filters that an index answers, the most selective first.
    fn indexed<'a>(filter: &'a Filter, params: &mut Params<'a>) -> Vec<Condition> {
        let mut conditions = Vec::new();
        let mut add = |index, column: &'static str, value: Value<'a>| {
            conditions.push(Condition { index, column, text: format!("{column} = {}", params.bind(value)) });
        };
        if let Some(id) = filter.id {
            add(None, "id", id.into());
        }
        if let Some(branch) = &filter.branch {
            add(Some("runs_by_branch"), "branch", branch.as_str().into());
        }
        if let [only] = filter.environment_ids.as_slice() {
            add(Some("runs_by_environment"), "environment_id", (*only).into());
        }
        if let Some(result) = filter.result {
            add(Some("runs_by_result"), "result", result.into());
        }
        if let Some(state) = filter.state {
            add(Some("runs_by_state"), "state", state.into());
        }
        conditions
    }
}
