-- Check runs at GitHub, and CI jobs that are cancelled there too. Both go by the outbox of webhooks. Writes nothing: no project has
-- them yet.
--
-- Statements of earlier releases: all stay right. They take each row of webhooks for a webhook of somebody's, and there is no other
-- until the new Worker switches one on.

-- The repository, if it is one of GitHub's, and so may be part of an address there.
ALTER TABLE projects ADD COLUMN github_repo TEXT GENERATED ALWAYS AS (
    CASE WHEN repo_name GLOB '[A-Za-z0-9]*/?*' AND repo_name NOT GLOB '*[^-A-Za-z0-9._/]*' AND repo_name NOT GLOB '*/*/*'
          AND repo_name NOT GLOB '*/.' AND repo_name NOT GLOB '*/..' THEN repo_name END) VIRTUAL;

-- check_runs  not a webhook of anybody's: writes the project's runs to GitHub, as check runs
-- cancel_ci   the same: cancels the workflow run of a run at GitHub
-- NULL        a webhook
ALTER TABLE webhooks ADD COLUMN github TEXT CHECK (github IS NULL OR github = 'check_runs' OR github = 'cancel_ci');
-- Of these two, how an attempt failed last: {at, status, failure, answer}.
ALTER TABLE webhooks ADD COLUMN last_failure TEXT CHECK (last_failure IS NULL OR json_valid(last_failure));

-- The check run that GitHub has of a run.
CREATE TABLE check_runs (
    run_id       INTEGER PRIMARY KEY,    -- the run
    check_run_id INTEGER NOT NULL,       -- GitHub's id
    repo_name    TEXT    NOT NULL        -- in this repository
) STRICT;

-- What the project's webhooks hear, each that is on and whose filters match. To GitHub goes only what there is to write: of a run
-- that has a commit and was started; and whose workflow run goes on although nobody stops it.
DROP TRIGGER runs_deliver;
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
               AND instr(w.events, iif(NEW.state = OLD.state, '"run.stopped"', '"run.' || NEW.state || '"')) > 0
               AND CASE w.github
                       WHEN 'check_runs' THEN NEW.started_at IS NOT NULL AND (NEW.state <> OLD.state OR NEW.stop_outcome = 'lost')
                           AND length(NEW.build ->> '$.commit') = 40 AND NEW.build ->> '$.commit' NOT GLOB '*[^0-9A-Fa-f]*'
                       -- Not if what took its place is in the same workflow run.
                       WHEN 'cancel_ci' THEN (NEW.stop_outcome = 'lost' OR NEW.stop_outcome = 'never_started')
                           AND NEW.build ->> '$.url' GLOB '*/actions/runs/[1-9]*'
                           AND NEW.build ->> '$.url' IS NOT (SELECT build ->> '$.url' FROM runs WHERE id = NEW.superseded_by)
                       ELSE 1 END);
END;

-- A project has ten webhooks at most: each is written to with every change of a run.
DROP TRIGGER webhooks_are_few;
CREATE TRIGGER webhooks_are_few AFTER INSERT ON webhooks
WHEN NEW.github IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a project has ten webhooks at most')
     WHERE (SELECT count(*) FROM webhooks WHERE project_id = NEW.project_id AND deleted_at IS NULL AND github IS NULL) > 10;
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.created_at, 'webhook_created', NEW.project_id, 'webhook ' || NEW.id, NEW.format);
END;
-- Neither the address nor the secret: who has that of a Slack webhook can write to its channel.
DROP TRIGGER webhooks_changed;
CREATE TRIGGER webhooks_changed AFTER UPDATE OF
    url, events, environment_id, branch, format, generation, disabled_at, deleted_at ON webhooks
WHEN NEW.github IS NULL
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
-- Check runs and the cancelling of CI are settings of their project, and stay what they are.
CREATE TRIGGER github_turned_on AFTER INSERT ON webhooks
WHEN NEW.github IS NOT NULL
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject)
    VALUES (NEW.created_at, NEW.github || '_turned_on', NEW.project_id, (SELECT slug FROM projects WHERE id = NEW.project_id));
END;
CREATE TRIGGER github_turned_on_or_off AFTER UPDATE OF disabled_at, deleted_at ON webhooks
WHEN NEW.github IS NOT NULL
 AND (NEW.disabled_at IS NULL AND NEW.deleted_at IS NULL) <> (OLD.disabled_at IS NULL AND OLD.deleted_at IS NULL)
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (coalesce(NEW.deleted_at, NEW.disabled_at, NEW.changed_at),
            NEW.github || iif(NEW.disabled_at IS NULL AND NEW.deleted_at IS NULL, '_turned_on', '_turned_off'),
            NEW.project_id, (SELECT slug FROM projects WHERE id = NEW.project_id), NEW.disabled_why);
END;
CREATE TRIGGER webhooks_stay AFTER UPDATE OF github, project_id ON webhooks
BEGIN
    SELECT RAISE(ABORT, 'a webhook stays what it is');
END;

-- An attempt has ended: the webhook works, or fails since then. One that is gone, or fails for five days, is switched off.
DROP TRIGGER deliveries_attempted;
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
    UPDATE webhooks
       SET last_failure = json_object('at', strftime('%Y-%m-%dT%H:%M:%fZ', NEW.attempted_at / 1000.0, 'unixepoch'),
                                      'status', NEW.status, 'failure', NEW.failure, 'answer', substr(NEW.answer, 1, 1000))
     WHERE id = NEW.webhook_id AND NEW.failure IS NOT NULL AND github IS NOT NULL;
END;

-- GitHub has taken the order to cancel a workflow run.
CREATE TRIGGER deliveries_cancelled_ci AFTER UPDATE OF state ON deliveries
WHEN NEW.state = 'delivered' AND OLD.state = 'due' AND NEW.status = 202
BEGIN
    INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by, reason)
    SELECT NEW.run_id, 8, NEW.attempted_at, 'cancelled', 'cancelled', 'ci_cancelled', 'system:github',
           p.github_repo || ' ' || s.workflow_run
      FROM webhooks w
     CROSS JOIN projects p ON p.id = w.project_id
     CROSS JOIN workflow_runs s ON s.delivery_id = NEW.id
     WHERE w.id = NEW.webhook_id AND w.github = 'cancel_ci' AND EXISTS (SELECT 1 FROM runs WHERE id = NEW.run_id)
       AND NOT EXISTS (SELECT 1 FROM run_events WHERE run_id = NEW.run_id AND step = 8);
END;
-- An event says what its run has just become, once: one that is forged would stand in the true one's way.
DROP TRIGGER run_events_are_true;
CREATE TRIGGER run_events_are_true BEFORE INSERT ON run_events
WHEN NEW.step <> CASE WHEN NEW.from_state = NEW.to_state
                      THEN CASE NEW.cause WHEN 'kill' THEN 5 WHEN 'stopped' THEN 6 WHEN 'ci_cancelled' THEN 8 ELSE 7 END
                      WHEN NEW.to_state = 'pending' THEN 1 WHEN NEW.to_state = 'queued' THEN 2
                      WHEN NEW.to_state = 'started' THEN 3 ELSE 4 END
  OR EXISTS (SELECT 1 FROM run_events WHERE run_id = NEW.run_id AND step = NEW.step)
  OR (SELECT CASE WHEN NEW.step = 5 AND kill_at IS NULL OR NEW.step = 6 AND stop_closed_at IS NULL
                    OR NEW.step = 7 AND late_at IS NULL
                    OR NEW.step = 8 AND NOT EXISTS (SELECT 1 FROM webhooks w CROSS JOIN deliveries d ON d.webhook_id = w.id
                                                     WHERE w.request_id = 'github:cancel_ci:' || runs.project_id AND d.run_id = runs.id
                                                       AND d.redelivers IS NULL AND d.state = 'delivered' AND d.status = 202)
                  THEN NULL ELSE state END
        FROM runs WHERE id = NEW.run_id) IS NOT NEW.to_state
BEGIN
    SELECT RAISE(ABORT, 'an event says what its run has become');
END;

-- The number of the workflow run that a delivery is about, as whoever registered the run wrote it into build.url. Nothing else of
-- that address counts: the repository is the one that an admin set.
CREATE VIEW workflow_runs AS
SELECT d.id AS delivery_id, CAST(substr(d.url, instr(d.url, '/actions/runs/') + 14) AS INTEGER) AS workflow_run
  FROM (SELECT id, data ->> '$.build.url' AS url FROM deliveries) d;

-- A delivery as it is sent, but for the number of the attempt: to whom, what, and what a sentence for Slack or at
-- GitHub tells of it.
DROP VIEW sent_deliveries;
CREATE VIEW sent_deliveries AS
SELECT d.id,
       json_object(
           'id', d.id, 'webhook_id', d.webhook_id, 'url', w.url, 'generation', w.generation, 'previous_until', w.previous_until,
           'event', d.event, 'message_id', d.message_id,
           'at', strftime('%Y-%m-%dT%H:%M:%fZ', d.at / 1000.0, 'unixepoch'), 'data', json(d.data),
           'told', json(CASE WHEN w.format = 'slack' OR w.github IS NOT NULL THEN json_object(
               'origin', w.origin, 'run', d.run_id, 'environment', d.data ->> '$.environment.name',
               'branch', d.data ->> '$.test_run_branch', 'started_by', d.data ->> '$.started_by',
               'result', d.data ->> '$.result', 'error_code', d.data ->> '$.error_code',
               'failed', d.data ->> '$.counts.failed', 'total', d.data ->> '$.counts.total',
               'by', d.data ->> '$.cancel.by', 'cause', d.data ->> '$.cancel.cause', 'reason', d.data ->> '$.cancel.reason',
               'outcome', d.data ->> '$.stop.outcome') END),
           'github', json(CASE WHEN w.github IS NOT NULL THEN json_object(
               'setting', w.github, 'repo', (SELECT github_repo FROM projects WHERE id = w.project_id),
               'check_run', (SELECT c.check_run_id FROM check_runs c CROSS JOIN projects p ON p.id = w.project_id
                              WHERE c.run_id = d.run_id AND c.repo_name = p.github_repo),
               'workflow_run', (SELECT workflow_run FROM workflow_runs WHERE delivery_id = d.id),
               'registered_at', d.data ->> '$.created_at',
               'environment', d.data ->> '$.environment.slug', 'commit', lower(d.data ->> '$.build.commit'),
               'started_at', d.data ->> '$.started_at', 'successor', d.data ->> '$.superseded_by',
               'completed_at', coalesce(d.data ->> '$.cancel.at', d.data ->> '$.ended_at')) END)) AS sent
  FROM deliveries d
  JOIN webhooks w ON w.id = d.webhook_id;

-- A project as the admin routes have it: the JSON of the contract's Project. What goes to GitHub is on as long as its row of
-- webhooks is.
CREATE VIEW shown_projects AS
SELECT p.*,
       json_object(
           'id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name,
           'concurrency', json_object('scope', p.concurrency_scope, 'behaviour', p.concurrency_behaviour),
           'badges', json(iif(p.badges, 'true', 'false')), 'stop_on_close', json(iif(p.stop_on_close, 'true', 'false')),
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

UPDATE schema_version SET version = 17;
