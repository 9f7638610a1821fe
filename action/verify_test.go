package action

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
)

// avow is the program that TestMain builds.
var avow string

func TestMain(m *testing.M) {
	code, err := withAvow(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withAvow(run func() int) (int, error) {
	dir, err := os.MkdirTemp("", "avow-action")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	avow = filepath.Join(dir, "avow")
	if out, err := exec.Command("go", "build", "-o", avow, "../cmd/avow").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build avow: %w: %s", err, out)
	}
	return run(), nil
}

// world is what a workflow has checked out.
type world struct {
	*bundletest.World
	dir string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("needs bash")
	}
	w := &world{World: bundletest.NewWorld(t), dir: t.TempDir()}
	public, err := attest.MarshalPublicKey(&w.Vendor.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "app.bin", []byte("the product"))
	w.write(t, "other.bin", []byte("another product"))
	w.write(t, "vendor.pub", public)
	w.write(t, "trusted_root.json", w.TrustedRoot())
	sum := sha256.Sum256([]byte("the product"))
	for _, statement := range []string{"data-flows", "no-backdoor"} {
		w.write(t, statement+".sigstore.json", w.bundle(t, statement, hex.EncodeToString(sum[:])))
	}
	return w
}

// bundle is a bundle that is in force now: the script runs avow as it is, with the machine's clock.
func (w *world) bundle(t *testing.T, statement, sha256 string) []byte {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	return w.IssueJSON(t, bundletest.Spec{At: now.Add(-time.Minute), Payload: bundletest.Statement(t, statement,
		bundletest.ArtifactSHA256, sha256, "2026-09-01T09:00:00Z", now.Add(-time.Hour).Format(time.RFC3339),
		"2027-09-01T09:00:00Z", now.AddDate(0, 6, 0).Format(time.RFC3339))})
}

func (w *world) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// result is what a run of the script left.
type result struct {
	code                          int
	out, errOut, summary, outputs string
}

// run runs the script in the world's directory. Variables are added to those that every run needs.
func (w *world) run(t *testing.T, variables ...string) result {
	t.Helper()
	temp := t.TempDir()
	script, err := filepath.Abs("verify.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", script)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), append([]string{"AVOW_PROGRAM=" + avow, "RUNNER_TEMP=" + temp, "HOME=" + temp, "GITHUB_ACTIONS=",
		"GITHUB_STEP_SUMMARY=" + filepath.Join(temp, "summary"), "GITHUB_OUTPUT=" + filepath.Join(temp, "outputs"),
		"INPUT_TRUSTED_ROOT=trusted_root.json", "INPUT_KEY=vendor.pub", "INPUT_BUNDLES=data-flows.sigstore.json"}, variables...)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(temp, "avow.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("the script leaves %v behind, %v", left, err)
	}
	return result{code: cmd.ProcessState.ExitCode(), out: out.String(), errOut: errOut.String(),
		summary: read(t, filepath.Join(temp, "summary")), outputs: read(t, filepath.Join(temp, "outputs"))}
}

// read returns a file's content; "" where there is none.
func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(data)
}

// want compares exit code and outcome, and looks for texts in what was printed.
func (r result) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	outcome := [...]string{"accepted", "rejected", "error"}[code]
	if r.code != code || r.outputs != "outcome="+outcome+"\n" {
		t.Errorf("exit code %d, want %d; outputs %q\n%s%s", r.code, code, r.outputs, r.out, r.errOut)
	}
	title := [...]string{"Accepted", "Rejected", "Could not be evaluated"}[code]
	if !strings.HasPrefix(r.summary, "### avow: "+title+"\n\n    ") {
		t.Errorf("summary %q", r.summary)
	}
	for _, text := range texts {
		if !strings.Contains(r.out+r.errOut, text) {
			t.Errorf("nothing says %q\n%s%s", text, r.out, r.errOut)
		}
	}
}

func TestScript(t *testing.T) {
	w := newWorld(t)
	w.run(t, "INPUT_ARTIFACT=app.bin").want(t, 0, "ACCEPTED  app.bin", "\naccepted\n")
	w.run(t, "INPUT_ARTIFACT=app.bin", "INPUT_BUNDLES=\n  data-flows.sigstore.json\r\n\nno-backdoor.sigstore.json  \n").want(t, 0,
		"Bundle data-flows.sigstore.json: accepted", "Bundle no-backdoor.sigstore.json: accepted")
	w.run(t, "INPUT_ARTIFACT=other.bin").want(t, 1, "REJECTED  other.bin", "rejected: subject: the statement is about other files")
	w.run(t, "INPUT_ARTIFACT=app.bin", "INPUT_KEY=", "INPUT_IDENTITY=https://ci.example.com", "INPUT_ISSUER=https://issuer.example.com").
		want(t, 1, "rejected: signer: ")

	for name, c := range map[string]struct {
		variables []string
		reason    string
	}{
		"nothing to verify":  {nil, "give exactly one of artifact, image and manifest"},
		"two things":         {[]string{"INPUT_ARTIFACT=app.bin", "INPUT_IMAGE=r.example/a@sha256:00"}, "give exactly one of"},
		"three things":       {[]string{"INPUT_ARTIFACT=app.bin", "INPUT_MANIFEST=SHA256SUMS"}, "manifest was given together with"},
		"no trusted root":    {[]string{"INPUT_ARTIFACT=app.bin", "INPUT_TRUSTED_ROOT="}, "no trusted-root was given"},
		"a missing root":     {[]string{"INPUT_ARTIFACT=app.bin", "INPUT_TRUSTED_ROOT=none"}, "avow: open none: no such file"},
		"a missing policy":   {[]string{"INPUT_ARTIFACT=app.bin", "INPUT_POLICY=none.yaml"}, "could not be evaluated: avow: "},
		"a missing manifest": {[]string{"INPUT_MANIFEST=none.json"}, "could not be evaluated: avow: "},
		"no issuer":          {[]string{"INPUT_ARTIFACT=app.bin", "INPUT_IDENTITY=x"}, "--identity and --issuer belong together"},
		"nobody":             {[]string{"INPUT_ARTIFACT=app.bin", "INPUT_KEY="}, "nobody was named who may have signed"},
		"an unknown format":  {[]string{"INPUT_ARTIFACT=app.bin", "INPUT_FORMAT=morse"}, "could not be evaluated: avow: "},
		"a tag":              {[]string{"INPUT_IMAGE=127.0.0.1:1/app:1"}, "oci-tag: "},
		"no program":         {[]string{"INPUT_ARTIFACT=app.bin", "AVOW_PROGRAM=/none"}, "avow ended with code 127"},
		"no Go":              {[]string{"INPUT_ARTIFACT=app.bin", "AVOW_PROGRAM=", "PATH=" + withoutGo(t)}, "avow is built with Go"},
	} {
		t.Run(name, func(t *testing.T) { w.run(t, c.variables...).want(t, 2, c.reason) })
	}
}

// withoutGo is a PATH with what the script needs and no Go.
func withoutGo(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, program := range []string{"bash", "dirname", "mktemp", "rm", "sed", "cat", "mv", "chmod", "od", "tr", "grep", "head"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Skipf("needs %s", program)
		}
		if err := os.Symlink(path, filepath.Join(dir, program)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestScriptBuilds: without a version, the source beside the script is what runs.
func TestScriptBuilds(t *testing.T) {
	w := newWorld(t)
	variables := []string{"INPUT_ARTIFACT=app.bin", "AVOW_PROGRAM="}
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} { // not those of the empty home directory
		value, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		variables = append(variables, name+"="+strings.TrimSpace(string(value)))
	}
	w.run(t, variables...).want(t, 0, "ACCEPTED  app.bin")
}

// TestInputsAreData: whatever an input holds, it is the name of something and nothing that is run.
func TestInputsAreData(t *testing.T) {
	w := newWorld(t)
	for _, odd := range []string{"$(touch pwned)", "`touch pwned`", "; touch pwned;", `"; touch pwned; "`, "' touch pwned '", "a b  c",
		"--help", "-h", "--format=json", "*", "~", "a\nb", "%0A::error::x", "::error::x", "${IFS}", "\\"} {
		var everywhere []string
		for _, variable := range []string{"ARTIFACT", "BUNDLES", "KEY", "TRUSTED_ROOT", "POLICY", "IDENTITY", "ISSUER", "OUTPUT", "FORMAT",
			"VERSION"} {
			everywhere = append(everywhere, "INPUT_"+variable+"="+odd)
		}
		for _, variables := range [][]string{everywhere, {"INPUT_ARTIFACT=" + odd}, {"INPUT_IMAGE=" + odd}} {
			r := w.run(t, variables...)
			r.want(t, 2)
			if strings.Contains(r.out, "Usage:") {
				t.Errorf("%q was taken for a flag", odd)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(w.dir, "pwned")); err == nil {
		t.Error("an input was run")
	}
	// A file may be called anything, and is found.
	for _, name := range []string{"$(touch pwned).bin", "--help", "a b  c", "::error::x"} {
		w.write(t, name, []byte("the product"))
		w.run(t, "INPUT_ARTIFACT="+name).want(t, 0)
	}
}

var stopped = regexp.MustCompile(`(?s)^::stop-commands::([0-9a-f]{32})\n.*\n::([0-9a-f]{32})::\n(.*)$`)

// TestRunnerIsNotSpokenTo: between the two lines the runner of GitHub takes no commands, and after them it is told what
// came of it, in one line.
func TestRunnerIsNotSpokenTo(t *testing.T) {
	w := newWorld(t)
	tokens := map[string]bool{}
	answers := 0
	for artifact, want := range map[string]string{
		"app.bin":           "",
		"other.bin":         "::error title=avow::rejected: subject: the statement is about other files than this artifact\n",
		"50%\n::warning::x": "::error title=avow::could not be evaluated: avow: open 50%25 ::warning::x: no such file or directory\n",
	} {
		r := w.run(t, "GITHUB_ACTIONS=true", "INPUT_ARTIFACT="+artifact)
		m := stopped.FindStringSubmatch(r.out)
		if m == nil || m[1] != m[2] || m[3] != want {
			t.Errorf("%q: got\n%s", artifact, r.out)
			continue
		}
		tokens[m[1]] = true
		answers++
	}
	if len(tokens) < 2 || len(tokens) != answers {
		t.Errorf("tokens %v can be guessed", tokens)
	}
}

// TestReportIsKept: in the file that was named, completely, and not at all where there was no answer.
func TestReportIsKept(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(w.dir, "report.json")
	w.run(t, "INPUT_ARTIFACT=other.bin", "INPUT_FORMAT=json", "INPUT_OUTPUT=report.json").want(t, 1)
	if got := read(t, path); !strings.Contains(got, `"outcome": "OUTCOME_REJECTED"`) || !strings.HasSuffix(got, "}\n") {
		t.Errorf("got %q", got)
	}
	w.run(t, "INPUT_ARTIFACT=app.bin", "INPUT_FORMAT=json", "INPUT_OUTPUT=report.json").want(t, 0)
	kept := read(t, path)
	if !strings.Contains(kept, `"outcome": "OUTCOME_ACCEPTED"`) {
		t.Errorf("got %q", kept)
	}
	w.run(t, "INPUT_ARTIFACT=none", "INPUT_FORMAT=json", "INPUT_OUTPUT=report.json").want(t, 2)
	if read(t, path) != kept {
		t.Error("an older report was replaced by none")
	}
	w.run(t, "INPUT_ARTIFACT=app.bin", "INPUT_OUTPUT=none/report").want(t, 2, "the report cannot be written beside none/report")
	if left, err := filepath.Glob(filepath.Join(w.dir, ".avow.*")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestMarkdownIsTheSummary, where this avow has it.
func TestMarkdownIsTheSummary(t *testing.T) {
	w := newWorld(t)
	r := w.run(t, "INPUT_ARTIFACT=app.bin", "INPUT_FORMAT=markdown")
	if r.code == 2 && strings.Contains(r.errOut, `"markdown"`) {
		t.Skip("this avow writes no markdown")
	}
	if r.code != 0 || !strings.HasPrefix(r.summary, "### avow: Accepted\n\n") || !strings.Contains(r.summary, strings.TrimSpace(r.out)) {
		t.Errorf("exit code %d, summary %q", r.code, r.summary)
	}
}

// TestScriptVerifiesImages by the bundles in their registry.
func TestScriptVerifiesImages(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	tag, err := name.NewTag(strings.TrimPrefix(server.URL, "http://") + "/team/app:1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(16, 1)
	if err == nil {
		err = remote.Write(tag, image, remote.WithContext(context.WithoutCancel(t.Context())))
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	reference := tag.Context().Name() + "@" + digest.String()
	w.run(t, "INPUT_IMAGE="+reference, "INPUT_BUNDLES=").want(t, 1, "rejected: bundles-given: ")
	w.write(t, "image.sigstore.json", w.bundle(t, "data-flows", digest.Hex))
	attach := exec.CommandContext(t.Context(), avow, "attach", reference, "--bundle", "image.sigstore.json")
	attach.Dir = w.dir
	if out, err := attach.CombinedOutput(); err != nil {
		t.Fatalf("attach: %v: %s", err, out)
	}
	w.run(t, "INPUT_IMAGE="+reference, "INPUT_BUNDLES=").want(t, 0, "ACCEPTED  oci://"+reference)
	w.run(t, "INPUT_IMAGE=oci://"+reference, "INPUT_BUNDLES=").want(t, 0)
	w.run(t, "INPUT_IMAGE="+tag.Name(), "INPUT_BUNDLES=").want(t, 2, "oci-tag: ")
}

func TestShellcheck(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("needs shellcheck")
	}
	if out, err := exec.CommandContext(t.Context(), "shellcheck", "verify.sh").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
