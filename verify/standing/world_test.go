package standing_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/deptest"
	"github.com/avow-dev/avow/internal/standingtest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
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

// world is a statement log and an index log, with witnesses, every bundle that was issued, and a verifier for them.
type world struct {
	*standingtest.World
	tb       testing.TB
	other    *ecdsa.PrivateKey
	verifier *verify.Verifier
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{World: standingtest.New(tb), tb: tb, other: bundletest.NewKey(tb)}
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
	return w.Issue(bundletest.Spec{Payload: payload, Key: key})
}

// issueAs logs a statement by an identity, under a new key.
func (w *world) issueAs(payload []byte, san, issuer string) uint64 {
	w.tb.Helper()
	key := bundletest.NewKey(w.tb)
	cert := w.CA.Certify(w.tb, &key.PublicKey, san, issuer, bundletest.Epoch.Add(-time.Minute), bundletest.Epoch.Add(time.Minute), nil)
	return w.Issue(bundletest.Spec{Payload: payload, Key: key, Certificate: cert})
}

func (w *world) evidenceOf(at uint64, san, issuer string) *verify.Evidence {
	w.tb.Helper()
	e, checks, err := w.verifier.VerifyBundle(w.tb.Context(), w.Bundles[at], verify.Signer{Identity: &verify.Identity{SAN: san, Issuer: issuer}})
	if err != nil || e == nil {
		w.tb.Fatalf("%v: %v", err, checks)
	}
	return e
}

// publish takes the index to the newest entry.
func (w *world) publish() { w.Publish() }

// status is the status bundle of a statement by a key, under checkpoints that the witnesses saw at a time.
func (w *world) status(target *verify.Evidence, seen time.Time) *statusv1.StatusBundle {
	return w.Status(target.StatementID, index.KeySigner(target.KeyID), seen)
}

// evidence verifies the bundle of an entry.
func (w *world) evidence(at uint64, key *ecdsa.PrivateKey) *verify.Evidence {
	w.tb.Helper()
	e, checks, err := w.verifier.VerifyBundle(w.tb.Context(), w.Bundles[at], verify.Signer{Key: &verify.Key{PublicKey: &key.PublicKey}})
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
	policy, err := verify.ParseWitnessPolicy(w.WitnessPolicy())
	if err != nil {
		w.tb.Fatal(err)
	}
	return standing.Options{Log: w.key(w.Log), IndexLog: w.key(w.Roots), Witnesses: policy, At: now, MaxStaleness: 24 * time.Hour, Verifier: w.verifier}
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
