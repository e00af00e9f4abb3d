-- The coordinator's private log. Only TEXT, BIGINT and BLOB, so that PostgreSQL takes it as it is
-- (after CREATE DOMAIN blob AS bytea).

-- Every fact of every ceremony in the order in which it was recorded. Nothing is ever changed or deleted.
CREATE TABLE facts (
    number   BIGINT NOT NULL PRIMARY KEY,
    ceremony TEXT   NOT NULL,
    document BLOB   NOT NULL
);
CREATE INDEX facts_of_ceremony ON facts (ceremony, number);

-- What a start needs of the ceremonies that are over, in the order in which they were first over.
CREATE TABLE summaries (
    ceremony TEXT   NOT NULL PRIMARY KEY,
    number   BIGINT NOT NULL,
    document BLOB   NOT NULL
);

-- What the ledger has to record, in order, with the facts that cause it; and the bodies that the entries speak of,
-- where no fact holds them.
CREATE TABLE notes (
    number BIGINT NOT NULL PRIMARY KEY,
    entry  BLOB   NOT NULL,
    body   BLOB
);

-- The governance under which all of this was recorded. One row.
CREATE TABLE pinned (
    digest   TEXT   NOT NULL PRIMARY KEY,
    version  BIGINT NOT NULL,
    document BLOB   NOT NULL
);
