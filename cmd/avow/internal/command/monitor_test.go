package command

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/testworld"
)

// TestMonitorGoesOn: without --once the log is looked at again and again, an outage does not end that, and what was said
// is said once.
func TestMonitorGoesOn(t *testing.T) {
	now := time.Date(2026, 9, 1, 9, 5, 0, 0, time.UTC)
	dir := t.TempDir()
	key, err := attest.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	public, err := attest.MarshalPublicKey(key.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	world, err := testworld.Start(t.Context(), testworld.Config{Dir: dir, Clock: func() time.Time { return now },
		VendorKeys: [][]byte{public}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = world.Close(context.Background()) }()
	handler, err := world.Handler(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	down := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	root := filepath.Join(dir, "trusted_root.json")
	if err := os.WriteFile(root, world.TrustedRoot, 0o600); err != nil {
		t.Fatal(err)
	}
	a, out, errOut := newApp(t)
	rounds := 0
	a.env.Sleep = func(_ context.Context, d time.Duration) error {
		if d != 3*time.Minute {
			return nil // between tries
		}
		rounds++
		down = rounds == 2 || rounds == 3
		if rounds == 5 {
			return errors.New("stopped")
		}
		return nil
	}
	a.env.Args = []string{"monitor", "--server-url", server.URL, "--trusted-root", root, "--state", filepath.Join(dir, "m"),
		"--interval", "3m", "--format", "json"}
	if code := Run(t.Context(), a.env); code != exitYes {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	var codes []string
	for line := range strings.Lines(out.String()) {
		code, _, _ := strings.Cut(strings.TrimPrefix(line, `{"code":"`), `"`)
		codes = append(codes, code)
	}
	if got := strings.Join(codes, " "); got != "checked checked unavailable unavailable checked" {
		t.Errorf("said %s", got)
	}
}
