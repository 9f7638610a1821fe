//go:build interop

package interop

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var statements = map[string]string{
	"no-backdoor": "https://w3id.org/avow/no-backdoor/v1",
	"data-flows":  "https://w3id.org/avow/data-flows/v1",
}

// quickstart leaves real bundles in a new directory.
func quickstart(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "q")
	cmd := exec.CommandContext(t.Context(), "go", "run", "../../cmd/avowd", "quickstart", "--dir", dir, "--exit")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("quickstart: %v: %s", err, out)
	}
	return dir
}

// tool is the value of an environment variable that .ci/run sets.
func tool(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set; run: bash .ci/run interop", variable)
	}
	return path
}

func TestClientsVerifyBundles(t *testing.T) {
	dir := quickstart(t)
	modules := filepath.Join(t.TempDir(), "js")
	script := installScript(t, modules)
	clients := map[string]func(t *testing.T, bundle, artifact, predicateType string) (string, error){
		"cosign": func(t *testing.T, bundle, artifact, predicateType string) (string, error) {
			return run(t, tool(t, "AVOW_COSIGN"), "verify-blob-attestation", "--key", filepath.Join(dir, "vendor.pub"),
				"--use-signed-timestamps", "--trusted-root", filepath.Join(dir, "trusted_root.json"),
				"--bundle", bundle, "--type", predicateType, artifact)
		},
		"sigstore-js": func(t *testing.T, bundle, artifact, _ string) (string, error) {
			return run(t, "node", script, filepath.Join(dir, "trusted_root.json"), filepath.Join(dir, "vendor.pub"), bundle, artifact)
		},
	}
	artifact := filepath.Join(dir, "artifact")
	other := filepath.Join(t.TempDir(), "other")
	write(t, other, []byte("another file"))
	for client, verify := range clients {
		for name, predicateType := range statements {
			bundle := filepath.Join(dir, name+".sigstore.json")
			t.Run(client+"/"+name, func(t *testing.T) {
				if out, err := verify(t, bundle, artifact, predicateType); err != nil {
					t.Errorf("refused: %v: %s", err, out)
				}
			})
			for change, changed := range changes(t, bundle) {
				t.Run(client+"/"+name+"/"+change, func(t *testing.T) {
					if out, err := verify(t, changed, artifact, predicateType); !exited(err) {
						t.Errorf("accepted, or did not run: %v: %s", err, out)
					}
				})
			}
			t.Run(client+"/"+name+"/other artifact", func(t *testing.T) {
				if out, err := verify(t, bundle, other, predicateType); !exited(err) {
					t.Errorf("accepted, or did not run: %v: %s", err, out)
				}
			})
		}
	}
}

// TestKeyFilesAreShared: cosign opens the vendor's key file, and the public half that it derives is the same.
func TestKeyFilesAreShared(t *testing.T) {
	dir := quickstart(t)
	cmd := exec.CommandContext(t.Context(), tool(t, "AVOW_COSIGN"), "public-key", "--key", filepath.Join(dir, "vendor.key"))
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=quickstart")
	got, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := read(t, filepath.Join(dir, "vendor.pub"))
	if !bytes.Equal(bytes.TrimSpace(got), bytes.TrimSpace(want)) {
		t.Errorf("cosign derives\n%s\nvendor.pub is\n%s", got, want)
	}
}

// installScript puts the script beside its modules, where node looks for them.
func installScript(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(tool(t, "AVOW_SIGSTORE_JS"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "verify.mjs")
	write(t, to, read(t, filepath.Join("js", "verify.mjs")))
	return to
}

// changes makes one changed bundle for each thing that a client must notice.
func changes(t *testing.T, path string) map[string]string {
	t.Helper()
	made := map[string]string{}
	for name, change := range map[string]func(b map[string]any){
		"payload":   func(b map[string]any) { flip(t, object(b, "dsseEnvelope"), "payload") },
		"signature": func(b map[string]any) { flip(t, first(object(b, "dsseEnvelope"), "signatures"), "sig") },
		"proof": func(b map[string]any) {
			object(first(object(b, "verificationMaterial"), "tlogEntries"), "inclusionProof")["hashes"] = []string{}
		},
		"timestamp": func(b map[string]any) {
			object(b, "verificationMaterial")["timestampVerificationData"] = map[string]any{"rfc3161Timestamps": []any{}}
		},
	} {
		var b map[string]any
		if err := json.Unmarshal(read(t, path), &b); err != nil {
			t.Fatal(err)
		}
		before, _ := json.Marshal(b)
		change(b)
		data, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(before, data) {
			continue // the first entry of a log has no proof hashes to take away
		}
		made[name] = filepath.Join(t.TempDir(), name+".json")
		write(t, made[name], data)
	}
	return made
}

func object(b map[string]any, member string) map[string]any { return b[member].(map[string]any) }

func first(b map[string]any, member string) map[string]any {
	return b[member].([]any)[0].(map[string]any)
}

func flip(t *testing.T, b map[string]any, member string) {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(b[member].(string))
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-2] ^= 1
	b[member] = base64.StdEncoding.EncodeToString(data)
}

func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// exited tells a program that refused from one that could not be started. Exit code 2 of verify.mjs is the latter.
func exited(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == 1
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
