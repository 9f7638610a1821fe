package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// floors are the oldest versions that a build may use, each because of a published hole.
var floors = map[string]struct{ version, why string }{
	"github.com/sigstore/sigstore-go": {"v1.2.1", "CVE-2026-49834, CVE-2026-54787"},
	"golang.org/x/mod":                {"v0.40.0", "CVE-2026-56864, CVE-2026-56865"},
	"cel.dev/cel-go":                  {"v0.30.0", "GHSA-gcjh-h69q-9w9g"},
	"google.golang.org/grpc":          {"v1.82.1", "GHSA-hrxh-6v49-42gf"},
}

func goMod(t *testing.T) *modfile.File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return mod
}

func TestDependenciesAreAboveTheirFloor(t *testing.T) {
	for _, r := range goMod(t).Require {
		floor, ok := floors[r.Mod.Path]
		if ok && semver.Compare(r.Mod.Version, floor.version) < 0 {
			t.Errorf("%s %s is below %s: %s", r.Mod.Path, r.Mod.Version, floor.version, floor.why)
		}
	}
}

var dependencyRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+) \\|$")

func TestDirectDependenciesHaveReasons(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for _, row := range dependencyRow.FindAllStringSubmatch(string(data), -1) {
		reasons[row[1]] = strings.TrimSpace(row[2])
	}
	for _, r := range goMod(t).Require {
		if r.Indirect {
			delete(reasons, r.Mod.Path) // `go mod tidy` will call it direct when something imports it
			continue
		}
		if len(reasons[r.Mod.Path]) < 20 {
			t.Errorf("docs/dependencies.md gives no reason for %s, which go.mod requires", r.Mod.Path)
		}
		delete(reasons, r.Mod.Path)
	}
	for path := range reasons {
		t.Errorf("docs/dependencies.md lists %s, which go.mod does not require", path)
	}
}

var (
	fence   = regexp.MustCompile("(?ms)^```.*?^```")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6}\s+(.+)$`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	walk(t, func(path string) {
		if !strings.HasSuffix(path, ".md") {
			return
		}
		for _, m := range link.FindAllStringSubmatch(prose(t, path), -1) {
			checkLink(t, path, m[1])
		}
	})
}

func prose(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fence.ReplaceAllString(string(data), "")
}

func checkLink(t *testing.T, from, target string) {
	t.Helper()
	if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return
	}
	file, anchor, _ := strings.Cut(target, "#")
	to := from
	if file != "" {
		to = filepath.Join(filepath.Dir(from), filepath.FromSlash(file))
	}
	if _, err := os.Stat(to); err != nil {
		t.Errorf("%s: link to %s: %v", from, target, err)
		return
	}
	if anchor != "" && !anchors(t, to)[anchor] {
		t.Errorf("%s: link to %s: no such heading", from, target)
	}
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors are the fragments that a renderer makes of the headings: lower case, punctuation dropped, spaces to hyphens.
func anchors(t *testing.T, path string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(prose(t, path), -1) {
		text := notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(m[1])), "")
		found[strings.ReplaceAll(text, " ", "-")] = true
	}
	return found
}
