package verify_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"testing"

	attestation "github.com/in-toto/attestation/go/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// FuzzVerify judges arbitrary bundles. Whatever they are: one line per check,
// evidence only with acceptance, and never accepted where sigstore-go refuses.
func FuzzVerify(f *testing.F) {
	vec := readVector(f, filepath.Join(vectorDir, "accepted-two-authorities.json"))
	paths, err := filepath.Glob(filepath.Join(vectorDir, "files", "*.sigstore.json"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range paths {
		f.Add(readFile(f, path))
	}
	in := vec.input(f)
	v := newVerifier(f, vectorFile(f, vec.TrustedRoot))
	material := sigstoreMaterial(f, vectorFile(f, vec.TrustedRoot), in.Signers[0].Key.PublicKey)
	f.Fuzz(func(t *testing.T, data []byte) {
		in := in
		in.MinTimestamps = 1
		in.Bundles = []verify.NamedBundle{{Data: data}}
		verdict := verdictOf(t, v, in)
		if len(verdict.Checks) != len(verify.CheckIDs()) || len(verdict.Bundles) != 1 {
			t.Errorf("%d lines of checks for %d bundles", len(verdict.Checks), len(verdict.Bundles))
		}
		if accepted := verdict.Outcome == verify.Accepted; accepted != (len(verdict.Evidence) == 1) || accepted != (len(verdict.Failures()) == 0) {
			t.Errorf("%s with %d pieces of evidence and failures %v", verdict.Outcome, len(verdict.Evidence), verdict.Failures())
		}
		if verdict.Outcome == verify.Rejected {
			return
		}
		if err := plainSigstore(data, material); err != nil {
			t.Errorf("accepted, but sigstore-go refuses: %v", err)
		}
		sum := sha256.Sum256(verdict.Evidence[0].Statement.Payload())
		if verdict.Evidence[0].StatementID != "sha256:"+hex.EncodeToString(sum[:]) {
			t.Error("the statement id is not the digest of the signed bytes")
		}
	})
}

// FuzzParseTrust parses arbitrary trusted roots: what is accepted, sigstore-go
// accepts, and its digest is that of the bytes.
func FuzzParseTrust(f *testing.F) {
	for _, name := range []string{"trusted_root.json", "trusted_root_two_logs.json", "trusted_root_retired_log.json"} {
		f.Add(vectorFile(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		trust, err := verify.ParseTrust(data)
		if err != nil {
			return
		}
		if _, err := root.NewTrustedRootFromJSON(data); err != nil {
			t.Errorf("accepted, but sigstore-go refuses: %v", err)
		}
		if trust.Digest() != sha256.Sum256(data) {
			t.Error("the digest is not that of the bytes")
		}
	})
}

// FuzzVerifySigstore verifies arbitrary bundles by sigstore-go's rules: within
// its limits, and never looser than plain sigstore-go.
func FuzzVerifySigstore(f *testing.F) {
	vec := readVector(f, filepath.Join(vectorDir, "accepted-two-authorities.json"))
	f.Add(vectorFile(f, vec.Bundles[0]))
	trust, err := verify.ParseTrust(vectorFile(f, vec.TrustedRoot))
	if err != nil {
		f.Fatal(err)
	}
	in := vec.input(f)
	digest, err := hex.DecodeString(in.ArtifactSHA256)
	if err != nil {
		f.Fatal(err)
	}
	genuine := vectorFile(f, vec.Bundles[0])
	f.Fuzz(func(t *testing.T, data []byte) {
		err := verify.VerifySigstore(t.Context(), verify.SigstoreInput{
			Bundle: data, Trust: trust, Key: in.Signers[0].Key.PublicKey, Digest: digest, DigestAlgorithm: "sha256",
		})
		if bytes.Equal(data, genuine) && err != nil {
			t.Errorf("the genuine bundle is refused: %v", err)
		}
		if err == nil && (len(data) > verify.MaxSigstoreBundleBytes || len(data) == 0) {
			t.Errorf("accepted %d bytes", len(data))
		}
	})
}

// FuzzStatementReaders: what CheckStatementFormat takes, sigstore-go can read whole. The second opinion leaves that
// reading out, because it does the work of many signatures and its result is thrown away.
func FuzzStatementReaders(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("..", "testdata", "vectors", "v1", "*", "*", "*.json"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	taken := 0
	for _, path := range paths {
		payload := readFile(f, path)
		if _, err := predicate.Parse(payload, predicate.Consumption); err == nil {
			taken++
		}
		f.Add(payload)
	}
	if taken == 0 {
		f.Fatal("no seed is taken: this says nothing")
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if _, err := predicate.Parse(payload, predicate.Consumption); err != nil {
			return
		}
		if err := protojson.Unmarshal(payload, &attestation.Statement{}); err != nil {
			t.Errorf("taken, but sigstore-go would refuse it: %v", err)
		}
	})
}
