-- What is exported next of the caller's project, the oldest runs first: in which object of the archive it is or, if nothing there is left,
-- which runs of the database. Of these, some stay out: runs that are not over or have not stopped, and a lost one as long as its
-- runner's result may still come. So what is exported never changes any more, and the leases in it are worth nothing.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 runs with greater ids than this   ?4 how many runs at most
-- ?5 for how long a late result may come (ms)   ?6 how many bytes at most, by run_sizes, unless one run has more
-- Plan: (hash=?), runs_by_project, (project_id=? AND last_run>?), (run_id=?)
-- Row: {key, archived: [object, members, last run], range: [project, first, last, runs, bytes, [those that stay out]]}; archived or range is
--      null if there is none
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END),
           'archived', json((SELECT json_array(object, json(members), last_run) FROM archives
                              WHERE project_id = iif(k.can_read = 1 AND k.valid_until > ?2, k.project_id, NULL) AND last_run > ?3
                              ORDER BY last_run LIMIT 1)),
           'range', json((SELECT iif(count(*) = 0, NULL, json_array(k.project_id, min(id), max(id), count(*), sum(size),
                                     json(json_group_array(id) FILTER (WHERE stays))))
              FROM (SELECT *, sum(size) OVER (ORDER BY id) AS bytes
                      FROM (SELECT g.id, g.open_state IS NOT NULL OR g.stop_outcome IS 'stopping'
                                         OR (g.stop_outcome IS 'lost' AND g.stop_closed_at + ?5 >= ?2) AS stays,
                                   (SELECT size FROM run_sizes WHERE id = g.id) AS size
                              FROM runs g INDEXED BY runs_by_project
                             WHERE g.project_id = iif(k.can_read = 1 AND k.valid_until > ?2, k.project_id, NULL) AND g.id > ?3
                             ORDER BY g.id LIMIT coalesce(?4, 0))) o
             WHERE bytes <= ?6 OR bytes = size))) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1;
