package statements

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
)

// indexStatements are the prepared statements of the index's writer.
type indexStatements struct {
	begin, commit, rollback                        *sql.Stmt
	addFacet, findFacet                            *sql.Stmt
	addSummary, addSubject, addProduct, addPosting *sql.Stmt
	move                                           *sql.Stmt
	all                                            prepared
}

func (s *indexStatements) prepare(ctx context.Context, conn *sql.Conn) error {
	return s.all.add(ctx, conn, []preparation{
		{&s.begin, "BEGIN IMMEDIATE"},
		{&s.commit, "COMMIT"},
		{&s.rollback, "ROLLBACK"},
		{&s.addFacet, "INSERT INTO facets (name) VALUES (?)"},
		{&s.findFacet, "SELECT id FROM facets WHERE name = ?"},
		{&s.addSummary, `INSERT INTO summaries (log_index, statement, key_id, vendor, type, received, committed, facts)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`},
		{&s.addPosting, "INSERT INTO postings (facet, log_index) VALUES (?, ?)"},
		{&s.addSubject, "INSERT INTO by_subject (subject, log_index, vendor, type) VALUES (?, ?, ?, ?)"},
		{&s.addProduct, "INSERT INTO by_product (product, log_index, vendor, type) VALUES (?, ?, ?, ?)"},
		{&s.move, "UPDATE progress SET seq = ?, statement = ?"},
	})
}

// Names of facets. A vendor's name and a type are text of others, so the first
// letter alone tells the kinds apart; the combination uses numbers.
func vendorName(v string) string { return "v" + v }
func typeName(t string) string   { return "t" + t }
func bothName(vendor, typ int64) string {
	return "c" + strconv.FormatInt(vendor, 10) + " " + strconv.FormatInt(typ, 10)
}

// Keys of the index, each with the line of the list that it leads to.
type (
	posting    struct{ facet, logIndex int64 }
	subjectKey struct {
		subject *digest
		line    *line
	}
	productKey struct {
		product string
		line    *line
	}
	line struct{ logIndex, vendor, typ int64 }
)

// write adds rows to the file in one transaction. Each table receives its keys
// in its own order: the rows of a batch that fall on one page meet there.
func (x *index) write(ctx context.Context, rows []*indexRow) error {
	if _, err := x.st.begin.ExecContext(ctx); err != nil {
		return classify(err)
	}
	err := x.insert(ctx, rows)
	if err == nil {
		_, err = x.st.commit.ExecContext(ctx)
	}
	if err != nil {
		clear(x.facets)
		_, _ = x.st.rollback.ExecContext(ctx) // SQLite may have rolled back by itself
	}
	return classify(err)
}

func (x *index) insert(ctx context.Context, rows []*indexRow) error {
	lines := make([]line, len(rows))
	postings := make([]posting, 0, 3*len(rows))
	var subjects []subjectKey
	var products []productKey
	for i, r := range rows {
		l, both, err := x.line(ctx, r)
		if err != nil {
			return err
		}
		lines[i] = l
		if _, err := x.st.addSummary.ExecContext(ctx, r.logIndex, r.key.statement[:], r.key.key[:], l.vendor, l.typ,
			r.received, r.committed, r.facts); err != nil {
			return err
		}
		postings = append(postings, posting{l.vendor, r.logIndex}, posting{l.typ, r.logIndex}, posting{both, r.logIndex})
		for n := range r.subjects {
			subjects = append(subjects, subjectKey{&r.subjects[n], &lines[i]})
		}
		for _, p := range r.products {
			products = append(products, productKey{p, &lines[i]})
		}
	}
	if err := x.insertKeys(ctx, postings, subjects, products); err != nil {
		return err
	}
	last := rows[len(rows)-1]
	_, err := x.st.move.ExecContext(ctx, last.seq, last.key.statement[:])
	return err
}

func (x *index) insertKeys(ctx context.Context, postings []posting, subjects []subjectKey, products []productKey) error {
	slices.SortFunc(postings, func(a, b posting) int {
		return cmp.Or(cmp.Compare(a.facet, b.facet), cmp.Compare(a.logIndex, b.logIndex))
	})
	for _, p := range postings {
		if _, err := x.st.addPosting.ExecContext(ctx, p.facet, p.logIndex); err != nil {
			return err
		}
	}
	slices.SortFunc(subjects, func(a, b subjectKey) int { return bytes.Compare(a.subject[:], b.subject[:]) })
	for _, s := range subjects {
		if _, err := x.st.addSubject.ExecContext(ctx, s.subject[:], s.line.logIndex, s.line.vendor, s.line.typ); err != nil {
			return err
		}
	}
	slices.SortFunc(products, func(a, b productKey) int { return cmp.Compare(a.product, b.product) })
	for _, p := range products {
		if _, err := x.st.addProduct.ExecContext(ctx, p.product, p.line.logIndex, p.line.vendor, p.line.typ); err != nil {
			return err
		}
	}
	return nil
}

// line gives the numbers of a row's vendor and type, and of both together.
func (x *index) line(ctx context.Context, r *indexRow) (l line, both int64, err error) {
	l.logIndex = r.logIndex
	if l.vendor, err = x.facet(ctx, vendorName(r.vendor)); err != nil {
		return l, 0, err
	}
	if l.typ, err = x.facet(ctx, typeName(r.typ)); err != nil {
		return l, 0, err
	}
	both, err = x.facet(ctx, bothName(l.vendor, l.typ))
	return l, both, err
}

func (x *index) facet(ctx context.Context, name string) (int64, error) {
	return number(ctx, x.facets, name, x.st.findFacet, x.st.addFacet, name)
}

// rebuild empties the index and fills it from the entries that conn reads. The
// caller is the writer's goroutine, so that nothing is committed meanwhile.
// Until it has ended well, lists are refused.
func (x *index) rebuild(ctx context.Context, conn *sql.Conn, generation int64, progress func(done uint64)) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	x.mu.Lock()
	x.recent = nil // they are among the entries
	x.broken = fault(Unavailable, nil)
	x.broken.Message, x.broken.Hint = "the statement index is being rebuilt", "try again later"
	x.mu.Unlock()
	err := x.empty(ctx, generation)
	if err == nil {
		err = x.follow(ctx, conn, 0, progress)
	}
	if err != nil {
		x.setBroken(corrupt(err, "the statement index is incomplete"))
		return classify(err)
	}
	x.mu.Lock()
	x.broken, x.lag = nil, nil
	x.mu.Unlock()
	return nil
}

func (x *index) empty(ctx context.Context, generation int64) error {
	clear(x.facets)
	tx, err := x.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer drop(tx.Rollback)
	if _, err := tx.ExecContext(ctx, `DELETE FROM summaries; DELETE FROM facets; DELETE FROM postings;
		DELETE FROM by_subject; DELETE FROM by_product`); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE progress SET seq = 0, statement = x'', generation = ?", generation); err != nil {
		return err
	}
	return tx.Commit()
}
