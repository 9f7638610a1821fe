//go:build faults && linux

package command

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/avow-dev/avow/internal/bundletest"
)

// TestFollowCommand: --follow loads the ruleset of a verified statement into the kernel, goes on while names are not resolved,
// and ends with the answer no when the statement's time is over.
func TestFollowCommand(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skipf("needs nft: %v", err)
	}
	w := bundletest.NewWorld(t)
	dir := t.TempDir()
	der, err := x509.MarshalPKIXPublicKey(&w.Vendor.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"root.json": w.TrustedRoot(), "vendor.pub": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"bundle.json": w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread() // and never unlocked: the thread, which is in a namespace of its own, ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("a network namespace cannot be made here: %v", err)
	}
	a, out, errOut := newApp(t)
	now := bundletest.Epoch.Add(time.Hour)
	listed := ""
	a.env.Now = func() time.Time { return now }
	a.env.Sleep = func(_ context.Context, d time.Duration) error {
		ruleset, err := exec.Command("nft", "list", "table", "inet", "gateway").CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, ruleset)
		}
		listed, now = string(ruleset), now.AddDate(2, 0, 0)
		return nil
	}
	a.env.Args = []string{"enforce", "sha256:" + bundletest.ArtifactSHA256, "--bundle", filepath.Join(dir, "bundle.json"), "--trusted-root",
		filepath.Join(dir, "root.json"), "--key", filepath.Join(dir, "vendor.pub"), "--target", "nftables", "--uid", "54321", "--name", "gateway",
		"--resolver", "127.0.0.1:1", "--follow"}
	code := Run(t.Context(), a.env)
	if code != exitNo || out.Len() != 0 {
		t.Errorf("exit code %d, %q", code, out)
	}
	for _, want := range []string{"meta skuid 54321 goto egress", "set flow-update.4", "reject with icmpx admin-prohibited"} {
		if !strings.Contains(listed, want) {
			t.Errorf("the kernel's ruleset lacks %q:\n%s", want, listed)
		}
	}
	for _, want := range []string{"ruleset loaded", "name not resolved", "the time of the policy is over: 2027-09-01T09:00:00Z", "hint: get the statement that is in force"} {
		if !strings.Contains(errOut.String(), want) {
			t.Errorf("standard error lacks %q:\n%s", want, errOut)
		}
	}
}
