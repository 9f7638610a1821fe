//go:build interop

package interop

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/result"
)

// TestCosignVerifiesVerdicts: a buyer's signed verdict is an attestation like any other. It is in no log, because it
// is the buyer's own business, so cosign has to be told not to look for it there.
func TestCosignVerifiesVerdicts(t *testing.T) {
	dir := quickstart(t)
	artifact, other := filepath.Join(dir, "artifact"), filepath.Join(t.TempDir(), "other")
	write(t, other, []byte("another file"))
	avow := buildAvow(t)
	avow(0, "keygen", "-o", filepath.Join(dir, "buyer"))
	avow(0, "keygen", "-o", filepath.Join(dir, "stranger"))
	// The file may be rejected: whether cosign takes a signature does not depend on what was signed.
	sign := func(form, file string, code int) string {
		out := filepath.Join(t.TempDir(), form+".sigstore.json")
		avow(code, "verify", file, "--bundle", filepath.Join(dir, "no-backdoor.sigstore.json"),
			"--bundle", filepath.Join(dir, "data-flows.sigstore.json"), "--trusted-root", filepath.Join(dir, "trusted_root.json"),
			"--key", filepath.Join(dir, "vendor.pub"), "--attest-verdict", filepath.Join(dir, "buyer.key"), "--verdict-out", out,
			"--verdict-form", form)
		return out
	}
	cosign := func(key, predicateType, bundle, file string) (string, error) {
		return run(t, tool(t, "AVOW_COSIGN"), "verify-blob-attestation", "--key", filepath.Join(dir, key), "--bundle", bundle,
			"--type", predicateType, "--insecure-ignore-tlog", file)
	}
	const svr, vsa = "https://in-toto.io/attestation/svr/v0.2", "https://slsa.dev/verification_summary/v1"
	verdict := sign("svr", artifact, 0)
	for name, c := range map[string]struct {
		key, predicateType, bundle, file string
		accepted                         bool
	}{
		"svr":            {"buyer.pub", svr, verdict, artifact, true},
		"vsa":            {"buyer.pub", vsa, sign("vsa", artifact, 0), artifact, true},
		"vsa, FAILED":    {"buyer.pub", vsa, sign("vsa", other, 1), other, true},
		"another type":   {"buyer.pub", vsa, verdict, artifact, false},
		"another key":    {"stranger.pub", svr, verdict, artifact, false},
		"the vendor":     {"vendor.pub", svr, verdict, artifact, false},
		"another file":   {"buyer.pub", svr, verdict, other, false},
		"payload byte":   {"buyer.pub", svr, changed(t, verdict, func(e map[string]any) { flip(t, e, "payload") }), artifact, false},
		"signature byte": {"buyer.pub", svr, changed(t, verdict, func(e map[string]any) { flip(t, first(e, "signatures"), "sig") }), artifact, false},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := cosign(c.key, c.predicateType, c.bundle, c.file)
			if c.accepted && err != nil {
				t.Errorf("refused: %v: %s", err, out)
			}
			if !c.accepted && !exited(err) {
				t.Errorf("accepted, or did not run: %v: %s", err, out)
			}
		})
	}
}

// TestCosignVerifiesTimestampedVerdicts: a verdict can carry timestamps, for clients that want a signed time.
func TestCosignVerifiesTimestampedVerdicts(t *testing.T) {
	w := bundletest.NewWorld(t)
	trust, err := verify.ParseTrust(w.TrustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	now := bundletest.Epoch.Add(time.Minute)
	v, err := verify.New(verify.Config{Trust: trust, Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := v.Verify(t.Context(), verify.Input{ArtifactSHA256: bundletest.ArtifactSHA256,
		Bundles: []verify.NamedBundle{{Data: w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")})}},
		Signers: []verify.Signer{{Key: &verify.Key{PublicKey: &w.Vendor.PublicKey}}}})
	if err != nil {
		t.Fatal(err)
	}
	key, err := attest.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	statement, err := result.Compose(verdict, result.Inputs{ArtifactSHA256: bundletest.ArtifactSHA256, TrustedRoot: trust.Digest(),
		VerifiedAt: now, Lifetime: time.Hour, VerifierID: "https://buyer.example/v1"}, result.SVR)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := statement.Sign(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := attest.MarshalPublicKey(key.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "buyer.pub"), public)
	write(t, filepath.Join(dir, "trusted_root.json"), w.TrustedRoot())
	for name, c := range map[string]struct {
		stamped  []byte
		accepted bool
	}{"the signature": {signed.Signature(), true}, "something else": {[]byte("something else"), false}} {
		bundle, err := signed.Bundle(w.TSA.Stamp(t, c.stamped, now, bundletest.StampOptions{}))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "verdict.json")
		write(t, file, bundle)
		out, err := run(t, tool(t, "AVOW_COSIGN"), "verify-blob-attestation", "--key", filepath.Join(dir, "buyer.pub"),
			"--trusted-root", filepath.Join(dir, "trusted_root.json"), "--use-signed-timestamps", "--insecure-ignore-tlog",
			"--bundle", file, "--type", result.SVRType, "--digest", bundletest.ArtifactSHA256, "--digestAlg", "sha256")
		if c.accepted && err != nil || !c.accepted && !exited(err) {
			t.Errorf("timestamp over %s: %v: %s", name, err, out)
		}
	}
}

// buildAvow builds the client, and returns a function that runs it and wants an exit code.
func buildAvow(t *testing.T) func(code int, args ...string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "avow")
	if out, err := run(t, "go", "build", "-o", program, "../../cmd/avow"); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return func(code int, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "AVOW_PASSWORD=for this test only")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
			t.Fatalf("avow %v: %v, want exit code %d: %s", args, err, code, out)
		}
	}
}

// changed writes the bundle with a changed envelope.
func changed(t *testing.T, bundle string, change func(envelope map[string]any)) string {
	t.Helper()
	var b map[string]any
	if err := json.Unmarshal(read(t, bundle), &b); err != nil {
		t.Fatal(err)
	}
	change(object(b, "dsseEnvelope"))
	data, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "changed.json")
	write(t, to, data)
	return to
}
