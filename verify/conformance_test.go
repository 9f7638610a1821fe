package verify_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/avow-dev/avow/verify"
)

// Where the fixtures of sigstore-conformance are and the trusted root of the
// public-good instance, which about half of them need. Neither is ours to copy.
const (
	conformanceDirEnv  = "AVOW_CONFORMANCE_DIR"  // a checkout of github.com/sigstore/sigstore-conformance
	publicGoodRootEnv  = "AVOW_PUBLIC_GOOD_ROOT" // trusted_root.json of github.com/sigstore/root-signing
	conformanceFixture = "test/assets/bundle-verify"
)

// TestConformance is the verification half of sigstore-conformance: every
// directory whose name ends in _fail must be refused, every other accepted, with
// the artifact given as a file and as a digest.
func TestConformance(t *testing.T) {
	dir, rootPath := os.Getenv(conformanceDirEnv), os.Getenv(publicGoodRootEnv)
	if dir == "" || rootPath == "" {
		t.Skipf("set %s and %s to run the fixtures of sigstore-conformance", conformanceDirEnv, publicGoodRootEnv)
	}
	publicGood := readFile(t, rootPath)
	fixtures, err := filepath.Glob(filepath.Join(dir, conformanceFixture, "*", "bundle.sigstore.json"))
	if err != nil || len(fixtures) == 0 {
		t.Fatalf("no fixtures below %s: %v", dir, err)
	}
	for _, f := range fixtures {
		name := filepath.Base(filepath.Dir(f))
		for _, mode := range []string{"file", "digest"} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				err := runFixture(t, filepath.Dir(f), publicGood, mode == "digest")
				wantFail := strings.HasSuffix(name, "_fail")
				if (err != nil) != wantFail {
					t.Errorf("got %v, want failure: %v", err, wantFail)
				}
				if err != nil {
					t.Logf("refused: %v", err)
				}
			})
		}
	}
	t.Logf("%d cases", 2*len(fixtures))
}

func runFixture(t *testing.T, dir string, publicGood []byte, digest bool) error {
	t.Helper()
	optional := func(name string, otherwise []byte) []byte {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			return b
		}
		return otherwise
	}
	trust, err := verify.ParseTrust(optional("trusted_root.json", publicGood))
	if err != nil {
		return err
	}
	in := verify.SigstoreInput{Trust: trust, Bundle: readFile(t, filepath.Join(dir, "bundle.sigstore.json"))}
	if pem := optional("key.pub", nil); pem != nil {
		if in.Key, err = cryptoutils.UnmarshalPEMToPublicKey(pem); err != nil {
			return err
		}
	} else {
		in.Identity = &verify.Identity{
			SAN: strings.TrimSpace(string(optional("identity",
				[]byte("https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main")))),
			Issuer: strings.TrimSpace(string(optional("issuer", []byte("https://token.actions.githubusercontent.com")))),
		}
	}
	artifact := optional("artifact", readFile(t, filepath.Join(dir, "..", "..", "a.txt")))
	if digest {
		sum := sha256.Sum256(artifact)
		in.DigestAlgorithm, in.Digest = "sha256", sum[:]
	} else {
		in.Artifact = bytes.NewReader(artifact)
	}
	return verify.VerifySigstore(t.Context(), in)
}

func readFile(tb testing.TB, path string) []byte {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
