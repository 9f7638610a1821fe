package command

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/pin"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/tufworld"
)

// pinWorld is a repository on loopback and a directory of pins.
type pinWorld struct {
	*tufworld.World
	t        *testing.T
	bundles  *bundletest.World
	url, dir string
	redirect bool
}

func newPinWorld(t *testing.T) *pinWorld {
	t.Helper()
	w := &pinWorld{t: t, bundles: bundletest.NewWorld(t), dir: t.TempDir()}
	w.World = tufworld.New(t, bundletest.Epoch, w.bundles.TrustedRoot())
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.redirect {
			http.Redirect(rw, r, "https://elsewhere.example", http.StatusFound)
			return
		}
		http.StripPrefix("/tuf", w.Handler()).ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	w.url = srv.URL + "/tuf"
	return w
}

// run runs a command line at the repository's time with its directory of pins.
func (w *pinWorld) run(args ...string) (code int, out, errOut string) {
	w.t.Helper()
	a, outBuffer, errBuffer := newApp(w.t)
	a.env.Args = args
	a.env.Now = func() time.Time { return w.Now }
	a.env.LookupEnv = func(name string) (string, bool) { return w.dir, name == trustDirVariable }
	code = Run(w.t.Context(), a.env)
	return code, outBuffer.String(), errBuffer.String()
}

func (w *pinWorld) want(code int, texts []string, args ...string) {
	w.t.Helper()
	got, out, errOut := w.run(args...)
	if got != code {
		w.t.Fatalf("avow %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errOut)
	}
	for _, text := range texts {
		if !strings.Contains(out+errOut, text) {
			w.t.Errorf("avow %s: no %q in\n%s%s", strings.Join(args, " "), text, out, errOut)
		}
	}
}

// TestTrustPin is the life of a pin on the command line, with the exit codes that cron needs.
func TestTrustPin(t *testing.T) {
	w := newPinWorld(t)
	fingerprint := pin.Fingerprint(w.File("1.root.json"))
	w.want(exitError, []string{"nothing is pinned"}, "trust", "status")
	w.want(exitError, []string{"--tuf or --server"}, "trust", "pin", "acme")
	w.want(exitError, []string{"is not a name"}, "trust", "pin", "../acme", "--tuf", w.url)
	w.want(exitError, []string{"without TLS"}, "trust", "pin", "acme", "--tuf", "http://avow.example/tuf")
	w.want(exitError, []string{"--fingerprint"}, "trust", "pin", "acme", "--tuf", w.url, "--fingerprint", "sha256:12")
	w.want(exitNo, []string{"TRUST_FINGERPRINT", "hint:"}, "trust", "pin", "acme", "--tuf", w.url, "--fingerprint", "sha256:"+strings.Repeat("0", 64))
	w.want(exitYes, []string{"pinned acme", "fingerprint " + fingerprint, "+ log log.example.test added", "compare it with one from another channel"},
		"trust", "pin", "acme", "--tuf", w.url)
	w.want(exitError, []string{"TRUST_PIN", "pinned already"}, "trust", "pin", "acme", "--tuf", w.url)
	w.want(exitYes, []string{"acme: nothing changes"}, "trust", "update")
	w.want(exitYes, []string{fingerprint, "in use     log log.example.test", "timestamp    expires"}, "trust", "status")

	w.want(exitNo, []string{"timestamp expires at"}, "trust", "status", "--warn-within", "8d")
	w.redirect = true
	w.want(exitNo, []string{"acme: TRUST_REDIRECT", "elsewhere.example"}, "trust", "update", "acme")
	w.redirect = false
	w.Now = w.Now.AddDate(0, 0, 8)
	w.want(exitNo, []string{"acme: TRUST_EXPIRED"}, "trust", "update")
	w.want(exitNo, []string{"warning: timestamp expired at"}, "trust", "status")
	w.Renew()
	w.want(exitYes, nil, "trust", "update", "acme")

	next := bundletest.NewLog(t, "next.example.test", bundletest.Start)
	w.Rotate(bundletest.TrustedRoot(t, []*bundletest.Log{next}, []*bundletest.TSA{w.bundles.TSA, w.bundles.Foreign}, []*bundletest.CA{w.bundles.CA}, nil))
	w.want(exitYes, []string{"TUF root version 2, before: 1", "- log log.example.test removed", "+ log next.example.test added"}, "trust", "update")
	code, out, _ := w.run("trust", "status", "--format", "json")
	var all []pinStatus
	if err := json.Unmarshal([]byte(out), &all); err != nil || code != exitYes || len(all) != 1 || all[0].RootVersion != 2 ||
		len(all[0].Entries) != 4 || len(all[0].Expires) != 4 || all[0].Fingerprint != fingerprint {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	w.want(exitYes, nil, "trust", "unpin", "acme")
	w.want(exitError, []string{"nothing is pinned as acme"}, "trust", "unpin", "acme")
}

// TestVerifyByPin: the trusted root of a pin is used offline, with a word on its age; an old one is warned of, not refused.
func TestVerifyByPin(t *testing.T) {
	w := newPinWorld(t)
	key := writeTemp(t, "vendor.pub", pemOf(t, w.bundles))
	bundle := writeTemp(t, "b.sigstore.json", w.bundles.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")}))
	args := []string{"verify", "sha256:" + bundletest.ArtifactSHA256, "--bundle", bundle, "--key", key}
	w.want(exitError, []string{"no trusted root was given"}, args...)
	w.want(exitYes, nil, "trust", "pin", "acme", "--tuf", w.url)
	w.redirect = true // from here on whoever asks the network is refused
	w.want(exitYes, []string{"ACCEPTED", "trusted root of pin acme, sha256:", "(0 seconds ago)"}, args...)
	w.want(exitYes, []string{"ACCEPTED"}, append(args, "--trust", "acme")...)
	w.Now = w.Now.AddDate(0, 0, 30)
	w.want(exitYes, []string{"ACCEPTED", "(30 days ago)", "warning: its timestamp expired at"}, args...)
	w.want(exitError, []string{"nothing is pinned as other"}, append(args, "--trust", "other")...)
	w.want(exitError, []string{"both given"}, append(args, "--trust", "acme", "--trusted-root", "x.json")...)

	other := w.bundles.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows"), Log: bundletest.NewLog(t, "2027-1.example.test", bundletest.Start)})
	w.want(exitNo, []string{"the trusted root (of 2026-09-01, sha256:", "does not know the log 2027-1.example.test", "avow trust update"},
		"verify", "sha256:"+bundletest.ArtifactSHA256, "--bundle", writeTemp(t, "o.json", other), "--key", key)

	names, err := filepath.Glob(filepath.Join(w.dir, "acme", "g-*", "trusted_root.json"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if err := os.WriteFile(names[0], append(w.bundles.TrustedRoot(), ' '), 0o600); err != nil {
		t.Fatal(err)
	}
	w.want(exitError, []string{"TRUST_PIN: the pin acme is damaged"}, args...)

	w.redirect = false
	w.Now = bundletest.Epoch
	w.want(exitYes, nil, "trust", "unpin", "acme")
	w.want(exitYes, nil, "trust", "pin", "a", "--tuf", w.url)
	w.want(exitYes, nil, "trust", "pin", "b", "--tuf", w.url)
	w.want(exitError, []string{"a, b are pinned", "--trust NAME"}, args...)
}

// TestNoDirectoryForPins: an empty HOME is an error that names the flag.
func TestNoDirectoryForPins(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	code, _, errOut := runAvow(t, "trust", "status")
	if code != exitError || !strings.Contains(errOut, "--trust-dir") {
		t.Errorf("exit %d: %s", code, errOut)
	}
}

// TestCodesAreDocumented: docs/rotation.md has every code of package pin.
func TestCodesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/rotation.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range pin.Codes() {
		if !strings.Contains(string(text), "| `"+string(code)+"` |") {
			t.Errorf("%s is not documented", code)
		}
	}
}

// TestPinOverTLS: the repository's certificate is checked, against the authority that --ca names.
func TestPinOverTLS(t *testing.T) {
	w := newPinWorld(t)
	srv := httptest.NewTLSServer(http.StripPrefix("/tuf", w.Handler()))
	defer srv.Close()
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.want(exitError, []string{"TRUST_OUTAGE", "certificate"}, "trust", "pin", "acme", "--tuf", srv.URL+"/tuf")
	ca := writeTemp(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	w.want(exitYes, nil, "trust", "pin", "acme", "--tuf", srv.URL+"/tuf", "--ca", ca)
	w.want(exitYes, nil, "trust", "update", "--ca", ca)
}
