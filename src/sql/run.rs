//! One run: register, claim, heartbeat, finish, cancel, show.

use super::{in_slot, iso, key_verdict, test_run, valid_key};

/// The SELECT that says what a write found: the key's verdict and, if the key may see it, the run as it is now.
/// `$mine` is the condition that the run's record stems from this very request, `$holds` that the lease is the caller's.
/// Most of a run is NULL, and json_patch leaves that out: it need not be sent, nor read.
macro_rules! explain {
    ($scope:literal, mine: $mine:literal, holds: $holds:literal) => {
        explain!($scope, mine: $mine, holds: $holds, also: "")
    };
    ($scope:literal, mine: $mine:literal, holds: $holds:literal, also: $also:expr) => {
        concat!(
            "SELECT json_object('key', ",
            key_verdict!($scope),
            ", 'run', json(CASE WHEN r.id IS NOT NULL THEN json_patch('{}', json_object( \
                'state', r.state, 'result', r.result, 'error_code', r.error_code, 'ended_at', r.ended_at, \
                'cancelled_at', r.cancelled_at, 'cancel_reason', r.cancel_reason, 'cancel_cause', r.cancel_cause, \
                'cancel_by', r.cancel_by, 'stop_outcome', r.stop_outcome, 'started_at', r.started_at, 'lease_expires_at', r.lease_expires_at, \
                'mine', ",
            $mine,
            ", 'holds', ",
            $holds,
            ", \
                'lease_token', CASE WHEN ",
            $mine,
            " THEN r.lease_token END",
            ")) END)",
            $also,
            ") AS row \
             FROM (SELECT 1) LEFT JOIN keys k ON k.hash = ?1 \
             LEFT JOIN runs r ON r.id = ?3 AND r.project_id = k.project_id"
        )
    };
}

/// What a user's cancel writes, one run's or many's.
macro_rules! cancelled_by_user {
    (request: $request:literal, reason: $reason:literal) => {
        concat!(
            "UPDATE runs SET state = 'cancelled', cancelled_at = ?2, cancel_reason = ",
            $reason,
            ", cancel_cause = 'user', cancel_by = k.user, cancel_request_id = k.id || ':' || ",
            $request,
            ", stop_outcome = CASE WHEN lease_token IS NULL THEN 'never_started' ELSE 'stopping' END"
        )
    };
}
pub(super) use cancelled_by_user;

/// **The decision.** Cancels a run that is not over, or changes nothing.
/// `?4` request id, `?5` reason or NULL. One row if it cancelled: `{cancelled_at, cancel_by}`.
pub const CANCEL: &str = concat!(
    cancelled_by_user!(request: "?4", reason: "?5"),
    " FROM keys k \
     WHERE runs.id = ?3 AND runs.state IN ('pending', 'queued', 'started') \
       AND runs.project_id = k.project_id AND ",
    valid_key!("can_cancel"),
    " \
     RETURNING json_object('cancelled_at', cancelled_at, 'cancel_by', cancel_by) AS row"
);

/// Explains [`CANCEL`]. `?4` request id.
pub const EXPLAIN_CANCEL: &str = explain!("can_cancel", mine: "r.cancel_request_id IS k.id || ':' || ?4", holds: "0");

/// Gives up the runners that were told to stop, hold the run's slot and whose lease has run out, so that a claim need
/// not wait for the sweeper. One row each.
pub const CLOSE_LOST: &str = concat!(
    "UPDATE runs SET stop_outcome = 'lost', stop_closed_at = ?2 \
     WHERE id IN (SELECT o.id FROM keys k JOIN runs r ON r.id = ?3 AND r.project_id = k.project_id \
        JOIN runs o INDEXED BY runs_in_slot ON o.project_id = r.project_id AND o.slot = r.slot AND ",
    in_slot!("o"),
    " AND o.stop_outcome = 'stopping' AND o.lease_expires_at <= ?2 WHERE ",
    valid_key!("can_run"),
    ") RETURNING CAST(id AS TEXT) AS row"
);

/// A runner takes a queued run whose slot no other runner holds.
/// `?4` request id, `?5` lease token, `?6` lease (ms), `?7` runner's name or NULL. One row if it was taken.
pub const CLAIM: &str = concat!(
    "UPDATE runs SET state = 'started', lease_token = ?5, lease_renewed_at = ?2, lease_expires_at = ?2 + ?6, \
        started_at = ?2, started_by = k.user, runner = ?7, claim_request_id = k.id || ':' || ?4 \
     FROM keys k \
     WHERE runs.id = ?3 AND runs.state = 'queued' \
       AND runs.project_id = k.project_id AND ",
    valid_key!("can_run"),
    "  AND NOT EXISTS (SELECT 1 FROM runs o INDEXED BY runs_in_slot \
             WHERE o.project_id = runs.project_id AND o.slot = runs.slot AND ",
    in_slot!("o"),
    " AND (o.state = 'started' OR o.stop_outcome = 'stopping')) \
     RETURNING json_object('id', id) AS row"
);

/// Explains [`CLAIM`]; holds the lease token if the claim is this request's own, and the run that goes first.
/// `?4` request id.
pub const EXPLAIN_CLAIM: &str = explain!(
    "can_run", mine: "(r.claim_request_id IS k.id || ':' || ?4)", holds: "0",
    also: concat!(
        ", 'first', json((SELECT json_object('id', o.id, 'state', o.state, 'by', COALESCE(o.cancel_by, o.started_by, o.created_by), \
            'runner', o.runner, 'started_at', o.started_at, 'cancelled_at', o.cancelled_at, 'lease_expires_at', o.lease_expires_at) \
            FROM runs o INDEXED BY runs_in_slot WHERE o.project_id = r.project_id AND o.slot = r.slot AND ",
        in_slot!("o"),
        " AND o.id <> r.id AND r.state IN ('pending', 'queued') AND (o.state = 'started' OR o.stop_outcome = 'stopping' \
            OR (r.state = 'pending' AND o.state = 'queued')) ORDER BY o.id LIMIT 1))"
    )
);

/// Renews a lease of which less than half is left; a heartbeat before that writes nothing. A lease that ran out is
/// renewed too, as long as nothing has decided otherwise: after an outage the tests that go on are believed. A runner
/// that is told to stop keeps its lease while it does, for a limited time, so that no stop record stays open for ever.
/// `?4` lease token, `?5` lease (ms), `?6` how long a stop may take (ms).
pub const HEARTBEAT: &str = concat!(
    "UPDATE runs SET lease_renewed_at = ?2, lease_expires_at = ?2 + ?5 \
     FROM keys k \
     WHERE runs.id = ?3 AND runs.lease_token = ?4 AND runs.lease_expires_at < ?2 + ?5 / 2 \
       AND (runs.state = 'started' OR (runs.stop_outcome = 'stopping' AND runs.cancelled_at > ?2 - ?6)) \
       AND runs.project_id = k.project_id AND ",
    valid_key!("can_run"),
    " \
     RETURNING json_object('id', id) AS row"
);

/// Explains [`HEARTBEAT`]. `?4` lease token.
pub const EXPLAIN_HEARTBEAT: &str = explain!("can_run", mine: "0", holds: "(r.lease_token IS ?4)");

/// The runner finishes its run.
/// `?4` request id, `?5` lease token, `?6` state, `?7` result or NULL, `?8` error code or NULL, `?9` counts (JSON) or NULL.
/// One row if it did.
pub const FINISH: &str = concat!(
    "UPDATE runs SET state = ?6, result = ?7, error_code = ?8, counts = ?9, ended_at = ?2, ended_by = k.user, \
        finish_request_id = k.id || ':' || ?4 \
     FROM keys k \
     WHERE runs.id = ?3 AND runs.state = 'started' AND runs.lease_token = ?5 \
       AND runs.project_id = k.project_id AND ",
    valid_key!("can_run"),
    " \
     RETURNING json_object('id', id) AS row"
);

/// The runner of a cancelled run confirms that it stopped. `?4` lease token, `?5` how: `graceful` or `killed`.
pub const CONFIRM_STOP: &str = concat!(
    "UPDATE runs SET stop_outcome = ?5, stop_closed_at = ?2 \
     FROM keys k \
     WHERE runs.id = ?3 AND runs.state = 'cancelled' AND runs.stop_outcome = 'stopping' AND runs.lease_token = ?4 \
       AND runs.project_id = k.project_id AND ",
    valid_key!("can_run"),
    " \
     RETURNING json_object('id', id) AS row"
);

/// Explains [`FINISH`] and [`CONFIRM_STOP`]. `?4` request id, `?5` lease token.
pub const EXPLAIN_FINISH: &str =
    explain!("can_run", mine: "(r.finish_request_id IS k.id || ':' || ?4)", holds: "(r.lease_token IS ?5)");

/// The slot of a new run of project `p` in environment `e` on branch `?5`: NULL where there is no limit.
macro_rules! slot {
    () => {
        "CASE p.concurrency_scope WHEN 'project' THEN 'project' WHEN 'environment' THEN 'environment ' || e.id \
            WHEN 'branch_environment' THEN 'environment ' || e.id || ' branch ' || COALESCE(?5, '') END"
    };
}

/// Registers a run, once for a request id. With `queue_new` it is pending while its slot is taken, and refused while a
/// protected run waits for the slot. What it takes the place of is cancelled by the trigger `runs_supersede`.
/// `?3` request id, `?4` environment's slug, `?5` branch, `?6` build (JSON), `?7` metadata (JSON), `?8` tags (JSON array),
/// `?9` GitHub actor, `?10` total shards, `?11` protected (0 or 1); `?5` to `?10` but `?8` may be NULL.
pub const REGISTER: &str = concat!(
    "INSERT INTO runs (project_id, environment_id, slot, state, request_id, created_at, created_by, waiting_since, \
        branch, build, metadata, tags, github_actor, total_shards, protected) \
     SELECT n.project_id, n.environment_id, n.slot, iif(n.queues AND n.taken, 'pending', 'queued'), n.request_id, ?2, n.user, ?2, \
        ?5, ?6, ?7, ?8, ?9, ?10, ?11 \
     FROM (SELECT w.*, w.slot IS NOT NULL AND EXISTS (SELECT 1 FROM runs o INDEXED BY runs_in_slot \
                 WHERE o.project_id = w.project_id AND o.slot = w.slot AND ",
    in_slot!("o"),
    ") AS taken, w.slot IS NOT NULL AND EXISTS (SELECT 1 FROM runs o INDEXED BY runs_in_slot \
                 WHERE o.project_id = w.project_id AND o.slot = w.slot AND ",
    in_slot!("o"),
    " AND o.state = 'pending' AND o.protected = 1) AS reserved \
           FROM (SELECT k.project_id, k.user, e.id AS environment_id, k.id || ':' || ?3 AS request_id, \
                    p.concurrency_behaviour = 'queue_new' AS queues, ",
    slot!(),
    " AS slot FROM keys k JOIN projects p ON p.id = k.project_id \
                  JOIN environments e ON e.project_id = k.project_id AND e.slug = ?4 WHERE ",
    valid_key!("can_run"),
    ") w) n WHERE NOT (n.queues AND n.reserved) \
     ON CONFLICT (request_id) DO NOTHING \
     RETURNING json_object('id', id) AS row"
);

/// Explains [`REGISTER`]: the run of this request id, or the environments that are known and, if the environment is one
/// of them, the protected run that waits for the slot. `?3` request id, `?4` environment's slug, `?5` branch.
pub const EXPLAIN_REGISTER: &str = concat!(
    "SELECT json_object('key', ",
    key_verdict!("can_run"),
    ", 'run', json(CASE WHEN r.id IS NOT NULL THEN json_patch('{}', json_object( \
            'id', r.id, 'state', r.state, 'test_run_branch', r.branch, 'created_at', r.created_at)) END), \
        'reserved_by', CASE WHEN e.id IS NOT NULL THEN (SELECT max(o.id) FROM runs o INDEXED BY runs_in_slot \
            WHERE o.project_id = p.id AND o.slot = ",
    slot!(),
    " AND ",
    in_slot!("o"),
    " AND o.state = 'pending' AND o.protected = 1) END, \
        'environments', json(CASE WHEN r.id IS NULL THEN (SELECT json_group_array(slug) FROM \
            (SELECT slug FROM environments WHERE project_id = k.project_id ORDER BY slug LIMIT 50)) END)) AS row \
     FROM (SELECT 1) LEFT JOIN keys k ON k.hash = ?1 \
     LEFT JOIN runs r ON r.request_id = k.id || ':' || ?3 \
     LEFT JOIN projects p ON p.id = k.project_id AND r.id IS NULL \
     LEFT JOIN environments e ON e.project_id = p.id AND e.slug = ?4"
);

/// One run, whole.
pub const SHOW: &str = concat!(
    "SELECT json_object('key', ",
    key_verdict!("can_read"),
    ", \
        'test_run', json(CASE WHEN r.id IS NOT NULL THEN ",
    test_run!(),
    " END)) AS row \
     FROM (SELECT 1) LEFT JOIN keys k ON k.hash = ?1 \
     LEFT JOIN runs r ON r.id = ?3 AND r.project_id = k.project_id \
     LEFT JOIN environments e ON e.id = r.environment_id"
);

/// The events of one run, oldest first: at most one a step, so at most four.
pub const EVENTS: &str = concat!(
    "SELECT json_object('key', ",
    key_verdict!("can_read"),
    ", \
        'events', json(CASE WHEN r.id IS NOT NULL THEN (SELECT json_group_array(json_object( \
            'at', ",
    iso!("at"),
    ", 'from', from_state, 'to', to_state, 'cause', cause, 'by', by, 'reason', reason)) \
            FROM (SELECT * FROM run_events WHERE run_id = r.id ORDER BY step)) END)) AS row \
     FROM (SELECT 1) LEFT JOIN keys k ON k.hash = ?1 \
     LEFT JOIN runs r ON r.id = ?3 AND r.project_id = k.project_id"
);
