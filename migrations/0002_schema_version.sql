-- The database says which schema it has, so that a Worker can tell a database that it is too new for from a broken one.
-- Each later migration sets the version to its own number.
CREATE TABLE schema_version (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    version  INTEGER NOT NULL
) STRICT;
INSERT INTO schema_version (only_row, version) VALUES (1, 2);
