-- The index for lists: derived, and rebuilt when this file of SQL changes
-- (indexVersion), when the file is missing, or when it is another store's.

-- How far the index has come: the last entry in it. statement is its digest, so
-- that the index of a store that went on differently is noticed.
CREATE TABLE progress (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    identity   BLOB NOT NULL,
    generation INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    statement  BLOB NOT NULL
) STRICT;

-- One line of a list for each committed statement.
CREATE TABLE summaries (
    log_index INTEGER PRIMARY KEY,
    statement BLOB NOT NULL,
    key_id    BLOB NOT NULL,
    vendor    INTEGER NOT NULL,
    type      INTEGER NOT NULL,
    received  INTEGER NOT NULL,
    committed INTEGER NOT NULL,
    facts     BLOB NOT NULL
) STRICT;

-- What is listed without a filter, as one number each: 'v' || vendor,
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

-- Vendor and type are carried along, so that a combined query is answered from
-- the index alone.
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
