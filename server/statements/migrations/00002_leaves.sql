-- +goose Up

-- Leaves of the log by their RFC 6962 hash, and the size of the log before each
-- was given to it: where to look for it. bare is 1 if it came without a
-- statement; that is the truth. With 0 it is a statement's, and derived: reindex
-- adds those that are missing.
CREATE TABLE leaves (
    leaf     BLOB PRIMARY KEY CHECK (length(leaf) = 32),
    log_size INTEGER NOT NULL,
    bare     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE leaves;
