//! Many runs at once. The choice is written down first, once for a request id; then the same guarded UPDATE as for one
//! run goes over it. A repeat after a lost answer finds the choice made and chooses no other runs.

use super::run::cancelled_by_user;
use super::{key_verdict, valid_key};

/// The ids of the runs of key `k`'s project that a filter matches and that are not over, oldest first: at most `?9` of
/// the first 10,000 that the index gives. `?4` environment's slug, `?5` branch, `?6` state, `?7` created at or before (ms),
/// `?8` metadata (JSON object), each NULL for any.
macro_rules! matching {
    () => {
        "SELECT id FROM (SELECT r.id, r.environment_id, r.branch, r.state, r.created_at, r.metadata \
            FROM runs r INDEXED BY runs_by_state \
            WHERE r.project_id = k.project_id AND r.state IN ('pending', 'queued', 'started') LIMIT 10000) r \
         WHERE (?4 IS NULL OR r.environment_id = (SELECT e.id FROM environments e WHERE e.project_id = k.project_id AND e.slug = ?4)) \
           AND (?5 IS NULL OR r.branch = ?5) AND (?6 IS NULL OR r.state = ?6) AND (?7 IS NULL OR r.created_at <= ?7) \
           AND (?8 IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(?8) m WHERE NOT EXISTS \
                (SELECT 1 FROM json_each(r.metadata) x WHERE x.key = m.key AND x.atom = m.atom))) \
         ORDER BY id LIMIT ?9"
    };
}

/// Chooses runs by a filter. `?3` request id, `?4` to `?9` as in the filter.
pub const CHOOSE_MATCHING: &str = concat!(
    "INSERT INTO bulk_cancels (request_id, run_ids, created_at, created_by) \
     SELECT k.id || ':' || ?3, (SELECT json_group_array(id) FROM (",
    matching!(),
    ")), ?2, k.user FROM keys k \
      WHERE (?4 IS NULL OR EXISTS (SELECT 1 FROM environments e WHERE e.project_id = k.project_id AND e.slug = ?4)) AND ",
    valid_key!("can_cancel"),
    " ON CONFLICT (request_id) DO NOTHING RETURNING '1' AS row"
);

/// Chooses the project's own among some ids. `?3` request id, `?4` ids (JSON array).
pub const CHOOSE_GIVEN: &str = concat!(
    "INSERT INTO bulk_cancels (request_id, run_ids, created_at, created_by) \
     SELECT k.id || ':' || ?3, (SELECT json_group_array(r.id) FROM json_each(?4) j \
            CROSS JOIN runs r ON r.id = j.value AND r.project_id = k.project_id), ?2, k.user \
       FROM keys k WHERE ",
    valid_key!("can_cancel"),
    " ON CONFLICT (request_id) DO NOTHING RETURNING '1' AS row"
);

/// Cancels those of the chosen runs that are not over. `?3` request id, `?4` reason or NULL. One row each: its id.
pub const CANCEL_CHOSEN: &str = concat!(
    cancelled_by_user!(request: "?3", reason: "?4"),
    " FROM keys k CROSS JOIN bulk_cancels b CROSS JOIN json_each(b.run_ids) j \
     WHERE b.request_id = k.id || ':' || ?3 AND runs.id = j.value AND runs.state IN ('pending', 'queued', 'started') \
       AND runs.project_id = k.project_id AND ",
    valid_key!("can_cancel"),
    " RETURNING CAST(id AS TEXT) AS row"
);

/// A run `r` as a bulk cancel reports it; `$mine` is whether this very request cancelled it.
macro_rules! reported {
    ($mine:literal) => {
        concat!(
            "json_object('id', r.id, 'found', json_object('state', r.state, 'result', r.result, 'error_code', r.error_code, 'ended_at', r.ended_at, \
                'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by, 'mine', ",
            $mine,
            ")) AS row"
        )
    };
}

/// Reports the chosen runs as they are now. `?3` request id.
pub const REPORT_CHOSEN: &str = concat!(
    "SELECT ",
    reported!("(r.cancel_request_id IS k.id || ':' || ?3)"),
    " FROM keys k CROSS JOIN bulk_cancels b CROSS JOIN json_each(b.run_ids) j CROSS JOIN runs r \
     WHERE b.request_id = k.id || ':' || ?3 AND r.id = j.value AND r.project_id = k.project_id AND ",
    valid_key!("can_cancel"),
    " ORDER BY r.id"
);

/// Reports what a filter matches, and changes nothing. `?3` is not used; `?4` to `?9` as in the filter.
pub const REPORT_MATCHING: &str = concat!(
    "SELECT ",
    reported!("0"),
    " FROM keys k CROSS JOIN runs r ON r.id IN (",
    matching!(),
    ") WHERE ",
    valid_key!("can_cancel"),
    " ORDER BY r.id"
);

/// Reports the project's own among some ids, and changes nothing. `?3` is not used; `?4` ids (JSON array).
pub const REPORT_GIVEN: &str = concat!(
    "SELECT ",
    reported!("0"),
    " FROM keys k CROSS JOIN json_each(?4) j CROSS JOIN runs r ON r.id = j.value AND r.project_id = k.project_id \
     WHERE ",
    valid_key!("can_cancel"),
    " ORDER BY r.id"
);

/// Explains a bulk cancel by filter: the key's verdict, how many runs match still (`?9` at most), and the known
/// environments if the one asked for is none of them. `?3` is not used; `?4` to `?9` as in the filter.
pub const EXPLAIN_MATCHING: &str = concat!(
    "SELECT json_object('key', ",
    key_verdict!("can_cancel"),
    ", 'left', (SELECT count(*) FROM (",
    matching!(),
    ")), 'environments', json(CASE WHEN ?4 IS NOT NULL AND NOT EXISTS \
            (SELECT 1 FROM environments e WHERE e.project_id = k.project_id AND e.slug = ?4) THEN \
            (SELECT json_group_array(slug) FROM (SELECT slug FROM environments WHERE project_id = k.project_id ORDER BY slug LIMIT 50)) END)) AS row \
     FROM (SELECT 1) LEFT JOIN keys k ON k.hash = ?1"
);

/// Explains a bulk cancel by ids: the key's verdict.
pub const EXPLAIN_GIVEN: &str = concat!(
    "SELECT json_object('key', ",
    key_verdict!("can_cancel"),
    ", 'left', 0) AS row FROM (SELECT 1) LEFT JOIN keys k ON k.hash = ?1"
);
