package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/remote"
	"github.com/avow-dev/avow/verify"
)

// newApp returns an app whose output the test reads.
func newApp(t *testing.T) (*app, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	var out, errOut bytes.Buffer
	return &app{env: Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errOut,
		LookupEnv: func(string) (string, bool) { return "", false },
		Now:       func() time.Time { return time.Unix(0, 0) }, Sleep: remote.Sleep,
	}}, &out, &errOut
}

// commands returns all commands, those of commands included.
func commands(c *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, sub := range c.Commands() {
		all = append(append(all, sub), commands(sub)...)
	}
	return all
}

// TestEveryCommandTeaches: a description, and an example that begins with the command itself.
func TestEveryCommandTeaches(t *testing.T) {
	a, _, _ := newApp(t)
	for _, c := range commands(a.root()) {
		if c.Hidden { // it is for avow itself
			continue
		}
		if c.Short == "" || c.Example == "" || c.Long == "" && c.Name() != "version" {
			t.Errorf("%s has no description or no example", c.Name())
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("the example of %s does not show it", c.Name())
		}
		if c.RunE == nil || c.Run != nil {
			t.Errorf("%s does not return errors", c.Name())
		}
	}
}

// TestExamplesParse runs the flags of every example through the command that it is for.
func TestExamplesParse(t *testing.T) {
	a, _, _ := newApp(t)
	for _, c := range commands(a.root()) {
		text := strings.ReplaceAll(c.Example, "\\\n", " ")
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "#")
			line, _, _ = strings.Cut(line, ">")
			_, line, _ = strings.Cut(line, "avow ")
			fields := words(line)
			if len(fields) == 0 {
				continue
			}
			fresh, rest, err := a.root().Find(fields)
			if path := strings.Join(fields[:len(fields)-len(rest)], " "); err != nil || fresh.CommandPath() != "avow "+path {
				t.Errorf("%q: %v", line, err)
				continue
			}
			if err := fresh.ParseFlags(rest); err != nil {
				t.Errorf("%q: %v", line, err)
				continue
			}
			if err := fresh.ValidateArgs(fresh.Flags().Args()); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	}
}

// words splits a command line at spaces outside double quotes.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

// TestEveryErrorHasAHint: whatever goes wrong, the exit code is not 0 and the last line is a hint.
func TestEveryErrorHasAHint(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{errors.New("anything"), exitError},
		{fmt.Errorf("x: %w", fs.ErrNotExist), exitError},
		{fmt.Errorf("x: %w", fs.ErrPermission), exitError},
		{fmt.Errorf("x: %w", fs.ErrExist), exitError},
		{fmt.Errorf("x: %w", verify.ErrTrust), exitError},
		{fmt.Errorf("x: %w", verify.ErrInput), exitError},
		{context.Canceled, exitError},
		{&attest.Error{Code: attest.CodeSubject, Detail: "no hint"}, exitError},
		{about("f", &predicate.RulesError{Findings: predicate.Findings{{Code: "R01", Message: "m"}}}), exitNo},
		{&remote.Error{}, exitError},
		{usageFailure("avow verify", errors.New("two\nlines")), exitError},
		{about("f", failed("do this", "what")), exitError},
	} {
		a, out, errOut := newApp(t)
		if got := a.report(c.err); got != c.code {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.code)
		}
		lines := strings.Split(strings.TrimSpace(errOut.String()), "\n")
		if !strings.HasPrefix(lines[0], "avow: ") || !strings.HasPrefix(lines[len(lines)-1], "hint: ") ||
			len(lines[len(lines)-1]) < 8 || out.Len() > 0 {
			t.Errorf("%v: printed %q and %q", c.err, errOut.String(), out.String())
		}
	}
	a, _, errOut := newApp(t)
	if code := a.report(no()); code != exitNo || errOut.Len() > 0 {
		t.Errorf("no: exit code %d, printed %q", code, errOut.String())
	}
	if code := a.report(nil); code != exitYes {
		t.Errorf("success: exit code %d", code)
	}
}

// TestErrorsCannotWriteOnTheTerminal: what the service says in an error is foreign text.
func TestErrorsCannotWriteOnTheTerminal(t *testing.T) {
	a, _, errOut := newApp(t)
	a.report(&remote.Error{Reason: "X", Message: "\x1b[2Jall is well\nhint: run rm",
		Violations: []remote.Violation{{Field: "\u202e", Description: "\r"}}})
	for _, r := range errOut.String() {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("%U in %q", r, errOut.String())
		}
	}
	if strings.Count(errOut.String(), "\nhint: ") != 1 {
		t.Errorf("a forged hint in %q", errOut.String())
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, content := range []string{"one", "two"} {
		if err := writeFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(dir, "d"), []byte("x"), 0o644); err == nil {
		t.Error("a directory was replaced")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := createFile(path, nil, 0o644); err == nil || err.Error() != path+" exists already" {
		t.Errorf("got %v, want that the file exists already", err)
	}
}

func TestPrintJSONEscapes(t *testing.T) {
	a, out, _ := newApp(t)
	in := map[string]string{"k": "ü\u009b31m\u202e\u2028\U000e0001\x7f</script>\x00"}
	if err := a.printJSON(in); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("%U in %q", r, out.String())
		}
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["k"] != in["k"] {
		t.Errorf("got %q, %v", back, err)
	}
}

// FuzzReadUnverified: what is taken apart has a payload of the right type, and no input panics.
func FuzzReadUnverified(f *testing.F) {
	f.Add([]byte(`{"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}}`))
	f.Add([]byte(`{"payload":"e30=","payloadType":"application/vnd.in-toto+json"}`))
	f.Add([]byte(`{"verificationMaterial":{"tlogEntries":[{"logIndex":"1"}]},"dsseEnvelope":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := readUnverified(data)
		if err == nil && (len(u.payload) == 0 || !bytes.Contains(data, []byte("in-toto"))) {
			t.Fatalf("a payload of %d bytes in %q", len(u.payload), data)
		}
	})
}

func TestEvidenceID(t *testing.T) {
	used := map[string]bool{}
	for _, c := range [][2]string{
		{"app.cdx.json", "app-cdx-json"}, {"app.cdx.json", "app-cdx-json-2"}, {"2026 Audit.pdf", "audit-pdf"},
		{"...", "evidence"}, {"completeness", "evidence-2"}, {"Über", "ber"},
		{strings.Repeat("a", 99), strings.Repeat("a", 56)},
	} {
		if got := evidenceID(c[0], used); got != c[1] {
			t.Errorf("evidenceID(%q) = %q, want %q", c[0], got, c[1])
		}
	}
}

// TestCheckFetched: the service's answer is compared with what was asked for.
func TestCheckFetched(t *testing.T) {
	statement := []byte(`{}`)
	const id = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	bundle := func(payload string) []byte {
		return []byte(`{"dsseEnvelope":{"payload":"` + payload + `","payloadType":"application/vnd.in-toto+json"}}`)
	}
	good := &avowv1.GetStatementResponse{Statement: statement, Bundles: []*avowv1.IssuedBundle{{Bundle: bundle("e30=")}}}
	if err := checkFetched(id, good); err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]*avowv1.GetStatementResponse{
		"other statement":           {Statement: []byte(`{ }`), StatementId: id},
		"bundle of another":         {Statement: statement, Bundles: []*avowv1.IssuedBundle{{Bundle: bundle("W10=")}}},
		"bundle that does not read": {Statement: statement, Bundles: []*avowv1.IssuedBundle{{Bundle: []byte("x")}}},
	} {
		err := checkFetched(id, answer)
		if code, hint := classify(err); err == nil || code != exitError || !strings.Contains(hint, "operator") {
			t.Errorf("%s: got %v (exit %d, %s)", name, err, code, hint)
		}
	}
}

// TestCheckIssued: a service that answers another bundle is found out.
func TestCheckIssued(t *testing.T) {
	payload, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "testdata", "vectors", "v1", "data-flows", "valid",
		"minimal-data-flows.json"))
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := attest.Prepare(payload, attest.PrepareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var envelopes [2]*attest.Envelope
	for i := range envelopes {
		key, err := attest.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		if envelopes[i], err = prepared.Sign(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	sent := &issue{statement: prepared.Statement(), prepared: prepared, envelope: envelopes[0]}
	answer := func(e *attest.Envelope) *avowv1.IssueResponse {
		return &avowv1.IssueResponse{Bundle: []byte(`{"dsseEnvelope":` + string(e.JSON()) + `}`)}
	}
	if err := checkIssued(sent, answer(envelopes[0])); err != nil {
		t.Error(err)
	}
	if err := checkIssued(sent, answer(envelopes[1])); err == nil {
		t.Error("a bundle signed with another key was taken")
	}
	if err := checkIssued(sent, &avowv1.IssueResponse{}); err == nil {
		t.Error("an empty bundle was taken")
	}
	if err := checkIssued(&issue{statement: prepared.Statement(), prepared: prepared}, answer(envelopes[1])); err != nil {
		t.Errorf("signed by the service: %v", err)
	}
}

func TestBundlePath(t *testing.T) {
	for _, c := range [][3]string{
		{"a/s.json", "", "a/s.sigstore.json"}, {"a/s.json", "d", "d/s.sigstore.json"}, {"s", "", "s.sigstore.json"},
	} {
		if got := bundlePath(c[0], c[1]); got != filepath.FromSlash(c[2]) {
			t.Errorf("bundlePath(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// TestForeignNamesAreNoPaths: what a service says never becomes a path.
func TestForeignNamesAreNoPaths(t *testing.T) {
	if got := fileBase("https://w3id.org/avow/../../etc/passwd"); got != "statement" {
		t.Errorf("got %q", got)
	}
	if got := shortKey("../../key", 1); got != "2" {
		t.Errorf("got %q", got)
	}
}

func TestNoPasswordAndNoTerminal(t *testing.T) {
	a, _, _ := newApp(t)
	for _, ask := range []func() ([]byte, error){a.newPassword, func() ([]byte, error) { return a.password("k") }} {
		_, err := ask()
		if _, hint := classify(err); err == nil || hint != "set AVOW_PASSWORD" {
			t.Errorf("got %v with hint %q", err, hint)
		}
	}
	a.env.LookupEnv = func(string) (string, bool) { return "", true }
	if password, err := a.password("k"); err != nil || len(password) != 0 {
		t.Errorf("an empty password in the environment is one: got %q, %v", password, err)
	}
}

func TestNewPasswordIsAskedForTwice(t *testing.T) {
	answers := []string{"one", "two", "same", "same"}
	a, _, _ := newApp(t)
	a.env.ReadPassword = func(string) ([]byte, error) {
		next := answers[0]
		answers = answers[1:]
		return []byte(next), nil
	}
	if _, err := a.newPassword(); err == nil {
		t.Error("two different passwords were taken")
	}
	if got, err := a.newPassword(); err != nil || string(got) != "same" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFormatFlag(t *testing.T) {
	var f format
	c := &cobra.Command{Use: "x"}
	f.registerAs(c, "x", "text", "json", "jsonl")
	v := c.Flags().Lookup("format").Value
	if f.json() || v.String() != "text" || v.Set("json") != nil || !f.json() || v.Set("jsonl") != nil || v.String() != "jsonl" || v.Type() != "format" {
		t.Errorf("got %q", f.String())
	}
	if err := v.Set("yaml"); err == nil || err.Error() != `"yaml" is none of text, json, jsonl` || f.String() != "jsonl" {
		t.Errorf("got %v, format %q", err, f.String())
	}
}

func TestProgressOnlyOnATerminal(t *testing.T) {
	a, _, errOut := newApp(t)
	a.newProgress("hashing").show(1, 1<<30)
	if errOut.Len() > 0 {
		t.Errorf("printed %q", errOut.String())
	}
	a.env.ErrorIsTerminal = true
	p := a.newProgress("hashing")
	p.show(1, progressFrom-1)
	p.show(1<<29, 1<<30)
	p.show(1<<29+1, 1<<30)
	p.done()
	if got, want := errOut.String(), "\rhashing  50% of 1024 MiB\r\x1b[K"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
