-- Which rows of deliveries come next: those of the bucket's webhooks, by webhook and id. A webhook without one is there, too, with 0.
--
-- ?1 bucket   ?2 this webhook or after   ?3 of this webhook after this id   ?4 how many at most
-- Plan: projects_by_bucket, deliveries_by_webhook (webhook_id=? AND rowid>?)
SELECT w.id AS a, coalesce(t.id, 0) AS b
  FROM (SELECT id FROM webhooks
         WHERE id >= ?2 AND +project_id IN (SELECT id FROM projects WHERE bucket = ?1) ORDER BY id LIMIT coalesce(?4, 0) + 1) w
  LEFT JOIN deliveries t INDEXED BY deliveries_by_webhook ON t.webhook_id = w.id AND t.id > iif(w.id = ?2, ?3, 0)
 WHERE w.id > ?2 OR t.id IS NOT NULL
 ORDER BY w.id, t.id LIMIT coalesce(?4, 0);
