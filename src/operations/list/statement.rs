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
    /// Runs in one of these states; empty for all.
    pub states: Vec<&'static str>,
    /// Runs with this result.
    pub result: Option<&'static str>,
    /// Runs in one of the environments with these slugs; empty for all.
    pub environments: Vec<String>,
    /// Runs in one of these environments; empty for all.
    pub environment_ids: Vec<i64>,
    /// Runs that this GitHub account set off or, where none is given, this user registered.
    pub actor: Option<String>,
    /// Runs with all of these tags, each as it is stored: `,"e2e",`.
    pub tags: Vec<String>,
    /// Runs with all of these metadata, each as it is stored, as a text or as a number: `,"n":"7",`, `,"n":7,`.
    pub metadata: Vec<(String, Option<String>)>,
    /// Runs that this user cancelled.
    pub cancelled_by: Option<String>,
    /// Runs that were cancelled for this cause.
    pub cause: Option<&'static str>,
    /// Runs whose stop has this outcome.
    pub stop: Option<&'static str>,
    /// Runs created at or after this moment.
    pub created_from: Option<i64>,
    /// Runs created before this moment.
    pub created_to: Option<i64>,
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

/// The head's row: {key, project, archived_through, seen}.
fn head(seen: &str) -> String {
    format!(
        "SELECT json_object(
            'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                        WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END),
            'project', json(CASE WHEN p.id IS NOT NULL THEN json_object(
                'id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name,
                'concurrency', json_object('scope', p.concurrency_scope, 'behaviour', p.concurrency_behaviour),
                'badges', json(iif(p.badges, 'true', 'false')),
                'stop_on_close', json(iif(p.stop_on_close, 'true', 'false')), 'retention_days', p.retention_days) END),
            'archived_through', (SELECT last_run FROM archives WHERE project_id = p.id ORDER BY last_run DESC LIMIT 1),
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

    /// That something is one of these values.
    fn any(&mut self, is: &str, values: impl Iterator<Item = Value<'a>>) -> String {
        let any: Vec<String> = values.map(|value| format!("{is}{}", self.bind(value))).collect();
        format!("({})", any.join(" OR "))
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
        let mut columns = String::new();
        for Condition { column, .. } in &conditions {
            let column = format!(", {column}");
            if !columns.contains(&column) {
                columns.push_str(&column);
            }
        }
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
        let mut add = |index, column: &'static str, value: String| {
            conditions.push(Condition { index, column, text: format!("{column} = {value}") });
        };
        if let Some(id) = filter.id {
            // So that the run is not read for a key that may not.
            add(None, "id", format!("iif({PROJECT} IS NOT NULL, {}, NULL)", params.bind(id.into())));
        }
        if let [only] = filter.states.as_slice()
            && is_open(only)
        {
            add(Some("runs_open"), "open_state", params.bind((*only).into()));
        }
        if let Some(branch) = &filter.branch {
            add(Some("runs_by_branch"), "branch", params.bind(branch.as_str().into()));
        }
        if let Some(actor) = &filter.actor {
            add(Some("runs_by_actor"), "actor", params.bind(actor.as_str().into()));
        }
        if let [only] = filter.environments.as_slice() {
            let slug = params.bind(only.as_str().into());
            let id = format!("(SELECT e.id FROM environments e WHERE e.project_id = {PROJECT} AND e.slug = {slug})");
            add(Some("runs_by_environment"), "environment_id", id);
        }
        if let [only] = filter.environment_ids.as_slice() {
            add(Some("runs_by_environment"), "environment_id", params.bind((*only).into()));
        }
        if let Some(result) = filter.result {
            add(Some("runs_by_result"), "result", params.bind(result.into()));
        }
        conditions
    }

    /// The filters that no index answers. None of them reads a row: D1 bills each that a list (`IN`) or JSON is looked up in.
    fn unindexed<'a>(filter: &'a Filter, params: &mut Params<'a>) -> Vec<Condition> {
        let mut conditions = Vec::new();
        let mut add = |column, text| conditions.push(Condition { index: None, column, text });
        if filter.states.len() > 1 || filter.states.iter().any(|state| !is_open(state)) {
            add("state", params.any("state = ", filter.states.iter().map(|state| (*state).into())));
        }
        if filter.environment_ids.len() > 1 {
            let ids = filter.environment_ids.iter().map(|id| (*id).into());
            add("environment_id", params.any("environment_id = ", ids));
        }
        if filter.environments.len() > 1 {
            // Looked up once for the whole window.
            let slugs = params.any("e.slug = ", filter.environments.iter().map(|slug| slug.as_str().into()));
            let ids = format!(
                "(SELECT ',' || group_concat(e.id) || ',' FROM environments e WHERE e.project_id = {PROJECT} AND {slugs})"
            );
            add("environment_id", format!("instr({ids}, ',' || environment_id || ',') > 0"));
        }
        for tag in &filter.tags {
            add("tags", format!("instr({}, {}) > 0", between_commas("tags"), params.bind(tag.as_str().into())));
        }
        for (text, number) in &filter.metadata {
            let values = [Some(text), number.as_ref()].into_iter().flatten();
            let names = between_commas("metadata");
            let any: Vec<String> =
                values.map(|value| format!("instr({names}, {}) > 0", params.bind(value.as_str().into()))).collect();
            add("metadata", format!("({})", any.join(" OR ")));
        }
        let texts = [
            ("cancel_by", filter.cancelled_by.as_deref()),
            ("cancel_cause", filter.cause),
            ("stop_outcome", filter.stop),
        ];
        for (column, text) in texts {
            if let Some(text) = text {
                add(column, format!("{column} = {}", params.bind(text.into())));
            }
        }
        if let Some(from) = filter.created_from {
            add("created_at", format!("created_at >= {}", params.bind(from.into())));
        }
        if let Some(to) = filter.created_to {
            add("created_at", format!("created_at < {}", params.bind(to.into())));
        }
        conditions
    }
}

/// A stored array's or object's members, with a comma before and after each. Within a member every quote has a backslash
/// before it, so what is between `,"` and `",` is a whole one.
fn between_commas(column: &str) -> String {
    format!("(',' || substr({column}, 2, length({column}) - 2) || ',')")
}

/// Whether a run in this state is in the index of open runs.
fn is_open(state: &str) -> bool {
    State::ALL.iter().any(|known| known.name() == state && !known.is_over())
}
