-- People who sign in with the company's account (Cloudflare Access): each is a row of `keys` whose text nobody has. Two columns, an
-- index over such rows, of which there are none yet, and the triggers that keep their rules. Writes nothing.
--
-- Statements of earlier releases: all stay right.

ALTER TABLE keys ADD COLUMN access TEXT;
ALTER TABLE keys ADD COLUMN granted_by INTEGER;

CREATE INDEX keys_by_access ON keys (access, project_id) WHERE access IS NOT NULL;
CREATE INDEX keys_by_grant  ON keys (granted_by)         WHERE granted_by IS NOT NULL;

DROP TRIGGER keys_are_made_once;
CREATE TRIGGER keys_are_made_once BEFORE INSERT ON keys
WHEN EXISTS (SELECT 1 FROM keys WHERE hash = NEW.hash) OR EXISTS (SELECT 1 FROM keys WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM keys WHERE request_id = NEW.request_id)
  OR EXISTS (SELECT 1 FROM keys WHERE access = NEW.access AND project_id = NEW.project_id AND revoked_at IS NULL)
BEGIN
    SELECT RAISE(ABORT, 'a key is made once');
END;

DROP TRIGGER keys_stand;
CREATE TRIGGER keys_stand AFTER UPDATE OF
    id, project_id, user, hash, can_read, can_cancel, can_run, created_at, expires_at, request_id, request_hash,
    salt, access, granted_by ON keys
BEGIN
    SELECT RAISE(ABORT, 'a key never changes');
END;

CREATE TRIGGER keys_of_people AFTER INSERT ON keys
WHEN NEW.access IS NOT NULL OR NEW.granted_by IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a person acts by their own address') WHERE NEW.user IS NOT NEW.access;
    SELECT RAISE(ABORT, 'a person is let in by the row of their domain')
     WHERE NEW.granted_by IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM keys d
                        WHERE d.id = NEW.granted_by AND d.project_id = NEW.project_id
                          AND d.access = substr(NEW.access, instr(NEW.access, '@')) AND d.access <> NEW.access
                          AND d.valid_until > NEW.created_at AND d.expires_at IS NEW.expires_at
                          AND d.can_read = NEW.can_read AND d.can_cancel = NEW.can_cancel AND d.can_run = NEW.can_run);
END;

CREATE TRIGGER keys_revoke_whom_they_let_in AFTER UPDATE OF revoked_at ON keys
WHEN NEW.revoked_at IS NOT NULL AND OLD.revoked_at IS NULL AND substr(NEW.access, 1, 1) = '@'
BEGIN
    UPDATE keys SET revoked_at = NEW.revoked_at WHERE granted_by = NEW.id AND revoked_at IS NULL;
END;

DROP TRIGGER keys_created;
CREATE TRIGGER keys_created AFTER INSERT ON keys
WHEN NEW.granted_by IS NULL
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.created_at, iif(NEW.access IS NULL, 'key_created', 'person_admitted'), NEW.project_id, NEW.user,
            'key ' || NEW.id || ', ' || NEW.name || ': ' || substr(iif(NEW.can_read, ', read', '') || iif(NEW.can_cancel, ', cancel', '')
                                                                   || iif(NEW.can_run, ', run', ''), 3));
END;
DROP TRIGGER keys_revoked;
CREATE TRIGGER keys_revoked AFTER UPDATE OF revoked_at ON keys
WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL
 AND (SELECT revoked_at FROM keys WHERE id = NEW.granted_by) IS NULL
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.revoked_at, 'key_revoked', NEW.project_id, NEW.user, 'key ' || NEW.id || ', ' || NEW.name);
END;

UPDATE schema_version SET version = 14;
