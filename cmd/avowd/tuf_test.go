package main

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/tufrepo"

	"crypto/ecdsa"
)

// TestServedRepository: a service serves its repository and nothing beside it, and renews what is half over by itself.
func TestServedRepository(t *testing.T) {
	w := newWorld(t, t.TempDir(), func(c *Config) { c.TUF = TUFConfig{Dir: "tuf", Key: "keys/tuf.key"} })
	online, err := makeOnlineKey(filepath.Join(w.dir, "keys", "tuf.key"))
	must(t, err)
	holder, err := attest.GenerateKey()
	must(t, err)
	days := -4
	r := tufrepo.Open(filepath.Join(w.dir, "tuf"), func() time.Time { return time.Now().AddDate(0, 0, days) })
	keys := []*ecdsa.PublicKey{holder.PublicKey()}
	must(t, r.Init(tufrepo.RootChange{AddRoot: keys, AddTargets: keys, RootThreshold: 1, TargetsThreshold: 1, Online: online.Public}))
	files := map[string][]byte{}
	must(t, stageConfig(filepath.Join(w.dir, configName), files))
	must(t, r.StageTargets(files))
	_, err = r.Sign(t.Context(), tufrepo.Key{Public: holder.PublicKey(), Sign: holder.SignDigest})
	must(t, err)
	_, err = r.Publish(t.Context(), online)
	must(t, err)

	p := w.start()
	timestamp := func() string {
		resp, err := http.Get(p.addresses.REST + "/tuf/timestamp.json")
		must(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		return string(body)
	}
	within(t, "the timestamp is renewed", func() bool { return strings.Contains(timestamp(), `"version": 2`) })
	get(t, http.DefaultClient, p.addresses.REST+"/tuf/1.root.json", http.StatusOK)
	for _, path := range []string{"/tuf/", "/tuf", "/tuf/staged/root.json", "/tuf/.lock", "/tuf/2.root.json", "/tuf/public/1.root.json"} {
		get(t, http.DefaultClient, p.addresses.REST+path, http.StatusNotFound)
	}
}

// TestStagedFiles: what no client could use is not staged.
func TestStagedFiles(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "root.json")
	must(t, writeNew(bad, []byte(`{"mediaType":"x"}`), 0o644))
	if err := stageFiles(bad, "", map[string][]byte{}); err == nil {
		t.Error("a trusted root that does not parse was staged")
	}
}
