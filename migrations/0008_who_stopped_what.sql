-- Who set a run off, and which runs were cancelled when: an index for each, so it writes a row for each run, and one more for
-- each that was cancelled. No row changes.
--
-- Statements of earlier releases: all stay right.

ALTER TABLE runs ADD COLUMN actor TEXT GENERATED ALWAYS AS (coalesce(github_actor, created_by)) VIRTUAL;

CREATE INDEX runs_by_actor ON runs (project_id, actor);
CREATE INDEX runs_by_cancel ON runs (project_id, cancelled_at) WHERE cancelled_at IS NOT NULL;

UPDATE schema_version SET version = 8;
