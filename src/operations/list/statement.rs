//! The list's two statements, put together from whole pieces: which index is walked depends on the filters given.
//!
//! A list costs the same however long the history is: of the runs that the chosen index gives it looks at a window of the
//! newest and no further, and `before` moves the window on. D1 bills each run of the window as a row, twice.

use std::borrow::Cow;

use estop_protocol::run::State;

use crate::runtime::{Statement, Value};

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

/// How many runs the pages with a number reach: five pages or 100, whichever is more. What lies before a page is read again
/// with it.
pub fn reach(per_page: i64) -> i64 {
    (5 * per_page).max(100)
}

/// The name of both statements in the log.
pub const FILE: &str = "list/statement.rs";

/// The project of the caller; nothing if the key may not read.
const PROJECT: &str = "(SELECT k.project_id FROM keys k WHERE k.hash = ?1 AND k.can_read = 1 AND k.valid_until > ?2)";

/// The head's row: {key, project, seen}.
fn head(seen: &str) -> String {
    format!(
        "SELECT json_object(
            'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                        WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END),
            'project', json(CASE WHEN p.id IS NOT NULL THEN json_object(
                'id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name,
                'concurrency', json_object('scope', p.concurrency_scope, 'behaviour', p.concurrency_behaviour)) END),
            'seen', json(CASE WHEN p.id IS NOT NULL THEN {seen} END)) AS row
           FROM (SELECT 1)
           LEFT JOIN keys k ON k.hash = ?1
           LEFT JOIN projects p ON k.can_read = 1 AND k.valid_until > ?2 AND p.id = k.project_id"
    )
}

/// An item's row: a run as show has it.
fn items(Window { source, runs, rest, .. }: &Window, limit: &str, offset: &str) -> String {
    let page = if rest == EVERYTHING {
        format!("SELECT id {source} LIMIT {limit} OFFSET {offset}")
    } else {
        format!("SELECT id FROM ({runs}) WHERE {rest} LIMIT {limit} OFFSET {offset}")
    };
    format!("SELECT r.test_run AS row FROM ({page}) page CROSS JOIN listed_runs r ON r.id = page.id")
}

/// What the head says of the window: how many of its runs match, whether there are more than it has, and the last of them.
fn seen(Window { runs, rest, size, .. }: &Window) -> String {
    format!(
        "(SELECT json_object('matched', count(*) FILTER (WHERE {rest}), 'more', json(iif(count(*) > {size}, 'true', 'false')),
                             'last_id', min(id)) FROM ({runs}))"
    )
}

/// The head and the items of a list.
pub fn list<'a>(filter: &'a Filter, key: &'a str, now: i64, offset: i64, per_page: i64) -> [Statement<'a>; 2] {
    let mut params = Params(vec![key.into(), now.into()]);
    let window = Window::of(filter, &mut params, per_page);
    let head = head(&seen(&window));
    let head_params = params.0.clone();
    let (limit, offset) = (params.bind(per_page.into()), params.bind(offset.into()));
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
    /// The index's runs, newest first: `FROM … ORDER BY …`.
    source: String,
    /// One more than the window's, which tells whether that is all.
    runs: String,
    rest: String,
    size: i64,
}

impl Window {
    fn of<'a>(filter: &'a Filter, params: &mut Params<'a>, per_page: i64) -> Self {
        let mut conditions = Self::indexed(filter, params);
        // The first is walked; the others are tested.
        let walked = (!conditions.is_empty()).then(|| conditions.remove(0));
        conditions.extend(Self::unindexed(filter, params));
        let (index, walked) = match walked {
            Some(condition) => (condition.index, format!(" AND {}", condition.text)),
            None => (Some("runs_by_project"), String::new()),
        };
        let before = filter.before.map(|id| format!(" AND id < {}", params.bind(id.into()))).unwrap_or_default();
        let columns: String = conditions.iter().map(|condition| format!(", {}", condition.column)).collect();
        let index = index.map(|name| format!(" INDEXED BY {name}")).unwrap_or_default();
        let rest: Vec<String> = conditions.into_iter().map(|condition| condition.text).collect();
        let rest = if rest.is_empty() { EVERYTHING.to_owned() } else { rest.join(" AND ") };
        let size = reach(per_page);
        let source = format!("FROM runs{index} WHERE project_id = {PROJECT}{walked}{before} ORDER BY id DESC");
        let runs = format!("SELECT id{columns} {source} LIMIT {size} + 1");
        Self { source, runs, rest, size }
    }

    /// The filters that an index answers, the most selective first.
    fn indexed<'a>(filter: &'a Filter, params: &mut Params<'a>) -> Vec<Condition> {
        let mut conditions = Vec::new();
        if let Some(id) = filter.id {
            // So that the run is not read for a key that may not.
            let text = format!("id = iif({PROJECT} IS NOT NULL, {}, NULL)", params.bind(id.into()));
            conditions.push(Condition { index: None, column: "id", text });
        }
        let mut add = |index, column: &'static str, value: Value<'a>| {
            conditions.push(Condition { index, column, text: format!("{column} = {}", params.bind(value)) });
        };
        if let Some(state) = filter.state.filter(|state| is_open(state)) {
            add(Some("runs_open"), "open_state", state.into());
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
        conditions
    }

    /// The filters that no index answers.
    fn unindexed<'a>(filter: &'a Filter, params: &mut Params<'a>) -> Vec<Condition> {
        let mut conditions = Vec::new();
        if let Some(state) = filter.state.filter(|state| !is_open(state)) {
            let text = format!("state = {}", params.bind(state.into()));
            conditions.push(Condition { index: None, column: "state", text });
        }
        if filter.environment_ids.len() > 1 {
            let ids: Vec<String> = filter.environment_ids.iter().map(|id| params.bind((*id).into())).collect();
            let text = format!("environment_id IN ({})", ids.join(", "));
            conditions.push(Condition { index: None, column: "environment_id", text });
        }
        if let Some(from) = filter.created_from {
            let text = format!("created_at >= {}", params.bind(from.into()));
            conditions.push(Condition { index: None, column: "created_at", text });
        }
        conditions
    }
}

/// Whether a run in this state is in the index of open runs.
fn is_open(state: &str) -> bool {
    State::ALL.iter().any(|known| known.name() == state && !known.is_over())
}
