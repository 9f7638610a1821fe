package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
)

// TestQuickstart tells the whole story on real parts and then serves the same data again.
func TestQuickstart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "q")
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"quickstart", "--dir", dir, "--exit"}, nil, &out, &errOut); code != exitOK {
		t.Fatalf("exit %d: %s\n%s", code, errOut.String(), out.String())
	}
	for _, want := range []string{"accepted", "rejected", "subject (no-backdoor.sigstore.json)", "not met: P03 (grpc-service, rest-service, admin)", "signature (tampered", "keygen -o", "attest ",
		"verify ", "serve --config", "2 statements in force as of ", "withdraw sha256:",
		"standing (all bundles): no-backdoor.sigstore.json is withdrawn: withdrawn by entry 2, "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the transcript has no %q:\n%s", want, out.String())
		}
	}
	for _, name := range []string{"avowd.yaml", "trusted_root.json", "vendor.pub", "vendor.key", "artifact", "no-backdoor.json",
		"data-flows.json", "no-backdoor.sigstore.json", "data-flows.sigstore.json", "index_log.vkey", "standing/before.json",
		"standing/after.json"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	key, err := os.ReadFile(filepath.Join(dir, "vendor.key"))
	must(t, err)
	if _, err := attest.LoadKey(key, []byte("quickstart")); err != nil {
		t.Errorf("vendor.key: %v", err)
	}
	repeatVerifications(t, out.String())
	servesAgain(t, dir)

	// A directory that holds a service is not set up a second time.
	errOut.Reset()
	if code := run(t.Context(), []string{"quickstart", "--dir", dir, "--exit"}, nil, &out, &errOut); code != exitUsage {
		t.Errorf("second quickstart: exit %d, want %d: %s", code, exitUsage, errOut.String())
	}
	if !strings.Contains(errOut.String(), "hint: ") {
		t.Errorf("no hint: %s", errOut.String())
	}
}

// repeatVerifications runs the commands of the transcript that verify, with the real avow, which has to come to the same verdicts.
func repeatVerifications(t *testing.T, transcript string) {
	t.Helper()
	p := &party{t: t, dir: t.TempDir()}
	lines := regexp.MustCompile(`(?m)^   \$ .*avow verify (.+)\n  (accepted|rejected)$`).FindAllStringSubmatch(transcript, -1)
	if len(lines) != 6 {
		t.Errorf("the transcript has %d verifications, want 6", len(lines))
	}
	for _, l := range lines {
		code := map[string]int{"accepted": exitOK, "rejected": exitNotDone}[l[2]]
		p.want(code, []string{strings.ToUpper(l[2]) + "  "}, avowBinary(t), append([]string{"verify"}, strings.Fields(l[1])...)...)
	}
}

func servesAgain(t *testing.T, dir string) {
	t.Helper()
	w := &world{t: t, dir: dir}
	w.load()
	public, err := os.ReadFile(filepath.Join(dir, "vendor.pub"))
	must(t, err)
	p := w.start()
	defer p.stop()
	for _, name := range statementNames {
		payload, err := os.ReadFile(filepath.Join(dir, name+".json"))
		must(t, err)
		s, err := predicate.Parse(payload, predicate.Issuance)
		must(t, err)
		got, err := p.issuing.GetStatement(context.Background(), &avowv1.GetStatementRequest{StatementId: s.ID()})
		must(t, err)
		bundle, err := os.ReadFile(filepath.Join(dir, name+".sigstore.json"))
		must(t, err)
		if len(got.GetBundles()) != 1 || !bytes.Equal(got.GetBundles()[0].GetBundle(), bundle) {
			t.Errorf("%s: the service answers another bundle than the file's", name)
		}
	}
	if _, err := attest.ParsePublicKey(public); err != nil {
		t.Error(err)
	}
}

// TestOwnStatementsPassEveryRule: what avowd says about itself is complete and consistent, and only warns that nobody outside
// has examined it.
func TestOwnStatementsPassEveryRule(t *testing.T) {
	s := &story{dir: t.TempDir(), out: &bytes.Buffer{}, digest: strings.Repeat("0a", 32)}
	must(t, s.draft(t.Context()))
	prepared, err := s.prepare()
	must(t, err)
	for i, p := range prepared {
		for _, code := range p.Warnings().Codes() {
			if code != "W01" && code != "W05" {
				t.Errorf("%s: %s: %v", statementNames[i], code, p.Warnings())
			}
		}
	}
}

// TestFlowsNameRealSettings: a flow that names a setting which does not exist cannot be switched off.
func TestFlowsNameRealSettings(t *testing.T) {
	s := &story{dir: t.TempDir(), out: &bytes.Buffer{}, digest: strings.Repeat("0a", 32)}
	must(t, s.draft(t.Context()))
	prepared, err := s.prepare()
	must(t, err)
	c := defaultConfig()
	c.Origin = "log.example"
	text, err := renderConfig(&c)
	must(t, err)
	for _, flow := range prepared[0].Statement().DataFlows.Flows {
		setting := flow.Activation.Control.Setting
		name, value, ok := strings.Cut(setting, ": ")
		if !ok {
			t.Errorf("flow %s: setting %q is not MEMBER: VALUE", flow.ID, setting)
			continue
		}
		member := name[strings.LastIndexByte(name, '.')+1:]
		if !strings.Contains(string(text), member+": "+value) {
			t.Errorf("flow %s: %s is not a default of avowd.yaml", flow.ID, setting)
		}
	}
}
