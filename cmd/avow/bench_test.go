//go:build unix

package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/avow-dev/avow/internal/bundletest"
)

// program builds avow as it is shipped and returns its path.
func program(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "avow")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path,
		".").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// processes runs a program again and again and reports the largest peak of its memory and the processor time.
func processes(b *testing.B, name string, args ...string) {
	b.Helper()
	var peak, cpu int64
	for b.Loop() {
		cmd := exec.CommandContext(b.Context(), name, args...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		peak = max(peak, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
		cpu += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Microseconds()
	}
	b.ReportMetric(float64(peak), "peak-KB")
	b.ReportMetric(float64(cpu)/float64(b.N), "cpu-us/op")
}

// BenchmarkStart is what every command costs before it does anything.
func BenchmarkStart(b *testing.B) {
	processes(b, program(b), "version")
}

// purchase writes what a buyer holds: bundle, trusted root, public key.
func purchase(b *testing.B) (bundle, root, key string) {
	b.Helper()
	world := bundletest.NewWorld(b)
	spki, err := x509.MarshalPKIXPublicKey(&world.Vendor.PublicKey)
	if err != nil {
		b.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(b.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			b.Fatal(err)
		}
		return path
	}
	return write("b.sigstore.json", world.IssueJSON(b, bundletest.Spec{Payload: bundletest.Statement(b, "data-flows")})),
		write("trusted_root.json", world.TrustedRoot()),
		write("vendor.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}

// BenchmarkVerifyProcess is `avow verify` as a whole process.
func BenchmarkVerifyProcess(b *testing.B) {
	bundle, root, key := purchase(b)
	processes(b, program(b), "verify", "sha256:"+bundletest.ArtifactSHA256, "--bundle", bundle, "--trusted-root", root,
		"--key", key,
		"--at", bundletest.Epoch.Format("2006-01-02T15:04:05Z"))
}

// BenchmarkVerifyProcessCosign is cosign on the same bundle, for comparison.
func BenchmarkVerifyProcessCosign(b *testing.B) {
	cosign, err := exec.LookPath("cosign")
	if err != nil {
		b.Skip("cosign is not on PATH")
	}
	bundle, root, key := purchase(b)
	processes(b, cosign, "verify-blob-attestation", "--bundle", bundle, "--trusted-root", root, "--key", key,
		"--use-signed-timestamps",
		"--type", "https://w3id.org/avow/data-flows/v1", "--digest", bundletest.ArtifactSHA256, "--digestAlg", "sha256")
}
