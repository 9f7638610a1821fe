-- The truth: signers, statements, entries. Rows are inserted and never changed.
-- facts and pending are derived from them. All of these grow at their end; the
-- only key that falls on a random page is the unique one of statements. The
-- index for lists is a file of its own (see index.go).

-- +goose Up

-- One row. identity tells which index file belongs to this store, generation
-- grows with each reindex.
CREATE TABLE store (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    identity   BLOB NOT NULL CHECK (length(identity) = 16),
    generation INTEGER NOT NULL
) STRICT;
INSERT INTO store (id, identity, generation) VALUES (1, randomblob(16), 1);

-- Public keys. key_id is the SHA-256 of public_key (SubjectPublicKeyInfo, DER).
CREATE TABLE signers (
    id         INTEGER PRIMARY KEY,
    key_id     BLOB NOT NULL UNIQUE CHECK (length(key_id) = 32),
    public_key BLOB NOT NULL
) STRICT;

-- Envelopes as they were received. statement is the SHA-256 of the DSSE payload,
-- received is in microseconds since 1970, crc is CRC-32C over the row's content.
-- The envelope is last, so that the other columns are read without it.
CREATE TABLE statements (
    id          INTEGER PRIMARY KEY,
    statement   BLOB NOT NULL CHECK (length(statement) = 32),
    signer      INTEGER NOT NULL REFERENCES signers (id),
    received    INTEGER NOT NULL,
    log_size    INTEGER NOT NULL,
    crc         INTEGER NOT NULL,
    vendor      TEXT NOT NULL,
    declaration TEXT NOT NULL,
    envelope    BLOB NOT NULL,
    UNIQUE (statement, signer)
) STRICT;

-- Log entries with their proofs, and RFC 3161 tokens. seq is the order of the
-- commits, which the index follows.
CREATE TABLE entries (
    seq       INTEGER PRIMARY KEY,
    id        INTEGER NOT NULL UNIQUE REFERENCES statements (id),
    log_index INTEGER NOT NULL UNIQUE,
    committed INTEGER NOT NULL,
    crc       INTEGER NOT NULL,
    tokens    BLOB NOT NULL,
    entry     BLOB NOT NULL
) STRICT;

-- Derived: statements that have no entry yet.
CREATE TABLE pending (
    id INTEGER PRIMARY KEY REFERENCES statements (id)
) STRICT;

-- Derived: what a statement is about. facts holds subjects and products.
CREATE TABLE facts (
    id     INTEGER PRIMARY KEY REFERENCES statements (id),
    vendor TEXT NOT NULL,
    type   TEXT NOT NULL,
    facts  BLOB NOT NULL
) STRICT;

-- +goose Down
DROP TABLE facts;
DROP TABLE pending;
DROP TABLE entries;
DROP TABLE statements;
DROP TABLE signers;
DROP TABLE store;
