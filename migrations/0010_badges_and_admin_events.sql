-- Badges that a project turns on, environments that take no new runs, and a record of what admins change from now on. Writes nothing.
--
-- Statements of earlier releases: all stay right, but a registration of 0.1.0 does not see that an environment is disabled.

ALTER TABLE projects ADD COLUMN badges INTEGER NOT NULL DEFAULT 0 CHECK (badges = 0 OR badges = 1);
ALTER TABLE projects ADD COLUMN changed_at INTEGER;
ALTER TABLE environments ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled = 0 OR disabled = 1);
ALTER TABLE environments ADD COLUMN changed_at INTEGER;

-- What was changed behind the admin token, written by the triggers below and by nothing else. The token is one, so it does not say
-- by whom.
CREATE TABLE admin_events (
    id         INTEGER PRIMARY KEY,      -- grows with each
    at         INTEGER NOT NULL,         -- when
    what       TEXT    NOT NULL,         -- what was done, e.g. environment_disabled
    project_id INTEGER NOT NULL,         -- in which project
    subject    TEXT    NOT NULL,         -- to what: a slug, or a key's user
    detail     TEXT                      -- what else there is to say
) STRICT;

CREATE TRIGGER projects_created AFTER INSERT ON projects
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.created_at, 'project_created', NEW.id, NEW.slug, NEW.name);
END;
CREATE TRIGGER projects_changed AFTER UPDATE OF name, badges, concurrency_scope, concurrency_behaviour ON projects
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    SELECT iif(NEW.changed_at IS NOT OLD.changed_at, NEW.changed_at, unixepoch() * 1000), c.what, NEW.id, NEW.slug, c.detail
      FROM (SELECT 'project_renamed' AS what, OLD.name || ' → ' || NEW.name AS detail WHERE NEW.name <> OLD.name
            UNION ALL
            SELECT iif(NEW.badges, 'badges_turned_on', 'badges_turned_off'), NULL WHERE NEW.badges <> OLD.badges
            UNION ALL
            SELECT 'limit_changed', NEW.concurrency_scope || ', ' || NEW.concurrency_behaviour
             WHERE NEW.concurrency_scope <> OLD.concurrency_scope OR NEW.concurrency_behaviour <> OLD.concurrency_behaviour) c;
END;
CREATE TRIGGER environments_created AFTER INSERT ON environments
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.created_at, 'environment_created', NEW.project_id, NEW.slug, NEW.name);
END;
CREATE TRIGGER environments_changed AFTER UPDATE OF name, disabled ON environments
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    SELECT iif(NEW.changed_at IS NOT OLD.changed_at, NEW.changed_at, unixepoch() * 1000), c.what, NEW.project_id, NEW.slug, c.detail
      FROM (SELECT 'environment_renamed' AS what, OLD.name || ' → ' || NEW.name AS detail WHERE NEW.name <> OLD.name
            UNION ALL
            SELECT iif(NEW.disabled, 'environment_disabled', 'environment_enabled'), NULL WHERE NEW.disabled <> OLD.disabled) c;
END;
CREATE TRIGGER keys_created AFTER INSERT ON keys
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.created_at, 'key_created', NEW.project_id, NEW.user,
            'key ' || NEW.id || ', ' || NEW.name || ': ' || substr(iif(NEW.can_read, ', read', '') || iif(NEW.can_cancel, ', cancel', '')
                                                                   || iif(NEW.can_run, ', run', ''), 3));
END;
CREATE TRIGGER keys_revoked AFTER UPDATE OF revoked_at ON keys
WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.revoked_at, 'key_revoked', NEW.project_id, NEW.user, 'key ' || NEW.id || ', ' || NEW.name);
END;
CREATE TRIGGER admin_events_are_kept BEFORE DELETE ON admin_events
BEGIN
    SELECT RAISE(ABORT, 'an event is never deleted');
END;
CREATE TRIGGER admin_events_stand BEFORE UPDATE ON admin_events
BEGIN
    SELECT RAISE(ABORT, 'an event never changes');
END;

UPDATE schema_version SET version = 10;
