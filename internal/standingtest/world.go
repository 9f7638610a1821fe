// Package standingtest makes status bundles for tests: real ones, from a statement log and an index log in memory.
//
// A [World] is a bundletest.World with an index log, witnesses of both logs and every bundle that was issued. Statements are
// logged with [World.Issue]; [World.Publish] takes the index to the newest entry and logs its root, and [World.Status] gives
// the status bundle of a statement under checkpoints that the witnesses saw at a time.
//
// The parts are those that are shipped: the index is built by verify/index/audit, and whoever checks a status bundle uses
// verify/standing. There is no server and no database, so that packages can use it that may import neither.
//
// What a dishonest operator does is done by changing the fields: a payload that is deleted from Payloads is one that
// nobody can read when it is indexed.
//
// Its keys protect nothing. It is for tests alone, and not safe for concurrent use.
package standingtest

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	sumdbnote "golang.org/x/mod/sumdb/note"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/index/replay"
)

// World is a statement log and an index log, with witnesses, and every bundle that was issued.
type World struct {
	*bundletest.World
	// Roots is the index log.
	Roots *bundletest.Log
	// Witnesses cosign both logs.
	Witnesses []*bundletest.Witness
	// Entries are the raw leaves of the statement log, Payloads the statements that can be had, Bundles what was issued.
	Entries  [][]byte
	Payloads map[uint64][]byte
	Bundles  map[uint64][]byte
	// Version and Leaf are the newest index and its leaf in the index log.
	Version *replay.Version
	Leaf    []byte

	tb      testing.TB
	builder *audit.Builder
}

// New makes one with three witnesses and an empty index.
func New(tb testing.TB) *World {
	tb.Helper()
	w := &World{World: bundletest.NewWorld(tb), tb: tb, Roots: bundletest.NewLog(tb, "index.example.test", bundletest.Start),
		Payloads: map[uint64][]byte{}, Bundles: map[uint64][]byte{}}
	for i := range 3 {
		w.Witnesses = append(w.Witnesses, bundletest.NewWitness(fmt.Sprintf("witness-%d.example.test", i)))
	}
	for i := range w.Log.Size() {
		w.Entries = append(w.Entries, fmt.Appendf(nil, "entry %d of somebody else", i))
	}
	w.builder = audit.NewBuilder(w.Log.Origin)
	return w
}

// Issue logs a statement and returns its index.
func (w *World) Issue(spec bundletest.Spec) uint64 {
	w.tb.Helper()
	payload, b := spec.Payload, w.World.Issue(w.tb, spec)
	at := uint64(len(w.Entries))
	w.Entries = append(w.Entries, b.GetVerificationMaterial().GetTlogEntries()[0].GetCanonicalizedBody())
	w.Payloads[at], w.Bundles[at] = payload, bundletest.JSON(w.tb, b)
	return at
}

func (w *World) source() audit.Source {
	return audit.Source{
		Entries: func(_ context.Context, from, to uint64) iter.Seq2[[]byte, error] {
			return func(yield func([]byte, error) bool) {
				for _, e := range w.Entries[from:to] {
					if !yield(e, nil) {
						return
					}
				}
			}
		},
		Statement: func(_ context.Context, at uint64, _ []byte) ([]byte, error) { return w.Payloads[at], nil },
	}
}

// Publish takes the index to the newest entry.
func (w *World) Publish() {
	w.tb.Helper()
	if err := w.builder.Retry(w.tb.Context(), w.source(), 100); err != nil {
		w.tb.Fatal(err)
	}
	if err := w.builder.Follow(w.tb.Context(), w.source(), uint64(len(w.Entries))); err != nil {
		w.tb.Fatal(err)
	}
	if w.builder.Changed() {
		var root *index.Root
		root, w.Version = w.builder.Seal()
		w.Leaf = root.Append(nil)
		w.Roots.Append(w.Leaf)
	}
}

// Cosigners are all witnesses at a time.
func (w *World) Cosigners(at time.Time) (all []sumdbnote.Signer) {
	for _, x := range w.Witnesses {
		all = append(all, x.At(at))
	}
	return all
}

// WitnessPolicy is the text of a witness policy that asks for two of the three.
func (w *World) WitnessPolicy() []byte {
	var text strings.Builder
	for i, x := range w.Witnesses {
		fmt.Fprintf(&text, "witness w%d %s\n", i, x.VKey())
	}
	text.WriteString("group g 2 w0 w1 w2\nquorum g\n")
	return []byte(text.String())
}

// Status is the status bundle of a statement ("sha256:" and its digest) by a signer, under checkpoints that the witnesses saw
// at a time.
func (w *World) Status(target string, signer index.Signer, seen time.Time) *statusv1.StatusBundle {
	w.tb.Helper()
	return &statusv1.StatusBundle{Target: target, Checkpoint: w.Log.Checkpoint(w.tb, w.Cosigners(seen)...),
		IndexCheckpoint: w.Roots.Checkpoint(w.tb, w.Cosigners(seen)...), IndexRoot: string(w.Leaf), IndexRootProof: w.Roots.Proof(w.Roots.Size() - 1),
		About: w.List(index.TargetKey(target), true), Unresolved: w.List(index.UnresolvedKey(signer), false)}
}

// List is a list of the index with its proof, with or without the bundles of its entries.
func (w *World) List(k index.Key, deliver bool) *statusv1.ListProof {
	list, p := w.Version.Lookup(k)
	l := &statusv1.ListProof{Proof: p.Append(nil)}
	for _, e := range list {
		entry := &statusv1.ListEntry{LogIndex: e.LogIndex, Kind: uint32(e.Kind)}
		if deliver {
			entry.Bundle = w.Bundles[e.LogIndex]
		}
		l.Entries = append(l.Entries, entry)
	}
	return l
}
