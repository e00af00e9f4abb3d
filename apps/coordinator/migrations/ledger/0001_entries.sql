-- The Merkle log and the signatures that were released with it. Only TEXT, BIGINT and BLOB, so that PostgreSQL
-- takes it as it is (after CREATE DOMAIN blob AS bytea). Nothing is ever changed or deleted but the row of `taken`.

-- Canonical entries; places count from 0.
CREATE TABLE entries (
    place BIGINT NOT NULL PRIMARY KEY,
    entry BLOB   NOT NULL
);

-- The complete nodes of the tree.
CREATE TABLE nodes (
    level BIGINT NOT NULL,
    place BIGINT NOT NULL,
    hash  BLOB   NOT NULL,
    PRIMARY KEY (level, place)
);

-- What was released with the entry at that place: the body of the entry, and the answer to the same request
-- asked again.
CREATE TABLE releases (
    place           BIGINT NOT NULL PRIMARY KEY,
    idempotency_key TEXT,
    request         BLOB   NOT NULL,
    released_ms     BIGINT NOT NULL,
    answer          BLOB   NOT NULL
);
CREATE INDEX releases_by_key ON releases (idempotency_key, released_ms);

-- How many notes of the ceremonies' log are in. One row.
CREATE TABLE taken (
    source TEXT   NOT NULL PRIMARY KEY,
    notes  BIGINT NOT NULL
);
