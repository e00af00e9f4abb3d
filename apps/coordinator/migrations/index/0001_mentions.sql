-- What the ledger says of whom. Everything here follows from ledger.db and ceremonies.db: without this file it is made
-- anew. Only TEXT, BIGINT and BLOB, so that PostgreSQL takes it as it is.

-- An entry under every name that it is looked for; `note` is the number of its note in ceremonies.db, 0 for a signature.
CREATE TABLE mentions (
    name    TEXT   NOT NULL,
    place   BIGINT NOT NULL,
    time_ms BIGINT NOT NULL,
    note    BIGINT NOT NULL,
    PRIMARY KEY (name, place)
);
CREATE INDEX mentions_by_time ON mentions (name, time_ms);

-- How far the ledger is read, the root at that size, and how many notes are among it. One row.
CREATE TABLE indexed (
    source TEXT   NOT NULL PRIMARY KEY,
    size   BIGINT NOT NULL,
    root   TEXT   NOT NULL,
    notes  BIGINT NOT NULL
);
