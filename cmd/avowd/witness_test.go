package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/server/witness"
	formatsnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// witnessProcess is `avowd witness serve` as a process of its own.
type witnessProcess struct {
	t      *testing.T
	dir    string
	vkey   string
	url    string
	cmd    *exec.Cmd
	stderr *lines
	exited chan error
}

// newWitnessProcess sets up a witness of one log and starts it.
func newWitnessProcess(t *testing.T, name, origin, logKey string) *witnessProcess {
	t.Helper()
	p := &witnessProcess{t: t, dir: t.TempDir()}
	w, err := createWitness(p.dir, name)
	must(t, err)
	p.vkey = w.VerifierKey()
	must(t, w.Close())
	p.edit("logs: []", fmt.Sprintf("logs: [{origin: %q, vkeys: [%q]}]", origin, logKey))
	p.edit("listen: 127.0.0.1:8480", "listen: 127.0.0.1:0")
	_, err = witness.Enrol(filepath.Join(p.dir, "state"), []string{origin})
	must(t, err)
	p.start()
	p.edit("listen: 127.0.0.1:0", "listen: "+strings.TrimPrefix(p.url, "http://")) // the same address after a restart
	return p
}

func (p *witnessProcess) edit(old, new string) {
	replaceIn(p.t, filepath.Join(p.dir, witnessConfigName), old, new)
}

func replaceIn(t *testing.T, path, old, new string) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", path, old)
	}
	must(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o644))
}

func (p *witnessProcess) start() {
	p.t.Helper()
	ready := filepath.Join(p.t.TempDir(), "ready.json")
	p.cmd = exec.Command(avowdBinary(p.t), "witness", "serve", "--config", filepath.Join(p.dir, witnessConfigName), "--ready-file", ready)
	p.stderr = &lines{}
	p.cmd.Stderr = io.MultiWriter(os.Stderr, p.stderr)
	must(p.t, p.cmd.Start())
	cmd, exited := p.cmd, make(chan error, 1)
	p.exited = exited
	go func() { exited <- cmd.Wait() }()
	p.t.Cleanup(func() { _ = cmd.Process.Kill() })
	within(p.t, "the witness accepts", func() bool {
		data, err := os.ReadFile(ready)
		var a addresses
		if err != nil || json.Unmarshal(data, &a) != nil {
			return false
		}
		p.url = a.REST
		return true
	})
}

// kill9 ends the witness without a word.
func (p *witnessProcess) kill9() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30s: %s", what)
		}
	}
}

// cosignatures counts the witnesses whose cosignature the bundle's checkpoint carries.
func cosignatures(t *testing.T, bundle []byte, witnesses []*witnessProcess) int {
	t.Helper()
	var b struct {
		VerificationMaterial struct {
			TlogEntries []struct {
				InclusionProof struct {
					Checkpoint struct{ Envelope string }
				}
			}
		}
	}
	must(t, json.Unmarshal(bundle, &b))
	n := 0
	for _, w := range witnesses {
		v, err := formatsnote.NewVerifierForCosignatureV1(w.vkey)
		must(t, err)
		if _, err := note.Open([]byte(b.VerificationMaterial.TlogEntries[0].InclusionProof.Checkpoint.Envelope), note.VerifierList(v)); err == nil {
			n++
		}
	}
	return n
}

// witnessedWorld is a service that needs two of three witnesses, all of them processes.
func witnessedWorld(t *testing.T) (*world, []*witnessProcess) {
	t.Helper()
	w := newWorld(t, t.TempDir())
	logKey, err := w.config.logVerifierKey()
	must(t, err)
	var all []*witnessProcess
	var policy strings.Builder
	for i := range 3 {
		p := newWitnessProcess(t, fmt.Sprintf("w%d.example", i+1), w.config.Origin, logKey)
		fmt.Fprintf(&policy, "witness w%d %s %s\n", i+1, p.vkey, p.url)
		all = append(all, p)
	}
	policy.WriteString("group g 2 w1 w2 w3\nquorum g\n")
	must(t, os.WriteFile(filepath.Join(w.dir, "witnesses.policy"), []byte(policy.String()), 0o644))
	replaceIn(t, filepath.Join(w.dir, configName), `policy: ""`, "policy: witnesses.policy")
	w.load()
	return w, all
}

// TestTwoOfThreeWitnesses is the acceptance of issue 4: one witness down, issuing goes on; two down, it pauses with a reason
// and reads go on; one back, it resumes by itself, with nothing lost and nothing twice.
func TestTwoOfThreeWitnesses(t *testing.T) {
	w, witnesses := witnessedWorld(t)
	p := w.start()
	statements := 0
	issue := func(down string) {
		t.Helper()
		statements++
		r, err := w.issue(t.Context(), p, w.envelope())
		must(t, err)
		w.mustVerify(r.GetBundle())
		if n := cosignatures(t, r.GetBundle(), witnesses); n < 2 {
			t.Errorf("%s: %d cosignatures, want at least 2", down, n)
		}
	}
	issue("none down")
	witnesses[0].kill9()
	issue("one down")
	witnesses[1].kill9()

	paused := w.envelope()
	statements++
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := p.issuing.Issue(ctx, issueRequest(paused))
	if s := status.Convert(err); s.Code() != codes.Unavailable && s.Code() != codes.DeadlineExceeded {
		t.Errorf("two down: got %v", err)
	}
	var body string
	within(t, "health says why", func() bool {
		resp, err := http.Get(p.addresses.Admin + "/healthz")
		must(t, err)
		defer resp.Body.Close()
		buffer := make([]byte, 4096)
		n, _ := resp.Body.Read(buffer)
		body = string(buffer[:n])
		return resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(body, "w1.example refuses connections (since 2")
	})
	if !strings.Contains(body, "too few of 3 witnesses cosign") || !strings.Contains(body, "w2.example") || strings.Contains(body, "w3.example") {
		t.Errorf("health: %q", body)
	}
	get(t, http.DefaultClient, p.addresses.REST+"/checkpoint", http.StatusOK)
	get(t, http.DefaultClient, p.addresses.REST+"/tile/0/000.p/2", http.StatusOK)

	witnesses[1].start()
	r, err := w.issue(t.Context(), p, paused)
	must(t, err)
	w.mustVerify(r.GetBundle())
	if n := cosignatures(t, r.GetBundle(), witnesses); n < 2 {
		t.Errorf("after the pause: %d cosignatures", n)
	}
	within(t, "health is green", func() bool {
		resp, err := http.Get(p.addresses.Admin + "/healthz")
		must(t, err)
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	issue("resumed")
	p.stop()
	out, err := exec.Command(avowdBinary(t), "fsck", "-c", filepath.Join(w.dir, configName)).CombinedOutput()
	if want := fmt.Sprintf("log: %d entries", statements); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("fsck: %v, want %q in:\n%s", err, want, out)
	}
}

// TestPausedDeadline: the service itself answers before the caller gives up, with the code and the time after which a retry
// helps.
func TestPausedDeadline(t *testing.T) {
	if testing.Short() {
		t.Skip("waits twice for tlog.MaxLag")
	}
	w, witnesses := witnessedWorld(t)
	p := w.start()
	for _, x := range witnesses[1:] {
		x.kill9()
	}
	_, err := w.issue(t.Context(), p, w.envelope()) // 30 s; the log gives up after 10
	reason, retry := refusalOf(err)
	if status.Code(err) != codes.Unavailable || reason != "LOG_UNAVAILABLE" || !retry {
		t.Errorf("got %v, reason %q, retry %v", err, reason, retry)
	}
	p.kill9() // and the next start is not held up for ever either
	p = w.start()
	get(t, http.DefaultClient, p.addresses.REST+"/checkpoint", http.StatusOK)
	witnesses[1].start()
	within(t, "the pending statement is completed", func() bool {
		resp, err := http.Get(p.addresses.REST + "/checkpoint")
		must(t, err)
		defer resp.Body.Close()
		buffer := make([]byte, 4096)
		n, _ := resp.Body.Read(buffer)
		return strings.Contains(string(buffer[:n]), "\n1\n")
	})
}

func TestWitnessPolicyFile(t *testing.T) {
	w := newWorld(t, t.TempDir())
	path := filepath.Join(w.dir, "witnesses.policy")
	replaceIn(t, filepath.Join(w.dir, configName), `policy: ""`, "policy: witnesses.policy")
	w.load()
	if _, err := w.config.witnessPolicy(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	must(t, os.WriteFile(path, nil, 0o644))
	if _, err := w.config.witnessPolicy(); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("empty: %v", err)
	}
}

// refusalOf is a failed call's stable reason, and whether a retry may help.
func refusalOf(err error) (reason string, retry bool) {
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration() > 0
		}
	}
	return reason, retry
}
