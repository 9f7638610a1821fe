package statements

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"
	"strings"
	"time"
)

// shape says which fields of a Query are set: one prepared statement for each.
type shape int

const (
	hasSubject shape = 1 << iota
	hasProduct
	hasVendor
	hasType
	shapes = 1 << iota
)

// listStatements are the statements of one shape. end is nil where every row
// that the index yields is a result.
type listStatements struct{ page, end *sql.Stmt }

const listColumns = `SELECT m.log_index, m.statement, m.key_id, fv.name, ft.name, m.received, m.committed, m.facts
	FROM summaries m JOIN facets fv ON fv.id = m.vendor JOIN facets ft ON ft.id = m.type`

// The parameters of every list statement. A facet that does not exist is NULL
// and matches nothing.
const (
	facetOfVendor = "(SELECT id FROM facets WHERE name = 'v' || :vendor)"
	facetOfType   = "(SELECT id FROM facets WHERE name = 't' || :type)"
	facetOfBoth   = "(SELECT id FROM facets WHERE name = 'c' || " + facetOfVendor + " || ' ' || " + facetOfType + ")"
)

// listSQL makes the statement for a page, and, where rows of the index are
// filtered, the one that tells how far the page has looked.
//
// Vendor, type, and both together are postings: each row is a result. A subject
// or a product drives the scan otherwise, bounded by scanBudget, and the other
// fields filter: a digest that everybody names (that of the empty file) must
// not make one page read a million rows.
func listSQL(s shape) (page, end string) {
	const window = " AND log_index >= :from ORDER BY log_index LIMIT "
	order := " ORDER BY m.log_index LIMIT :limit"
	facet := ""
	switch s {
	case 0:
		return listColumns + " WHERE m.log_index >= :from" + order, ""
	case hasVendor:
		facet = facetOfVendor
	case hasType:
		facet = facetOfType
	case hasVendor | hasType:
		facet = facetOfBoth
	}
	if facet != "" {
		return listColumns + " WHERE m.log_index IN (SELECT log_index FROM postings WHERE facet = " + facet +
			window + ":limit)" + order, ""
	}
	scan := "SELECT log_index, vendor, type FROM by_product WHERE product = :product" + window
	if s&hasSubject != 0 {
		scan = "SELECT log_index, vendor, type FROM by_subject WHERE subject = :subject" + window
	}
	if s == hasSubject || s == hasProduct {
		return listColumns + " WHERE m.log_index IN (SELECT log_index FROM (" + scan + ":limit))" + order, ""
	}
	var filters []string
	if s&hasVendor != 0 {
		filters = append(filters, "x.vendor = "+facetOfVendor)
	}
	if s&hasType != 0 {
		filters = append(filters, "x.type = "+facetOfType)
	}
	if s&(hasSubject|hasProduct) == hasSubject|hasProduct {
		filters = append(filters, "EXISTS (SELECT 1 FROM by_product b WHERE b.product = :product AND b.log_index = x.log_index)")
	}
	matches := "SELECT x.log_index FROM (" + scan + ":budget) x WHERE " + strings.Join(filters, " AND ") + " LIMIT :limit"
	return listColumns + " WHERE m.log_index IN (" + matches + ")" + order,
		"SELECT count(*), COALESCE(max(log_index), 0) FROM (" + scan + ":budget)"
}

func (x *index) prepareLists(ctx context.Context) error {
	for i := range x.lists {
		page, end := listSQL(shape(i))
		list := []preparation{{&x.lists[i].page, page}}
		if end != "" {
			list = append(list, preparation{&x.lists[i].end, end})
		}
		var all prepared // closing the pool closes them
		if err := all.add(ctx, x.readDB, list); err != nil {
			return err
		}
	}
	return nil
}

// List returns a page of committed statements in the order of their log indexes,
// and the From of the next page, 0 if there is none. A statement is listed as
// soon as its Commit has returned. The work for one page is bounded: a query
// that combines a subject or a product with other fields may return a page that
// is short or empty while next is not 0. Where the index is damaged or being
// rebuilt the error is STORE_CORRUPT or STORE_UNAVAILABLE: never a partial list.
//
// Statements are committed in nearly, but not exactly, the order of the log: one
// whose Commit is still under way appears later, perhaps below a From that was
// already returned.
func (s *Store) List(ctx context.Context, q Query) (page []Summary, next uint64, err error) {
	c, err := q.prepare()
	if err != nil || q.From > math.MaxInt64 {
		return nil, 0, err
	}
	// What is recent is read before the file: a row leaves it only when the file has it.
	recent, err := s.index.matching(&c)
	if err != nil {
		return nil, 0, err
	}
	page, next, err = s.index.inFile(ctx, &c)
	if err != nil {
		return nil, 0, s.readFault(err)
	}
	page, next = merge(page, recent, next, c.limit)
	return page, next, nil
}

// matching returns the recent rows that a query selects, in the order of the log.
func (x *index) matching(c *condition) ([]*indexRow, error) {
	x.mu.RLock()
	recent, broken := x.recent, x.broken
	x.mu.RUnlock()
	if broken != nil {
		return nil, broken
	}
	var out []*indexRow
	for _, r := range recent {
		if c.matches(r) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *indexRow) int { return cmp.Compare(a.logIndex, b.logIndex) })
	return out[:min(len(out), c.limit+1)], nil
}

// inFile returns up to limit+1 rows; end, if not 0, is where the scan stopped
// before it had found as many.
func (x *index) inFile(ctx context.Context, c *condition) (page []Summary, end uint64, err error) {
	st := x.lists[c.shape]
	args := append(c.args, sql.Named("limit", c.limit+1))
	if st.end == nil {
		page, err = summaries(ctx, st.page, args)
		return page, 0, err
	}
	tx, err := x.readDB.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // both statements see one moment
	if err != nil {
		return nil, 0, err
	}
	defer drop(tx.Rollback)
	args = append(args, sql.Named("budget", scanBudget))
	page, err = summaries(ctx, tx.StmtContext(ctx, st.page), args)
	if err != nil || len(page) > c.limit {
		return page, 0, err
	}
	var looked int
	var last uint64
	if err := tx.StmtContext(ctx, st.end).QueryRowContext(ctx, args...).Scan(&looked, &last); err != nil {
		return nil, 0, err
	}
	if looked == scanBudget {
		end = last + 1
	}
	return page, end, nil
}

// merge joins what the file and what recent have, each in the order of the log.
func merge(page []Summary, recent []*indexRow, end uint64, limit int) ([]Summary, uint64) {
	for _, r := range recent {
		at := uint64(r.logIndex)
		if end != 0 && at >= end {
			break
		}
		i, found := slices.BinarySearchFunc(page, at, func(m Summary, at uint64) int { return cmp.Compare(m.LogIndex, at) })
		if !found {
			page = slices.Insert(page, i, r.summary())
		}
		if i > limit {
			break
		}
	}
	if len(page) <= limit {
		return page, end
	}
	page = page[:limit]
	return page, page[limit-1].LogIndex + 1
}

func (r *indexRow) summary() Summary {
	return Summary{
		StatementID: r.key.statement.id(), KeyID: r.key.key.id(), Vendor: r.vendor, PredicateType: r.typ,
		Subjects: hexAll(r.subjects), Products: r.products, LogIndex: uint64(r.logIndex),
		ReceivedAt: time.UnixMicro(r.received).UTC(), CommittedAt: time.UnixMicro(r.committed).UTC(),
	}
}

// condition is a Query that has passed its checks.
type condition struct {
	shape   shape
	subject digest
	q       *Query
	limit   int
	args    []any
}

func (c *condition) matches(r *indexRow) bool {
	return uint64(r.logIndex) >= c.q.From &&
		(c.shape&hasVendor == 0 || r.vendor == c.q.Vendor) &&
		(c.shape&hasType == 0 || r.typ == c.q.PredicateType) &&
		(c.shape&hasSubject == 0 || slices.Contains(r.subjects, c.subject)) &&
		(c.shape&hasProduct == 0 || slices.Contains(r.products, c.q.Product))
}

// prepare checks a query and gives its shape and parameters.
func (q *Query) prepare() (c condition, err error) {
	c.q, c.limit = q, pageLimit(q.Limit)
	c.args = append(c.args, sql.Named("from", int64(min(q.From, math.MaxInt64))))
	if q.SubjectSHA256 != "" {
		if c.subject, err = parseHex("subject digest", q.SubjectSHA256); err != nil {
			return c, err
		}
		c.shape |= hasSubject
		c.args = append(c.args, sql.Named("subject", c.subject[:]))
	}
	for _, f := range []struct {
		bit               shape
		name, what, value string
	}{
		{hasProduct, "product", "product identifier", q.Product},
		{hasVendor, "vendor", "vendor", q.Vendor},
		{hasType, "type", "predicate type", q.PredicateType},
	} {
		if f.value == "" {
			continue
		}
		if len(f.value) > MaxTextBytes {
			return c, invalid("%s has %d bytes, want at most %d", f.what, len(f.value), MaxTextBytes)
		}
		c.shape |= f.bit
		c.args = append(c.args, sql.Named(f.name, f.value))
	}
	return c, nil
}

func summaries(ctx context.Context, st *sql.Stmt, args []any) ([]Summary, error) {
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Summary
	for rows.Next() {
		var m Summary
		var statement, key digest
		var sb, kb, facts []byte
		var received, committed int64
		if err := rows.Scan(&m.LogIndex, &sb, &kb, &m.Vendor, &m.PredicateType, &received, &committed, &facts); err != nil {
			return nil, err
		}
		copy(statement[:], sb)
		copy(key[:], kb)
		m.StatementID, m.KeyID = statement.id(), key.id()
		m.Vendor, m.PredicateType = m.Vendor[1:], m.PredicateType[1:]
		m.ReceivedAt, m.CommittedAt = time.UnixMicro(received).UTC(), time.UnixMicro(committed).UTC()
		subjects, products, err := decodeFacts(facts)
		if err != nil {
			return nil, reindexable("damaged facts at log index %d: %v", m.LogIndex, err)
		}
		m.Subjects, m.Products = hexAll(subjects), products
		out = append(out, m)
	}
	return out, rows.Err()
}
