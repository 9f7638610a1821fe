package standing_test

import (
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/replay"
	"github.com/avow-dev/avow/verify/standing"
)

var benchKeys = flag.Int("keys", 50_000, "keys of the index and leaves of the index log in benchmarks")

// large is a statement in force in an index of -keys keys, whose root is the last of as many leaves of the index log.
func large(tb testing.TB) (*world, *verify.Evidence, *statusv1.StatusBundle) {
	tb.Helper()
	w := newWorld(tb)
	at := w.issue(declaration(tb, 1), w.Vendor)
	target := w.evidence(at, w.Vendor)
	tree := &replay.Tree{}
	for i := range *benchKeys {
		tree.Add(sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))), index.Entry{LogIndex: uint64(i)})
	}
	w.Version = tree.Publish()
	for w.Roots.Size() < int64(*benchKeys)-1 {
		w.Roots.Append(binary.BigEndian.AppendUint64(nil, uint64(w.Roots.Size())))
	}
	root := index.Root{Origin: w.Log.Origin, Size: uint64(len(w.Entries)), Tree: index.Hash(w.Log.Root()), Index: w.Version.Root(), Keys: uint64(*benchKeys)}
	w.Leaf = root.Append(nil)
	w.Roots.Append(w.Leaf)
	return w, target, w.status(target, now)
}

// TestSize: a status bundle of a statement in force has at most 4 KiB. At a million keys (-keys 1000000) too.
func TestSize(t *testing.T) {
	w, target, b := large(t)
	want(t, check(t, b, target, w.options()), standing.InForce, standing.ReasonNothing)
	data, err := standing.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d keys: %d bytes, JSON %d; checkpoints %d and %d, root %d, its proof %d hashes, proofs %d and %d", *benchKeys, len(data), len(text),
		len(b.GetCheckpoint()), len(b.GetIndexCheckpoint()), len(b.GetIndexRoot()), len(b.GetIndexRootProof()), len(b.GetAbout().GetProof()),
		len(b.GetUnresolved().GetProof()))
	if len(data) > 4<<10 {
		t.Errorf("%d bytes, want at most %d", len(data), 4<<10)
	}
}

func BenchmarkCheck(b *testing.B) {
	w, target, status := large(b)
	o := w.options()
	for b.Loop() {
		if _, err := standing.Check(b.Context(), status, target, o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAndCheck(b *testing.B) {
	w, target, status := large(b)
	o := w.options()
	data, err := standing.Marshal(status)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(data)), "bytes")
	for b.Loop() {
		s, err := standing.Parse(data)
		if err == nil {
			_, err = standing.Check(b.Context(), s, target, o)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkProofs is what Check does besides signatures: both proofs and their lists.
func BenchmarkProofs(b *testing.B) {
	w, target, status := large(b)
	root := w.Version.Root()
	keys := []index.Key{index.TargetKey(target.StatementID), index.UnresolvedKey(index.KeySigner(target.KeyID))}
	for b.Loop() {
		for i, l := range []*statusv1.ListProof{status.GetAbout(), status.GetUnresolved()} {
			p, err := index.ParseProof(l.GetProof())
			if err == nil {
				err = p.Absence(root, keys[i])
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
