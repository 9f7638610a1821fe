package watch

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/avow-dev/avow/internal/bundletest"
	vindex "github.com/avow-dev/avow/verify/index"
)

func numbers(from, to int) (n []string) {
	for ; from < to; from++ {
		n = append(n, fmt.Sprint(from))
	}
	return n
}

// TestResumeFromEveryIndex: who begins at an index is told that entry and all after it, in order, from the logs and from
// what is kept.
func TestResumeFromEveryIndex(t *testing.T) {
	w := newWorld(t, 5)
	key := bundletest.NewKey(t)
	const before, all = 20, 32
	for i := range before {
		w.issue(key, flows(t, i, artifact(i)), false)
	}
	w.covered(before)
	live := w.watch(Filter{}, nil)
	var watchers []*Watcher
	for i := range uint64(before) {
		watchers = append(watchers, w.watch(Filter{}, &i))
	}
	for i := before; i < all; i++ {
		w.issue(key, flows(t, i, artifact(i)), false)
	}
	for i, x := range watchers {
		told, next := take(t, x, all-i)
		if !slices.Equal(told, numbers(i, all)) || next != all {
			t.Errorf("from %d: %v, next %d", i, told, next)
		}
	}
	if told, _ := take(t, live, all-before); !slices.Equal(told, numbers(before, all)) {
		t.Errorf("without a beginning: %v", told)
	}
	ahead := uint64(all + 2)
	x := w.watch(Filter{}, &ahead)
	if b := x.Now(); b.Next != ahead {
		t.Errorf("from an index that is to come: next is %d", b.Next)
	}
	for i := all; i < all+4; i++ {
		w.issue(key, flows(t, i, artifact(i)), false)
	}
	if told, next := take(t, x, 2); !slices.Equal(told, numbers(all+2, all+4)) || next != all+4 {
		t.Errorf("from an index that was to come: %v, next %d", told, next)
	}
}

// TestResumeAfterEveryEvent: whatever the event after which a watcher breaks off, it is told all others from the index that it
// was given.
func TestResumeAfterEveryEvent(t *testing.T) {
	w := newWorld(t, 3)
	key := bundletest.NewKey(t)
	for i := range 3 {
		w.issue(key, flows(t, i, artifact(i)), i == 1)
	}
	w.covered(3)
	w.set(func() { w.hidden[1] = false })
	zero := uint64(0)
	want := []string{"0", "unresolved 1", "2", "late 1", "3", "4"}
	told, _ := take(t, w.watch(Filter{}, &zero), 4)
	for i := 3; i < 5; i++ {
		w.issue(key, flows(t, i, artifact(i)), false)
	}
	w.covered(5)
	again, next := take(t, w.watch(Filter{}, &zero), len(want))
	if !slices.Equal(told, want[:4]) || !slices.Equal(again, want) || next != 5 {
		t.Fatalf("%v, then %v, next %d; want %v", told, again, next, want)
	}
	x := w.watch(Filter{}, &zero)
	var events []*Event
	for len(events) < len(want) {
		b, err := x.Next(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, b.Events...)
	}
	for i, e := range events {
		x, missing := w.watch(Filter{}, &e.next), slices.Clone(want[i+1:])
		for len(missing) > 0 {
			told, _ := take(t, x, 1)
			for _, name := range told {
				missing = slices.DeleteFunc(missing, func(m string) bool { return m == name })
			}
		}
	}
}

// TestLate: an entry without its statement is told at once, and again when the statement comes.
func TestLate(t *testing.T) {
	w := newWorld(t, 0)
	acme, other := bundletest.NewKey(t), bundletest.NewKey(t)
	first := flows(t, 0, artifact(0))
	w.issue(acme, first, false)
	w.covered(1)
	byStatement, byArtifact := w.watch(Filter{Statements: []string{idOf(first)}}, nil), w.watch(Filter{Artifacts: []string{artifact(7)}}, nil)
	bySigner := w.watch(Filter{Signers: []vindex.Signer{w.known[idOf(first)][0].Signer}}, nil)
	stranger := w.watch(Filter{Signers: []vindex.Signer{"sha256:" + vindex.Signer(artifact(9))}}, nil)
	w.issue(acme, withdrawal(t, first, artifact(0)), true)
	w.issue(other, flows(t, 1, artifact(1)), false)
	w.covered(3)
	w.set(func() { w.hidden[1] = false })
	want := []string{"unresolved 1", "late 1"}
	for what, x := range map[string]*Watcher{"statement": byStatement, "artifact": byArtifact, "signer": bySigner} {
		if told, _ := take(t, x, 2); !slices.Equal(told, want) {
			t.Errorf("who watches the %s is told %v, want %v", what, told, want)
		}
	}
	if b, err := stranger.Next(t.Context(), time.Millisecond); err != nil || len(b.Events) != 0 {
		t.Errorf("%v: a stranger is told %v", err, b.Events)
	}
}

// TestFilters: each kind of member lets through what it is about, in what is kept and in what is read again.
func TestFilters(t *testing.T) {
	w := newWorld(t, 0)
	acme, other := bundletest.NewKey(t), bundletest.NewKey(t)
	target := flows(t, 0, artifact(0))
	w.issue(acme, target, false)
	signer := w.known[idOf(target)][0].Signer
	unknown := flows(t, 6, artifact(6))
	filters := map[string]Filter{
		"statement": {Statements: []string{idOf(target)}}, "artifact": {Artifacts: []string{artifact(0)}}, "signer": {Signers: []vindex.Signer{signer}},
		"product": {Products: []string{"pkg:generic/example-gateway@9"}}, "statement to come": {Statements: []string{idOf(unknown)}},
		"two": {Statements: []string{idOf(unknown)}, Artifacts: []string{artifact(0)}}, "nothing": {Products: []string{"pkg:generic/other"}},
	}
	want := map[string][]string{
		"statement": {"1", "3"}, "artifact": {"1", "2", "3"}, "signer": {"3", "4", "6", "7"}, "product": {"1", "2", "3", "4", "5", "6", "7"},
		"statement to come": {"6", "7"}, "two": {"1", "2", "3", "6", "7"},
	}
	w.covered(1)
	live := map[string]*Watcher{}
	for what, f := range filters {
		live[what] = w.watch(f, nil)
	}
	w.issue(other, withdrawal(t, target, artifact(0)), false) // 1: a stranger's, of no effect, and about it all the same
	w.issue(other, flows(t, 2, artifact(0)), false)           // 2: a stranger's about the artifact
	w.issue(acme, flows(t, 3, artifact(0)), false)            // 3: the signer's about the artifact
	w.issue(acme, flows(t, 4, artifact(4)), false)            // 4: the signer's about another
	w.issue(other, flows(t, 5, artifact(5)), false)           // 5: neither
	w.issue(acme, unknown, false)                             // 6: the statement that was watched before it was there
	w.issue(acme, flows(t, 7, artifact(6)), false)            // 7: the signer's about its artifact
	w.covered(8)
	one := uint64(1)
	for what, f := range filters {
		for how, x := range map[string]*Watcher{"live": live[what], "again": w.watch(f, &one)} {
			told, _ := take(t, x, len(want[what]))
			if b, err := x.Next(t.Context(), time.Millisecond); err != nil || len(b.Events) > 0 || !slices.Equal(told, want[what]) {
				t.Errorf("%s, %s: %v and %d more (%v), want %v", what, how, told, len(b.Events), err, want[what])
			}
		}
	}
}

// TestFilterGrows: who watches statements about more artifacts than are kept for one watcher is told everything of their
// signers, and too many members are refused.
func TestFilterGrows(t *testing.T) {
	x := &Watcher{pairs: maxPairs - 1, hub: &Hub{}}
	if keys := x.limited("s", make([]vindex.Key, 2)); !slices.Contains(keys, vindex.SignerKey("s")) || x.pairs != maxPairs-1 {
		t.Errorf("%d keys beyond the limit", len(keys))
	}
	if keys := x.limited("s", make([]vindex.Key, 1)); slices.Contains(keys, vindex.SignerKey("s")) || x.pairs != maxPairs {
		t.Errorf("%d keys within the limit", len(keys))
	}
	w := newWorld(t, 0)
	if _, err := w.hub.Watch(t.Context(), Filter{Statements: make([]string, MaxFilters+1)}, nil); err == nil {
		t.Error("a filter of too many members is taken")
	}
}

// TestSlowWatcher: one that takes nothing for longer than events are kept holds nobody up, and is told all of them in the end.
func TestSlowWatcher(t *testing.T) {
	w := newWorld(t, 4)
	key := bundletest.NewKey(t)
	slow, quick := w.watch(Filter{}, nil), w.watch(Filter{}, nil)
	const n = 40
	for i := range n {
		w.issue(key, flows(t, i, artifact(i)), false)
		if told, _ := take(t, quick, 1); told[0] != fmt.Sprint(i) {
			t.Fatalf("entry %d: %v", i, told)
		}
	}
	if kept := len(w.hub.ring); kept > 4 {
		t.Errorf("%d events are kept", kept)
	}
	if told, _ := take(t, slow, n); !slices.Equal(told, numbers(0, n)) {
		t.Errorf("the slow one: %v", told)
	}
	// Idle for long, and not concerned: it is where the others are, without having read anything.
	idle := w.watch(Filter{Artifacts: []string{artifact(999)}}, nil)
	if _, err := idle.Next(t.Context(), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for i := n; i < 2*n; i++ {
		w.issue(key, flows(t, i, artifact(i)), false)
	}
	take(t, quick, n)
	if b := idle.Now(); b.Next != 2*n || !b.Head || b.Set.Root.Size != 2*n {
		t.Errorf("the idle one is at %d, head %v", b.Next, b.Head)
	}
	w.issue(key, flows(t, 2*n, artifact(999)), false)
	if told, _ := take(t, idle, 1); told[0] != fmt.Sprint(2*n) {
		t.Errorf("the idle one: %v", told)
	}
}

// TestWaitsForTheStatement: an entry whose statement was indexed and cannot be had now is waited for, and not left out.
func TestWaitsForTheStatement(t *testing.T) {
	w := newWorld(t, 0)
	key := bundletest.NewKey(t)
	for i := range 3 {
		w.issue(key, flows(t, i, artifact(i)), false)
	}
	w.covered(3)
	w.set(func() { w.hidden[1] = true })
	zero := uint64(0)
	x := w.watch(Filter{}, &zero)
	if b, err := x.Next(t.Context(), time.Minute); err == nil {
		t.Fatalf("told %v", b.Events)
	}
	w.set(func() { w.hidden[1] = false })
	if told, _ := take(t, x, 3); !slices.Equal(told, numbers(0, 3)) {
		t.Errorf("then %v", told)
	}
}

// TestLeaves: the last watcher stops the following, a context ends the waiting, and a later watcher begins anew.
func TestLeaves(t *testing.T) {
	w := newWorld(t, 0)
	key := bundletest.NewKey(t)
	x := w.watch(Filter{Products: []string{"pkg:generic/example-gateway"}}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Next(ctx, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	x.Close()
	x.Close()
	if len(w.hub.byKey) != 0 || w.hub.watchers != 0 {
		t.Errorf("%d keys and %d watchers are left", len(w.hub.byKey), w.hub.watchers)
	}
	w.issue(key, flows(t, 0, artifact(0)), false)
	w.covered(1)
	x = w.watch(Filter{}, nil)
	w.issue(key, flows(t, 1, artifact(1)), false)
	if told, _ := take(t, x, 1); told[0] != "1" {
		t.Errorf("after a pause: %v", told)
	}
}

// TestKeptKeysAreBounded: events with many keys leave sooner.
func TestKeptKeysAreBounded(t *testing.T) {
	w := newWorld(t, 0)
	x := w.watch(Filter{}, nil)
	big := make([]vindex.Key, maxRingKeys/2+1)
	ctx := t.Context()
	for i := range uint64(4) {
		p := passage{events: []*Event{{LogIndex: i, at: place{100, i}, keys: big, next: i + 1}}, next: place{100, i + 1}, index: i + 1}
		if !w.hub.publish(ctx, w.index.Current(), p) {
			t.Fatal("not published")
		}
	}
	if len(w.hub.ring) != 1 || w.hub.ringKeys != len(big) || !reflect.DeepEqual(w.hub.from, place{100, 3}) {
		t.Errorf("%d events with %d keys are kept, from %v", len(w.hub.ring), w.hub.ringKeys, w.hub.from)
	}
	x.Close()
}

// TestConfig: nothing that is needed may be missing.
func TestConfig(t *testing.T) {
	w := newWorld(t, 0)
	for n := range 6 {
		c := w.hub.cfg
		reflect.ValueOf(&c).Elem().Field(n).SetZero()
		if _, err := New(c); err == nil {
			t.Errorf("member %d of the configuration is not missed", n)
		}
	}
	c := w.hub.cfg
	c.Ring = -1
	if _, err := New(c); err == nil {
		t.Error("a negative ring is taken")
	}
}
