-- The newest checkpoint that each witness has cosigned, with its line under it. A row per witness, replaced.
CREATE TABLE cosignatures (
    witness TEXT   NOT NULL PRIMARY KEY,
    size    BIGINT NOT NULL,
    note    BLOB   NOT NULL
);
