package replay

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/avow-dev/avow/verify/index"
)

// TestPartial: whatever is added under opened keys, the root is that of the whole index, for indexes from none to many keys.
func TestPartial(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for size := range 200 {
		whole := &Tree{}
		for i := range size {
			whole.Add(key(random.IntN(size)), index.Entry{LogIndex: uint64(i)})
		}
		before := whole.Publish()
		var opened []Opened
		for i := range 12 { // some of them are there, some are not
			opened = append(opened, before.Open(key(i*size/6)))
		}
		p, err := NewPartial(before.Root(), opened)
		if err != nil {
			t.Fatalf("%d: %v", size, err)
		}
		for i := range 30 {
			k, e := opened[random.IntN(len(opened))].Key, index.Entry{LogIndex: uint64(size + i)}
			whole.Add(k, e)
			if err := p.add(k, e); err != nil {
				t.Fatalf("%d: %v", size, err)
			}
		}
		after := whole.Publish()
		if p.Root() != after.Root() || int(p.Added()) != after.Keys()-before.Keys() {
			t.Errorf("%d: root %x with %d new keys, want %x with %d", size, p.Root(), p.Added(), after.Root(), after.Keys()-before.Keys())
		}
	}
}

// TestPartialRefuses: what is not part of the index with the root is not taken for it.
func TestPartialRefuses(t *testing.T) {
	whole := grown(20)
	whole.Add(key(3), index.Entry{LogIndex: 99})
	v := whole.Publish()
	good := v.Open(key(3))
	other := grown(21).Publish()
	short := good
	short.List = nil
	changed := good
	changed.List = slices.Clone(good.List)
	changed.List[0][5] ^= 1
	elsewhere := good
	elsewhere.Key = key(4)
	for name, opened := range map[string][]Opened{"of another index": {other.Open(key(3))}, "no hashes": {short}, "another hash": {changed},
		"another key": {elsewhere}, "one of two": {good, other.Open(key(5))}} {
		if _, err := NewPartial(v.Root(), opened); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := NewPartial(index.EmptyRoot(), []Opened{good}); err == nil {
		t.Error("a key of the empty index is taken")
	}
	p, err := NewPartial(v.Root(), []Opened{good})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Index(LogEntry{Index: 100, Signer: "sha256:x"}); err == nil {
		t.Error("an entry under a key that was not opened is added")
	}
}
