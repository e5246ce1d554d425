-- Gives a webhook a new secret, once for a write's id. The one before is good for a day.
--
-- ?1 webhook   ?2 until when the one before is good (ms): a day from now   ?3 this write's id   ?4 this write's hash
-- Plan: INTEGER PRIMARY KEY
UPDATE webhooks
   SET generation = generation + 1, previous_until = ?2, rotate_request_id = ?3, rotate_request_hash = ?4, changed_at = ?2 - 86400000
 WHERE id = ?1 AND deleted_at IS NULL AND github IS NULL AND rotate_request_id IS NOT ?3;
