-- Marks a webhook as deleted, and forgets its address.
--
-- ?1 webhook   ?2 now (ms)
-- Plan: INTEGER PRIMARY KEY
UPDATE webhooks SET deleted_at = ?2, url = '' WHERE id = ?1 AND deleted_at IS NULL AND github IS NULL;
