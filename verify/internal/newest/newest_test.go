package newest_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/internal/newest"
	"github.com/avow-dev/avow/verify/listing"
	"github.com/avow-dev/avow/verify/standing"
)

// TestKindsAreCodes: each kind is the end of a code of both packages that use it.
func TestKindsAreCodes(t *testing.T) {
	for _, k := range []newest.Kind{newest.Checkpoint, newest.Quorum, newest.Root, newest.Tree} {
		if !slices.Contains(standing.Codes(), "STATUS_"+string(k)) || !slices.Contains(listing.Codes(), "LISTING_"+string(k)) {
			t.Errorf("%s is no code of both", k)
		}
	}
}

// TestOpen: what a status bundle and a listing proof show is the same root, and each check that does not hold has its kind, the first
// of several.
func TestOpen(t *testing.T) {
	log, roots := bundletest.NewLog(t, "log.example.test", bundletest.Start), bundletest.NewLog(t, "index.example.test", bundletest.Start)
	empty := bundletest.NewLog(t, "log.example.test", bundletest.Start) // the same name with another key
	root := &index.Root{Origin: log.Origin, Size: uint64(log.Size()), Tree: index.Hash(log.Root()), Keys: 1}
	roots.Append(root.Append(nil))
	key := func(l *bundletest.Log) *verify.LogKey {
		k, err := verify.ParseLogKey(l.VKey(t))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	trust := newest.Trust{Log: key(log), IndexLog: key(roots), At: bundletest.Epoch}
	shown := func(change func(*statusv1.ListingProof)) *statusv1.ListingProof {
		p := &statusv1.ListingProof{Checkpoint: log.Checkpoint(t), IndexCheckpoint: roots.Checkpoint(t), IndexRoot: string(root.Append(nil)),
			IndexRootProof: roots.Proof(roots.Size() - 1)}
		if change != nil {
			change(p)
		}
		return p
	}
	p := shown(nil)
	for _, s := range []newest.Shown{p, &statusv1.StatusBundle{Checkpoint: p.GetCheckpoint(), IndexCheckpoint: p.GetIndexCheckpoint(),
		IndexRoot: p.GetIndexRoot(), IndexRootProof: p.GetIndexRootProof()}} {
		got, cp, err := newest.Open(s, trust)
		if err != nil || got.Size != root.Size || got.Tree != root.Tree || cp.Size != uint64(roots.Size()) {
			t.Errorf("%v: got %v, %v", err, got, cp)
		}
	}
	for name, c := range map[string]struct {
		change func(*statusv1.ListingProof)
		want   newest.Kind
	}{
		"another log's checkpoint": {func(p *statusv1.ListingProof) { p.Checkpoint = empty.Checkpoint(t) }, newest.Checkpoint},
		"both, and another root":   {func(p *statusv1.ListingProof) { p.IndexCheckpoint, p.IndexRoot = p.GetCheckpoint(), "" }, newest.Checkpoint},
		"another root":             {func(p *statusv1.ListingProof) { p.IndexRoot += "late 0\n" }, newest.Root},
		"no path":                  {func(p *statusv1.ListingProof) { p.IndexRootProof = nil }, newest.Root},
	} {
		var refused *newest.Error
		if r, _, err := newest.Open(shown(c.change), trust); !errors.As(err, &refused) || refused.Kind != c.want || r != nil {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	log.Append([]byte("one more"))
	var refused *newest.Error
	if _, _, err := newest.Open(shown(nil), trust); !errors.As(err, &refused) || refused.Kind != newest.Tree {
		t.Errorf("a later tree: got %v, want %s", err, newest.Tree)
	}
	policy, err := verify.ParseWitnessPolicy([]byte("witness w " + bundletest.NewWitness("witness.example.test").VKey() + "\nquorum w\n"))
	if err != nil {
		t.Fatal(err)
	}
	trust.Witnesses = policy
	if _, _, err := newest.Open(shown(nil), trust); !errors.As(err, &refused) || refused.Kind != newest.Quorum {
		t.Errorf("no witness: got %v, want %s", err, newest.Quorum)
	}
	trust.Witnesses, trust.At = &verify.WitnessPolicy{}, time.Time{}
	if _, _, err := newest.Open(shown(nil), trust); !errors.Is(err, verify.ErrInput) {
		t.Errorf("an empty policy: got %v, want verify.ErrInput", err)
	}
}
