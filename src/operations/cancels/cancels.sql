-- The cancels of the caller's project, newest first, with how the runs l. A filter is tried on a window of so many and no
-- more; `end` is the last of them, if there may be older ones.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 cancelled before this moment (ms), or   ?4 at it, with a smaller id than this
-- ?5 cancelled at or after (ms)   ?6 by   ?7 cause   ?8 environment's slug; each NULL for any
-- ?9 how many at most   ?10 how many the window has
-- Plan: (hash=?), (project_id=? AND slug=?), runs_by_cancel, INTEGER PRIMARY KEY, SEARCH archives
-- Row: {key, archived_through, page, end}; archived_through is the project's newest run that is archived, page is {cancels, count, last},
--      and last and end are the `before` that goes on after that cancel
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END),
           'archived_through', (SELECT last_run FROM archives
                                 WHERE project_id = iif(k.can_read = 1 AND k.valid_until > ?2, k.project_id, NULL)
                                 ORDER BY last_run DESC LIMIT 1),
           'page', json((
               SELECT json_object(
                          'count', count(*), 'last', json_group_array(l.cancelled_at || '-' || l.id) ->> '$[#-1]',
                          'cancels', json_group_array(json_object(
                              'test_run', json_object('id', l.id, 'branch', l.branch, 'actor', l.actor, 'created_by', l.created_by,
                                  'environment', json_object('id', e.id, 'name', e.name, 'slug', e.slug),
                                  'created_at', strftime('%Y-%m-%dT%H:%M:%fZ', l.created_at / 1000.0, 'unixepoch'),
                                  'started_at', strftime('%Y-%m-%dT%H:%M:%fZ', l.started_at / 1000.0, 'unixepoch')),
                              'cancel', json_object('reason', l.cancel_reason, 'cause', l.cancel_cause, 'by', l.cancel_by,
                                  'at', strftime('%Y-%m-%dT%H:%M:%fZ', l.cancelled_at / 1000.0, 'unixepoch')),
                              'stop', json_object('outcome', l.stop_outcome,
                                  'confirmed_at', iif(l.stop_outcome = 'lost', NULL,
                                      strftime('%Y-%m-%dT%H:%M:%fZ', l.stop_closed_at / 1000.0, 'unixepoch'))),
                              'stop_ms', iif(l.stop_outcome = 'lost', NULL, l.stop_closed_at - l.cancelled_at),
                              'superseded_by', l.superseded_by)))
                 FROM (SELECT *
                         FROM (SELECT * FROM runs INDEXED BY runs_by_cancel
                                WHERE k.can_read = 1 AND k.valid_until > ?2 AND project_id = k.project_id
                                  AND cancelled_at >= ?5 AND (cancelled_at, id) < (?3, ?4)
                                ORDER BY cancelled_at DESC, id DESC LIMIT coalesce(?10, 100)) w
                        WHERE (?6 IS NULL OR cancel_by = ?6) AND (?7 IS NULL OR cancel_cause = ?7)
                          AND (?8 IS NULL OR environment_id = f.id)
                        LIMIT coalesce(?9, 20)) l
                CROSS JOIN environments e ON e.id = l.environment_id)),
           -- Without a filter, a page that is not full is the last one.
           'end', CASE WHEN coalesce(?6, ?7, ?8) IS NOT NULL THEN (
               SELECT cancelled_at || '-' || id FROM runs INDEXED BY runs_by_cancel
                WHERE k.can_read = 1 AND k.valid_until > ?2 AND project_id = k.project_id
                  AND cancelled_at >= ?5 AND (cancelled_at, id) < (?3, ?4)
                ORDER BY cancelled_at DESC, id DESC LIMIT 1 OFFSET ?10 - 1) END) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN environments f ON k.can_read = 1 AND k.valid_until > ?2 AND f.project_id = k.project_id AND f.slug = ?8;
