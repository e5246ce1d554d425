-- Chooses the runs of a filter that are not over, and writes the choice down: a repeat after a lost answer finds it and
-- chooses no others. Looks at 1,000 open runs at most, state by state in the order of a run's life (so that one that moves
-- on meanwhile is met again, and not missed; the states' names happen to sort in that order, too), oldest first in each;
-- the CROSS JOINs keep to that order. `next` is the last run that it looked at, if there may be more.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 this write's hash   ?5 environment's slug   ?6 branch
-- ?7 state   ?8 created at or before (ms)   ?9 metadata (JSON object)   ?10 state and   ?11 id of the run to go on after
-- ?12 how many at most; ?5 to ?9 are NULL for any
-- Plan: (hash=?), runs_open, (project_id=? AND slug=?)
WITH walked AS MATERIALIZED (
    SELECT s.state, r.id,
           (?5 IS NULL OR r.environment_id = (SELECT e.id FROM environments e WHERE e.project_id = k.project_id AND e.slug = ?5))
           AND (?6 IS NULL OR r.branch = ?6) AND (?8 IS NULL OR r.created_at <= ?8)
           AND (?9 IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(?9) m
                   WHERE NOT EXISTS (SELECT 1 FROM json_each(r.metadata) x WHERE x.key = m.key AND x.atom = m.atom))) AS matches
      FROM keys k
     CROSS JOIN (SELECT 'pending' AS state UNION ALL SELECT 'queued' UNION ALL SELECT 'started') s
     CROSS JOIN runs r INDEXED BY runs_open
     WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
       AND s.state >= ?10 AND (?7 IS NULL OR s.state = ?7)
       AND r.open_state = s.state AND r.project_id = k.project_id AND r.id > iif(s.state = ?10, ?11, 0)
     LIMIT 1000)
INSERT INTO bulk_cancels (request_id, request_hash, run_ids, next, created_at, created_by)
SELECT k.id || ':' || ?3, ?4,
       (SELECT json_group_array(id) FROM (SELECT id FROM walked WHERE matches LIMIT coalesce(?12, 100))),
       coalesce((SELECT state || ':' || id FROM walked WHERE matches LIMIT 1 OFFSET ?12 - 1),
                (SELECT state || ':' || id FROM walked LIMIT 1 OFFSET 1000 - 1)),
       ?2, k.user
  FROM keys k
 WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
   AND (?5 IS NULL OR EXISTS (SELECT 1 FROM environments e WHERE e.project_id = k.project_id AND e.slug = ?5))
ON CONFLICT (request_id) DO NOTHING;
