package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// party is who runs the real programs in a directory, each as a process of its own.
type party struct {
	t   *testing.T
	dir string
	env []string // beside PATH and HOME, which is the directory
}

// want runs a program, whose exit code has to be this and whose output must hold every one of says.
func (p *party) want(code int, says []string, program string, args ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), program, args...)
	cmd.Dir, cmd.Env = p.dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir}, p.env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("%s %s: exit code %d, want %d:\n%s", filepath.Base(program), strings.Join(args, " "), got, code, out)
	}
	for _, s := range says {
		if !strings.Contains(string(out), s) {
			p.t.Errorf("%s %s: no %q in\n%s", filepath.Base(program), strings.Join(args, " "), s, out)
		}
	}
	return string(out)
}

// write writes a file into the directory and returns the SHA-256 of it in hexadecimal digits.
func (p *party) write(name string, data []byte) string {
	p.t.Helper()
	must(p.t, os.WriteFile(filepath.Join(p.dir, name), data, 0o600))
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// serve starts the service of a directory and waits until it accepts.
func (p *party) serve(dir string) (*child, addresses) {
	p.t.Helper()
	c, a, err := startChild(context.WithoutCancel(p.t.Context()), avowdBinary(p.t), filepath.Join(p.dir, dir, configName),
		filepath.Join(p.t.TempDir(), "ready.json"))
	must(p.t, err)
	p.t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	return c, a
}

// declare writes the two statements of a release, as a vendor would, and returns their ids.
func (p *party) declare(artifact string) (dataFlows, noBackdoor string) {
	p.t.Helper()
	v := statementValues{ArtifactSHA256: artifact, Version: "1.0.0", PURL: quickstartPackage + "@1.0.0", Declarant: quickstartDeclarant,
		Country: quickstartCountry, SignatoryFunction: "test"}
	flows, err := renderStatement("data-flows", v, time.Now())
	must(p.t, err)
	v.DataFlowsSHA256 = p.write("data-flows.json", flows)
	doors, err := renderStatement("no-backdoor", v, time.Now())
	must(p.t, err)
	return "sha256:" + v.DataFlowsSHA256, "sha256:" + p.write("no-backdoor.json", doors)
}

// TestStandingEndToEnd is the story of a withdrawal on the real programs: a release is in force; its vendor takes a statement
// back; a buyer who is cut off, and who has the older status, sees it in force as of then, until that is too old for the
// buyer; and who has the newer status sees it withdrawn. No clock is waited for: the buyer's time is --at.
func TestStandingEndToEnd(t *testing.T) {
	avow, avowd := avowBinary(t), avowdBinary(t)
	p := &party{t: t, dir: t.TempDir(), env: []string{"AVOW_PASSWORD=pw"}}
	p.want(exitOK, nil, avowd, "init", "--dir", "service", "--origin", "log.example.test", "--grpc", "127.0.0.1:0", "--rest", "127.0.0.1:0",
		"--admin", "127.0.0.1:0")
	p.want(exitOK, nil, avow, "keygen", "-o", "vendor")
	p.want(exitOK, nil, avowd, "vendor", "add", "--config", "service/"+configName, "--name", "acme", "--declarant", quickstartDeclarant,
		"--country", quickstartCountry, "--key", "vendor.pub", "--product", quickstartPackage)
	service, at := p.serve("service")
	p.env = append(p.env, "AVOW_SERVER="+at.GRPC)
	flows, doors := p.declare(p.write("app.bin", []byte("a release")))
	p.want(exitOK, []string{flows, doors}, avow, "attest", "data-flows.json", "no-backdoor.json", "--key", "vendor.key", "--insecure")
	p.want(exitOK, []string{"index_log.vkey"}, avow, "trust", "--insecure", "-o", "trusted_root.json")
	out := p.want(exitOK, []string{flows, doors, "tree size 2"}, avow, "status", "app.bin", "--insecure", "-o", "old.json")
	if strings.Count(out, "in force (NOTHING_SAID)") != 2 {
		t.Errorf("status: want two statements in force:\n%s", out)
	}
	asked := time.Now().UTC().Truncate(time.Second)
	asOf := asked.Format(time.RFC3339)
	verify := func(code int, says []string, more ...string) {
		t.Helper()
		args := []string{"verify", "app.bin", "--bundle", "data-flows.sigstore.json", "--bundle", "no-backdoor.sigstore.json", "--trusted-root",
			"trusted_root.json", "--key", "vendor.pub"}
		p.want(code, says, avow, append(args, more...)...)
	}
	old := []string{"--status", "old.json", "--status-time", asOf}
	inForce := []string{"ACCEPTED  app.bin", "2 statements in force as of " + asOf + ", the time that you gave; the operator is trusted for it"}
	verify(exitOK, inForce, old...)

	p.want(exitOK, []string{"entry 2 of log.example.test"}, avow, "withdraw", flows, "--reason", "falseStatement", "--key", "vendor.key", "--insecure",
		"-o", "withdrawals")
	p.want(exitNotDone, []string{"withdrawn (WITHDRAWAL)", "in force (NOTHING_SAID)", "tree size 3"}, avow, "status", "app.bin", "--insecure",
		"-o", "new.json")
	service.stop()
	p.want(exitUsage, []string{"hint: "}, avow, "status", "app.bin", "--insecure", "-o", "none.json")

	later := func(d time.Duration) string { return asked.Add(d).Format(time.RFC3339) }
	verify(exitOK, []string{"ACCEPTED  app.bin", "no status was given: whether anything was withdrawn is not shown"})
	verify(exitOK, inForce, old...)
	verify(exitOK, inForce, append(old, "--at", later(24*time.Hour))...)
	stale := []string{"REJECTED  app.bin", "data-flows.sigstore.json is stale: as of " + asOf, "stale (OLD): data-flows.sigstore.json; stale (OLD): no-backdoor.sigstore.json"}
	verify(exitNotDone, stale, append(old, "--at", later(25*time.Hour))...)
	verify(exitNotDone, stale, append(old, "--at", later(2*time.Hour), "--max-staleness", "1h")...)
	verify(exitOK, inForce, append(old, "--at", later(25*time.Hour), "--max-staleness", "48h")...)
	withdrawn := []string{"REJECTED  app.bin", "data-flows.sigstore.json is withdrawn: withdrawn by entry 2", "got: withdrawn (WITHDRAWAL): data-flows.sigstore.json"}
	verify(exitNotDone, withdrawn, "--status", "new.json", "--status-time", asOf)
	verify(exitNotDone, withdrawn[:2], "--status", "new.json") // what was taken back is shown without anybody's time
	p.want(exitOK, []string{"ACCEPTED  app.bin", "1 statement in force as of " + asOf}, avow, "verify", "app.bin", "--bundle", "no-backdoor.sigstore.json",
		"--trusted-root", "trusted_root.json", "--key", "vendor.pub", "--status", "new.json", "--status-time", asOf)
}
