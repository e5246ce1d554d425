//! The sweeper's statements, one a clock: guarded, oldest first, limited, each over its own partial index.
//!
//! `?1` now (ms), `?2` the clock's span (ms), `?3` how many runs at most, `?4` the tick's request id.
//! One row a swept run: its id.

/// A span in ms as a person says it: `42 s`, `5 min 12 s`, `3 h 0 min`.
macro_rules! in_words {
    ($span:literal) => {
        concat!(
            "CASE WHEN ",
            $span,
            " < 60000 THEN printf('%d s', ",
            $span,
            " / 1000) \
             WHEN ",
            $span,
            " < 3600000 THEN printf('%d min %d s', ",
            $span,
            " / 60000, CAST(",
            $span,
            " / 1000 AS INTEGER) % 60) \
             ELSE printf('%d h %d min', ",
            $span,
            " / 3600000, CAST(",
            $span,
            " / 60000 AS INTEGER) % 60) END"
        )
    };
}

macro_rules! cancel_stale {
    (index: $index:literal, due: $due:literal, outcome: $outcome:literal, reason: $words:literal, $span:literal) => {
        concat!(
            "UPDATE runs SET state = 'cancelled', cancelled_at = ?1, cancel_cause = 'stale', cancel_by = 'system:sweeper', \
                cancel_request_id = ?4, stop_outcome = '", $outcome, "', \
                stop_closed_at = iif('", $outcome, "' = 'lost', ?1, NULL), cancel_reason = '", $words, " ' || ", in_words!($span), " \
             WHERE id IN (SELECT id FROM runs INDEXED BY ", $index, " WHERE ", $due, " LIMIT ?3) \
             RETURNING CAST(id AS TEXT) AS row"
        )
    };
}

/// Never claimed: a run that waited too long for a runner.
pub const UNCLAIMED: &str = cancel_stale!(
    index: "runs_unclaimed",
    due: "state IN ('pending', 'queued') AND waiting_since <= ?1 - ?2 ORDER BY waiting_since",
    outcome: "never_started",
    // Not since `waiting_since`: sweeping the run before it may have promoted this one in the same statement.
    reason: "no runner claimed it for", "(?1 - created_at)"
);

/// Lapsed: the lease ran out. Heartbeats in the first half of a lease are not written down, so the time without one
/// is only known from below: since the middle of the last lease. The runner is lost already, so no stop is awaited.
pub const LAPSED: &str = cancel_stale!(
    index: "runs_lapsing",
    due: "state = 'started' AND lease_expires_at <= ?1 - ?2 ORDER BY lease_expires_at",
    outcome: "lost",
    reason: "no heartbeat for at least", "(?1 - (lease_renewed_at + lease_expires_at) / 2)"
);

/// Over-age: started too long ago, however alive.
pub const OVER_AGE: &str = cancel_stale!(
    index: "runs_ageing",
    due: "state = 'started' AND started_at <= ?1 - ?2 ORDER BY started_at",
    outcome: "stopping",
    reason: "still running after", "(?1 - started_at)"
);

/// Stop-unconfirmed: cancelled, never confirmed, and the lease ran out. Closes the stop record. Takes no `?4`.
pub const UNCONFIRMED: &str = "UPDATE runs SET stop_outcome = 'lost', stop_closed_at = ?1 \
     WHERE id IN (SELECT id FROM runs INDEXED BY runs_unconfirmed \
                   WHERE stop_outcome = 'stopping' AND lease_expires_at <= ?1 - ?2 ORDER BY lease_expires_at LIMIT ?3) \
     RETURNING CAST(id AS TEXT) AS row";
