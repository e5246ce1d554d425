-- Webhooks, and the outbox of what they hear. Writes nothing: there are none yet.
--
-- Statements of earlier releases: all stay right. What a run goes through meanwhile is written for no webhook, as there is none.

-- A webhook: an address that hears of a project's runs. Its secret is not here: it is made of the Worker's secret, the
-- webhook's id and its generation.
CREATE TABLE webhooks (
    id             INTEGER PRIMARY KEY,  -- never used again, or another webhook would have its secret
    project_id     INTEGER NOT NULL,     -- the project that it hears of
    url            TEXT    NOT NULL,     -- where to; empty once it is deleted
    events         TEXT    NOT NULL CHECK (json_valid(events)), -- an array of what it hears, e.g. run.cancelled
    environment_id INTEGER,              -- only of runs in this environment; NULL: of any
    branch         TEXT,                 -- only of runs of a branch that this GLOB pattern matches; NULL: of any
    format         TEXT    NOT NULL CHECK (format = 'standard' OR format = 'slack'), -- what is sent
    origin         TEXT    NOT NULL,     -- the service's own address as whoever created it had it: for links
    created_at     INTEGER NOT NULL,     -- when
    request_id     TEXT    NOT NULL,     -- as in projects
    request_hash   TEXT    NOT NULL,     -- as in runs
    generation     INTEGER NOT NULL DEFAULT 1 CHECK (generation >= 1), -- counts its secrets
    previous_until INTEGER,              -- until then what is sent is signed with the secret before, too
    rotate_request_id   TEXT,            -- the request that changed the secret last
    rotate_request_hash TEXT,            -- its hash
    changed_at     INTEGER,              -- when an admin last changed it
    failing_since  INTEGER,              -- the first failure since it last worked; NULL: it works
    disabled_at    INTEGER,              -- since when it is switched off; NULL: it is on
    -- admin    an admin switched it off
    -- gone     it answered 410 (Gone)
    -- failing  it failed for five days
    disabled_why   TEXT,
    deleted_at     INTEGER,              -- when it was deleted
    CHECK ((disabled_at IS NULL) = (disabled_why IS NULL))
) STRICT;
CREATE INDEX webhooks_by_project ON webhooks (project_id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX webhooks_by_request ON webhooks (request_id);

-- The outbox: what a webhook hears, one row for each event and webhook. The trigger runs_deliver writes it in the very
-- transaction that changes the run, so that nothing is lost and nothing is made up.
CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY,
    webhook_id   INTEGER NOT NULL,       -- to whom
    run_id       INTEGER,                -- of which run; NULL: a test
    step         INTEGER NOT NULL,       -- as in run_events: what a run goes through comes in this order; 0: a test
    event        TEXT    NOT NULL,       -- run.started, run.cancelled, run.stopped, run.ended, run.error or test
    message_id   TEXT    NOT NULL,       -- the same with every attempt, so that the receiver knows it again
    data         TEXT    NOT NULL CHECK (json_valid(data)), -- the run as it was then
    at           INTEGER NOT NULL,       -- when that was
    created_at   INTEGER NOT NULL,       -- when this was written
    redelivers   INTEGER,                -- the delivery that an admin had sent once more
    request_id   TEXT,                   -- of a test or a redelivery: the request
    request_hash TEXT,                   -- its hash

    -- waiting    an earlier event of the run has not been delivered or given up
    -- due        there is an attempt to come
    -- delivered  the receiver answered 2xx
    -- failed     given up
    state        TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'due' OR state = 'delivered' OR state = 'failed'),
    -- When the next attempt is due; while one is under way, when it is taken for lost.
    due_at       INTEGER,
    fresh        INTEGER NOT NULL DEFAULT 0 CHECK (fresh = 0 OR fresh = 1), -- 1: goes out at once, before the next tick
    attempts     INTEGER NOT NULL DEFAULT 0, -- begun so far; also the fence of what is recorded of one
    attempted_at INTEGER,                -- when the last one ended
    status       INTEGER,                -- its HTTP status; NULL: there was no answer
    failure      TEXT,                   -- why it failed: status, redirect, timeout, unreachable or switched_off
    answer       TEXT,                   -- the beginning of its answer

    CHECK ((state = 'due') = (due_at IS NOT NULL)),
    CHECK (fresh = 0 OR state = 'due')
) STRICT;
-- The events of a run for a webhook, each once.
CREATE UNIQUE INDEX deliveries_by_event ON deliveries (webhook_id, run_id, step) WHERE redelivers IS NULL;
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id);
CREATE INDEX deliveries_due        ON deliveries (webhook_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_fresh      ON deliveries (fresh) WHERE fresh = 1;
CREATE UNIQUE INDEX deliveries_by_request ON deliveries (request_id) WHERE request_id IS NOT NULL;

-- What the project's webhooks hear, each that is on and whose filters match.
CREATE TRIGGER runs_deliver AFTER UPDATE OF state, stop_closed_at ON runs
WHEN (NEW.state <> OLD.state AND NEW.state <> 'queued') OR NEW.stop_closed_at IS NOT OLD.stop_closed_at
BEGIN
    INSERT INTO deliveries (webhook_id, run_id, step, event, message_id, data, at, created_at, state, due_at, fresh)
    SELECT id, NEW.id, step, event, 'msg_' || lower(hex(randomblob(16))), (SELECT test_run FROM listed_runs WHERE id = NEW.id),
           at, at, iif(waits, 'waiting', 'due'), iif(waits, NULL, at), NOT waits AND works
      FROM (SELECT w.id, w.failing_since IS NULL AS works,
                   CASE WHEN NEW.state = OLD.state THEN 6 WHEN NEW.state = 'started' THEN 3 ELSE 4 END AS step,
                   CASE WHEN NEW.state = OLD.state THEN 'run.stopped' ELSE 'run.' || NEW.state END AS event,
                   CASE WHEN NEW.state = OLD.state THEN NEW.stop_closed_at WHEN NEW.state = 'started' THEN NEW.started_at
                        WHEN NEW.state = 'cancelled' THEN NEW.cancelled_at ELSE NEW.ended_at END AS at,
                   EXISTS (SELECT 1 FROM deliveries d
                            WHERE d.webhook_id = w.id AND d.run_id = NEW.id AND d.redelivers IS NULL
                              AND (d.state = 'due' OR d.state = 'waiting')) AS waits
              FROM webhooks w
             WHERE w.project_id = NEW.project_id AND w.deleted_at IS NULL AND w.disabled_at IS NULL
               AND (w.environment_id IS NULL OR w.environment_id = NEW.environment_id)
               AND (w.branch IS NULL OR NEW.branch GLOB w.branch)
               AND instr(w.events, iif(NEW.state = OLD.state, '"run.stopped"', '"run.' || NEW.state || '"')) > 0);
END;

-- A project has ten webhooks at most: each is written to with every change of a run.
CREATE TRIGGER webhooks_are_few AFTER INSERT ON webhooks
BEGIN
    SELECT RAISE(ABORT, 'a project has ten webhooks at most')
     WHERE (SELECT count(*) FROM webhooks WHERE project_id = NEW.project_id AND deleted_at IS NULL) > 10;
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.created_at, 'webhook_created', NEW.project_id, 'webhook ' || NEW.id, NEW.format);
END;
-- Neither the address nor the secret: who has that of a Slack webhook can write to its channel.
CREATE TRIGGER webhooks_changed AFTER UPDATE OF
    url, events, environment_id, branch, format, generation, disabled_at, deleted_at ON webhooks
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    SELECT CASE c.what WHEN 'webhook_deleted' THEN NEW.deleted_at WHEN 'webhook_switched_off' THEN NEW.disabled_at
                       ELSE coalesce(NEW.changed_at, NEW.created_at) END,
           c.what, NEW.project_id, 'webhook ' || NEW.id, c.detail
      FROM (SELECT 'webhook_deleted' AS what, NULL AS detail WHERE NEW.deleted_at IS NOT OLD.deleted_at
            UNION ALL
            SELECT 'webhook_changed', NULL
             WHERE NEW.deleted_at IS NULL
               AND (NEW.url <> OLD.url OR NEW.events <> OLD.events OR NEW.environment_id IS NOT OLD.environment_id
                    OR NEW.branch IS NOT OLD.branch OR NEW.format <> OLD.format)
            UNION ALL
            SELECT 'webhook_secret_changed', NULL WHERE NEW.generation <> OLD.generation
            UNION ALL
            SELECT 'webhook_switched_off', NEW.disabled_why WHERE OLD.disabled_at IS NULL AND NEW.disabled_at IS NOT NULL
            UNION ALL
            SELECT 'webhook_switched_on', NULL WHERE OLD.disabled_at IS NOT NULL AND NEW.disabled_at IS NULL) c;
END;
CREATE TRIGGER webhooks_are_kept BEFORE DELETE ON webhooks
BEGIN
    SELECT RAISE(ABORT, 'a webhook is only marked as deleted');
END;

-- An attempt has ended: the webhook works, or fails since then. One that is gone, or fails for five days, is switched off.
CREATE TRIGGER deliveries_attempted AFTER UPDATE OF attempted_at ON deliveries
BEGIN
    UPDATE webhooks SET failing_since = NULL
     WHERE id = NEW.webhook_id AND NEW.state = 'delivered' AND failing_since IS NOT NULL;
    UPDATE webhooks
       SET failing_since = coalesce(failing_since, NEW.attempted_at),
           (disabled_at, disabled_why) =
               (SELECT NEW.attempted_at, iif(NEW.status = 410, 'gone', 'failing')
                 WHERE NEW.status = 410 OR NEW.attempted_at - failing_since >= 432000000)
     WHERE id = NEW.webhook_id AND NEW.state <> 'delivered' AND disabled_at IS NULL
       AND (failing_since IS NULL OR NEW.status = 410 OR NEW.attempted_at - failing_since >= 432000000);
END;
-- An event is delivered or given up: the next one of its run may go.
CREATE TRIGGER deliveries_release AFTER UPDATE OF state ON deliveries
WHEN OLD.state = 'due' AND NEW.state <> 'due' AND NEW.redelivers IS NULL
BEGIN
    UPDATE deliveries SET state = 'due', due_at = coalesce(NEW.attempted_at, created_at), fresh = 1
     WHERE id = (SELECT id FROM deliveries
                  WHERE webhook_id = NEW.webhook_id AND run_id = NEW.run_id AND redelivers IS NULL AND state = 'waiting'
                  ORDER BY step LIMIT 1);
END;

DROP VIEW changed_runs;
-- What a change of a run has to tell the hub: {project, runs: [{id, version, run, stop}], deliveries}. Beside the run itself these are the runs of its concurrency
-- group, which triggers may have changed with it, and those that it took the place of. There are few: a group has one run that
-- holds it and one that waits. `deliveries` is 1 if some are to go out at once.
CREATE VIEW changed_runs AS
SELECT r.*,
       json_object('project', r.project_id, 'runs', json((
           SELECT json_group_array(json_object('id', t.id, 'version', t.version, 'run', json(t.test_run), 'stop', json(t.stop_order)))
             FROM (SELECT r.id AS id
                    UNION ALL
                   SELECT o.id FROM runs o WHERE o.project_id = r.project_id AND o.active_group = r.concurrency_group AND o.id <> r.id
                    UNION ALL
                   SELECT o.id FROM runs o WHERE o.superseded_by = r.id AND o.active_group IS NULL) c
            CROSS JOIN listed_runs t ON t.id = c.id)),
           'deliveries', EXISTS (SELECT 1 FROM deliveries WHERE fresh = 1)) AS news
  FROM runs r;

-- A webhook as its routes have it: the JSON of the contract's Webhook.
CREATE VIEW shown_webhooks AS
SELECT w.*,
       json_object(
           'id', w.id, 'project_id', w.project_id, 'url', w.url, 'events', json(w.events),
           'environment', (SELECT e.slug FROM environments e WHERE e.id = w.environment_id), 'branch', w.branch,
           'format', w.format, 'disabled', json(iif(w.disabled_at IS NULL, 'false', 'true')), 'disabled_why', w.disabled_why,
           'disabled_at', strftime('%Y-%m-%dT%H:%M:%fZ', w.disabled_at / 1000.0, 'unixepoch'),
           'failing_since', strftime('%Y-%m-%dT%H:%M:%fZ', w.failing_since / 1000.0, 'unixepoch'),
           'previous_secret_until', strftime('%Y-%m-%dT%H:%M:%fZ', w.previous_until / 1000.0, 'unixepoch'),
           'created_at', strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch')) AS webhook
  FROM webhooks w;

-- A delivery as its routes have it: the JSON of the contract's Delivery.
CREATE VIEW shown_deliveries AS
SELECT d.*,
       json_object(
           'id', d.id, 'webhook_id', d.webhook_id, 'test_run', d.run_id, 'event', d.event, 'message_id', d.message_id,
           'at', strftime('%Y-%m-%dT%H:%M:%fZ', d.at / 1000.0, 'unixepoch'),
           'created_at', strftime('%Y-%m-%dT%H:%M:%fZ', d.created_at / 1000.0, 'unixepoch'), 'redelivers', d.redelivers,
           'state', d.state, 'next_attempt_at', strftime('%Y-%m-%dT%H:%M:%fZ', d.due_at / 1000.0, 'unixepoch'),
           'attempts', d.attempts, 'attempted_at', strftime('%Y-%m-%dT%H:%M:%fZ', d.attempted_at / 1000.0, 'unixepoch'),
           'status', d.status, 'failure', d.failure, 'answer', d.answer) AS delivery
  FROM deliveries d;

-- A delivery as it is sent, but for the number of the attempt: to whom, what, and what a sentence for Slack tells of it.
CREATE VIEW sent_deliveries AS
SELECT d.id,
       json_object(
           'id', d.id, 'webhook_id', d.webhook_id, 'url', w.url, 'generation', w.generation, 'previous_until', w.previous_until,
           'event', d.event, 'message_id', d.message_id,
           'at', strftime('%Y-%m-%dT%H:%M:%fZ', d.at / 1000.0, 'unixepoch'), 'data', json(d.data),
           'slack', json(CASE WHEN w.format = 'slack' THEN json_object(
               'origin', w.origin, 'run', d.run_id, 'environment', d.data ->> '$.environment.name',
               'branch', d.data ->> '$.test_run_branch', 'started_by', d.data ->> '$.started_by',
               'result', d.data ->> '$.result', 'error_code', d.data ->> '$.error_code',
               'failed', d.data ->> '$.counts.failed', 'total', d.data ->> '$.counts.total',
               'by', d.data ->> '$.cancel.by', 'cause', d.data ->> '$.cancel.cause', 'reason', d.data ->> '$.cancel.reason',
               'outcome', d.data ->> '$.stop.outcome') END)) AS sent
  FROM deliveries d
  JOIN webhooks w ON w.id = d.webhook_id;

UPDATE schema_version SET version = 16;
