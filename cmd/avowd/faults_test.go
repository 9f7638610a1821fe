//go:build faults && linux

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/standingtest"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/standing"
)

// faultWait bounds the waiting for a fault to show or to heal.
const faultWait = 30 * time.Second

// tmpfs mounts a small file system; the test skips where that is not possible.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: mounts a file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("avow-test", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a tmpfs cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// TestDiskFull: a full disk refuses with a code that says so and when to come back; reading goes on; nothing acknowledged is
// lost; and with room again issuing resumes by itself.
func TestDiskFull(t *testing.T) {
	disk := tmpfs(t, "16m")
	w := newWorld(t, filepath.Join(disk, "service"))
	p := w.start()
	r, err := w.issue(t.Context(), p, w.envelope())
	must(t, err)
	ballast := filepath.Join(disk, "ballast")
	acked := map[string][]byte{r.GetStatementId(): r.GetBundle()}
	for round := range 3 {
		fill(t, ballast)
		refusal := issueUntilRefused(t, w, p, acked)
		s := status.Convert(refusal)
		if s.Code() != codes.ResourceExhausted && s.Code() != codes.Unavailable {
			t.Errorf("round %d: refused with %v, want ResourceExhausted or Unavailable", round, refusal)
		}
		if !hasRetry(s) {
			t.Errorf("round %d: the refusal does not say when to try again: %v", round, s.Details())
		}
		if strings.Contains(s.Message(), disk) {
			t.Errorf("round %d: the refusal names a path of the server: %s", round, s.Message())
		}
		if _, err := p.issuing.GetStatement(t.Context(), getStatement(r.GetStatementId())); err != nil {
			t.Errorf("round %d: reading while the disk is full: %v", round, err)
		}
		must(t, os.Remove(ballast))
		wantWithin(t, "issuing resumes", func() error {
			r, err := w.issue(t.Context(), p, w.envelope())
			if err == nil {
				acked[r.GetStatementId()] = r.GetBundle()
			}
			return err
		})
	}
	checkAcknowledged(t, w, p, acked)
}

// TestReadOnlyDisk: the kernel turns a file system read-only at an error of the disk, under the feet of the service. Nothing is
// acknowledged any more, health turns red, reading goes on; with the file system mended and a restart everything is there.
func TestReadOnlyDisk(t *testing.T) {
	disk, device := loopExt4(t, 96)
	w := newWorld(t, filepath.Join(disk, "service"))
	p := w.start()
	acked := map[string][]byte{}
	r, err := w.issue(t.Context(), p, w.envelope())
	must(t, err)
	acked[r.GetStatementId()] = r.GetBundle()
	if err := os.WriteFile("/sys/fs/ext4/"+filepath.Base(device)+"/trigger_fs_error", []byte("avow test"), 0); err != nil {
		t.Skipf("this kernel cannot be told to find an error: %v", err)
	}
	refusal := issueUntilRefused(t, w, p, acked)
	if code := status.Code(refusal); code != codes.Unavailable && code != codes.DeadlineExceeded {
		t.Errorf("refused with %v, want Unavailable", refusal)
	}
	wantWithin(t, "health turns red", func() error { return wantHealth(p, http.StatusServiceUnavailable) })
	if _, err := p.issuing.GetStatement(t.Context(), getStatement(r.GetStatementId())); err != nil {
		t.Errorf("reading while the disk is read-only: %v", err)
	}
	p.kill9()
	must(t, unix.Unmount(disk, 0))
	must(t, unix.Mount(device, disk, "ext4", 0, "errors=remount-ro"))
	p = w.start()
	wantWithin(t, "issuing works after the restart", func() error {
		r, err := w.issue(t.Context(), p, w.envelope())
		if err == nil {
			acked[r.GetStatementId()] = r.GetBundle()
		}
		return err
	})
	checkAcknowledged(t, w, p, acked)
}

func wantHealth(p *process, code int) error {
	r, err := http.Get(p.addresses.Admin + "/healthz")
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != code {
		return fmt.Errorf("/healthz answers %d, want %d", r.StatusCode, code)
	}
	return nil
}

// TestVerifyOpensNoSocket: a buyer's verification needs no network. It runs where there is none, not even loopback, and every
// system call is watched.
func TestVerifyOpensNoSocket(t *testing.T) {
	for _, tool := range []string{"unshare", "strace"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: makes an empty network namespace")
	}
	dir := filepath.Join(t.TempDir(), "q")
	if code := run(t.Context(), []string{"quickstart", "--dir", dir, "--exit"}, nil, &strings.Builder{}, os.Stderr); code != exitOK {
		t.Fatalf("quickstart: exit %d", code)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	content, err := os.ReadFile(in("artifact"))
	must(t, err)
	// An image is known by its digest alone: with its bundles given, nothing is fetched for it either.
	image := fmt.Sprintf("oci://registry.example/app@sha256:%x", sha256.Sum256(content))
	for _, artifact := range []string{in("artifact"), image} {
		verifyWithoutNetwork(t, avowBinary(t), artifact, "--bundle", in("no-backdoor.sigstore.json"), "--bundle", in("data-flows.sigstore.json"),
			"--trusted-root", in("trusted_root.json"), "--key", in("vendor.pub"))
	}
	verifyWithoutNetwork(t, avowBinary(t), "sha256:"+bundletest.ArtifactSHA256, statusArguments(t)...)
}

// statusArguments are those of a verification with a status, and with a memory of what the logs showed.
func statusArguments(t *testing.T) []string {
	t.Helper()
	w := standingtest.New(t)
	payload := bundletest.Statement(t, "data-flows")
	at := w.Issue(bundletest.Spec{Payload: payload})
	w.Publish()
	id, err := attest.KeyID(&w.Vendor.PublicKey)
	must(t, err)
	data, err := standing.Marshal(w.Status(fmt.Sprintf("sha256:%x", sha256.Sum256(payload)), index.KeySigner(id), bundletest.Epoch.Add(time.Hour)))
	must(t, err)
	public, err := attest.MarshalPublicKey(&w.Vendor.PublicKey)
	must(t, err)
	dir := t.TempDir()
	for name, data := range map[string][]byte{"b.sigstore.json": w.Bundles[at], "status": data, "vendor.pub": public, "trusted_root.json": w.TrustedRoot(),
		"index_log.vkey": []byte(w.Roots.VKey(t) + "\n")} {
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	when := bundletest.Epoch.Add(2 * time.Hour).Format(time.RFC3339)
	return []string{"--bundle", in("b.sigstore.json"), "--trusted-root", in("trusted_root.json"), "--key", in("vendor.pub"), "--status", in("status"),
		"--status-time", when, "--at", when, "--max-staleness", "1h", "--state", in("seen.json")}
}

func verifyWithoutNetwork(t *testing.T, avow, artifact string, arguments ...string) {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"-n", "strace", "-f", "-e", "trace=%network", "-o", trace,
		avow, "verify", artifact}, arguments...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("verify: %v: %s", err, out)
	}
	calls, err := os.ReadFile(trace)
	must(t, err)
	for line := range strings.Lines(string(calls)) {
		if strings.Contains(line, "socket(") || strings.Contains(line, "connect(") {
			t.Errorf("verify of %s used the network: %s", artifact, line)
		}
	}
	if !strings.Contains(string(calls), "exited with 0") {
		t.Errorf("the trace is not that of a verification: %s", calls)
	}
}

// loopExt4 makes a file system in a file and mounts it.
func loopExt4(t *testing.T, megabytes int64) (dir, device string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: mounts a file system")
	}
	image := filepath.Join(t.TempDir(), "image")
	must(t, writeNew(image, nil, 0o600))
	must(t, os.Truncate(image, megabytes<<20))
	dir = t.TempDir()
	if out, err := exec.Command("mkfs.ext4", "-q", image).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4 does not work here: %v: %s", err, out)
	}
	out, err := exec.Command("losetup", "--find", "--show", image).Output()
	if err != nil {
		t.Skipf("a loop device cannot be made here: %v", err)
	}
	device = strings.TrimSpace(string(out))
	if err := unix.Mount(device, dir, "ext4", 0, "errors=remount-ro"); err != nil {
		_ = exec.Command("losetup", "--detach", device).Run()
		t.Skipf("%s cannot be mounted here: %v", device, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
		if err := exec.Command("losetup", "--detach", device).Run(); err != nil {
			t.Errorf("losetup --detach %s: %v", device, err)
		}
	})
	return dir, device
}

// fill takes all the room that is left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for chunk := make([]byte, 64<<10); len(chunk) > 0; {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			chunk = chunk[:len(chunk)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func issueUntilRefused(t *testing.T, w *world, p *process, acked map[string][]byte) error {
	t.Helper()
	for deadline := time.Now().Add(faultWait); time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(t.Context(), faultWait)
		r, err := w.issue(ctx, p, w.envelope())
		cancel()
		if err != nil {
			return err
		}
		acked[r.GetStatementId()] = r.GetBundle()
	}
	t.Fatal("issuing went on in spite of the fault")
	return nil
}

func hasRetry(s *status.Status) bool {
	for _, d := range s.Details() {
		if _, ok := d.(*errdetails.RetryInfo); ok {
			return true
		}
	}
	return false
}

// checkAcknowledged stops the service, checks what it left, and asks a new one for everything that was acknowledged.
func checkAcknowledged(t *testing.T, w *world, p *process, acked map[string][]byte) {
	t.Helper()
	p.stop()
	must(t, fsck(t.Context(), w.config, &strings.Builder{}))
	p = w.start()
	for id, bundle := range acked {
		w.mustVerify(bundle)
		if _, err := p.issuing.GetStatement(t.Context(), getStatement(id)); err != nil {
			t.Errorf("%s was acknowledged and is lost: %v", id, err)
		}
	}
	p.stop()
}
