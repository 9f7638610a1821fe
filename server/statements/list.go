package statements

import (
	"context"
	"database/sql"
	"math"
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

const listColumns = `SELECT m.log_index, m.statement, g.key_id, fv.name, ft.name, m.received, m.committed, m.facts
	FROM summaries m JOIN signers g ON g.id = m.signer JOIN facets fv ON fv.id = m.vendor JOIN facets ft ON ft.id = m.type`

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

// List returns a page of committed statements in the order of their log indexes,
// and the From of the next page, 0 if there is none. The work for one page is
// bounded: a query that combines a subject or a product with other fields may
// return a page that is short or empty while next is not 0.
//
// Statements are committed in nearly, but not exactly, the order of the log: one
// whose Commit is still under way appears later, perhaps below a From that was
// already returned.
func (s *Store) List(ctx context.Context, q Query) (page []Summary, next uint64, err error) {
	sh, args, err := q.prepare()
	if err != nil || q.From > math.MaxInt64 {
		return nil, 0, err
	}
	limit := pageLimit(q.Limit)
	args = append(args, sql.Named("limit", limit+1)) // one more, to know whether there is a next page
	st := s.read.lists[sh]
	if st.end == nil {
		page, err = summaries(ctx, st.page, args)
		if err != nil {
			return nil, 0, s.readFault(err)
		}
		page, next = cut(page, limit)
		return page, next, nil
	}
	page, next, err = s.listFiltered(ctx, st, args, limit)
	return page, next, s.readFault(err)
}

func (s *Store) listFiltered(ctx context.Context, st listStatements, args []any, limit int) (page []Summary, next uint64, err error) {
	tx, err := s.readDB.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // both statements see one moment
	if err != nil {
		return nil, 0, err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	args = append(args, sql.Named("budget", scanBudget))
	page, err = summaries(ctx, tx.StmtContext(ctx, st.page), args)
	if err != nil {
		return nil, 0, err
	}
	if page, next = cut(page, limit); next != 0 {
		return page, next, nil
	}
	var looked int
	var last uint64
	if err := tx.StmtContext(ctx, st.end).QueryRowContext(ctx, args...).Scan(&looked, &last); err != nil {
		return nil, 0, err
	}
	if looked == scanBudget {
		next = last + 1
	}
	return page, next, nil
}

func cut(page []Summary, limit int) ([]Summary, uint64) {
	if len(page) <= limit {
		return page, 0
	}
	page = page[:limit]
	return page, page[limit-1].LogIndex + 1
}

// prepare checks a query and gives its shape and parameters.
func (q *Query) prepare() (sh shape, args []any, err error) {
	args = append(args, sql.Named("from", int64(min(q.From, math.MaxInt64)))) //nolint:gosec // bounded
	if q.SubjectSHA256 != "" {
		d, err := parseHex("subject digest", q.SubjectSHA256)
		if err != nil {
			return 0, nil, err
		}
		sh |= hasSubject
		args = append(args, sql.Named("subject", d[:]))
	}
	for _, f := range []struct {
		bit        shape
		name, what string
		value      string
	}{
		{hasProduct, "product", "product identifier", q.Product},
		{hasVendor, "vendor", "vendor", q.Vendor},
		{hasType, "type", "predicate type", q.PredicateType},
	} {
		if f.value == "" {
			continue
		}
		if len(f.value) > MaxTextBytes {
			return 0, nil, invalid("%s has %d bytes, want at most %d", f.what, len(f.value), MaxTextBytes)
		}
		sh |= f.bit
		args = append(args, sql.Named(f.name, f.value))
	}
	return sh, args, nil
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
			return nil, corrupt(err, "the derived facts at log index %d are damaged", m.LogIndex)
		}
		m.Subjects, m.Products = hexAll(subjects), products
		out = append(out, m)
	}
	return out, rows.Err()
}
