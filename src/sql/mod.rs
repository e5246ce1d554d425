//! Every SQL text of the service, and nothing else.
//!
//! Conventions, so that each statement can be read alone:
//! - In a statement of a request `?1` is the key's SHA-256, `?2` is now (ms) and `?3` the run's id, where it has one.
//! - A write is guarded in its own WHERE: key, scope, project and state. It decides. The SELECT behind it in the same
//!   batch explains what happened, and never decides.
//! - Every row is one column, `row`: a JSON text. D1 takes at most 32 arguments for one function, so an object of
//!   more than 16 members gets the rest by `json_set`.

pub mod admin;
pub mod bulk;
pub mod list;
pub mod run;
pub mod sweep;

/// The condition that key `k` exists, is neither revoked nor expired, and has the scope whose column is named.
macro_rules! valid_key {
    ($scope:literal) => {
        concat!(
            "k.hash = ?1 AND k.",
            $scope,
            " = 1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?2)"
        )
    };
}

/// What is the matter with key `k`, as `store::KeyVerdict` reads it.
macro_rules! key_verdict {
    ($scope:literal) => {
        concat!(
            "CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked' ",
            "WHEN k.expires_at <= ?2 THEN 'expired' WHEN k.",
            $scope,
            " = 0 THEN 'unscoped' ELSE 'valid' END"
        )
    };
}

/// A moment as the API gives it; NULL stays NULL. Milliseconds are whole, and `%f` gives all three of their digits.
macro_rules! iso {
    ($millis:literal) => {
        concat!("strftime('%Y-%m-%dT%H:%M:%fZ', ", $millis, " / 1000.0, 'unixepoch')")
    };
}

/// A test run `r` with its environment `e`, as [`crate::wire::answers::TestRun`] has it: it goes out as it comes.
macro_rules! test_run {
    () => {
        concat!(
            "json_set(json_object( \
            'id', r.id, 'state', r.state, 'result', r.result, 'error_code', r.error_code, \
            'environment', json_object('id', e.id, 'name', e.name, 'slug', e.slug), \
            'test_run_branch', r.branch, 'build', json(r.build), 'metadata', json(r.metadata), 'tags', json(r.tags), \
            'github_actor', r.github_actor, 'total_shards', r.total_shards, 'counts', json(r.counts), \
            'created_at', ",
            iso!("r.created_at"),
            ", 'created_by', r.created_by), \
            '$.runner', r.runner, '$.started_at', ",
            iso!("r.started_at"),
            ", '$.started_by', r.started_by, \
            '$.lease', json(CASE WHEN r.state = 'started' THEN json_object('renewed_at', ",
            iso!("r.lease_renewed_at"),
            ", 'expires_at', ",
            iso!("r.lease_expires_at"),
            ") END), \
            '$.ended_at', ",
            iso!("r.ended_at"),
            ", '$.ended_by', r.ended_by, \
            '$.cancel', json(CASE WHEN r.state = 'cancelled' THEN json_object( \
                'reason', r.cancel_reason, 'cause', r.cancel_cause, 'by', r.cancel_by, 'at', ",
            iso!("r.cancelled_at"),
            ") END), \
            '$.stop', json(CASE WHEN r.state = 'cancelled' THEN json_object( \
                'outcome', r.stop_outcome, 'confirmed_at', iif(r.stop_outcome = 'lost', NULL, ",
            iso!("r.stop_closed_at"),
            ")) END), \
            '$.superseded_by', r.superseded_by, '$.protected', json(iif(r.protected, 'true', 'false')))"
        )
    };
}

/// That run `$run` waits for, holds or has not yet let go of its slot: the condition of the index `runs_in_slot`, word
/// for word, or SQLite would not use it.
macro_rules! in_slot {
    ($run:literal) => {
        concat!(
            $run,
            ".slot IS NOT NULL AND (",
            $run,
            ".state IN ('pending', 'queued', 'started') OR ",
            $run,
            ".stop_outcome = 'stopping')"
        )
    };
}

/// A project `p`, as `wire::answers::Project` reads it.
macro_rules! project {
    () => {
        "json_object('id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name, \
            'concurrency', json_object('scope', p.concurrency_scope, 'behaviour', p.concurrency_behaviour))"
    };
}

pub(crate) use {in_slot, iso, key_verdict, project, test_run, valid_key};

/// Asks the database the least that one can ask.
pub const HEALTH: &str = "SELECT '1' AS row";
