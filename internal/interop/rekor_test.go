//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
)

const dataFlowsType = "https://w3id.org/avow/data-flows/v1"

// TestCosignWrites: unmodified cosign signs, timestamps and logs with nothing but avowd, and what it makes is verified
// offline by cosign and by avow; its envelope becomes a full statement at the same entry.
func TestCosignWrites(t *testing.T) {
	story, dir := quickstart(t), t.TempDir()
	address, _ := serveRekor(t, filepath.Join(story, "vendor.pub"), false)
	avow := buildAvow(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	at := func(name string) string { return filepath.Join(story, name) }
	avow(0, "trust", "--server", address, "--insecure", "-o", file("root.json"), "--signing-config", file("signing.json"))
	cosign := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), tool(t, "AVOW_COSIGN"), args...)
		cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=quickstart")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	attestBlob := func(key, bundle string, args ...string) (string, error) {
		return cosign(append([]string{"attest-blob", "--yes", "--key", key, "--signing-config", file("signing.json"),
			"--trusted-root", file("root.json"), "--bundle", file(bundle)}, args...)...)
	}
	verifyBlob := func(bundle, artifact string) (string, error) {
		return cosign("verify-blob-attestation", "--key", at("vendor.pub"), "--trusted-root", file("root.json"),
			"--use-signed-timestamps", "--bundle", file(bundle), "--type", dataFlowsType, artifact)
	}

	if out, err := attestBlob(at("vendor.key"), "statement.json", "--statement", at("data-flows.json")); err != nil {
		t.Fatalf("attest-blob --statement: %v: %s", err, out)
	}
	if out, err := verifyBlob("statement.json", at("artifact")); err != nil {
		t.Errorf("verify-blob-attestation: %v: %s", err, out)
	}
	if out, err := verifyBlob("statement.json", at("vendor.pub")); !exited(err) {
		t.Errorf("another file: %v: %s", err, out)
	}
	verify := []string{"verify", at("artifact"), "--trusted-root", file("root.json"), "--key", at("vendor.pub"), "--bundle"}
	avow(0, append(verify, file("statement.json"))...)

	// With --predicate cosign writes the statement, of a type that avow does not take: two readers could differ on it.
	var whole struct{ Predicate json.RawMessage }
	if err := json.Unmarshal(read(t, at("data-flows.json")), &whole); err != nil {
		t.Fatal(err)
	}
	write(t, file("predicate.json"), whole.Predicate)
	out, err := attestBlob(at("vendor.key"), "predicate.bundle", "--predicate", file("predicate.json"), "--type", dataFlowsType, at("artifact"))
	if err != nil {
		t.Fatalf("attest-blob --predicate: %v: %s", err, out)
	}
	if out, err := verifyBlob("predicate.bundle", at("artifact")); err != nil {
		t.Errorf("verify-blob-attestation: %v: %s", err, out)
	}
	avow(1, append(verify, file("predicate.bundle"))...)

	// A key that nobody registered.
	if out, err := cosign("generate-key-pair", "--output-key-prefix", file("stranger")); err != nil {
		t.Fatalf("generate-key-pair: %v: %s", err, out)
	}
	out, err = attestBlob(file("stranger.key"), "stranger.json", "--statement", at("data-flows.json"))
	if !exited(err) || !strings.Contains(out, "KEY_UNKNOWN") {
		t.Errorf("a stranger's key: %v: %s", err, out)
	}

	index := issueEnvelope(t, address, file("statement.json"), at("vendor.pub"))
	if want := logIndex(t, file("statement.json")); index != want {
		t.Errorf("issued at index %d, cosign wrote it at %d", index, want)
	}
}

// TestCosignWritesWithAToken: cosign sends a token that is in the address, and is refused without.
func TestCosignWritesWithAToken(t *testing.T) {
	story, dir := quickstart(t), t.TempDir()
	address, token := serveRekor(t, filepath.Join(story, "vendor.pub"), true)
	config := filepath.Join(dir, "signing.json")
	buildAvow(t)(0, "trust", "--server", address, "--insecure", "-o", filepath.Join(dir, "root.json"), "--signing-config", config)
	attestBlob := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), tool(t, "AVOW_COSIGN"), "attest-blob", "--yes", "--key", filepath.Join(story, "vendor.key"),
			"--signing-config", config, "--trusted-root", filepath.Join(dir, "root.json"), "--bundle", filepath.Join(dir, "bundle.json"),
			"--statement", filepath.Join(story, "data-flows.json"))
		cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=quickstart")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := attestBlob(); !exited(err) || !strings.Contains(out, "CREDENTIALS_REQUIRED") {
		t.Errorf("without a token: %v: %s", err, out)
	}
	text := string(read(t, config))
	write(t, config, []byte(strings.Replace(text, "http://", "http://vendor:"+token+"@", 1))) // the first address is the log's
	if out, err := attestBlob(); err != nil || strings.Contains(out, token) {
		t.Errorf("with a token: %v: %s", err, out)
	}
}

// serveRekor starts avowd with the Rekor API for the quickstart's vendor, and returns the address of its gRPC port and a token
// of the vendor.
func serveRekor(t *testing.T, vendorKey string, credentials bool) (address, token string) {
	t.Helper()
	return serveWith(t, []string{"--key", vendorKey}, nil, func(config []byte) []byte {
		return bytes.Replace(config, []byte("credentials: false"), fmt.Appendf(nil, "credentials: %v", credentials), 1)
	})
}

// serveWith starts avowd with the Rekor API, one vendor with these flags, further flags of init and a changed configuration.
func serveWith(t *testing.T, vendor, flags []string, change func([]byte) []byte) (address, token string) {
	t.Helper()
	program, dir := filepath.Join(t.TempDir(), "avowd"), filepath.Join(t.TempDir(), "service")
	must := func(name string, args ...string) string {
		t.Helper()
		out, err := run(t, name, args...)
		if err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
		return out
	}
	must("go", "build", "-o", program, "../../cmd/avowd")
	var ports [3]string
	for n := range ports {
		ports[n] = freePort(t)
	}
	must(program, append([]string{"init", "--dir", dir, "--origin", "log.localhost", "--grpc", ports[0], "--rest", ports[1], "--admin",
		ports[2]}, flags...)...)
	config := filepath.Join(dir, "avowd.yaml")
	text := bytes.Replace(read(t, config), []byte(`publicUrl: ""`), []byte("publicUrl: http://"+ports[1]), 1)
	text = bytes.Replace(text, []byte("rekor:\n  enabled: false"), []byte("rekor:\n  enabled: true"), 1)
	write(t, config, change(text))
	must(program, append([]string{"vendor", "add", "--config", config, "--name", "quickstart", "--country", "CH",
		"--declarant", "Quickstart demonstration, not an organisation", "--product", "pkg:golang/github.com/avow-dev/avow"}, vendor...)...)
	token = strings.Fields(must(program, "vendor", "token", "--config", config, "--name", "quickstart"))[0]
	var log bytes.Buffer
	service := exec.Command(program, "serve", "--config", config)
	service.Stdout, service.Stderr = &log, &log
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = service.Process.Signal(os.Interrupt)
		if err := service.Wait(); err != nil || t.Failed() {
			t.Logf("avowd: %v: %s", err, log.String())
		}
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", ports[1])
		if err == nil {
			_ = conn.Close()
			return ports[0], token
		}
		if time.Now().After(end) {
			t.Fatal("avowd does not listen")
		}
	}
}

// freePort is an address that nobody listens at, at this moment.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// issueEnvelope hands the envelope of a bundle to Issue, and returns the log index of the answer.
func issueEnvelope(t *testing.T, address, bundle, key string) uint64 {
	t.Helper()
	public, err := attest.ParsePublicKey(read(t, key))
	if err != nil {
		t.Fatal(err)
	}
	keyID, err := attest.KeyID(public)
	if err != nil {
		t.Fatal(err)
	}
	var b struct{ DsseEnvelope json.RawMessage }
	if err := json.Unmarshal(read(t, bundle), &b); err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	issued, err := avowv1.NewAttestationServiceClient(conn).Issue(t.Context(), &avowv1.IssueRequest{
		Content: &avowv1.IssueRequest_SignedEnvelope{SignedEnvelope: &avowv1.SignedEnvelope{Envelope: b.DsseEnvelope, KeyId: keyID}}})
	if err != nil {
		t.Fatal(err)
	}
	return issued.GetLogIndex()
}

// logIndex is the index that a bundle claims.
func logIndex(t *testing.T, bundle string) uint64 {
	t.Helper()
	var b map[string]any
	if err := json.Unmarshal(read(t, bundle), &b); err != nil {
		t.Fatal(err)
	}
	var index uint64
	if text, ok := first(object(b, "verificationMaterial"), "tlogEntries")["logIndex"].(string); ok {
		if _, err := fmt.Sscan(text, &index); err != nil {
			t.Fatal(err)
		}
	}
	return index // protojson leaves 0 out
}
