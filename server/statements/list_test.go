package statements_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/avow-dev/avow/server/statements"
)

// fill commits n statements whose facets follow from their number, the log
// index being the number, in steps of 10.
func fill(t testing.TB, s *statements.Store, n int) []statements.Pending {
	t.Helper()
	by := newSigner(t)
	var ps []statements.Pending
	for i := range n {
		p := statement(by, fmt.Sprint(i))
		p.Vendor = fmt.Sprintf("vendor-%d", i%3)
		p.PredicateType = fmt.Sprintf("type-%d", i%2)
		p.Subjects = []string{sha256Hex(fmt.Appendf(nil, "subject %d", i%5)), sha256Hex([]byte("everywhere"))}
		p.Products = []string{fmt.Sprintf("pkg:generic/p%d", i%4)}
		ps = append(ps, p)
	}
	for chunk := range slices.Chunk(ps, statements.MaxBatch) {
		put(t, s, chunk...)
	}
	cs := make([]statements.Committed, 0, n)
	for i, p := range ps {
		cs = append(cs, committed(p, uint64(i)*10))
	}
	slices.Reverse(cs) // lists do not depend on the order of commits
	for chunk := range slices.Chunk(cs, statements.MaxBatch) {
		commit(t, s, chunk...)
	}
	return ps
}

// listAll follows the pages to the end.
func listAll(t *testing.T, s *statements.Store, q statements.Query) (got []statements.Summary, pages int) {
	t.Helper()
	for {
		page, next, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > max(q.Limit, 1) && q.Limit > 0 {
			t.Fatalf("page of %d, limit %d", len(page), q.Limit)
		}
		got = append(got, page...)
		pages++
		if next == 0 {
			return got, pages
		}
		if next <= q.From {
			t.Fatalf("next %d does not go on from %d", next, q.From)
		}
		q.From = next
	}
}

// matches is the definition of a query, in plain words.
func matches(q statements.Query, p statements.Pending) bool {
	return (q.SubjectSHA256 == "" || slices.Contains(p.Subjects, q.SubjectSHA256)) &&
		(q.Product == "" || slices.Contains(p.Products, q.Product)) &&
		(q.Vendor == "" || q.Vendor == p.Vendor) &&
		(q.PredicateType == "" || q.PredicateType == p.PredicateType)
}

// TestListEveryCombination asks while the rows are only recent, when they are in
// the index file, and when some are here and some there.
func TestListEveryCombination(t *testing.T) {
	s, path := create(t)
	ps := fill(t, s, 120)
	put(t, s, statement(newSigner(t), "not committed"))
	testCombinations(t, s, ps)
	s = reopen(t, s, path)
	testCombinations(t, s, ps)
	between := statement(newSigner(t), "between")
	between.Vendor, between.PredicateType = ps[5].Vendor, ps[5].PredicateType
	between.Subjects, between.Products = ps[5].Subjects, ps[5].Products
	put(t, s, between)
	commit(t, s, committed(between, 55))
	if got, _ := listAll(t, s, statements.Query{Vendor: between.Vendor, Limit: 1}); len(got) != 41 || got[2].LogIndex != 55 {
		t.Errorf("%d rows, the third is %+v; want 41 with the recent one at its place", len(got), got[2])
	}
}

func testCombinations(t *testing.T, s *statements.Store, ps []statements.Pending) {
	t.Helper()
	queries := []statements.Query{{}}
	for _, set := range []func(*statements.Query){
		func(q *statements.Query) { q.SubjectSHA256 = sha256Hex([]byte("subject 2")) },
		func(q *statements.Query) { q.Product = "pkg:generic/p1" },
		func(q *statements.Query) { q.Vendor = "vendor-1" },
		func(q *statements.Query) { q.PredicateType = "type-1" },
	} {
		for _, q := range slices.Clone(queries) {
			set(&q)
			queries = append(queries, q)
		}
	}
	if len(queries) != 16 {
		t.Fatalf("%d queries, want every combination of 4 fields", len(queries))
	}
	for _, q := range queries {
		var want []uint64
		for i, p := range ps {
			if matches(q, p) {
				want = append(want, uint64(i)*10)
			}
		}
		for _, limit := range []int{0, 1, 2, 7, 1000} {
			q.Limit = limit
			got, _ := listAll(t, s, q)
			var indexes []uint64
			for _, m := range got {
				indexes = append(indexes, m.LogIndex)
			}
			if !slices.Equal(indexes, want) {
				t.Errorf("%+v: indexes %v, want %v", q, indexes, want)
			}
		}
	}
}

func TestListSummary(t *testing.T) {
	s, _ := create(t)
	ps := fill(t, s, 3)
	page, next, err := s.List(t.Context(), statements.Query{From: 11, Limit: 5})
	if err != nil || next != 0 || len(page) != 1 {
		t.Fatalf("%+v, next %d, %v", page, next, err)
	}
	m, p := page[0], ps[2]
	if m.StatementID != p.StatementID || m.KeyID != p.KeyID || m.Vendor != p.Vendor || m.PredicateType != p.PredicateType ||
		!slices.Equal(m.Subjects, p.Subjects) || !slices.Equal(m.Products, p.Products) || m.LogIndex != 20 ||
		!m.ReceivedAt.Equal(start) || !m.CommittedAt.Equal(start) {
		t.Errorf("got %+v, want the summary of %+v", m, p)
	}
}

func TestListOfWhatIsNotThere(t *testing.T) {
	s, _ := create(t)
	fill(t, s, 3)
	for _, q := range []statements.Query{
		{Vendor: "nobody"}, {PredicateType: "none"}, {Product: "pkg:none"}, {SubjectSHA256: sha256Hex(nil)},
		{Vendor: "vendor-1", PredicateType: "none"}, {SubjectSHA256: sha256Hex([]byte("everywhere")), Vendor: "nobody"},
		{From: 1 << 63}, {From: 21},
	} {
		if page, next, err := s.List(t.Context(), q); err != nil || len(page) != 0 || next != 0 {
			t.Errorf("%+v: %v, next %d, %v", q, page, next, err)
		}
	}
	_, _, err := s.List(t.Context(), statements.Query{SubjectSHA256: "ABC"})
	wantCode(t, err, statements.Invalid)
}

// TestListBoundsTheWorkOfOnePage asks for what hardly exists under a subject
// that everybody names: pages come back empty with a place to go on from, and
// following them finds everything.
func TestListBoundsTheWorkOfOnePage(t *testing.T) {
	s, path := create(t)
	ps := fill(t, s, 4096+1500)
	rare := statement(newSigner(t), "rare")
	rare.Vendor, rare.Subjects = "rare", ps[0].Subjects
	put(t, s, rare)
	commit(t, s, committed(rare, 1_000_000))
	s = reopen(t, s, path) // into the file
	q := statements.Query{SubjectSHA256: sha256Hex([]byte("everywhere")), Vendor: "rare"}
	page, next, err := s.List(t.Context(), q)
	if err != nil || len(page) != 0 || next == 0 {
		t.Fatalf("first page: %d rows, next %d, %v; want none and a place to go on", len(page), next, err)
	}
	got, pages := listAll(t, s, q)
	if len(got) != 1 || got[0].StatementID != rare.StatementID || pages != 2 {
		t.Errorf("%d rows on %d pages, want the rare one on 2", len(got), pages)
	}
}
