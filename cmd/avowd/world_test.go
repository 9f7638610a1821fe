package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/testkms"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/avow-dev/avow/verify"
	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"avowd": main,
		testkms.Program: func() { os.Exit(testkms.Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) }})
}

// builtProgram is one of the real programs, built once per test run: faults are injected into what users run, not into a test binary.
type builtProgram struct {
	once sync.Once
	path string
	err  error
}

var builtAvowd, builtAvow builtProgram

func avowdBinary(t testing.TB) string { return builtAvowd.build(t, "avowd") }
func avowBinary(t testing.TB) string  { return builtAvow.build(t, "avow") }

func (p *builtProgram) build(t testing.TB, name string) string {
	t.Helper()
	p.once.Do(func() {
		dir, err := os.MkdirTemp("", name+"-test-")
		if err != nil {
			p.err = err
			return
		}
		p.path = filepath.Join(dir, name)
		if out, err := exec.Command("go", "build", "-o", p.path, "../"+name).CombinedOutput(); err != nil {
			p.err = fmt.Errorf("go build: %w: %s", err, out)
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.path
}

// world is a service in a directory of its own, with one registered vendor.
type world struct {
	t        testing.TB
	dir      string
	key      *attest.KeyFile
	config   *Config
	verifier *verify.Verifier
	template []byte
	at       time.Time // of the buyer's verification; zero: now
}

const subjectMark = "<<subject>>"

// newWorld sets up a service below dir; changed adjusts its configuration before it is written.
func newWorld(t testing.TB, dir string, changes ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, dir: dir}
	c := defaultConfig()
	c.Origin = "test.localhost"
	c.GRPC.Listen, c.REST.Listen, c.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Logging.Level = "warn"
	c.Limits.RatePerSecond, c.Limits.Burst = 1e6, 1e6
	for _, change := range changes {
		change(&c)
	}
	must(t, initialise(t.Context(), dir, c, time.Now))
	w.load()
	var err error
	w.key, err = attest.GenerateKey()
	must(t, err)
	public, err := attest.MarshalPublicKey(w.key.PublicKey())
	must(t, err)
	must(t, writeNew(filepath.Join(dir, "vendor.pub"), public, 0o644))
	must(t, addVendor(w.config, vendorFlags{keys: []string{filepath.Join(dir, "vendor.pub")}, vendor: vendors.Vendor{
		Name: "acme", Declarant: quickstartDeclarant, Country: quickstartCountry, Products: []string{quickstartPackage},
	}}))
	w.template, err = renderStatement("data-flows", statementValues{
		ArtifactSHA256: subjectMark, Version: "1.0.0", PURL: quickstartPackage + "@1.0.0",
		Declarant: quickstartDeclarant, Country: quickstartCountry, SignatoryFunction: "test",
	}, time.Now())
	must(t, err)
	return w
}

func (w *world) load() {
	w.t.Helper()
	var err error
	w.config, err = loadConfig(filepath.Join(w.dir, configName))
	must(w.t, err)
	root, err := os.ReadFile(w.config.path(w.config.TrustedRoot))
	must(w.t, err)
	trust, err := verify.ParseTrust(root)
	must(w.t, err)
	w.verifier, err = verify.New(verify.Config{Trust: trust})
	must(w.t, err)
}

// envelope makes a new signed statement about a random file.
func (w *world) envelope() *attest.Envelope {
	w.t.Helper()
	digest := make([]byte, 32)
	_, err := rand.Read(digest)
	must(w.t, err)
	subject, err := jsonText(subjectMark)
	must(w.t, err)
	payload := strings.Replace(string(w.template), subject, fmt.Sprintf("%q", fmt.Sprintf("%x", digest)), 1)
	p, err := attest.Prepare([]byte(payload), attest.PrepareOptions{})
	must(w.t, err)
	e, err := p.Sign(w.t.Context(), w.key)
	must(w.t, err)
	return e
}

func issueRequest(e *attest.Envelope) *avowv1.IssueRequest {
	return &avowv1.IssueRequest{Content: &avowv1.IssueRequest_SignedEnvelope{
		SignedEnvelope: &avowv1.SignedEnvelope{Envelope: e.JSON(), KeyId: e.KeyID()}}}
}

// process is a running avowd.
type process struct {
	*child
	addresses addresses
	conn      *grpc.ClientConn
	issuing   avowv1.AttestationServiceClient
	started   time.Duration
}

// start runs the real binary and waits until it accepts.
func (w *world) start() *process {
	w.t.Helper()
	p, err := w.tryStart()
	must(w.t, err)
	return p
}

func (w *world) tryStart() (*process, error) {
	began := time.Now()
	c, a, err := startChild(context.WithoutCancel(w.t.Context()), avowdBinary(w.t), filepath.Join(w.dir, configName),
		filepath.Join(w.t.TempDir(), "ready.json"))
	if err != nil {
		return nil, err
	}
	p, err := newProcess(w.t, c, a)
	if err == nil {
		p.started = time.Since(began)
	}
	return p, err
}

func newProcess(t testing.TB, c *child, a addresses) (*process, error) {
	conn, err := grpc.NewClient(a.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	return &process{child: c, addresses: a, conn: conn, issuing: avowv1.NewAttestationServiceClient(conn)}, nil
}

// kill9 ends the process without a word, and waits until it is gone.
func (p *process) kill9() {
	_ = p.cmd.Process.Kill()
	<-p.exited
	_ = p.conn.Close()
}

func (w *world) issue(ctx context.Context, p *process, e *attest.Envelope) (*avowv1.IssueResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return p.issuing.Issue(ctx, issueRequest(e))
}

// mustVerify verifies a bundle offline, as a buyer would.
func (w *world) mustVerify(bundle []byte) *verify.Evidence {
	w.t.Helper()
	v, err := w.verifier.Verify(w.t.Context(), verify.Input{
		At:             w.at,
		ArtifactSHA256: subjectOf(w.t, bundle),
		Bundles:        []verify.NamedBundle{{Name: "bundle", Data: bundle}},
		Signers:        []verify.Signer{{Key: &verify.Key{PublicKey: w.key.PublicKey()}}},
	})
	must(w.t, err)
	if v.Outcome != verify.Accepted {
		w.t.Fatalf("the bundle is rejected: %v", v.Failures())
	}
	return &v.Evidence[0]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
