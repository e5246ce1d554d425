-- What became of runs, by day: the sweeper counts each once it is over and has stopped. Writes a row for each run of the last 90
-- days that is, to be counted from now on, 500 a minute. No row changes.
--
-- Statements of earlier releases: all stay right.

-- What has closed and is not counted yet: runs that are over and, if they were cancelled, have stopped or are given up; in the
-- order in which they did. The sweeper counts them (src/sweeper/count.sql) and takes them out.
CREATE TABLE closed_runs (
    position INTEGER PRIMARY KEY,        -- grows with each
    run_id   INTEGER NOT NULL            -- the run
) STRICT;

-- What became of the runs that were over on a day (UTC), by environment and for the project as a whole: each counted once.
CREATE TABLE daily_runs (
    project_id     INTEGER NOT NULL,     -- the project
    environment_id INTEGER NOT NULL,     -- the environment; 0: all of the project's
    day            INTEGER NOT NULL,     -- days since 1970-01-01
    passed         INTEGER NOT NULL,     -- runs that ended so
    failed         INTEGER NOT NULL,
    errors         INTEGER NOT NULL,     -- that broke
    by_user        INTEGER NOT NULL,     -- that were cancelled, by cause
    by_stale       INTEGER NOT NULL,
    by_superseded  INTEGER NOT NULL,
    by_fail_fast   INTEGER NOT NULL,
    never_started  INTEGER NOT NULL,     -- and by the stop's outcome
    graceful       INTEGER NOT NULL,
    terminated     INTEGER NOT NULL,
    killed         INTEGER NOT NULL,
    lost           INTEGER NOT NULL,
    -- What cancels saved, in ms: of each run the median duration of its environment's passed runs at that time, less how long it
    -- had run, if that is more than nothing.
    saved_user       INTEGER NOT NULL,   -- those by a user
    saved_superseded INTEGER NOT NULL,   -- those by a newer run
    -- How many took how long, as an object of durations (the names are durations.from_ms) and counts.
    passed_ms      TEXT    NOT NULL CHECK (json_valid(passed_ms)), -- runs that passed, from the first claim to the end
    stop_ms        TEXT    NOT NULL CHECK (json_valid(stop_ms)),   -- stops that runners confirmed, from the cancel to the last word
    PRIMARY KEY (project_id, environment_id, day)
) STRICT, WITHOUT ROWID;

-- Where the buckets of those durations begin: each 1.25 times the one before, from 10 ms to more than a week.
CREATE TABLE durations (
    from_ms INTEGER PRIMARY KEY
) STRICT;
INSERT INTO durations (from_ms)
SELECT 0 UNION ALL
SELECT * FROM (WITH RECURSIVE n (x) AS (SELECT 10.0 UNION ALL SELECT x * 1.25 FROM n WHERE x < 604800000)
               SELECT CAST(round(x) AS INTEGER) FROM n);

CREATE TRIGGER runs_closed AFTER UPDATE OF state, stop_outcome ON runs
WHEN NEW.open_state IS NULL AND NEW.stop_outcome IS NOT 'stopping'
 AND (OLD.open_state IS NOT NULL OR OLD.stop_outcome IS 'stopping')
BEGIN
    INSERT INTO closed_runs (run_id) VALUES (NEW.id);
END;

INSERT INTO closed_runs (run_id)
SELECT id FROM runs
 WHERE open_state IS NULL AND stop_outcome IS NOT 'stopping' AND created_at > (unixepoch() - 90 * 86400) * 1000
 ORDER BY id;

UPDATE schema_version SET version = 9;
