package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/avow-dev/avow/internal/trustroot"
)

// TestShardConfigurationIsKept: what the operator configured for the old instance holds for the new one, wherever it lies.
func TestShardConfigurationIsKept(t *testing.T) {
	w := newWorld(t, t.TempDir(), func(c *Config) {
		c.Rekor, c.PublicURL = RekorConfig{Enabled: true}, "https://2026-1.example"
		c.REST.TrustedProxies = []string{"10.0.0.0/8"}
	})
	chain := filepath.Join("keys", "tsa.pem")
	w.config.Timestamps.External = []ExternalTimestamps{{URL: "https://tsa.example/sign", Chain: chain, Timeout: time.Second}}
	w.config.Certificates.Embedded = embeddedCertificates(w.config.Origin)
	w.config.Certificates.Issuers = []IssuerConfig{{URL: "https://issuer.example", Type: "email"}}
	w.config.Certificates.External = []ExternalCertificates{{URL: "https://fulcio.example", TrustedRoot: "keys/fulcio.json"}}
	n := &nextShard{dir: t.TempDir() + "/next", origin: "2027-1.localhost", publicURL: "https://2027-1.example", anchor: "a/log.anchor"}
	c, err := n.config(w.config)
	must(t, err)
	text, err := renderConfig(c)
	must(t, err)
	read, err := parseConfig(text, c.dir)
	must(t, err)
	if read.Operator != w.config.Origin || read.PublicURL != n.publicURL || read.REST.TrustedProxies[0] != "10.0.0.0/8" {
		t.Errorf("got %+v", read)
	}
	if x := read.Timestamps.External; len(x) != 1 || x[0].Chain != filepath.Join(w.config.dir, chain) || x[0].Timeout != time.Second {
		t.Errorf("external authorities: %+v", x)
	}
	x := read.Certificates
	if len(x.Issuers) != 1 || x.Issuers[0].URL != "https://issuer.example" || len(x.External) != 1 ||
		x.External[0].TrustedRoot != filepath.Join(w.config.dir, "keys", "fulcio.json") || x.Embedded != embeddedCertificates(n.origin) {
		t.Errorf("certificates: %+v", x)
	}
	if read.path(read.Vendors) != w.config.path(w.config.Vendors) || read.path(read.Log.Key) == w.config.path(w.config.Log.Key) {
		t.Errorf("vendors %s, log key %s", read.path(read.Vendors), read.path(read.Log.Key))
	}
}

// TestSigningConfigChoosesTheShard: a Sigstore client writes to one log of the operator, the one whose window it is in, and
// both instances tell it the same.
func TestSigningConfigChoosesTheShard(t *testing.T) {
	w := newWorld(t, t.TempDir(), func(c *Config) { c.Rekor, c.PublicURL = RekorConfig{Enabled: true}, "https://2026-1.example" })
	now := time.Now().UTC().Truncate(time.Second)
	start, end := now.Add(time.Hour), now.Add(2*time.Hour)
	n := &nextShard{dir: filepath.Join(t.TempDir(), "next"), origin: "2027-1.localhost", publicURL: "https://2027-1.example",
		start: start.Format(time.RFC3339), end: end.Format(time.RFC3339), anchor: "anchor/log.anchor", newTimestamps: true}
	var out strings.Builder
	must(t, n.run(t.Context(), w.config, now, &out))
	next, err := loadConfig(filepath.Join(n.dir, configName))
	must(t, err)
	for _, c := range []*Config{w.config, next} {
		trusted, err := os.ReadFile(c.path(c.TrustedRoot))
		must(t, err)
		raw, err := c.signingConfig(trusted)
		must(t, err)
		sc, err := root.NewSigningConfigFromJSON(raw)
		must(t, err)
		for _, test := range []struct {
			at   time.Time
			want string
		}{
			{now, "https://2026-1.example"}, {start.Add(-time.Second), "https://2026-1.example"}, {start, "https://2027-1.example"},
			{end, "https://2027-1.example"}, {end.Add(time.Hour), "https://2027-1.example"},
		} {
			logs, err := root.SelectServices(sc.RekorLogURLs(), sc.RekorLogURLsConfig(), []uint32{2}, test.at)
			must(t, err)
			stamps, err := root.SelectServices(sc.TimestampAuthorityURLs(), sc.TimestampAuthorityURLsConfig(), []uint32{1}, test.at)
			must(t, err)
			if len(logs) != 1 || logs[0].URL != test.want || len(stamps) != 1 || stamps[0].URL != test.want+"/api/v1/timestamp" {
				t.Errorf("%s at %s: got %+v and %+v, want %s", c.Origin, test.at, logs, stamps, test.want)
			}
		}
		if _, err := root.SelectServices(sc.RekorLogURLs()[1:], sc.RekorLogURLsConfig(), []uint32{2}, end.Add(time.Second)); err == nil {
			t.Error("the old log is offered after its end")
		}
	}
}

// TestAnnouncement: both instances have the same root, which gives the new log and authority a start in the future.
func TestAnnouncement(t *testing.T) {
	w := newWorld(t, t.TempDir())
	now := time.Now().UTC().Truncate(time.Second)
	n := &nextShard{dir: filepath.Join(t.TempDir(), "next"), origin: "2027-1.localhost", start: now.Add(time.Hour).Format(time.RFC3339),
		end: now.Add(2 * time.Hour).Format(time.RFC3339), anchor: "anchor/log.anchor", newTimestamps: true}
	var out strings.Builder
	must(t, n.run(t.Context(), w.config, now, &out))
	old, err := os.ReadFile(w.config.path(w.config.TrustedRoot))
	must(t, err)
	fresh, err := os.ReadFile(filepath.Join(n.dir, "trusted_root.json"))
	must(t, err)
	if string(old) != string(fresh) {
		t.Error("the instances have different roots")
	}
	r, err := trustroot.Parse(old)
	must(t, err)
	states := map[string]trustroot.State{}
	for _, e := range r.Entries() {
		states[string(e.Kind)+" "+e.Name] = e.State(now)
	}
	got, _ := json.Marshal(states)
	want := `{"log 2027-1.localhost":"announced","log test.localhost":"in use",` +
		`"tsa https://2027-1.localhost/api/v1/timestamp":"announced","tsa https://test.localhost/api/v1/timestamp":"in use"}`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if err := n.run(t.Context(), w.config, now, &out); err == nil || !strings.Contains(err.Error(), "names a log 2027-1.localhost already") {
		t.Errorf("again: %v", err)
	}
	n.origin = "2028-1.localhost"
	if err := n.run(t.Context(), w.config, now, &out); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("into the same directory: %v", err)
	}
}

// TestShardRotation is the change of the log with two real services: announced, in use, ended.
func TestShardRotation(t *testing.T) {
	w := newWorld(t, t.TempDir())
	before := w.envelope()
	p := w.start()
	issued, err := w.issue(t.Context(), p, before)
	must(t, err)
	p.kill9()

	now := time.Now().UTC().Truncate(time.Second)
	start := now.Add(4 * time.Second)
	n := &nextShard{dir: filepath.Join(t.TempDir(), "next"), origin: "2027-1.localhost", start: start.Format(time.RFC3339),
		end: start.Format(time.RFC3339), anchor: "anchor/log.anchor", newTimestamps: true}
	var out strings.Builder
	must(t, n.run(t.Context(), w.config, now, &out))
	w.load()
	next := &world{t: t, dir: n.dir, key: w.key, template: w.template}
	next.load()
	p, q := w.start(), next.start()

	early := w.envelope()
	if _, err := next.issue(t.Context(), q, early); err == nil || !strings.Contains(err.Error(), "2027-1.localhost is announced") {
		t.Errorf("before its start the new log answers %v", err)
	}
	within(t, "the new log takes entries", func() bool {
		r, err := next.issue(t.Context(), q, early)
		if err == nil {
			w.mustVerify(r.GetBundle())
		}
		return err == nil
	})
	time.Sleep(time.Until(start.Add(1100 * time.Millisecond)))
	if _, err := w.issue(t.Context(), p, w.envelope()); err == nil || !strings.Contains(err.Error(), "its successor is 2027-1.localhost") {
		t.Errorf("after its end the old log answers %v", err)
	}
	again, err := w.issue(t.Context(), p, before)
	must(t, err)
	next.mustVerify(again.GetBundle())
	next.mustVerify(issued.GetBundle())
}

// TestAuthorityWindow: an authority whose window is closed signs nothing, so that nothing is logged that no buyer accepts;
// and one that was removed keeps the service from starting.
func TestAuthorityWindow(t *testing.T) {
	w := newWorld(t, t.TempDir())
	e := &rootEdit{retire: "tsa:https://test.localhost/api/v1/timestamp", end: "now", inPlace: true}
	must(t, e.run(w.config, time.Now().UTC().Truncate(time.Second), io.Discard, io.Discard))
	time.Sleep(1100 * time.Millisecond) // the window includes its last second
	p := w.start()
	size := get(t, http.DefaultClient, p.addresses.REST+"/checkpoint", http.StatusOK)
	_, err := w.issue(t.Context(), p, w.envelope())
	if err == nil || !strings.Contains(err.Error(), "0 of 1 timestamp authorities answered") {
		t.Errorf("got %v", err)
	}
	if now := get(t, http.DefaultClient, p.addresses.REST+"/checkpoint", http.StatusOK); now != size {
		t.Error("the statement was logged")
	}
	p.kill9()
	e = &rootEdit{remove: []string{"tsa:https://test.localhost/api/v1/timestamp"}, inPlace: true}
	must(t, e.run(w.config, time.Now(), io.Discard, io.Discard))
	if p, err := w.tryStart(); err == nil {
		p.kill9()
		t.Error("started without an authority that the root names")
	}
}
