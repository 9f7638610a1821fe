package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/avow-dev/avow/attest"
)

// dsseKey lets the DSSE reference implementation verify with a key of this package.
type dsseKey struct{ *attest.KeyFile }

func (k dsseKey) Verify(_ context.Context, data, sig []byte) error {
	digest := sha256.Sum256(data)
	if !ecdsa.VerifyASN1(k.PublicKey(), digest[:], sig) {
		return errors.New("signature does not verify")
	}
	return nil
}

func (k dsseKey) KeyID() (string, error) { return "", nil }

func (k dsseKey) Public() crypto.PublicKey { return k.PublicKey() }

func p384(t testing.TB) *ecdsa.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &key.PublicKey
}

// otherKeys are keys that Sigstore's clients do not all verify.
func otherKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"ed25519": ed, "RSA": r, "P-384": p}
}

func TestKeyFileRoundTrip(t *testing.T) {
	key, password := newKey(t), []byte("correct horse")
	file, err := attest.MarshalEncryptedKey(key, password)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(file, []byte("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")) {
		t.Errorf("got %.60q", file)
	}
	loaded, err := attest.LoadKey(file, password)
	if err != nil {
		t.Fatal(err)
	}
	if !loaded.PublicKey().Equal(key.PublicKey()) {
		t.Error("another key came back")
	}
	older := bytes.ReplaceAll(file, []byte("SIGSTORE"), []byte("COSIGN"))
	if _, err := attest.LoadKey(older, password); err != nil {
		t.Errorf("cosign's older header: %v", err)
	}
	for _, wrong := range []string{"", "correct hors", "correct horse "} {
		_, err := attest.LoadKey(file, []byte(wrong))
		wantCode(t, err, attest.CodeKeyPassword)
	}
	if _, err := attest.MarshalEncryptedKey(key, nil); err == nil {
		t.Error("a key was written with an empty password")
	} else {
		wantCode(t, err, attest.CodeKeyPassword)
	}
}

func TestKeyFileIsNotPrinted(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, newKey(t)); got != "attest.KeyFile(private key not shown)" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func TestLoadKeyRefusesOtherKinds(t *testing.T) {
	for name, key := range otherKeys(t) {
		t.Run(name, func(t *testing.T) {
			der, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := encrypted.EncryptWithCustomKDFParameters(der, []byte("pw"), encrypted.Legacy)
			if err != nil {
				t.Fatal(err)
			}
			_, err = attest.LoadKey(pemFile("ENCRYPTED SIGSTORE PRIVATE KEY", sealed), []byte("pw"))
			wantCode(t, err, attest.CodeKeyUnsupported)
			if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "want ECDSA P-256") {
				t.Errorf("the reason does not name the key: %v", err)
			}

			spki, err := x509.MarshalPKIXPublicKey(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			_, err = attest.ParsePublicKey(pemFile("PUBLIC KEY", spki))
			wantCode(t, err, attest.CodeKeyUnsupported)
		})
	}
}

func pemFile(kind string, body []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body})
}

func TestLoadKeyRefusesFiles(t *testing.T) {
	key := newKey(t)
	public, err := attest.MarshalPublicKey(key.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	file, err := attest.MarshalEncryptedKey(key, []byte("pw"))
	if err != nil {
		t.Fatal(err)
	}
	expensive := []byte(`{"kdf":{"name":"scrypt","params":{"N":1073741824,"r":8,"p":1},"salt":"AA=="},` +
		`"cipher":{"name":"nacl/secretbox","nonce":"AA=="},"ciphertext":"AA=="}`)
	for _, c := range []struct {
		name string
		data []byte
		want attest.Code
	}{
		{"empty", nil, attest.CodeKeyMalformed},
		{"not PEM", []byte("key"), attest.CodeKeyMalformed},
		{"public key", public, attest.CodeKeyMalformed},
		{"not encrypted", pemFile("PRIVATE KEY", []byte("x")), attest.CodeKeyMalformed},
		{"not encrypted, EC", pemFile("EC PRIVATE KEY", []byte("x")), attest.CodeKeyMalformed},
		{"other PEM", pemFile("CERTIFICATE", []byte("x")), attest.CodeKeyMalformed},
		{"two blocks", append(bytes.Clone(file), public...), attest.CodeKeyMalformed},
		{"text before", append([]byte("password: hunter2\n"), file...), attest.CodeKeyMalformed},
		{"large", append(bytes.Clone(file), bytes.Repeat([]byte("\n"), attest.MaxKeyFileBytes)...), attest.CodeKeyMalformed},
		{"body not JSON", pemFile("ENCRYPTED SIGSTORE PRIVATE KEY", []byte("x")), attest.CodeKeyPassword},
		{"scrypt of 1 TiB", pemFile("ENCRYPTED SIGSTORE PRIVATE KEY", expensive), attest.CodeKeyPassword},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := attest.LoadKey(c.data, []byte("pw"))
			wantCode(t, err, c.want)
		})
	}
}

func TestParsePublicKey(t *testing.T) {
	key := newKey(t)
	file, err := attest.MarshalPublicKey(key.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := attest.ParsePublicKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if !parsed.Equal(key.PublicKey()) {
		t.Error("another key came back")
	}
	block, _ := pem.Decode(file)
	id, err := attest.KeyID(parsed)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256(block.Bytes)); id != want {
		t.Errorf("got key id %s, want %s", id, want)
	}
	private, err := attest.MarshalEncryptedKey(key, []byte("pw"))
	if err != nil {
		t.Fatal(err)
	}
	offCurve := bytes.Clone(block.Bytes)
	offCurve[len(offCurve)-1] ^= 1
	for name, data := range map[string][]byte{
		"private key":   private,
		"empty":         nil,
		"garbage":       pemFile("PUBLIC KEY", []byte{1}),
		"off the curve": pemFile("PUBLIC KEY", offCurve),
		"two keys":      append(bytes.Clone(file), file...),
		"trailing DER":  pemFile("PUBLIC KEY", append(bytes.Clone(block.Bytes), 0)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := attest.ParsePublicKey(data)
			wantCode(t, err, attest.CodeKeyMalformed)
		})
	}
	if _, err := attest.KeyID(nil); err == nil {
		t.Error("no key has an id")
	}
	if _, err := attest.MarshalPublicKey(p384(t)); err == nil {
		t.Error("a P-384 key was written")
	}
}

// TestKeyFilesWithCosign exchanges key files with the cosign on PATH, in both directions.
func TestKeyFilesWithCosign(t *testing.T) {
	cosign, err := exec.LookPath("cosign")
	if err != nil {
		t.Skip("cosign is not on PATH: the key format is only tested against this package's own reader")
	}
	run := func(t *testing.T, dir string, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), cosign, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=pw", "HOME="+dir, "TUF_ROOT="+dir)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("cosign %s: %v\n%s", strings.Join(args, " "), err, stderrOf(err))
		}
		return out
	}
	t.Run("cosign writes", func(t *testing.T) {
		dir := t.TempDir()
		run(t, dir, "generate-key-pair")
		key, err := attest.LoadKey(readFile(t, dir, "cosign.key"), []byte("pw"))
		if err != nil {
			t.Fatal(err)
		}
		public, err := attest.ParsePublicKey(readFile(t, dir, "cosign.pub"))
		if err != nil {
			t.Fatal(err)
		}
		if !public.Equal(key.PublicKey()) {
			t.Error("the halves that cosign wrote do not belong together")
		}
	})
	t.Run("cosign reads", func(t *testing.T) {
		dir := t.TempDir()
		key := newKey(t)
		private, err := attest.MarshalEncryptedKey(key, []byte("pw"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "vendor.key"), private, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := attest.ParsePublicKey(run(t, dir, "public-key", "--key", "vendor.key"))
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(key.PublicKey()) {
			t.Error("cosign reads another key")
		}
	})
}

func stderrOf(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(exit.Stderr)
	}
	return ""
}

// FuzzLoadKey: only a P-256 key comes out, and it signs what its public half verifies.
func FuzzLoadKey(f *testing.F) {
	key, err := attest.GenerateKey()
	if err != nil {
		f.Fatal(err)
	}
	file, err := attest.MarshalEncryptedKey(key, []byte("pw"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add([]byte("-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\ne30=\n-----END ENCRYPTED COSIGN PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		loaded, err := attest.LoadKey(data, []byte("pw"))
		if err != nil {
			var e *attest.Error
			if !errors.As(err, &e) {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		digest := sha256.Sum256(data)
		sig, err := loaded.SignDigest(t.Context(), digest)
		if err != nil || !ecdsa.VerifyASN1(loaded.PublicKey(), digest[:], sig) {
			t.Fatalf("the halves of the key do not belong together: %v", err)
		}
	})
}

// FuzzParsePublicKey: what is accepted renders to a file with the same key and the same id.
func FuzzParsePublicKey(f *testing.F) {
	file, err := attest.MarshalPublicKey(newKey(f).PublicKey())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := attest.ParsePublicKey(data)
		if err != nil {
			return
		}
		rendered, err := attest.MarshalPublicKey(key)
		if err != nil {
			t.Fatalf("an accepted key cannot be written: %v", err)
		}
		got, want := firstBlock(rendered), firstBlock(data)
		if !bytes.Equal(got, want) {
			t.Fatalf("two encodings of one key: %x, %x", got, want)
		}
	})
}

func firstBlock(data []byte) []byte {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil
	}
	return block.Bytes
}
