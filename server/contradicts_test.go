package server

import (
	"slices"
	"testing"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
)

// flowsOf makes a data-flows statement whose first flow has a necessity; two with different ones contradict each other.
func flowsOf(t testing.TB, necessity string, change func(common map[string]any)) []byte {
	t.Helper()
	return statement(t, "data-flows", func(common, p, _ map[string]any) {
		p["flows"].([]any)[0].(map[string]any)["necessity"] = necessity
		if change != nil {
			change(common)
		}
	})
}

// TestWatchContradiction: who watches a statement, its artifact or its vendor is told of a second statement in force that says the
// contrary, with the first one's name and how it stands; and of no contradiction where there is none.
func TestWatchContradiction(t *testing.T) {
	type said struct {
		payload []byte
		key     *attest.KeyFile
	}
	for name, c := range map[string]struct {
		// between is what is issued between the two statements, second makes the second one.
		between func(w *lifeWorld, first []byte) []said
		second  func(w *lifeWorld, first []byte) said
		want    bool
	}{
		"contrary": {nil, func(w *lifeWorld, _ []byte) said { return said{flowsOf(w.t, "feature", nil), w.acme} }, true},
		"agreeing": {nil, func(w *lifeWorld, _ []byte) said { return said{flowsOf(w.t, "core", nil), w.acme} }, false},
		"another signer": {nil,
			func(w *lifeWorld, _ []byte) said { return said{flowsOf(w.t, "feature", nil), w.acmeSecond} }, false},
		"the first is withdrawn": {
			func(w *lifeWorld, first []byte) []said { return []said{{withdrawal(w.t, first), w.acme}} },
			func(w *lifeWorld, _ []byte) said { return said{flowsOf(w.t, "feature", nil), w.acme} }, false},
		"the first is withdrawn by its successor": {
			func(w *lifeWorld, first []byte) []said { return []said{{withdrawal(w.t, first), w.successor}} },
			func(w *lifeWorld, _ []byte) said { return said{flowsOf(w.t, "feature", nil), w.acme} }, false},
		"one recovery key of two": {
			func(w *lifeWorld, first []byte) []said { return []said{{withdrawal(w.t, first), w.recovery[0]}} },
			func(w *lifeWorld, _ []byte) said { return said{flowsOf(w.t, "feature", nil), w.acme} }, true},
		"the item is withdrawn": {
			func(w *lifeWorld, first []byte) []said {
				return []said{{withdrawal(w.t, first, parsed(w.t, first).ItemIDs()[0]), w.acme}}
			},
			func(w *lifeWorld, _ []byte) said { return said{flowsOf(w.t, "feature", nil), w.acme} }, false},
		"the second supersedes it": {nil, func(w *lifeWorld, first []byte) said {
			return said{flowsOf(w.t, "feature", superseding(w.t, first)), w.acme}
		}, false},
		"a third supersedes the first": {
			func(w *lifeWorld, first []byte) []said {
				return []said{{flowsOf(w.t, "feature", superseding(w.t, first)), w.acme}}
			},
			func(w *lifeWorld, _ []byte) said { return said{flowsOf(w.t, "feature", nil), w.acme} }, false},
		"a successor's supersedes the first": {
			func(w *lifeWorld, first []byte) []said {
				return []said{{flowsOf(w.t, "vendorBenefit", superseding(w.t, first)), w.successor}}
			},
			func(w *lifeWorld, _ []byte) said { return said{flowsOf(w.t, "feature", nil), w.acme} }, false},
		"a successor says the contrary itself": {
			func(w *lifeWorld, _ []byte) []said { return []said{{flowsOf(w.t, "feature", nil), w.successor}} },
			func(w *lifeWorld, _ []byte) said { return said{flowsOf(w.t, "core", nil), w.acme} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newLifeWorld(t)
			first := flowsOf(t, "core", nil)
			id := w.issue(first, w.acme).GetStatementId()
			if c.between != nil {
				for _, s := range c.between(w, first) {
					w.issue(s.payload, s.key)
				}
			}
			second := c.second(w, first)
			waitFor(t, func() bool { return w.index.Current().Root.Size == w.size() })
			open := map[string]*watching{}
			for watched, req := range map[string]*avowv1.WatchRequest{
				"artifact": {ArtifactSha256S: []string{subjectOf(t, first)}}, "vendor": {Vendors: []string{"acme"}},
				"statement": {StatementIds: []string{id}},
			} {
				if watched == "statement" && second.key != w.acme {
					continue // it is about another signer's
				}
				open[watched] = w.watching(t.Context(), req).begun()
			}
			issued := w.issue(second.payload, second.key)
			for watched, x := range open {
				e := x.take(1)[0]
				if len(e.GetContradicts()) > 1 || !c.want && len(e.GetContradicts()) != 0 || e.GetStatementId() != issued.GetStatementId() || slices.Contains(e.GetContradicts(), id) != c.want {
					t.Errorf("%s: entry %d contradicts %v, want it to name the first: %v", watched, e.GetLogIndex(), e.GetContradicts(), c.want)
				}
				named := slices.ContainsFunc(e.GetStandings(), func(s *avowv1.StatementStanding) bool {
					return s.GetStatementId() == id && len(s.GetStatus().GetCheckpoint()) > 0
				})
				if c.want != named && !slices.Contains(e.GetTargets(), id) {
					t.Errorf("%s: how the first stands is there: %v, want %v", watched, named, c.want)
				}
			}
		})
	}
}

func (w *world) size() uint64 {
	_, size, _ := w.log.Checkpoint()
	return size
}

func superseding(t testing.TB, old []byte) func(map[string]any) {
	return func(common map[string]any) { common["supersedes"] = []any{reference(parsed(t, old))} }
}

// TestContradictedLater: events are told as things are when they are told: what was withdrawn since contradicts nothing.
func TestContradictedLater(t *testing.T) {
	w := newLifeWorld(t)
	first, second := flowsOf(t, "core", nil), flowsOf(t, "feature", nil)
	a, b := w.issue(first, w.acme).GetStatementId(), w.issue(second, w.acme).GetStatementId()
	want := func(when string, of []byte, ids ...string) {
		t.Helper()
		rec := must(w.store.GetBy(t.Context(), "sha256:"+digestOf(of), idOf(t, w.acme)))(t)
		if got := must(w.server.issuer.life.contradicted(t.Context(), parsed(t, of), &rec))(t); !slices.Equal(got, ids) {
			t.Errorf("%s: got %v, want %v", when, got, ids)
		}
	}
	want("both in force", first, b)
	want("both in force", second, a)
	item := parsed(t, second).ItemIDs()[0]
	w.issue(withdrawal(t, second, item), w.acme)
	want("what differs is withdrawn of the other", first)
	want("what differs is withdrawn of itself", second)
	third := flowsOf(t, "vendorBenefit", nil)
	c := w.issue(third, w.acme).GetStatementId()
	want("a third", first, c)
	w.issue(withdrawal(t, third), w.acme)
	want("the third is withdrawn", third)
	want("the third is withdrawn", first)
	w.issue(flowsOf(t, "core", superseding(t, second)), w.acme)
	want("superseded itself", second)
}

// TestContradictionsAreBounded: more withdrawals than are looked through neither hold up an event nor hide a contradiction, and refuse
// no statement.
func TestContradictionsAreBounded(t *testing.T) {
	w := newLifeWorld(t)
	life := w.server.issuer.life
	first, second := flowsOf(t, "core", nil), flowsOf(t, "feature", nil)
	id := w.issue(first, w.acme).GetStatementId()
	w.issue(withdrawal(t, first), w.acme)
	w.issue(second, w.acme)
	rec := must(w.store.GetBy(t.Context(), "sha256:"+digestOf(second), idOf(t, w.acme)))(t)
	target := must(life.find(t.Context(), predicate.StatementRef{Digest: map[string]string{"sha256": digestOf(first)}}))(t)
	for pages, want := range [][]string{{id}, nil} {
		life.rivalPages = pages
		_, _, err := life.withdrawn(t.Context(), target, pages)
		if limited := err != nil && toRefusal(err).reason == reasonTargetLimit; limited != (pages == 0) {
			t.Errorf("%d pages: got %v", pages, err)
		}
		if got := must(life.contradicted(t.Context(), parsed(t, second), &rec))(t); !slices.Equal(got, want) {
			t.Errorf("%d pages: contradicts %v, want %v", pages, got, want)
		}
		warned := codesOf(w.issue(flowsOf(t, "feature", nil), w.acme).GetWarnings())
		if slices.Contains(warned, "W09") != (pages == 0) {
			t.Errorf("%d pages: warnings %v", pages, warned)
		}
	}
}
