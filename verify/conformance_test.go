package verify_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
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

// TestPublicGood verifies real bundles of the public-good instance, which come
// with sigstore-go's module and are read from the module cache.
func TestPublicGood(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}",
		"github.com/sigstore/sigstore-go").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skipf("sigstore-go is not in the module cache: %v", err)
	}
	file := func(name string) []byte { return readFile(t, filepath.Join(dir, filepath.FromSlash(name))) }
	trust, err := verify.ParseTrust(file("examples/trusted-root-public-good.json"))
	if err != nil {
		t.Fatal(err)
	}
	publish, err := cryptoutils.UnmarshalPEMToPublicKey(file("examples/publish_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	const (
		san    = "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main"
		issuer = "https://token.actions.githubusercontent.com"
		v1     = "76176ffa33808b54602c7c35de5c6e9a4deb96066dba6533f50ac234f4f1f4c6b3527515dc17c06fbe2860030f410eee69ea20079bd3a2c6f3dcf3b329b10751"
		v2     = "46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c"
	)
	release := &verify.Identity{SAN: san, Issuer: issuer}
	for name, c := range map[string]struct {
		bundle, digest string
		key            crypto.PublicKey
		identity       *verify.Identity
		ok             bool
	}{
		"certificate": {"examples/bundle-provenance.json", v1, nil, release, true},
		"managed key": {"examples/bundle-publish.json", v1, publish, nil, true},
		"another release": {"pkg/testing/data/bundles/sigstore.js@2.0.0-provenance.sigstore.json", v2, nil, release,
			true},
		"another artifact": {"examples/bundle-provenance.json", v2, nil, release, false},
		"another identity": {"examples/bundle-provenance.json", v1, nil,
			&verify.Identity{SAN: san + "x", Issuer: issuer}, false},
		"another issuer": {"examples/bundle-provenance.json", v1, nil,
			&verify.Identity{SAN: san, Issuer: issuer + "/"}, false},
		"key for a certified":  {"examples/bundle-provenance.json", v1, publish, nil, false},
		"identity for a key's": {"examples/bundle-publish.json", v1, nil, release, false},
		"two signatures":       {"pkg/testing/data/bundles/dsse-2sigs.sigstore.json", v1, nil, release, false},
	} {
		t.Run(name, func(t *testing.T) {
			digest, err := hex.DecodeString(c.digest)
			if err != nil {
				t.Fatal(err)
			}
			err = verify.VerifySigstore(t.Context(), verify.SigstoreInput{
				Bundle: file(c.bundle), Trust: trust, Key: c.key, Identity: c.identity, Digest: digest, DigestAlgorithm: "sha512",
			})
			if (err == nil) != c.ok {
				t.Errorf("got %v, want acceptance: %v", err, c.ok)
			}
		})
	}
}
