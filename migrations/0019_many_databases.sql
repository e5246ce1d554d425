-- Many databases: a project lives in one of 1,296 buckets, and a bucket in one of up to 512 databases. Writes one row for each project
-- (the directory) and one more (an index). No run is touched: what is there is bucket 00, in the database that is there.
--
-- Statements of earlier releases: all stay right. A project that one of them creates is in bucket 00, and the trigger
-- `projects_are_in_the_directory` enters it.

-- The bucket that it lives in, for good; the buckets are what moves from one database to another.
ALTER TABLE projects ADD COLUMN bucket TEXT NOT NULL DEFAULT '00' CHECK (length(bucket) = 2 AND bucket NOT GLOB '*[^0-9a-z]*');
CREATE INDEX projects_by_bucket ON projects (bucket);
CREATE TRIGGER projects_stay_in_their_bucket AFTER UPDATE OF id, bucket ON projects
BEGIN
    SELECT RAISE(ABORT, 'a project stays in its bucket');
END;

-- The projects of all databases: their ids and slugs are given here. That of DB counts, and no other is used.
CREATE TABLE project_directory (
    id         INTEGER PRIMARY KEY,      -- the project's
    slug       TEXT    NOT NULL UNIQUE,  -- its slug
    bucket     TEXT    NOT NULL,         -- the bucket that it lives in
    request_id TEXT    NOT NULL          -- the request that made it, as in projects
) STRICT;
CREATE INDEX project_directory_by_request ON project_directory (request_id);
INSERT INTO project_directory (id, slug, bucket, request_id) SELECT id, slug, bucket, request_id FROM projects;

-- Where buckets are, as far as this database knows. One without a row lives in DB, and nowhere else.
CREATE TABLE buckets (
    bucket     TEXT    PRIMARY KEY CHECK (length(bucket) = 2 AND bucket NOT GLOB '*[^0-9a-z]*'),
    -- here      it lives here
    -- leaving   it lives here, but is being copied: nothing of it is read or written
    -- arriving  it is being copied to here, and nobody uses what has come so far
    -- moved     it lives in another database
    state      TEXT    NOT NULL CHECK (state IN ('here', 'leaving', 'arriving', 'moved')),
    moved_to   INTEGER,                  -- leaving, moved: the number of the database that it goes to, or went to
    moved_from INTEGER,                  -- arriving: the number of the database that it comes from
    since      INTEGER NOT NULL,         -- when
    progress   TEXT CHECK (progress IS NULL OR json_valid(progress)), -- how far the move is, as src/moving has it
    -- 1: there are rows of its projects here that are not to be used: it is leaving or arriving, or has moved and was not removed yet
    frozen     INTEGER NOT NULL CHECK (frozen = 0 OR frozen = 1),
    CHECK ((state = 'leaving' OR state = 'moved') = (moved_to IS NOT NULL)),
    CHECK ((state = 'arriving') = (moved_from IS NOT NULL)),
    CHECK (frozen = 0 OR state <> 'here')
) STRICT, WITHOUT ROWID;
CREATE INDEX buckets_frozen ON buckets (frozen) WHERE frozen = 1;

-- The projects that nobody may touch here. Few: buckets move one at a time.
CREATE VIEW frozen_projects AS
SELECT p.id AS project_id, b.state FROM buckets b INDEXED BY buckets_frozen CROSS JOIN projects p ON p.bucket = b.bucket WHERE b.frozen = 1;

-- What waits to be counted, of the first 1,000 what is of no project that is being moved.
CREATE VIEW countable_runs AS
SELECT c.position, c.run_id
  FROM (SELECT position, run_id FROM closed_runs ORDER BY position LIMIT 1000) c
 WHERE NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = (SELECT project_id FROM runs WHERE id = c.run_id));

-- Which of the service's databases this is. No row: DB, from which no bucket has moved.
CREATE TABLE this_database (
    only_row         INTEGER PRIMARY KEY CHECK (only_row = 1), -- there is one row at most
    number           INTEGER NOT NULL CHECK (number BETWEEN 0 AND 511), -- n: it is bound as DB_n, and its new ids come after n × 2^44
    -- New ids come after these: those of the databases before this one, and those that moved away.
    last_run         INTEGER NOT NULL,
    last_environment INTEGER NOT NULL,
    last_key         INTEGER NOT NULL
) STRICT;
CREATE TRIGGER this_database_stays AFTER UPDATE ON this_database
WHEN NEW.number <> OLD.number OR NEW.last_run < OLD.last_run OR NEW.last_environment < OLD.last_environment OR NEW.last_key < OLD.last_key
BEGIN
    SELECT RAISE(ABORT, 'a database keeps its number, and no id is given twice');
END;
-- Of what the schema itself numbers, a row of nobody's makes the next ids come after it.
CREATE TRIGGER this_database_numbers AFTER INSERT ON this_database
WHEN NEW.number > 0
BEGIN
    INSERT INTO admin_events (id, at, what, project_id, subject) VALUES (NEW.last_run, 0, 'database_added', 0, 'DB_' || NEW.number);
    INSERT INTO webhooks (id, project_id, url, events, format, origin, created_at, request_id, request_hash, deleted_at)
    VALUES (NEW.last_run, 0, '', '[]', 'standard', '', 0, 'database:' || NEW.number, '', 0);
    INSERT INTO deliveries (id, webhook_id, step, event, message_id, data, at, created_at, state)
    VALUES (NEW.last_run, 0, 0, 'test', '', '{}', 0, 0, 'failed');
END;

-- When a bucket moves away, no id that it has is given again: the floors rise, and rows of nobody's keep the greatest numbers of what the
-- schema itself numbers.
CREATE TRIGGER buckets_move_away AFTER UPDATE OF state ON buckets
WHEN NEW.state = 'moved' AND OLD.state = 'leaving'
BEGIN
    INSERT INTO this_database (only_row, number, last_run, last_environment, last_key)
    SELECT 1, 0, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM this_database);
    UPDATE this_database
       SET last_run = max(last_run, coalesce((SELECT max(id) FROM runs), 0)),
           last_environment = max(last_environment, coalesce((SELECT max(id) FROM environments), 0)),
           last_key = max(last_key, coalesce((SELECT max(id) FROM keys), 0));
    INSERT INTO deliveries (id, webhook_id, step, event, message_id, data, at, created_at, state)
    SELECT id + 1, 0, 0, 'test', '', '{}', 0, 0, 'failed' FROM deliveries
     WHERE id = (SELECT max(id) FROM deliveries) AND webhook_id <> 0;
    INSERT INTO webhooks (id, project_id, url, events, format, origin, created_at, request_id, request_hash, deleted_at)
    SELECT id + 1, 0, '', '[]', 'standard', '', 0, 'bucket:' || (id + 1), '', 0 FROM webhooks
     WHERE id = (SELECT max(id) FROM webhooks) AND project_id <> 0;
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.since, 'bucket_moved', 0, NEW.bucket, 'to database ' || NEW.moved_to);
END;

CREATE TRIGGER projects_are_in_the_directory AFTER INSERT ON projects
WHEN NOT EXISTS (SELECT 1 FROM this_database WHERE number > 0)
 AND NOT EXISTS (SELECT 1 FROM project_directory WHERE id = NEW.id AND slug = NEW.slug AND bucket = NEW.bucket)
BEGIN
    INSERT INTO project_directory (id, slug, bucket, request_id) VALUES (NEW.id, NEW.slug, NEW.bucket, NEW.request_id);
END;

-- Whatever statement comes, nothing of a bucket changes that moves. What guards each request is src/database/check_bucket.sql;
-- the sweeper, the archive and the webhooks leave these projects out.
CREATE TRIGGER runs_stand_while_they_move AFTER UPDATE ON runs
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER runs_begin_where_they_live AFTER INSERT ON runs
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER projects_stand_while_they_move AFTER UPDATE ON projects
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER environments_stand_while_they_move AFTER UPDATE ON environments
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER environments_begin_where_they_live AFTER INSERT ON environments
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER keys_stand_while_they_move AFTER UPDATE ON keys
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER keys_begin_where_they_live AFTER INSERT ON keys
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER webhooks_stand_while_they_move AFTER UPDATE ON webhooks
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER webhooks_begin_where_they_live AFTER INSERT ON webhooks
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;

DROP VIEW shown_projects;
-- A project as the admin routes have it: the JSON of the contract's Project. What goes to GitHub is on as long as its row of
-- webhooks is.
CREATE VIEW shown_projects AS
SELECT p.*,
       json_object(
           'id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name,
           'concurrency', json_object('scope', p.concurrency_scope, 'behaviour', p.concurrency_behaviour),
           'badges', json(iif(p.badges, 'true', 'false')), 'stop_on_close', json(iif(p.stop_on_close, 'true', 'false')),
           'retention_days', p.retention_days, 'bucket', p.bucket,
           'check_runs', json(iif(c.id IS NULL OR c.disabled_at IS NOT NULL, 'false', 'true')),
           'cancel_ci', json(iif(i.id IS NULL OR i.disabled_at IS NOT NULL, 'false', 'true')),
           'github_failures', json((SELECT json_group_array(json_set(f.last_failure, '$.setting', f.github,
                   '$.since', strftime('%Y-%m-%dT%H:%M:%fZ', f.failing_since / 1000.0, 'unixepoch'),
                   '$.turned_off_at', strftime('%Y-%m-%dT%H:%M:%fZ', f.disabled_at / 1000.0, 'unixepoch')))
              FROM webhooks f
             WHERE (f.id = c.id OR f.id = i.id) AND f.failing_since IS NOT NULL))) AS project
  FROM projects p
  LEFT JOIN webhooks c ON c.request_id = 'github:check_runs:' || p.id AND c.deleted_at IS NULL
  LEFT JOIN webhooks i ON i.request_id = 'github:cancel_ci:' || p.id AND i.deleted_at IS NULL;

UPDATE schema_version SET version = 19;
