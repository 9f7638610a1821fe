// Package tufworld makes a real TUF repository for tests of the client: three holders of whom two must sign, an online
// key, and files that a test can serve as they are or change on the way.
//
// The client's tests cannot import server packages, and what they are to be tested with is the repository that avowd
// publishes and nothing else: so it is made here, by package server/tufrepo, as the operator's commands make it. Keys are
// made for each test; the clock is the test's.
//
// A World trusts nobody and opens no socket: [World.Handler] is for the test's own server. It is imported by tests only.
//
// Specification: https://theupdateframework.github.io/specification/latest/.
package tufworld

import (
	"crypto/ecdsa"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/tufrepo"
)

// World is a repository and everybody who signs it.
type World struct {
	// Now is the clock.
	Now time.Time
	// Holders hold root and targets; two must sign.
	Holders []tufrepo.Key
	// Online signs snapshot and timestamp.
	Online tufrepo.Key

	tb   testing.TB
	repo *tufrepo.Repository
	dir  string
}

// New makes a repository with one target, trusted_root.json.
func New(tb testing.TB, now time.Time, trustedRoot []byte) *World {
	tb.Helper()
	w := &World{Now: now, tb: tb, dir: tb.TempDir(), Online: newKey(tb), Holders: []tufrepo.Key{newKey(tb), newKey(tb), newKey(tb)}}
	w.repo = tufrepo.Open(w.dir, func() time.Time { return w.Now })
	all := publics(w.Holders)
	w.must(w.repo.Init(tufrepo.RootChange{AddRoot: all, AddTargets: all, RootThreshold: 2, TargetsThreshold: 2, Online: w.Online.Public}))
	w.Publish(trustedRoot)
	return w
}

func newKey(tb testing.TB) tufrepo.Key {
	tb.Helper()
	k, err := attest.GenerateKey()
	if err != nil {
		tb.Fatal(err)
	}
	return tufrepo.Key{Public: k.PublicKey(), Sign: k.SignDigest}
}

func publics(keys []tufrepo.Key) []*ecdsa.PublicKey {
	var all []*ecdsa.PublicKey
	for _, k := range keys {
		all = append(all, k.Public)
	}
	return all
}

func (w *World) must(err error) {
	w.tb.Helper()
	if err != nil {
		w.tb.Fatal(err)
	}
}

// sign has holders sign what is staged.
func (w *World) sign(keys ...tufrepo.Key) {
	w.tb.Helper()
	for _, k := range keys {
		_, err := w.repo.Sign(w.tb.Context(), k)
		w.must(err)
	}
}

// Publish stages a trusted root, has two holders sign it, and publishes it.
func (w *World) Publish(trustedRoot []byte) {
	w.tb.Helper()
	w.must(w.repo.StageTargets(map[string][]byte{"trusted_root.json": trustedRoot}))
	w.sign(w.Holders[:2]...)
	_, err := w.repo.Publish(w.tb.Context(), w.Online)
	w.must(err)
}

// Rotate replaces every key, and publishes a trusted root that the new holders sign.
func (w *World) Rotate(trustedRoot []byte) {
	w.tb.Helper()
	fresh, online := []tufrepo.Key{newKey(w.tb), newKey(w.tb), newKey(w.tb)}, newKey(w.tb)
	w.must(w.repo.StageRoot(tufrepo.RootChange{AddRoot: publics(fresh), RemoveRoot: publics(w.Holders), AddTargets: publics(fresh),
		RemoveTargets: publics(w.Holders), Online: online.Public}))
	w.must(w.repo.StageTargets(map[string][]byte{"trusted_root.json": trustedRoot}))
	w.sign(fresh[:2]...)
	w.sign(w.Holders[:2]...)
	_, err := w.repo.Publish(w.tb.Context(), w.Online, online)
	w.must(err)
	w.Holders, w.Online = fresh, online
}

// Renew signs snapshot and timestamp anew.
func (w *World) Renew() {
	w.tb.Helper()
	_, err := w.repo.Renew(w.tb.Context(), true, w.Online)
	w.must(err)
}

// StagedRoot is the next root as so many holders signed it; it stays unpublished.
func (w *World) StagedRoot(holders int) []byte {
	w.tb.Helper()
	w.must(w.repo.StageRoot(tufrepo.RootChange{}))
	w.sign(w.Holders[:holders]...)
	data, err := os.ReadFile(filepath.Join(w.dir, "staged", "root.json"))
	w.must(err)
	return data
}

// File is a published file.
func (w *World) File(name string) []byte {
	w.tb.Helper()
	data, err := os.ReadFile(filepath.Join(w.repo.Public(), name))
	w.must(err)
	return data
}

// Handler serves the published files below /.
func (w *World) Handler() http.Handler { return w.repo.Handler() }
