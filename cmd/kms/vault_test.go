// Package kms_test runs the plugin for Vault as clients do.
package kms_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// vault is a running Vault. AVOW_VAULT_ADDR and AVOW_VAULT_TOKEN name one with a transit engine; else AVOW_VAULTSERVER is the
// program of internal/vaultserver, which is started.
type vault struct{ address, token string }

func startVault(t *testing.T) vault {
	t.Helper()
	if address := os.Getenv("AVOW_VAULT_ADDR"); address != "" {
		return vault{address, os.Getenv("AVOW_VAULT_TOKEN")}
	}
	program := os.Getenv("AVOW_VAULTSERVER")
	if program == "" {
		t.Skip("neither AVOW_VAULT_ADDR nor AVOW_VAULTSERVER is set: there is no Vault to test with")
	}
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	var said []string
	for len(said) < 2 && lines.Scan() {
		said = append(said, lines.Text())
	}
	if len(said) < 2 {
		t.Fatalf("vaultserver said %q and ended", said)
	}
	v := vault{said[0], said[1]}
	v.call(t, "sys/mounts/transit", `{"type":"transit"}`)
	return v
}

func (v vault) call(t *testing.T, path, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.address+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Vault-Token", v.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if answer, _ := io.ReadAll(response.Body); response.StatusCode >= 300 {
		t.Fatalf("%s: %s: %s", path, response.Status, answer)
	}
}

// build builds a program of a package into dir.
func build(t *testing.T, dir, name, from, pkg string) string {
	t.Helper()
	program := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-o", program, pkg)
	cmd.Dir = from
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return program
}

// TestSigstoreClient: the plugin does what Sigstore's own client asks of it, under both names.
func TestSigstoreClient(t *testing.T) {
	v := startVault(t)
	bin := t.TempDir()
	plugin := build(t, bin, "sigstore-kms-hashivault", ".", "./sigstore-kms-hashivault")
	if err := os.Symlink(plugin, filepath.Join(bin, "sigstore-kms-openbao")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("VAULT_ADDR", v.address)
	t.Setenv("VAULT_TOKEN", v.token)
	for _, scheme := range []string{"hashivault", "openbao"} {
		name := fmt.Sprintf("%s-%d", scheme, time.Now().UnixNano())
		key, err := kms.Get(t.Context(), scheme+"://"+name, crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := key.PublicKey(); err == nil {
			t.Error("there is a key before it was made")
		}
		made, err := key.CreateKey(t.Context(), "ecdsa-p256")
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256([]byte("message"))
		for form, sign := range map[string]func() ([]byte, error){
			"digest":  func() ([]byte, error) { return key.SignMessage(bytes.NewReader(nil), options.WithDigest(digest[:])) },
			"message": func() ([]byte, error) { return key.SignMessage(strings.NewReader("message")) },
		} {
			signature, err := sign()
			if err != nil || !ecdsa.VerifyASN1(made.(*ecdsa.PublicKey), digest[:], signature) {
				t.Errorf("%s, %s: %x, %v", scheme, form, signature, err)
			}
		}
	}
}

// TestAvow: avow makes a key in Vault and signs a verdict with it; a key on another curve is refused, and so is the signature
// of a key that was rotated after it was opened. No error holds the token.
func TestAvow(t *testing.T) {
	v := startVault(t)
	bin, work := t.TempDir(), t.TempDir()
	build(t, bin, "sigstore-kms-hashivault", ".", "./sigstore-kms-hashivault")
	avow := build(t, bin, "avow", filepath.Join("..", ".."), "./cmd/avow")
	avowd := build(t, bin, "avowd", filepath.Join("..", ".."), "./cmd/avowd")
	run := func(token string, want int, program string, args ...string) string {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "VAULT_ADDR="+v.address, "VAULT_TOKEN="+token)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want || strings.Contains(string(out), token) {
			t.Fatalf("%v: exit code %d, want %d, and the token must not be in it:\n%s", cmd, got, want, out)
		}
		return string(out)
	}
	name := fmt.Sprintf("buyer-%d", time.Now().UnixNano())
	reference := "hashivault://" + name
	run(v.token, 0, avow, "keygen", "--kms", reference, "-o", "buyer")
	run(v.token, 2, avow, "keygen", "--kms", reference, "-o", "again")
	run(v.token, 0, avowd, "quickstart", "--dir", "demo", "--exit")
	verify := []string{"verify", "demo/artifact", "--trusted-root", "demo/trusted_root.json"}
	run(v.token, 0, avow, append(verify, "--bundle", "demo/data-flows.sigstore.json", "--key", "demo/vendor.pub", "--attest-verdict", reference)...)
	run(v.token, 0, avow, append(verify, "--with-verdict", "verdict.sigstore.json", "--verdict-key", "buyer.pub")...)

	v.call(t, "transit/keys/"+name+"/rotate", "{}")
	rotated := run(v.token, 0, avow, "public-key", "--key", reference)
	if first, err := os.ReadFile(filepath.Join(work, "buyer.pub")); err != nil || strings.Contains(rotated, string(first)) {
		t.Errorf("the key was rotated and is still the first one: %v", err)
	}
	v.call(t, "transit/keys/p384-"+name, `{"type":"ecdsa-p384"}`)
	if out := run(v.token, 2, avow, "public-key", "--key", "hashivault://p384-"+name); !strings.Contains(out, "ECDSA P-384 keys are not supported") {
		t.Error(out)
	}
	if out := run("hvs.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 2, avow, "public-key", "--key", reference); !strings.Contains(out, "permission denied") {
		t.Error(out)
	}
}

// TestEveryProgramAnswers: a program that is called wrongly, or under a name that is not its own, says so in the protocol.
func TestEveryProgramAnswers(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"hashivault", "awskms", "gcpkms", "azurekms"} {
		program := build(t, bin, "sigstore-kms-"+name, ".", "./sigstore-kms-"+name)
		other := filepath.Join(bin, "sigstore-kms-other")
		_ = os.Remove(other)
		if err := os.Symlink(program, other); err != nil {
			t.Fatal(err)
		}
		call := `{"initOptions":{"protocolVersion":"v1","keyResourceID":"k","hashFunc":5},"methodName":"defaultAlgorithm","defaultAlgorithm":{}}`
		out, err := exec.Command(other, "v1", call).Output()
		var answer struct{ ErrorMessage string }
		if err != nil || json.Unmarshal(out, &answer) != nil || !strings.Contains(answer.ErrorMessage, "this program serves "+name) {
			t.Errorf("%s as other: %q, %v", name, out, err)
		}
		if out, err := exec.Command(program, "v1", "{}").Output(); err != nil || !strings.Contains(string(out), "no initOptions") {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		if err := exec.Command(program).Run(); err == nil {
			t.Errorf("%s without a call ends well", name)
		}
		if name == "hashivault" { // the one that can be asked without a service
			if out, err := exec.Command(program, "v1", call).Output(); err != nil || !strings.Contains(string(out), "VAULT_ADDR") {
				t.Errorf("%s: %q, %v", name, out, err)
			}
		}
	}
}
