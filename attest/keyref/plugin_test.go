//go:build unix

package keyref_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/keyref"
	"github.com/avow-dev/avow/internal/testkms"
)

// TestMain makes this binary be the plugin when it is started under the plugin's name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == testkms.Program {
		os.Exit(testkms.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

const token = "s3cr3t-t0ken"

// service puts the plugin on the PATH. It returns the options to reach it, and makes it lie.
func service(t *testing.T) (keyref.Options, func(lie string)) {
	t.Helper()
	bin, keys := t.TempDir(), t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, testkms.Program)); err != nil {
		t.Fatal(err)
	}
	path := bin + string(os.PathListSeparator) + os.Getenv("PATH")
	t.Setenv("PATH", path)
	o := keyref.Options{Timeout: 20 * time.Second, Environ: []string{"PATH=" + path, testkms.DirVariable + "=" + keys,
		testkms.TokenVariable + "=" + token, "AVOW_PASSWORD=" + token,
		"GORACE=atexit_sleep_ms=0"}} // the race detector makes each process wait a second at its end
	return o, func(lie string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(keys, testkms.LieFile), []byte(lie), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func wantCode(t *testing.T, err error, code keyref.Code) {
	t.Helper()
	var refused *keyref.Error
	if !errors.As(err, &refused) || refused.Code != code || refused.Hint == "" {
		t.Errorf("%v, want %s", err, code)
	}
	if err != nil && (strings.Contains(err.Error(), token[:4]) || strings.ContainsAny(err.Error(), "\x1b\n")) {
		t.Errorf("the error holds a secret or a control character: %q", err)
	}
}

func TestCreateOpenSign(t *testing.T) {
	o, lie := service(t)
	made, err := keyref.Create(t.Context(), "testkms://vendor", o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = keyref.Create(t.Context(), "testkms://vendor", o)
	wantCode(t, err, keyref.CodeExists)
	key, err := keyref.Open(t.Context(), "testkms://vendor", o)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	if !key.PublicKey().Equal(made.PublicKey()) || key.String() != "testkms://vendor" {
		t.Errorf("%s has another key than was made", key)
	}
	digest := sha256.Sum256([]byte("statement"))
	signature, err := key.SignDigest(t.Context(), digest)
	if err != nil || !ecdsa.VerifyASN1(made.PublicKey(), digest[:], signature) {
		t.Errorf("signature %x: %v", signature, err)
	}
	_, err = keyref.Open(t.Context(), "testkms://nobody", o)
	wantCode(t, err, keyref.CodeService)
	lie(testkms.NoP256)
	_, err = keyref.Create(t.Context(), "testkms://rsa-only", o)
	wantCode(t, err, keyref.CodeService)
}

// TestOnlyP256: a key on another curve is refused when it is made, and when it is opened, with the reason of key files.
func TestOnlyP256(t *testing.T) {
	o, lie := service(t)
	lie(testkms.P384)
	for _, use := range []func(context.Context, string, keyref.Options) (*keyref.Key, error){keyref.Create, keyref.Open} {
		_, err := use(t.Context(), "testkms://vendor", o)
		var refused *attest.Error
		if !errors.As(err, &refused) || refused.Code != attest.CodeKeyUnsupported || !strings.Contains(err.Error(), "P-384") {
			t.Errorf("%v, want %s", err, attest.CodeKeyUnsupported)
		}
	}
}

// TestLies: the key was opened well, and then the service does something else.
func TestLies(t *testing.T) {
	o, lie := service(t)
	made, err := keyref.Create(t.Context(), "testkms://vendor", o)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("statement"))
	for _, c := range []struct {
		lie  string
		code keyref.Code // empty: taken
	}{
		{testkms.OtherKey, keyref.CodeSignatureInvalid},
		{testkms.OtherDigest, keyref.CodeSignatureInvalid},
		{testkms.Garbage, keyref.CodeSignatureMalformed},
		{testkms.Trailing, keyref.CodeSignatureMalformed},
		{testkms.HighS, ""},
		{testkms.Empty, keyref.CodeProtocol},
		{testkms.Noise, keyref.CodeProtocol},
		{testkms.Huge, keyref.CodeProtocol},
		{testkms.Echo, keyref.CodeService},
		{testkms.Rotated, keyref.CodeKeyChanged}, // the last: it does change the key
	} {
		lie("")
		key, err := keyref.Open(t.Context(), "testkms://vendor", o)
		if err != nil {
			t.Fatal(err)
		}
		lie(c.lie)
		signature, err := key.SignDigest(t.Context(), digest)
		if c.code == "" {
			if err != nil || !ecdsa.VerifyASN1(made.PublicKey(), digest[:], signature) {
				t.Errorf("%s: %v", c.lie, err)
			}
			continue
		}
		if signature != nil {
			t.Errorf("%s: a signature in spite of %v", c.lie, err)
		}
		wantCode(t, err, c.code)
	}
}

// TestLiesWhenOpening: no key is taken from an answer that is none.
func TestLiesWhenOpening(t *testing.T) {
	o, lie := service(t)
	for told, code := range map[string]keyref.Code{testkms.Empty: keyref.CodeProtocol, testkms.Noise: keyref.CodeProtocol,
		testkms.Huge: keyref.CodeProtocol, testkms.Echo: keyref.CodeService} {
		lie(told)
		_, err := keyref.Open(t.Context(), "testkms://vendor", o)
		wantCode(t, err, code)
		_, err = keyref.Create(t.Context(), "testkms://vendor", o)
		wantCode(t, err, code)
	}
	lie(testkms.Echo)
	_, err := keyref.Open(t.Context(), "testkms://vendor", o)
	if want := "[TESTKMS_TOKEN] at https://[...]@kms.example/"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q in it", err, want)
	}
}

// TestHangingService: the caller gets its time back, and the process is ended.
func TestHangingService(t *testing.T) {
	o, lie := service(t)
	key, err := keyref.Create(t.Context(), "testkms://vendor", o)
	if err != nil {
		t.Fatal(err)
	}
	lie(testkms.Hang)
	o.Timeout = 200 * time.Millisecond
	_, err = keyref.Open(t.Context(), "testkms://vendor", o)
	wantCode(t, err, keyref.CodeTimeout)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = key.SignDigest(ctx, [32]byte{1})
	wantCode(t, err, keyref.CodeTimeout)
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := key.SignDigest(ctx, [32]byte{1}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	lie(testkms.Orphan)
	began := time.Now()
	_, err = key.SignDigest(t.Context(), [32]byte{1})
	if wantCode(t, err, keyref.CodeService); time.Since(began) > 15*time.Second {
		t.Errorf("what the plugin left behind was waited for: %s", time.Since(began))
	}
}

func TestNoPlugin(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for reference, hint := range map[string]string{
		"testkms://a": "install the Sigstore KMS plugin sigstore-kms-testkms",
		"awskms://a":  "go install github.com/avow-dev/avow/cmd/kms/sigstore-kms-awskms@latest",
		"openbao://a": "go install github.com/avow-dev/avow/cmd/kms/sigstore-kms-hashivault@latest, and link it as sigstore-kms-openbao",
	} {
		_, err := keyref.Open(t.Context(), reference, keyref.Options{})
		wantCode(t, err, keyref.CodeUnavailable)
		var refused *keyref.Error
		if errors.As(err, &refused) && !strings.HasPrefix(refused.Hint, hint) {
			t.Errorf("%s: hint %q", reference, refused.Hint)
		}
	}
}
