//go:build pkcs11

package keyref_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/keyref"
)

const userPIN = "4821-user"

// module is SoftHSM's library; AVOW_PKCS11_MODULE names it where it is not in the usual places.
func module(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{os.Getenv(keyref.ModuleVariable), "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
		"/usr/lib/*/softhsm/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so"} {
		if found, _ := filepath.Glob(pattern); len(found) == 1 {
			return found[0]
		}
	}
	t.Fatal("SoftHSM is not installed (Debian: softhsm2): these tests need a token")
	return ""
}

var softhsm sync.Once

// newToken makes a token with a label of its own. SoftHSM reads its configuration once in a process, so all tests share one.
func newToken(t *testing.T) (label string, o keyref.Options) {
	t.Helper()
	softhsm.Do(func() {
		dir, err := os.MkdirTemp("", "softhsm")
		if err != nil {
			t.Fatal(err)
		}
		config := filepath.Join(dir, "softhsm2.conf")
		if err := os.WriteFile(config, []byte("directories.tokendir = "+dir+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Setenv("SOFTHSM2_CONF", config) // for the library in this process
	})
	label = t.Name()
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "so-9999", "--pin", userPIN).CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v: %s", err, out)
	}
	return label, keyref.Options{Timeout: 20 * time.Second, LookupEnv: func(name string) (string, bool) {
		switch name {
		case keyref.PINVariable:
			return userPIN, true
		case keyref.ModuleVariable:
			return module(t), true
		}
		return "", false
	}}
}

func TestToken(t *testing.T) {
	label, o := newToken(t)
	reference := "pkcs11:token=" + label + ";object=vendor"
	made, err := keyref.Create(t.Context(), reference, o)
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	_, err = keyref.Create(t.Context(), reference, o)
	wantTokenCode(t, err, keyref.CodeExists)
	pin := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pin, []byte(userPIN+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("statement"))
	for _, reference := range []string{reference, reference + ";type=private?module-path=" + module(t) + "&pin-source=file:" + pin,
		reference + "?module-name=softhsm2"} {
		key, err := keyref.Open(t.Context(), reference, o)
		if err != nil {
			t.Errorf("%s: %v", reference, err)
			continue
		}
		signature, err := key.SignDigest(t.Context(), digest)
		if err != nil || !ecdsa.VerifyASN1(made.PublicKey(), digest[:], signature) {
			t.Errorf("%s: signature %x: %v", reference, signature, err)
		}
		if err := key.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestTokenIsShared: many statements are signed at once with one session pool, and closing one key leaves another one alone.
func TestTokenIsShared(t *testing.T) {
	label, o := newToken(t)
	key, err := keyref.Create(t.Context(), "pkcs11:token="+label+";object=vendor", o)
	if err != nil {
		t.Fatal(err)
	}
	other, err := keyref.Open(t.Context(), "pkcs11:token="+label+";object=vendor", o)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if _, err := key.SignDigest(t.Context(), sha256.Sum256([]byte{byte(i)})); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := key.SignDigest(ctx, [32]byte{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	if err := key.Close(); err != nil {
		t.Error(err)
	}
}

func TestTokenRefusals(t *testing.T) {
	label, o := newToken(t)
	at := "pkcs11:token=" + label
	pkcs11Tool(t, label, "--keypairgen", "--key-type", "EC:secp384r1", "--label", "p384", "--id", "01")
	pkcs11Tool(t, label, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "twin", "--id", "02")
	pkcs11Tool(t, label, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "twin", "--id", "03")
	wrong := o
	wrong.LookupEnv = func(name string) (string, bool) {
		if name == keyref.PINVariable {
			return "0000-wrong", true
		}
		return o.LookupEnv(name)
	}
	for _, c := range []struct {
		reference string
		o         keyref.Options
		code      keyref.Code
	}{
		{at + ";object=twin", wrong, keyref.CodePIN},
		{at + ";object=nobody", o, keyref.CodeNotFound},
		{at + ";object=twin", o, keyref.CodeNotFound},
		{"pkcs11:token=no-such-token;object=vendor", o, keyref.CodeService},
		{at + ";object=vendor?module-path=/no/such/module.so", o, keyref.CodeService},
		{at + ";object=vendor?module-name=no-such-module", o, keyref.CodeUnavailable},
		{at + ";object=twin", keyref.Options{LookupEnv: func(string) (string, bool) { return "", false }}, keyref.CodeReference},
	} {
		_, err := keyref.Open(t.Context(), c.reference, c.o)
		wantTokenCode(t, err, c.code)
	}
	_, err := keyref.Create(t.Context(), at+";id=%05", o)
	wantTokenCode(t, err, keyref.CodeReference)
	key, err := keyref.Open(t.Context(), at+";object=twin;id=%02", o)
	if err != nil {
		t.Fatal(err)
	}
	key.Close()
	_, err = keyref.Open(t.Context(), at+";object=p384", o)
	var refused *attest.Error
	if !errors.As(err, &refused) || refused.Code != attest.CodeKeyUnsupported {
		t.Errorf("%v, want %s", err, attest.CodeKeyUnsupported)
	}
}

// TestTokenKeyIsReplaced: the key under the label is another one than when it was opened.
func TestTokenKeyIsReplaced(t *testing.T) {
	label, o := newToken(t)
	pkcs11Tool(t, label, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "vendor", "--id", "01")
	key, err := keyref.Open(t.Context(), "pkcs11:token="+label+";object=vendor", o)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	for _, kind := range []string{"privkey", "pubkey"} {
		pkcs11Tool(t, label, "--delete-object", "--type", kind, "--id", "01")
	}
	_, err = key.SignDigest(t.Context(), [32]byte{1})
	wantTokenCode(t, err, keyref.CodeNotFound)
	pkcs11Tool(t, label, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "vendor", "--id", "01")
	_, err = key.SignDigest(t.Context(), [32]byte{1})
	wantTokenCode(t, err, keyref.CodeKeyChanged)
}

// pkcs11Tool is OpenSC's, another implementation than the one under test.
func pkcs11Tool(t *testing.T, label string, args ...string) {
	t.Helper()
	args = append([]string{"--module", module(t), "--token-label", label, "--login", "--pin", userPIN}, args...)
	if out, err := exec.Command("pkcs11-tool", args...).CombinedOutput(); err != nil {
		t.Fatalf("pkcs11-tool (Debian: opensc) %q: %v: %s", args, err, out)
	}
}

func wantTokenCode(t *testing.T, err error, code keyref.Code) {
	t.Helper()
	var refused *keyref.Error
	if !errors.As(err, &refused) || refused.Code != code || refused.Hint == "" {
		t.Errorf("%v, want %s", err, code)
	}
	for _, pin := range []string{userPIN, "0000-wrong"} {
		if err != nil && strings.Contains(fmt.Sprint(err, refused.Hint), pin) {
			t.Errorf("the PIN is in the error: %v", err)
		}
	}
}
