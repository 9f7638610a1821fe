-- +goose Up

-- What was received beside an envelope and cannot be had again: the certificate
-- of its key (DER, empty for a key), and the RFC 3161 tokens that existed when
-- the row was stored. A certificate lives for minutes: completed days later, the
-- statement needs a token from its life. Truth: inserted with the row of
-- statements, never changed, and covered by that row's crc. signers.public_key
-- is what key_id is the SHA-256 of: for an identity its canonical text.
CREATE TABLE receipts (
    id          INTEGER PRIMARY KEY REFERENCES statements (id),
    certificate BLOB NOT NULL,
    tokens      BLOB NOT NULL
) STRICT;

-- +goose Down
DROP TABLE receipts;
