-- Forgets bulk cancels, and pull requests that were closed, the oldest first: nobody repeats them any more. None while a
-- bucket is being moved, which takes its own along.
--
-- ?1 of before when (ms)   ?2 how many at most
-- Plan: buckets_frozen, bulk_cancels_by_age
DELETE FROM bulk_cancels
 WHERE request_id IN (SELECT request_id FROM bulk_cancels WHERE created_at < ?1 ORDER BY created_at LIMIT coalesce(?2, 0))
   AND NOT EXISTS (SELECT 1 FROM buckets WHERE frozen = 1);
