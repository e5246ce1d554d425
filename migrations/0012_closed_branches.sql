-- A pull request that is closed may stop the runs of its branch.
--
-- Statements of earlier releases: all stay right. Writes nothing.
ALTER TABLE projects ADD COLUMN stop_on_close INTEGER NOT NULL DEFAULT 0 CHECK (stop_on_close = 0 OR stop_on_close = 1);
CREATE INDEX projects_by_repo ON projects (repo_name COLLATE NOCASE) WHERE stop_on_close = 1;

DROP TRIGGER projects_changed;
CREATE TRIGGER projects_changed AFTER UPDATE OF name, repo_name, badges, stop_on_close, concurrency_scope, concurrency_behaviour ON projects
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    SELECT iif(NEW.changed_at IS NOT OLD.changed_at, NEW.changed_at, unixepoch() * 1000), c.what, NEW.id, NEW.slug, c.detail
      FROM (SELECT 'project_renamed' AS what, OLD.name || ' → ' || NEW.name AS detail WHERE NEW.name <> OLD.name
            UNION ALL
            SELECT 'repository_changed', coalesce(OLD.repo_name, 'none') || ' → ' || NEW.repo_name WHERE NEW.repo_name IS NOT OLD.repo_name
            UNION ALL
            SELECT iif(NEW.badges, 'badges_turned_on', 'badges_turned_off'), NULL WHERE NEW.badges <> OLD.badges
            UNION ALL
            SELECT iif(NEW.stop_on_close, 'stop_on_close_turned_on', 'stop_on_close_turned_off'), NULL WHERE NEW.stop_on_close <> OLD.stop_on_close
            UNION ALL
            SELECT 'limit_changed', NEW.concurrency_scope || ', ' || NEW.concurrency_behaviour
             WHERE NEW.concurrency_scope <> OLD.concurrency_scope OR NEW.concurrency_behaviour <> OLD.concurrency_behaviour) c;
END;

UPDATE schema_version SET version = 12;
