package statements

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"math"
	"slices"
	"time"
)

// PutPending stores the statements durably in one transaction, all or none, and
// returns a record and a flag for each, in the order given. Where (StatementID,
// KeyID) is stored already, the flag is true and the record is the stored one,
// whatever else the argument says; it may be pending (another call is at work on
// it) or committed. At most MaxBatch statements.
//
// A context that ends while the call waits for its turn takes the call back: the
// error is the context's and nothing was written. Errors: INVALID_ARGUMENT,
// STORE_FULL, STORE_READ_ONLY, STORE_CORRUPT, STORE_CLOSED, STORE_UNAVAILABLE.
func (s *Store) PutPending(ctx context.Context, ps []Pending) ([]Record, []bool, error) {
	if err := checkBatch(len(ps)); err != nil {
		return nil, nil, err
	}
	rows := make([]newRow, len(ps))
	op := &operation{rows: len(ps)}
	for i := range ps {
		var err error
		if rows[i], err = prepareRow(&ps[i]); err != nil {
			return nil, nil, err
		}
		op.bytes += len(ps[i].Envelope)
	}
	records, existed := make([]Record, len(ps)), make([]bool, len(ps))
	op.apply = func(ctx context.Context, w *writer) error {
		for i := range rows {
			var err error
			if records[i], existed[i], err = w.put(ctx, &rows[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.submit(ctx, op); err != nil {
		return nil, nil, err
	}
	return records, existed, nil
}

// Commit stores log entry and timestamps of pending statements durably in one
// transaction, all or none, and makes them appear in lists. Committing again
// with the same log index does nothing and is no error. Contexts are treated as
// by PutPending. Errors: NOT_FOUND, STORE_CONFLICT and those of PutPending.
func (s *Store) Commit(ctx context.Context, cs []Committed) error {
	if err := checkBatch(len(cs)); err != nil {
		return err
	}
	rows, indexed := make([]newEntry, len(cs)), make([]*indexRow, len(cs))
	op := &operation{rows: len(cs)}
	for i := range cs {
		var err error
		if rows[i], err = s.prepareEntry(&cs[i]); err != nil {
			return err
		}
		op.bytes += len(rows[i].entry) + len(rows[i].tokens)
	}
	op.apply = func(ctx context.Context, w *writer) error {
		for i := range rows {
			var err error
			if indexed[i], err = w.complete(ctx, &rows[i]); err != nil {
				return err
			}
		}
		return nil
	}
	op.after = func() { s.index.add(indexed) }
	return s.submit(ctx, op)
}

func checkBatch(n int) error {
	if n == 0 || n > MaxBatch {
		return invalid("%d statements in one call, want 1 to %d", n, MaxBatch)
	}
	return nil
}

// newRow is a Pending that has passed every check, with what its columns need.
// It is prepared on the caller's goroutine: the writer has no time for it.
type newRow struct {
	p        *Pending
	key      rowKey
	subjects []digest
	products []string
	facts    []byte
	receipt  []byte // the tokens, encoded
	crc      uint32
}

// pendingRow is what the writer remembers of a row until it is committed.
type pendingRow struct {
	id, received int64
	vendor, typ  string
	subjects     []digest
	products     []string
	facts        []byte
}

func prepareRow(p *Pending) (row newRow, err error) {
	row.p = p
	if row.key.statement, err = parseID("statement id", p.StatementID); err != nil {
		return row, err
	}
	if row.key.key, err = parseID("key id", p.KeyID); err != nil {
		return row, err
	}
	switch {
	case len(p.Envelope) == 0 || len(p.Envelope) > MaxEnvelopeBytes:
		return row, invalid("envelope has %d bytes, want 1 to %d", len(p.Envelope), MaxEnvelopeBytes)
	case len(p.Signer) == 0 || len(p.Signer) > MaxSignerBytes:
		return row, invalid("signer has %d bytes, want 1 to %d", len(p.Signer), MaxSignerBytes)
	case sha256.Sum256(p.Signer) != row.key.key:
		return row, invalid("key id %s is not the digest of the signer", p.KeyID)
	case len(p.Certificate) > MaxCertificateBytes:
		return row, invalid("certificate has %d bytes, want at most %d", len(p.Certificate), MaxCertificateBytes)
	case p.Vendor == "" || len(p.Vendor) > MaxTextBytes:
		return row, invalid("vendor has %d bytes, want 1 to %d", len(p.Vendor), MaxTextBytes)
	case len(p.Declaration) > MaxTextBytes:
		return row, invalid("declaration id has %d bytes, want at most %d", len(p.Declaration), MaxTextBytes)
	case p.LogSize > math.MaxInt64:
		return row, invalid("log size %d is above %d", p.LogSize, int64(math.MaxInt64))
	case p.ReceivedAt.IsZero():
		return row, invalid("no time of receipt")
	}
	if err := checkTokens(p.ReceiptTokens); err != nil {
		return row, err
	}
	if row.subjects, row.products, err = checkFacts(p.PredicateType, p.Subjects, p.Products); err != nil {
		return row, err
	}
	row.facts = encodeFacts(row.subjects, row.products)
	row.receipt = appendParts(nil, p.ReceiptTokens)
	row.crc = statementSum(row.key, p, row.receipt)
	return row, nil
}

// checkTokens applies the limits of RFC 3161 tokens.
func checkTokens(tokens [][]byte) error {
	if len(tokens) > MaxTokens {
		return invalid("%d timestamps, want at most %d", len(tokens), MaxTokens)
	}
	for _, t := range tokens {
		if len(t) == 0 || len(t) > MaxTokenBytes {
			return invalid("timestamp has %d bytes, want 1 to %d", len(t), MaxTokenBytes)
		}
	}
	return nil
}

// checkFacts applies the limits and removes what is named twice.
func checkFacts(predicateType string, subjects, products []string) ([]digest, []string, error) {
	switch {
	case predicateType == "" || len(predicateType) > MaxTextBytes:
		return nil, nil, invalid("predicate type has %d bytes, want 1 to %d", len(predicateType), MaxTextBytes)
	case len(subjects) > MaxSubjects:
		return nil, nil, invalid("%d subjects, want at most %d", len(subjects), MaxSubjects)
	case len(products) > MaxProducts:
		return nil, nil, invalid("%d product identifiers, want at most %d", len(products), MaxProducts)
	}
	ds := make([]digest, 0, len(subjects))
	for _, s := range subjects {
		d, err := parseHex("subject digest", s)
		if err != nil {
			return nil, nil, err
		}
		if !slices.Contains(ds, d) {
			ds = append(ds, d)
		}
	}
	ps := make([]string, 0, len(products))
	for _, p := range products {
		if p == "" || len(p) > MaxTextBytes {
			return nil, nil, invalid("product identifier has %d bytes, want 1 to %d", len(p), MaxTextBytes)
		}
		if !slices.Contains(ps, p) {
			ps = append(ps, p)
		}
	}
	return ds, ps, nil
}

// put inserts one row, or finds the one that is there.
func (w *writer) put(ctx context.Context, row *newRow) (Record, bool, error) {
	p := row.p
	signer, err := number(ctx, w.signers, row.key.key, w.st.findSigner, w.st.addSigner, row.key.key[:], p.Signer)
	if err != nil {
		return Record{}, false, err
	}
	received := p.ReceivedAt.UnixMicro()
	res, err := w.st.addStatement.ExecContext(ctx, row.key.statement[:], signer, received,
		int64(p.LogSize), int64(row.crc), p.Vendor, p.Declaration, p.Envelope)
	if err != nil {
		return Record{}, false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		rec, err := findRecord(ctx, w.st.findStatement, row.key)
		return rec, true, err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return Record{}, false, err
	}
	if _, err := w.st.addFacts.ExecContext(ctx, id, p.Vendor, p.PredicateType, row.facts); err != nil {
		return Record{}, false, err
	}
	if _, err := w.st.addPending.ExecContext(ctx, id); err != nil {
		return Record{}, false, err
	}
	if p.hasReceipt() {
		if _, err := w.st.addReceipt.ExecContext(ctx, id, orEmpty(p.Certificate), row.receipt); err != nil {
			return Record{}, false, err
		}
	}
	if p.Leaf != ([32]byte{}) {
		if _, err := w.addLeaf(ctx, p.Leaf, p.LogSize, false); err != nil {
			return Record{}, false, err
		}
	}
	if len(w.pending) < maxCached {
		w.pending[row.key] = pendingRow{
			id: id, received: received, vendor: p.Vendor, typ: p.PredicateType,
			subjects: row.subjects, products: row.products, facts: row.facts,
		}
	}
	rec := Record{Pending: *p, Sequence: uint64(id), State: StatePending}
	rec.Subjects, rec.Products, rec.Leaf = hexAll(row.subjects), row.products, [32]byte{}
	rec.ReceivedAt = time.UnixMicro(received).UTC()
	return rec, false, nil
}

// hasReceipt reports whether there is a row of receipts.
func (p *Pending) hasReceipt() bool { return len(p.Certificate) > 0 || len(p.ReceiptTokens) > 0 }

// orEmpty makes an empty value out of nil, which would be NULL.
func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// number gives the row number of a value in a dictionary table, and adds the
// value if it is new. The first of args is what find looks for.
func number[K comparable](ctx context.Context, cache map[K]int64, key K, find, add *sql.Stmt, args ...any) (int64, error) {
	if id, ok := cache[key]; ok {
		return id, nil
	}
	var id int64
	err := find.QueryRowContext(ctx, args[0]).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		var res sql.Result
		if res, err = add.ExecContext(ctx, args...); err == nil {
			id, err = res.LastInsertId()
		}
	}
	if err != nil {
		return 0, err
	}
	if len(cache) >= maxCached {
		clear(cache)
	}
	cache[key] = id
	return id, nil
}

// newEntry is a Committed that has passed every check.
type newEntry struct {
	key           rowKey
	logIndex      uint64
	entry, tokens []byte
	committed     time.Time
	crc           uint32
}

func (s *Store) prepareEntry(c *Committed) (row newEntry, err error) {
	if row.key.statement, err = parseID("statement id", c.StatementID); err != nil {
		return row, err
	}
	if row.key.key, err = parseID("key id", c.KeyID); err != nil {
		return row, err
	}
	switch {
	case len(c.Entry) == 0 || len(c.Entry) > MaxEntryBytes:
		return row, invalid("log entry has %d bytes, want 1 to %d", len(c.Entry), MaxEntryBytes)
	case c.LogIndex > math.MaxInt64-1:
		return row, invalid("log index %d is above %d", c.LogIndex, int64(math.MaxInt64-1))
	}
	if err := checkTokens(c.Tokens); err != nil {
		return row, err
	}
	row.logIndex, row.entry, row.tokens = c.LogIndex, c.Entry, appendParts(nil, c.Tokens)
	row.committed = time.UnixMicro(s.clock().UnixMicro()).UTC()
	row.crc = entrySum(row.key, row.logIndex, row.committed, row.tokens, row.entry)
	return row, nil
}

// complete adds the entry of one pending row, and returns what the index has to
// learn of it, nil if the row was committed before.
func (w *writer) complete(ctx context.Context, row *newEntry) (*indexRow, error) {
	p, ok := w.pending[row.key]
	if !ok {
		var done bool
		var err error
		if p, done, err = w.findPending(ctx, row); err != nil || done {
			return nil, err
		}
	}
	index, committed := int64(row.logIndex), row.committed.UnixMicro()
	res, err := w.st.addEntry.ExecContext(ctx, p.id, index, committed, int64(row.crc), row.tokens, row.entry)
	if err != nil {
		return nil, err
	}
	seq, err := res.LastInsertId()
	if err != nil {
		return nil, err
	}
	if _, err := w.st.dropPending.ExecContext(ctx, p.id); err != nil {
		return nil, err
	}
	delete(w.pending, row.key)
	return &indexRow{
		seq: seq, logIndex: index, key: row.key, received: p.received, committed: committed,
		vendor: p.vendor, typ: p.typ, subjects: p.subjects, products: p.products, facts: p.facts,
	}, nil
}

// findPending reads a row that the cache does not have: after a restart, or
// when it was committed before. done means that it is, at the same log index.
func (w *writer) findPending(ctx context.Context, row *newEntry) (p pendingRow, done bool, err error) {
	var vendor, typ sql.NullString
	var waits bool
	err = w.st.findPending.QueryRowContext(ctx, row.key.statement[:], row.key.key[:]).
		Scan(&p.id, &p.received, &vendor, &typ, &p.facts, &waits)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return p, false, notFound(row.key)
	case err != nil:
		return p, false, err
	case waits:
		p.vendor, p.typ = vendor.String, typ.String
		if p.subjects, p.products, err = decodeFacts(p.facts); err != nil {
			err = reindexable("statement %s: damaged facts: %v", row.key.statement.id(), err)
		}
		return p, false, err
	}
	var at uint64
	switch err = w.st.findEntry.QueryRowContext(ctx, p.id).Scan(&at); {
	case errors.Is(err, sql.ErrNoRows):
		return p, false, reindexable("statement %s is neither pending nor committed", row.key.statement.id())
	case err != nil:
		return p, false, err
	case at != row.logIndex:
		e := invalid("statement %s is committed at log index %d, not %d", row.key.statement.id(), at, row.logIndex)
		e.Code = Conflict
		return p, false, e
	}
	return p, true, nil
}
