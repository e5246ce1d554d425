//! Set-up: projects, environments, keys. The admin token is checked before any of these is asked.
//!
//! Each creation stores the id of its request, so that a repeat after a lost answer recognises its own work.

use super::project;

/// Creates a project. `?1` slug, `?2` name, `?3` repo name or NULL, `?4` request id, `?5` now (ms).
pub const CREATE_PROJECT: &str = "INSERT INTO projects (slug, name, repo_name, request_id, created_at) \
     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (slug) DO NOTHING";

/// Explains [`CREATE_PROJECT`]. `?1` slug, `?2` request id.
pub const EXPLAIN_CREATE_PROJECT: &str = concat!(
    "SELECT json_object('mine', p.request_id = ?2, 'item', ",
    project!(),
    ") AS row FROM projects p WHERE p.slug = ?1"
);

/// Sets a project's concurrency limit, for runs that are registered from now on. `?1` project, `?2` scope, `?3` behaviour.
pub const SET_CONCURRENCY: &str =
    "UPDATE projects SET concurrency_scope = ?2, concurrency_behaviour = ?3 WHERE id = ?1";

/// A project. `?1` its id.
pub const SHOW_PROJECT: &str = concat!("SELECT ", project!(), " AS row FROM projects p WHERE p.id = ?1");

/// Creates an environment of a project. `?1` project, `?2` slug, `?3` name, `?4` request id, `?5` now (ms).
pub const CREATE_ENVIRONMENT: &str = "INSERT INTO environments (project_id, slug, name, request_id, created_at) \
     SELECT id, ?2, ?3, ?4, ?5 FROM projects WHERE id = ?1 ON CONFLICT (project_id, slug) DO NOTHING";

/// Explains [`CREATE_ENVIRONMENT`]: no row means no such project. `?1` project, `?2` slug, `?3` request id.
pub const EXPLAIN_CREATE_ENVIRONMENT: &str = "SELECT json_object('mine', e.request_id = ?3, \
        'item', json(CASE WHEN e.id IS NOT NULL THEN json_object('id', e.id, 'name', e.name, 'slug', e.slug) END)) AS row \
     FROM projects p LEFT JOIN environments e ON e.project_id = p.id AND e.slug = ?2 WHERE p.id = ?1";

/// A key `k`, as `wire::Key` reads it.
macro_rules! key {
    () => {
        "json_object('id', k.id, 'project_id', k.project_id, 'user', k.user, 'name', k.name, \
            'can_read', k.can_read, 'can_cancel', k.can_cancel, 'can_run', k.can_run, \
            'created_at', k.created_at, 'expires_at', k.expires_at, 'revoked_at', k.revoked_at)"
    };
}

/// Creates a key; its hash is the request id too. `?1` project, `?2` user, `?3` name, `?4` hash, `?5` `?6` `?7` may read,
/// cancel, run (0 or 1), `?8` expires at or NULL, `?9` now (ms).
pub const CREATE_KEY: &str = "INSERT INTO keys \
        (project_id, user, name, hash, can_read, can_cancel, can_run, expires_at, created_at) \
     SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM projects WHERE id = ?1 ON CONFLICT (hash) DO NOTHING";

/// Explains [`CREATE_KEY`]: no row means no such project. `?1` hash.
pub const EXPLAIN_CREATE_KEY: &str = concat!("SELECT ", key!(), " AS row FROM keys k WHERE k.hash = ?1");

/// Revokes a key, once. `?1` id, `?2` now (ms).
pub const REVOKE_KEY: &str = "UPDATE keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";

/// Explains [`REVOKE_KEY`]: no row means no such key. `?1` id.
pub const EXPLAIN_REVOKE_KEY: &str = concat!("SELECT ", key!(), " AS row FROM keys k WHERE k.id = ?1");

/// Keys, newest first. `?1` smaller ids than this, `?2` how many at most.
pub const LIST_KEYS: &str =
    concat!("SELECT ", key!(), " AS row FROM keys k WHERE k.id < ?1 ORDER BY k.id DESC LIMIT ?2");

/// Keys of one project, newest first. `?1` smaller ids than this, `?2` how many at most, `?3` project.
pub const LIST_PROJECT_KEYS: &str = concat!(
    "SELECT ",
    key!(),
    " AS row FROM keys k INDEXED BY keys_by_project \
     WHERE k.project_id = ?3 AND k.id < ?1 ORDER BY k.id DESC LIMIT ?2"
);
