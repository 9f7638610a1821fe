package statements

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// selectRecord joins a truth row with what is derived from it. The derived part
// is optional: damaged facts must not hide an envelope.
const selectRecord = `SELECT s.id, s.statement, g.key_id, g.public_key, s.received, s.log_size, s.crc,
	s.vendor, s.declaration, s.envelope, e.log_index, e.committed, e.crc, e.tokens, e.entry, f.type, f.facts,
	r.certificate, r.tokens
	FROM statements s JOIN signers g ON g.id = s.signer
	LEFT JOIN entries e ON e.id = s.id
	LEFT JOIN facts f ON f.id = s.id
	LEFT JOIN receipts r ON r.id = s.id`

// selectSigner finds a signer by its id.
const selectSigner = "SELECT public_key FROM signers WHERE key_id = ?"

// selectLeaf finds a leaf by its hash.
const selectLeaf = "SELECT log_size, bare FROM leaves WHERE leaf = ?"

// readStatements are the prepared statements for records.
type readStatements struct {
	byStatement, byKey, at, pending, pendingOf, leaf, signer *sql.Stmt

	all prepared
}

func prepareReads(ctx context.Context, db *sql.DB) (r readStatements, err error) {
	err = r.all.add(ctx, db, []preparation{
		{&r.byStatement, selectRecord + " WHERE s.statement = ? ORDER BY s.id LIMIT ?"},
		{&r.byKey, selectRecord + " WHERE s.statement = ? AND g.key_id = ?"},
		{&r.at, selectRecord + " WHERE e.log_index = ?"},
		{&r.leaf, selectLeaf},
		{&r.signer, selectSigner},
		// The row ids come from pending alone, before anything large is touched.
		{&r.pending, selectRecord +
			" WHERE s.id IN (SELECT id FROM pending WHERE id > ? ORDER BY id LIMIT ?) ORDER BY s.id"},
		{&r.pendingOf, selectRecord + ` WHERE s.id IN (SELECT p.id FROM pending p JOIN statements t ON t.id = p.id
			WHERE t.log_size = ? AND p.id > ? ORDER BY p.id LIMIT ?) ORDER BY s.id`},
	})
	return r, err // closing the pool closes the statements
}

// Get returns the records of a statement, one for each key that signed it, the
// oldest first, at most MaxSigners, or ErrNotFound. A row that does not match
// its checksum is STORE_CORRUPT.
func (s *Store) Get(ctx context.Context, statementID string) ([]Record, error) {
	d, err := parseID("statement id", statementID)
	if err != nil {
		return nil, err
	}
	records, err := findRecords(ctx, s.read.byStatement, d[:], MaxSigners)
	if err != nil {
		return nil, s.readFault(err)
	}
	if len(records) == 0 {
		return nil, &Error{Code: NotFound, Message: "no statement " + statementID}
	}
	return records, nil
}

// GetBy returns the record of a statement signed by one key, or ErrNotFound. A
// row that does not match its checksum is STORE_CORRUPT.
func (s *Store) GetBy(ctx context.Context, statementID, keyID string) (Record, error) {
	var key rowKey
	var err error
	if key.statement, err = parseID("statement id", statementID); err != nil {
		return Record{}, err
	}
	if key.key, err = parseID("key id", keyID); err != nil {
		return Record{}, err
	}
	rec, err := findRecord(ctx, s.read.byKey, key)
	return rec, s.readFault(err)
}

// Signer returns what a key id is the digest of ([Pending].Signer), or ErrNotFound if nobody with that id signed a stored
// statement. One that does not match its digest is STORE_CORRUPT.
func (s *Store) Signer(ctx context.Context, keyID string) ([]byte, error) {
	key, err := parseID("key id", keyID)
	if err != nil {
		return nil, err
	}
	var signer []byte
	switch err := s.read.signer.QueryRowContext(ctx, key[:]).Scan(&signer); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, &Error{Code: NotFound, Message: "no statement by key " + keyID}
	case err != nil:
		return nil, s.readFault(err)
	case sha256.Sum256(signer) != key:
		return nil, corrupt(nil, "the signer %s does not match its digest", keyID)
	}
	return signer, nil
}

// PendingRows returns pending records with a Sequence above after, the oldest
// first, at most limit (DefaultPage if 0, at most MaxPage). A service calls it
// at its start, until it returns nothing, to complete what a crash left behind.
func (s *Store) PendingRows(ctx context.Context, after uint64, limit int) ([]Record, error) {
	records, err := findRecords(ctx, s.read.pending, int64(min(after, 1<<62)), pageLimit(limit))
	return records, s.readFault(err)
}

func pageLimit(limit int) int {
	if limit <= 0 {
		return DefaultPage
	}
	return min(limit, MaxPage)
}

// readFault classifies an error of a read; after Close it is STORE_CLOSED,
// whatever the pool calls it.
func (s *Store) readFault(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-s.closing:
		return closed()
	default:
		return classify(err)
	}
}

func findRecord(ctx context.Context, st *sql.Stmt, key rowKey) (Record, error) {
	records, err := findRecords(ctx, st, key.statement[:], key.key[:])
	if err != nil {
		return Record{}, err
	}
	if len(records) == 0 {
		return Record{}, notFound(key)
	}
	return records[0], nil
}

func findRecords(ctx context.Context, st *sql.Stmt, args ...any) ([]Record, error) {
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Record
	for rows.Next() {
		rec, err := scanRecord(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, rows.Err()
}

// scanRecord reads one row of selectRecord and checks it: the key against its
// digest, statement and entry against their checksums.
func scanRecord(rows *sql.Rows) (rec Record, err error) {
	var (
		key                        rowKey
		statement, keyID, facts    []byte
		received, logSize, crc     int64
		index, committed, crcEntry sql.NullInt64
		tokens, entry, receipt     []byte
		typ                        sql.NullString
	)
	if err := rows.Scan(&rec.Sequence, &statement, &keyID, &rec.Signer, &received, &logSize, &crc,
		&rec.Vendor, &rec.Declaration, &rec.Envelope, &index, &committed, &crcEntry, &tokens, &entry,
		&typ, &facts, &rec.Certificate, &receipt); err != nil {
		return rec, err
	}
	copy(key.statement[:], statement)
	copy(key.key[:], keyID)
	rec.StatementID, rec.KeyID = key.statement.id(), key.key.id()
	rec.LogSize, rec.ReceivedAt = uint64(logSize), time.UnixMicro(received).UTC()
	if sha256.Sum256(rec.Signer) != key.key {
		return rec, corrupt(nil, "the signer %s does not match its digest", rec.KeyID)
	}
	if len(rec.Certificate) == 0 {
		rec.Certificate = nil
	}
	if receipt != nil {
		if rec.ReceiptTokens, err = readTokens(receipt); err != nil {
			return rec, corrupt(err, "timestamps at receipt of statement %s cannot be read", rec.StatementID)
		}
	}
	if sum := statementSum(key, &rec.Pending, receipt); int64(sum) != crc {
		return rec, corrupt(nil, "statement %s: checksum %#08x, stored %#08x", rec.StatementID, sum, crc)
	}
	if typ.Valid && facts != nil {
		subjects, products, err := decodeFacts(facts)
		if err != nil {
			return rec, reindexable("statement %s: damaged facts: %v", rec.StatementID, err)
		}
		rec.PredicateType, rec.Subjects, rec.Products = typ.String, hexAll(subjects), products
	}
	if !index.Valid {
		return rec, nil
	}
	rec.State, rec.Entry, rec.LogIndex = StateCommitted, entry, uint64(index.Int64)
	rec.CommittedAt = time.UnixMicro(committed.Int64).UTC()
	if sum := entrySum(key, rec.LogIndex, rec.CommittedAt, tokens, entry); int64(sum) != crcEntry.Int64 {
		return rec, corrupt(nil, "log entry of statement %s: checksum %#08x, stored %#08x", rec.StatementID, sum, crcEntry.Int64)
	}
	if rec.Tokens, err = readTokens(tokens); err != nil {
		return rec, corrupt(err, "timestamps of statement %s cannot be read", rec.StatementID)
	}
	return rec, nil
}

// readTokens decodes a column of tokens.
func readTokens(column []byte) ([][]byte, error) {
	parts, rest, err := readParts(column)
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("%d bytes after the last", len(rest))
	}
	return parts, err
}
