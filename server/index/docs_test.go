package index

import (
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
)

// TestDocumented: docs/index.md names every code and metric.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/index.md")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{CodeConfig, CodeAhead, CodeForeign, CodeBehind, CodeUnavailable, CodeClosed, vindex.CodeRootMalformed,
		audit.CodeLogDiffers, audit.CodeIndexDiffers, audit.CodeLateUnknown, audit.CodeStatementMissing}
	registry := prometheus.NewRegistry()
	w := newWorld(t, t.TempDir())
	cfg := w.config()
	cfg.Registerer = registry
	w.open(cfg)
	families, err := registry.Gather()
	if err != nil || len(families) == 0 {
		t.Fatalf("%v: %d metrics", err, len(families))
	}
	for _, f := range families {
		names = append(names, f.GetName())
	}
	for _, n := range names {
		if !strings.Contains(string(text), "`"+n+"`") {
			t.Errorf("%s is not in docs/index.md", n)
		}
	}
}
