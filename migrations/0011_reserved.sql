-- Nothing: the number belongs to another change.

UPDATE schema_version SET version = 11;
