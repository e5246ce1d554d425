-- How far the tests of a shard are, and which have failed. Writes nothing.
--
-- Statements of earlier releases: all stay right, and know nothing of it.

ALTER TABLE run_shards ADD COLUMN progress TEXT CHECK (progress IS NULL OR json_valid(progress));
ALTER TABLE run_shards ADD COLUMN failures TEXT CHECK (failures IS NULL OR (json_valid(failures) AND length(failures) <= 32768));

DROP TRIGGER run_shards_stay;
CREATE TRIGGER run_shards_stay AFTER UPDATE OF
    run_id, shard, state, result, error_code, counts, failed, progress, failures, lease_renewed_at, lease_expires_at,
    ended_at, finish_request_id, finish_request_hash, stop_outcome, stop_closed_at ON run_shards
WHEN NEW.run_id <> OLD.run_id OR NEW.shard <> OLD.shard OR (OLD.state <> 'started' AND OLD.carried = NEW.carried)
BEGIN
    SELECT RAISE(ABORT, 'a shard that is closed never changes');
END;

UPDATE schema_version SET version = 15;
