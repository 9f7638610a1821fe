package verify_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/verify"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

const vectorDir = "testdata/verdicts"

// vector is one question with its declared answer; testdata/verdicts/README.md
// describes the format, which the command line and the service read too.
type vector struct {
	Description    string         `json:"description"`
	At             time.Time      `json:"at"`
	ArtifactSHA256 string         `json:"artifactSha256"`
	TrustedRoot    string         `json:"trustedRoot"`
	Signers        []vectorSigner `json:"signers"`
	RequiredTypes  []string       `json:"requiredTypes,omitempty"`
	MinTimestamps  int            `json:"minTimestamps,omitempty"`
	Bundles        []string       `json:"bundles"`
	Expect         vectorExpect   `json:"expect"`
}

type vectorSigner struct {
	PublicKey string    `json:"publicKey,omitempty"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	SAN       string    `json:"san,omitempty"`
	Issuer    string    `json:"issuer,omitempty"`
}

type vectorExpect struct {
	Outcome  string          `json:"outcome"`
	Failures []vectorFailure `json:"failures,omitempty"`
}

type vectorFailure struct {
	Bundle string         `json:"bundle,omitempty"`
	Check  verify.CheckID `json:"check"`
}

// TestVectors runs every vector through the library.
func TestVectors(t *testing.T) {
	if *update {
		generateVectors(t)
	}
	paths, err := filepath.Glob(filepath.Join(vectorDir, "*.json"))
	if err != nil || len(paths) < 20 {
		t.Fatalf("found %d vectors in %s, want all of them: %v", len(paths), vectorDir, err)
	}
	failing := make(map[verify.CheckID]bool)
	for _, path := range paths {
		vec := readVector(t, path)
		for _, f := range vec.Expect.Failures {
			failing[f.Check] = true
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) { runVector(t, vec) })
	}
	for _, id := range verify.CheckIDs() {
		// sigstore-go's opinion never stands alone; the tests of the policy, of standing and of witnesses, which a vector
		// does not ask about, are policy_test.go, standing_check_test.go and witness_test.go.
		unasked := []verify.CheckID{verify.CheckPolicy, verify.CheckStanding, verify.CheckWitnessQuorum, verify.CheckWitnessTime, verify.CheckWitnessAge}
		if !failing[id] && id != verify.CheckSigstore && !slices.Contains(unasked, id) {
			t.Errorf("no vector fails at %s", id)
		}
	}
}

func runVector(t *testing.T, vec vector) {
	verdict := verdictOf(t, newVerifier(t, vectorFile(t, vec.TrustedRoot)), vec.input(t))
	var failures []vectorFailure
	for _, c := range verdict.Failures() {
		failures = append(failures, vectorFailure{Bundle: c.Bundle, Check: c.ID})
		if c.Detail == "" || (c.Expected == "" && c.Got == "") {
			t.Errorf("failure of %s explains nothing: %+v", c.ID, c)
		}
	}
	if got := verdict.Outcome.String(); got != vec.Expect.Outcome || !slices.Equal(failures, vec.Expect.Failures) {
		t.Errorf("got %s %v, want %s %v", got, failures, vec.Expect.Outcome, vec.Expect.Failures)
		for _, c := range verdict.Failures() {
			t.Log(c)
		}
	}
	const ofInput = 5 // checks of the whole input
	if want := len(vec.Bundles)*(len(verify.CheckIDs())-ofInput) + ofInput; len(verdict.Checks) != want {
		t.Errorf("got %d lines of checks, want %d: one per check, run or not", len(verdict.Checks), want)
	}
}

func (vec vector) input(tb testing.TB) verify.Input {
	tb.Helper()
	in := verify.Input{
		ArtifactSHA256: vec.ArtifactSHA256, RequiredTypes: vec.RequiredTypes, MinTimestamps: vec.MinTimestamps, At: vec.At,
	}
	for _, b := range vec.Bundles {
		in.Bundles = append(in.Bundles, verify.NamedBundle{Name: b, Data: vectorFile(tb, b)})
	}
	for _, s := range vec.Signers {
		if s.PublicKey != "" {
			in.Signers = append(in.Signers, verify.Signer{Key: &verify.Key{
				PublicKey: parsePublicKey(tb, vectorFile(tb, s.PublicKey)), NotBefore: s.NotBefore, NotAfter: s.NotAfter,
			}})
			continue
		}
		in.Signers = append(in.Signers, verify.Signer{Identity: &verify.Identity{SAN: s.SAN, Issuer: s.Issuer}})
	}
	return in
}

func readVector(tb testing.TB, path string) vector {
	tb.Helper()
	var vec vector
	if err := json.Unmarshal(readFile(tb, path), &vec); err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
	return vec
}

func vectorFile(tb testing.TB, name string) []byte {
	tb.Helper()
	return readFile(tb, filepath.Join(vectorDir, "files", name))
}

func parsePublicKey(tb testing.TB, raw []byte) *ecdsa.PublicKey {
	tb.Helper()
	block, _ := pem.Decode(raw)
	if block == nil {
		tb.Fatal("not PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	return key.(*ecdsa.PublicKey) //nolint:forcetypeassert // a test vector of ours
}

func marshalPublicKey(tb testing.TB, key *ecdsa.PublicKey) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func writeFile(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}
