-- Changes a webhook, unless its project has no such environment. Whoever switches it on gives it a new chance.
--
-- ?1 webhook   ?2 address   ?3 events (JSON array)   ?4 format   each NULL to leave it
-- ?5 whether the environment changes (0 or 1)   ?6 environment's slug, or NULL for all
-- ?7 whether the branch pattern changes (0 or 1)   ?8 branch pattern, or NULL for all
-- ?9 whether it is switched off (0 or 1), or NULL to leave it   ?10 now (ms)
-- Plan: INTEGER PRIMARY KEY, (project_id=? AND slug=?)
UPDATE webhooks
   SET url = coalesce(?2, url), events = coalesce(?3, events), format = coalesce(?4, format),
       environment_id = iif(?5, (SELECT e.id FROM environments e WHERE e.project_id = webhooks.project_id AND e.slug = ?6), environment_id),
       branch = iif(?7, ?8, branch),
       disabled_at = CASE ?9 WHEN 0 THEN NULL WHEN 1 THEN coalesce(disabled_at, ?10) ELSE disabled_at END,
       disabled_why = CASE ?9 WHEN 0 THEN NULL WHEN 1 THEN coalesce(disabled_why, 'admin') ELSE disabled_why END,
       failing_since = iif(?9 = 0 AND disabled_at IS NOT NULL, NULL, failing_since),
       changed_at = ?10
 WHERE id = ?1 AND deleted_at IS NULL AND github IS NULL AND ?10 IS NOT NULL
   AND (?6 IS NULL OR EXISTS (SELECT 1 FROM environments e WHERE e.project_id = webhooks.project_id AND e.slug = ?6));
