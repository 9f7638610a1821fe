-- The truth: signers, statements, entries. Rows are inserted and never changed.
-- Everything else is derived from them, and dropped and rebuilt by a reindex.

-- +goose Up

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

-- Log entries with their proofs, and RFC 3161 tokens. That a log index has one
-- statement is enforced by the primary key of summaries, in the same transaction.
CREATE TABLE entries (
    id        INTEGER PRIMARY KEY REFERENCES statements (id),
    log_index INTEGER NOT NULL,
    committed INTEGER NOT NULL,
    crc       INTEGER NOT NULL,
    tokens    BLOB NOT NULL,
    entry     BLOB NOT NULL
) STRICT;

-- Derived: statements that have no entry yet, with what is known of them.
CREATE TABLE pending (
    id    INTEGER PRIMARY KEY REFERENCES statements (id),
    type  INTEGER NOT NULL,
    facts BLOB NOT NULL
) STRICT;

-- Derived: one line of a list for each committed statement.
CREATE TABLE summaries (
    log_index INTEGER PRIMARY KEY,
    id        INTEGER NOT NULL,
    statement BLOB NOT NULL,
    signer    INTEGER NOT NULL,
    vendor    INTEGER NOT NULL,
    type      INTEGER NOT NULL,
    received  INTEGER NOT NULL,
    committed INTEGER NOT NULL,
    facts     BLOB NOT NULL
) STRICT;

-- Derived: what can be listed exactly, as one number each: 'v' || vendor,
-- 't' || predicate type, 'c' || both numbers.
CREATE TABLE facets (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE postings (
    facet     INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    PRIMARY KEY (facet, log_index)
) STRICT, WITHOUT ROWID;

-- Derived: vendor and type are carried along, so that a combined query is
-- answered from the index alone.
CREATE TABLE by_subject (
    subject   BLOB NOT NULL,
    log_index INTEGER NOT NULL,
    vendor    INTEGER NOT NULL,
    type      INTEGER NOT NULL,
    PRIMARY KEY (subject, log_index)
) STRICT, WITHOUT ROWID;

CREATE TABLE by_product (
    product   TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    vendor    INTEGER NOT NULL,
    type      INTEGER NOT NULL,
    PRIMARY KEY (product, log_index)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE by_product;
DROP TABLE by_subject;
DROP TABLE postings;
DROP TABLE facets;
DROP TABLE summaries;
DROP TABLE pending;
DROP TABLE entries;
DROP TABLE statements;
DROP TABLE signers;
