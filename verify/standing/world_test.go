package standing_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	sumdbnote "golang.org/x/mod/sumdb/note"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/deptest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/index/replay"
	"github.com/avow-dev/avow/verify/standing"
)

func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	deptest.Forbid(t, map[string]string{
		"github.com/transparency-dev/tessera": "a buyer runs no log",
		"modernc.org/sqlite":                  "a buyer runs no database", "cel.dev/cel-go": "policies are verify/policy's",
		module + "server": "what the operator runs is what is checked", module + "api/avow/v1": "a status bundle needs no service",
	})
}

// now is when the tests judge: the withdrawals of the tests are effective.
var now = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// world is a statement log and an index log, with witnesses, and every bundle that was issued.
type world struct {
	*bundletest.World
	tb        testing.TB
	roots     *bundletest.Log
	witnesses []*bundletest.Witness
	other     *ecdsa.PrivateKey

	entries  [][]byte          // raw leaves of the statement log
	payloads map[uint64][]byte // that can be had
	bundles  map[uint64][]byte
	builder  *audit.Builder
	version  *replay.Version
	leaf     []byte // the newest
	verifier *verify.Verifier
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{World: bundletest.NewWorld(tb), tb: tb, roots: bundletest.NewLog(tb, "index.example.test", bundletest.Start),
		other: bundletest.NewKey(tb), payloads: map[uint64][]byte{}, bundles: map[uint64][]byte{}}
	for i := range 3 {
		w.witnesses = append(w.witnesses, bundletest.NewWitness(fmt.Sprintf("witness-%d.example.test", i)))
	}
	for i := range w.Log.Size() {
		w.entries = append(w.entries, fmt.Appendf(nil, "entry %d of somebody else", i))
	}
	w.builder = audit.NewBuilder(w.Log.Origin)
	trust, err := verify.ParseTrust(w.TrustedRoot())
	if err != nil {
		tb.Fatal(err)
	}
	if w.verifier, err = verify.New(verify.Config{Trust: trust, Clock: func() time.Time { return now }}); err != nil {
		tb.Fatal(err)
	}
	return w
}

// issue logs a statement by a key and returns its index.
func (w *world) issue(payload []byte, key *ecdsa.PrivateKey) uint64 {
	w.tb.Helper()
	return w.issueSpec(bundletest.Spec{Payload: payload, Key: key})
}

// issueAs logs a statement by an identity, under a new key.
func (w *world) issueAs(payload []byte, san, issuer string) uint64 {
	w.tb.Helper()
	key := bundletest.NewKey(w.tb)
	cert := w.CA.Certify(w.tb, &key.PublicKey, san, issuer, bundletest.Epoch.Add(-time.Minute), bundletest.Epoch.Add(time.Minute), nil)
	return w.issueSpec(bundletest.Spec{Payload: payload, Key: key, Certificate: cert})
}

func (w *world) evidenceOf(at uint64, san, issuer string) *verify.Evidence {
	w.tb.Helper()
	e, checks, err := w.verifier.VerifyBundle(w.tb.Context(), w.bundles[at], verify.Signer{Identity: &verify.Identity{SAN: san, Issuer: issuer}})
	if err != nil || e == nil {
		w.tb.Fatalf("%v: %v", err, checks)
	}
	return e
}

func (w *world) issueSpec(spec bundletest.Spec) uint64 {
	w.tb.Helper()
	payload, b := spec.Payload, w.Issue(w.tb, spec)
	at := uint64(len(w.entries))
	w.entries = append(w.entries, b.GetVerificationMaterial().GetTlogEntries()[0].GetCanonicalizedBody())
	w.payloads[at], w.bundles[at] = payload, bundletest.JSON(w.tb, b)
	return at
}

func (w *world) source() audit.Source {
	return audit.Source{
		Entries: func(_ context.Context, from, to uint64) iter.Seq2[[]byte, error] {
			return func(yield func([]byte, error) bool) {
				for _, e := range w.entries[from:to] {
					if !yield(e, nil) {
						return
					}
				}
			}
		},
		Statement: func(_ context.Context, at uint64, _ []byte) ([]byte, error) { return w.payloads[at], nil },
	}
}

// publish takes the index to the newest entry.
func (w *world) publish() {
	w.tb.Helper()
	if err := w.builder.Retry(w.tb.Context(), w.source(), 100); err != nil {
		w.tb.Fatal(err)
	}
	if err := w.builder.Follow(w.tb.Context(), w.source(), uint64(len(w.entries))); err != nil {
		w.tb.Fatal(err)
	}
	if w.builder.Changed() {
		var root *index.Root
		root, w.version = w.builder.Seal()
		w.leaf = root.Append(nil)
		w.roots.Append(w.leaf)
	}
}

// cosigners are all witnesses at a time.
func (w *world) cosigners(at time.Time) (all []sumdbnote.Signer) {
	for _, x := range w.witnesses {
		all = append(all, x.At(at))
	}
	return all
}

// status is the status bundle of a statement by a signer, under checkpoints that the witnesses saw at a time.
func (w *world) status(target *verify.Evidence, seen time.Time) *statusv1.StatusBundle {
	w.tb.Helper()
	return &statusv1.StatusBundle{Target: target.StatementID, Checkpoint: w.Log.Checkpoint(w.tb, w.cosigners(seen)...),
		IndexCheckpoint: w.roots.Checkpoint(w.tb, w.cosigners(seen)...), IndexRoot: string(w.leaf), IndexRootProof: w.roots.Proof(w.roots.Size() - 1),
		About:      w.list(index.TargetKey(target.StatementID), true),
		Unresolved: w.list(index.UnresolvedKey(index.KeySigner(target.KeyID)), false)}
}

func (w *world) list(k index.Key, deliver bool) *statusv1.ListProof {
	list, p := w.version.Lookup(k)
	l := &statusv1.ListProof{Proof: p.Append(nil)}
	for _, e := range list {
		entry := &statusv1.ListEntry{LogIndex: e.LogIndex, Kind: uint32(e.Kind)}
		if deliver {
			entry.Bundle = w.bundles[e.LogIndex]
		}
		l.Entries = append(l.Entries, entry)
	}
	return l
}

// evidence verifies the bundle of an entry.
func (w *world) evidence(at uint64, key *ecdsa.PrivateKey) *verify.Evidence {
	w.tb.Helper()
	e, checks, err := w.verifier.VerifyBundle(w.tb.Context(), w.bundles[at], verify.Signer{Key: &verify.Key{PublicKey: &key.PublicKey}})
	if err != nil || e == nil {
		w.tb.Fatalf("%v: %v", err, checks)
	}
	return e
}

func (w *world) key(l *bundletest.Log) *verify.LogKey {
	w.tb.Helper()
	k, err := verify.ParseLogKey(l.VKey(w.tb))
	if err != nil {
		w.tb.Fatal(err)
	}
	return k
}

func (w *world) options() standing.Options {
	w.tb.Helper()
	var text strings.Builder
	for i, x := range w.witnesses {
		fmt.Fprintf(&text, "witness w%d %s\n", i, x.VKey())
	}
	text.WriteString("group g 2 w0 w1 w2\nquorum g\n")
	policy, err := verify.ParseWitnessPolicy([]byte(text.String()))
	if err != nil {
		w.tb.Fatal(err)
	}
	return standing.Options{Log: w.key(w.Log), IndexLog: w.key(w.roots), Witnesses: policy, At: now, MaxStaleness: 24 * time.Hour, Verifier: w.verifier}
}

func declaration(tb testing.TB, i int) []byte {
	return bundletest.Statement(tb, "undertakings", "00000000-0000-4000-8000", fmt.Sprintf("%08x-0000-4000-8000", i))
}

func digestOf(payload []byte) string {
	sum := sha256.Sum256(payload)
	return hex.EncodeToString(sum[:])
}

const (
	withdrawalTarget = "2ffaec0dcc4e4a186dd534c6172d72e5b00118b9c9dbdcb363b2833890f75319"
	notAfter         = `"notAfter": "2027-09-01T09:00:00Z"`
)

func withdrawal(tb testing.TB, target []byte, oldNew ...string) []byte {
	return bundletest.Statement(tb, "withdrawal", append([]string{withdrawalTarget, digestOf(target)}, oldNew...)...)
}

// successor supersedes a declaration.
func successor(tb testing.TB, i int, target []byte) []byte {
	return []byte(strings.Replace(string(declaration(tb, i)), notAfter+"\n   }", notAfter+"\n   },\n   \"supersedes\": [{\"digest\": {\"sha256\": \""+
		digestOf(target)+"\"}, \"predicateType\": \"https://w3id.org/avow/undertakings/v1\"}]", 1))
}

func code(err error) string {
	var e *standing.Error
	if !errors.As(err, &e) {
		return fmt.Sprintf("no code: %v", err)
	}
	return e.Code
}
