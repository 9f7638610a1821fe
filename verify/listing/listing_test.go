package listing_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	sumdbnote "golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/deptest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/replay"
	"github.com/avow-dev/avow/verify/listing"
)

func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	deptest.Forbid(t, map[string]string{
		"github.com/transparency-dev/tessera": "a buyer runs no log",
		"modernc.org/sqlite":                  "a buyer runs no database", "cel.dev/cel-go": "policies are verify/policy's",
		module + "server": "what the operator runs is what is checked", module + "api/avow/v1": "a listing proof needs no service",
	})
}

// TestDocumented: docs/index.md names every code.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/index.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range listing.Codes() {
		if !strings.Contains(string(text), "`"+n+"`") {
			t.Errorf("%s is not in docs/index.md", n)
		}
	}
}

// world is both logs with an index over them, and witnesses.
type world struct {
	tb         testing.TB
	log, roots *bundletest.Log
	witness    *bundletest.Witness
	tree       replay.Tree
	version    *replay.Version
	leaf       []byte
}

// The keys of the tests: the second has nothing under it.
const keyA, keyB, keyC = "issuer:sha256:aa", "issuer:sha256:bb", "subject:sha256:cc"

// newWorld has entries 0 and 1 under keyA, of which 1 was unresolved and came late, 2 unresolved, and 3 to 19 under keyC.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{tb: tb, log: bundletest.NewLog(tb, "log.example.test", bundletest.Start),
		roots: bundletest.NewLog(tb, "index.example.test", bundletest.Start), witness: bundletest.NewWitness("witness.example.test")}
	for i := range 20 {
		w.log.Append(fmt.Appendf(nil, "entry %d", i))
	}
	for _, e := range []index.Entry{{LogIndex: 0}, {LogIndex: 1, Kind: index.Unresolved}, {LogIndex: 2, Kind: index.Unresolved}, {LogIndex: 1}} {
		w.tree.Add(index.TextKey(keyA), e)
	}
	for i := uint64(3); i < 20; i++ {
		w.tree.Add(index.TextKey(keyC), index.Entry{LogIndex: i})
	}
	w.publish(w.log.Origin)
	return w
}

// publish logs the index's root, as one about the log of that name.
func (w *world) publish(origin string) {
	w.version = w.tree.Publish()
	root := &index.Root{Origin: origin, Size: uint64(w.log.Size()), Tree: index.Hash(w.log.Root()), Index: w.version.Root(),
		Keys: uint64(w.version.Keys())}
	w.leaf = root.Append(nil)
	w.roots.Append(w.leaf)
}

// proof is the listing proof for keys; the witness cosigns both checkpoints at a time, if one is given.
func (w *world) proof(seen time.Time, keys ...string) *statusv1.ListingProof {
	w.tb.Helper()
	var witnesses []sumdbnote.Signer
	if !seen.IsZero() {
		witnesses = append(witnesses, w.witness.At(seen))
	}
	p := &statusv1.ListingProof{Checkpoint: w.log.Checkpoint(w.tb, witnesses...), IndexCheckpoint: w.roots.Checkpoint(w.tb, witnesses...),
		IndexRoot: string(w.leaf), IndexRootProof: w.roots.Proof(w.roots.Size() - 1)}
	for _, k := range keys {
		entries, proof := w.version.Lookup(index.TextKey(k))
		p.Lists = append(p.Lists, &statusv1.KeyListing{Key: k, Proof: proof.Append(nil), Entries: listing.Encode(entries)})
	}
	return p
}

func (w *world) options(keys ...string) listing.Options {
	w.tb.Helper()
	return listing.Options{Log: w.key(w.log), IndexLog: w.key(w.roots), Keys: keys}
}

func (w *world) key(l *bundletest.Log) *verify.LogKey {
	w.tb.Helper()
	k, err := verify.ParseLogKey(l.VKey(w.tb))
	if err != nil {
		w.tb.Fatal(err)
	}
	return k
}

func code(err error) string {
	var e *listing.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Code
}

// TestCheck: lists, absence, unresolved entries and late ones.
func TestCheck(t *testing.T) {
	w := newWorld(t)
	r, err := listing.Check(w.proof(time.Time{}, keyA, keyB, keyC), w.options(keyA, keyB, keyC))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Lists) != 3 || len(r.Lists[0].Entries) != 4 || r.Lists[1].Key != keyB || len(r.Lists[1].Entries) != 0 || r.TreeSize != 25 ||
		!r.WitnessedBy.IsZero() {
		t.Errorf("got %+v", r)
	}
	if got := r.Unresolved(); !slices.Equal(got, []uint64{2}) {
		t.Errorf("unresolved %v, want [2]", got)
	}
	stated := append([]uint64{0, 1}, r.Stated()[2:]...)
	if got := r.Stated(); len(got) != 19 || !slices.Equal(got, stated) || got[18] != 19 {
		t.Errorf("stated %v", got)
	}
	if err := r.Matches(r.Stated()); err != nil {
		t.Error(err)
	}
	missing, unproved := r.Compare(append([]uint64{2, 99, 99}, r.Stated()[1:]...))
	if !slices.Equal(missing, []uint64{0}) || !slices.Equal(unproved, []uint64{2, 99}) {
		t.Errorf("missing %v, unproved %v", missing, unproved)
	}
	for what, listed := range map[string][]uint64{
		"nothing": nil, "one omitted": r.Stated()[1:], "one added": append(r.Stated(), 99), "an unresolved one": append(r.Stated(), 2),
		"one for another": append(r.Stated()[1:], 99),
	} {
		if err := r.Matches(listed); code(err) != listing.CodeIncomplete {
			t.Errorf("%s: got %v, want %s", what, err, listing.CodeIncomplete)
		}
	}
}

// TestRefusals: each code, by what has it.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		want   string
		change func(*statusv1.ListingProof, *listing.Options)
	}{
		"nothing":       {listing.CodeMalformed, func(p *statusv1.ListingProof, _ *listing.Options) { proto.Reset(p) }},
		"a long path":   {listing.CodeMalformed, func(p *statusv1.ListingProof, _ *listing.Options) { p.IndexRootProof = make([][]byte, 64) }},
		"a short hash":  {listing.CodeMalformed, func(p *statusv1.ListingProof, _ *listing.Options) { p.IndexRootProof = [][]byte{{1}} }},
		"half an entry": {listing.CodeMalformed, func(p *statusv1.ListingProof, _ *listing.Options) { p.Lists[0].Entries = p.Lists[0].Entries[1:] }},
		"no key":        {listing.CodeMalformed, func(p *statusv1.ListingProof, _ *listing.Options) { p.Lists[0].Key = "" }},
		"a long key": {listing.CodeMalformed, func(p *statusv1.ListingProof, _ *listing.Options) {
			p.Lists[0].Key = strings.Repeat("k", listing.MaxKeyBytes+1)
		}},
		"too many lists": {listing.CodeMalformed, func(p *statusv1.ListingProof, _ *listing.Options) {
			p.Lists = make([]*statusv1.KeyListing, listing.MaxLists+1)
		}},
		"too many entries": {listing.CodeMalformed, func(p *statusv1.ListingProof, _ *listing.Options) {
			p.Lists[0].Entries = make([]byte, 9*(listing.MaxEntries+1))
		}},
		"another key":     {listing.CodeKeys, func(p *statusv1.ListingProof, _ *listing.Options) { p.Lists[1].Key = "subject:sha256:dd" }},
		"a list left out": {listing.CodeKeys, func(p *statusv1.ListingProof, _ *listing.Options) { p.Lists = p.Lists[:1] }},
		"a list more":     {listing.CodeKeys, func(p *statusv1.ListingProof, _ *listing.Options) { p.Lists = append(p.Lists, p.Lists[0]) }},
		"another log": {listing.CodeCheckpoint, func(_ *statusv1.ListingProof, o *listing.Options) {
			o.Log = w.key(bundletest.NewLog(t, "log.example.test", bundletest.Start))
		}},
		"another index log":    {listing.CodeCheckpoint, func(p *statusv1.ListingProof, _ *listing.Options) { p.IndexCheckpoint = p.GetCheckpoint() }},
		"no quorum":            {listing.CodeQuorum, func(_ *statusv1.ListingProof, o *listing.Options) { o.Witnesses, o.At = w.policy(), bundletest.Epoch }},
		"another root":         {listing.CodeRoot, func(p *statusv1.ListingProof, _ *listing.Options) { p.IndexRoot += "\n" }},
		"an entry left out":    {listing.CodeList, func(p *statusv1.ListingProof, _ *listing.Options) { p.Lists[1].Entries = p.Lists[1].Entries[9:] }},
		"all entries left out": {listing.CodeProof, func(p *statusv1.ListingProof, _ *listing.Options) { p.Lists[1].Entries = nil }},
		"another list's proof": {listing.CodeProof, func(p *statusv1.ListingProof, _ *listing.Options) { p.Lists[1].Proof = p.Lists[0].Proof }},
		"an entry added": {listing.CodeList, func(p *statusv1.ListingProof, _ *listing.Options) {
			p.Lists[1].Entries = append(p.Lists[1].Entries, listing.Encode([]index.Entry{{LogIndex: 0}})...)
		}},
		"an entry twice": {listing.CodeList, func(p *statusv1.ListingProof, _ *listing.Options) {
			p.Lists[1].Entries = append(slices.Clone(p.Lists[1].Entries[:9]), p.Lists[1].Entries...)
		}},
		"a stated entry called unresolved": {listing.CodeList, func(p *statusv1.ListingProof, _ *listing.Options) { p.Lists[1].Entries[8] = 1 }},
		"entries of an empty list": {listing.CodeProof, func(p *statusv1.ListingProof, o *listing.Options) {
			o.Keys, p.Lists = []string{keyB}, w.proof(time.Time{}, keyB).GetLists()
			p.Lists[0].Entries = listing.Encode([]index.Entry{{LogIndex: 0}})
		}},
		"an entry of no log":  {listing.CodeList, func(p *statusv1.ListingProof, _ *listing.Options) { binary.BigEndian.PutUint64(p.Lists[0].Entries, 25) }},
		"an entry of no kind": {listing.CodeList, func(p *statusv1.ListingProof, _ *listing.Options) { p.Lists[0].Entries[8] = 2 }},
		"entries in a new order": {listing.CodeList, func(p *statusv1.ListingProof, _ *listing.Options) {
			e := p.Lists[1].Entries
			p.Lists[1].Entries = append(slices.Clone(e[9:18]), append(slices.Clone(e[:9]), e[18:]...)...)
		}},
	} {
		p, o := w.proof(time.Time{}, keyA, keyC), w.options(keyA, keyC)
		c.change(p, &o)
		if r, err := listing.Check(p, o); code(err) != c.want || r != nil {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

// TestOldRoot: an index root that was the last one before shows nothing any more, nor does one about another log or tree.
func TestOldRoot(t *testing.T) {
	w := newWorld(t)
	old := w.proof(time.Time{}, keyA)
	w.tree.Add(index.TextKey(keyA), index.Entry{LogIndex: 19})
	w.publish(w.log.Origin)
	now := w.proof(time.Time{}, keyA)
	now.IndexRoot, now.Lists, now.IndexRootProof = old.GetIndexRoot(), old.GetLists(), w.roots.Proof(0)
	if _, err := listing.Check(now, w.options(keyA)); code(err) != listing.CodeRoot {
		t.Errorf("an older root: got %v, want %s", err, listing.CodeRoot)
	}
	w.log.Append([]byte("one more"))
	if _, err := listing.Check(w.proof(time.Time{}, keyA), w.options(keyA)); code(err) != listing.CodeTree {
		t.Errorf("a later checkpoint: got %v, want %s", err, listing.CodeTree)
	}
	behind := w.proof(time.Time{}, keyA)
	w.publish(w.log.Origin)
	ahead := w.proof(time.Time{}, keyA)
	ahead.Checkpoint = now.GetCheckpoint()
	if _, err := listing.Check(ahead, w.options(keyA)); code(err) != listing.CodeTree {
		t.Errorf("an earlier checkpoint: got %v, want %s", err, listing.CodeTree)
	}
	behind.IndexCheckpoint, behind.IndexRootProof = ahead.GetIndexCheckpoint(), ahead.GetIndexRootProof()
	if _, err := listing.Check(behind, w.options(keyA)); code(err) != listing.CodeRoot {
		t.Errorf("the root before the last: got %v, want %s", err, listing.CodeRoot)
	}
	w.publish("other.example.test")
	if _, err := listing.Check(w.proof(time.Time{}, keyA), w.options(keyA)); code(err) != listing.CodeTree {
		t.Errorf("an index over another log: got %v, want %s", err, listing.CodeTree)
	}
}

func (w *world) policy() *verify.WitnessPolicy {
	w.tb.Helper()
	policy, err := verify.ParseWitnessPolicy([]byte("witness w " + w.witness.VKey() + "\nquorum w\n"))
	if err != nil {
		w.tb.Fatal(err)
	}
	return policy
}

// TestWitnessed: with a policy, the time is the witnesses'.
func TestWitnessed(t *testing.T) {
	w := newWorld(t)
	o := w.options(keyA)
	o.Witnesses, o.At = w.policy(), bundletest.Epoch
	r, err := listing.Check(w.proof(bundletest.Epoch, keyA), o)
	if err != nil || !r.WitnessedBy.Equal(bundletest.Epoch) || len(r.Cosignatures) != 1 {
		t.Fatalf("%v: got %+v", err, r)
	}
	if _, err := listing.Check(w.proof(bundletest.Epoch.Add(time.Hour), keyA), o); code(err) != listing.CodeQuorum {
		t.Errorf("cosigned an hour later: got %v", err)
	}
}

// TestOptions: nothing is taken for granted.
func TestOptions(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*listing.Options){
		"no log key": func(o *listing.Options) { o.Log = nil }, "no index key": func(o *listing.Options) { o.IndexLog = nil },
		"one log twice": func(o *listing.Options) { o.IndexLog = o.Log }, "no keys": func(o *listing.Options) { o.Keys = nil },
		"a key twice": func(o *listing.Options) { o.Keys = []string{keyA, keyA} }, "no time": func(o *listing.Options) { o.Witnesses = w.policy() },
	} {
		o := w.options(keyA)
		change(&o)
		if r, err := listing.Check(w.proof(time.Time{}, keyA), o); !errors.Is(err, verify.ErrInput) || r != nil {
			t.Errorf("%s: got %v, want verify.ErrInput", name, err)
		}
	}
}

// TestMutations: no byte of a listing proof can be changed, dropped or doubled without a refusal. That covers checkpoints, root, path,
// keys, proofs and entries.
func TestMutations(t *testing.T) {
	w := newWorld(t)
	w.tree.Add(index.TextKey(keyA), index.Entry{LogIndex: 19})
	w.publish(w.log.Origin)
	p, o := w.proof(time.Time{}, keyA, keyB, keyC), w.options(keyA, keyB, keyC)
	if _, err := listing.Check(p, o); err != nil {
		t.Fatal(err)
	}
	count := 0
	try := func(what string, at int, set func(*statusv1.ListingProof)) {
		t.Helper()
		count++
		m := proto.CloneOf(p)
		set(m)
		if r, err := listing.Check(m, o); code(err) == "" || r != nil {
			t.Errorf("%s, byte %d: got %v", what, at, err)
		}
	}
	mutate := func(what string, field []byte, set func(*statusv1.ListingProof, []byte)) {
		for at := range field {
			for _, bit := range []byte{1, 0x20, 0x80} {
				b := slices.Clone(field)
				b[at] ^= bit
				try(what, at, func(m *statusv1.ListingProof) { set(m, b) })
			}
			try(what+" dropped", at, func(m *statusv1.ListingProof) { set(m, slices.Delete(slices.Clone(field), at, at+1)) })
			try(what+" doubled", at, func(m *statusv1.ListingProof) { set(m, slices.Insert(slices.Clone(field), at, field[at])) })
		}
	}
	mutate("checkpoint", []byte(p.GetCheckpoint()), func(m *statusv1.ListingProof, b []byte) { m.Checkpoint = string(b) })
	mutate("index checkpoint", []byte(p.GetIndexCheckpoint()), func(m *statusv1.ListingProof, b []byte) { m.IndexCheckpoint = string(b) })
	mutate("index root", []byte(p.GetIndexRoot()), func(m *statusv1.ListingProof, b []byte) { m.IndexRoot = string(b) })
	for n := range p.GetIndexRootProof() {
		mutate("path", p.GetIndexRootProof()[n], func(m *statusv1.ListingProof, b []byte) { m.IndexRootProof[n] = b })
	}
	for n, l := range p.GetLists() {
		mutate("key", []byte(l.GetKey()), func(m *statusv1.ListingProof, b []byte) { m.Lists[n].Key = string(b) })
		mutate("proof", l.GetProof(), func(m *statusv1.ListingProof, b []byte) { m.Lists[n].Proof = b })
		mutate("entries", l.GetEntries(), func(m *statusv1.ListingProof, b []byte) { m.Lists[n].Entries = b })
	}
	if count < 2000 {
		t.Errorf("only %d mutations were tried", count)
	}
}

// FuzzCheck: whatever the bytes are, there is a result with the lists of the caller's keys, or a code.
func FuzzCheck(f *testing.F) {
	w := newWorld(f)
	keys := []string{keyA, keyB, keyC}
	whole, err := proto.Marshal(w.proof(time.Time{}, keys...))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	o := w.options(keys...)
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &statusv1.ListingProof{}
		if proto.Unmarshal(data, p) != nil {
			return
		}
		r, err := listing.Check(p, o)
		if err == nil && (len(r.Lists) != 3 || len(r.Stated()) != 19 || len(r.Unresolved()) != 1) {
			t.Errorf("accepted with %+v", r)
		}
		if err != nil && code(err) == "" {
			t.Errorf("an error without a code: %v", err)
		}
	})
}
