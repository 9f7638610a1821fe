package manifest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// checkList reads a list and holds the package to its contract. It returns the items, nil if the list was refused.
func checkList(t *testing.T, content string, format Format) []Item {
	t.Helper()
	m, err := Read(strings.NewReader(content), format)
	if err != nil {
		return nil
	}
	items := slices.Collect(m.Items())
	if m.Err() != nil || len(items) == 0 || len(items) != m.Count() {
		t.Fatalf("%d items, %d counted, %v", len(items), m.Count(), m.Err())
	}
	if again := slices.Collect(m.Items()); !reflect.DeepEqual(items, again) {
		t.Error("read again, the list says something else")
	}
	digests := map[string]string{}
	for _, i := range items {
		if i.Position == "" || len(i.Bundles) > 0 && m.Format() != FormatJSONLines {
			t.Errorf("got %s", show(i))
		}
		if i.Err != nil {
			continue
		}
		switch before, ok := digests[i.Name]; {
		case i.SHA256 != "" && !isSHA256(i.SHA256):
			t.Errorf("not a digest: %s", show(i))
		case i.SHA256 == "" && i.Path != "" && m.Format() != FormatJSONLines:
			t.Errorf("a file without the digest that it must have: %s", show(i))
		case len(i.Bundles) > MaxItemBundles:
			t.Errorf("%d bundles", len(i.Bundles))
		case ok && i.SHA256 != "" && before != i.SHA256:
			t.Errorf("%q has two digests", i.Name)
		case i.SHA256 != "":
			digests[i.Name] = i.SHA256
		}
	}
	return items
}

// FuzzChecksums: every line that is neither empty nor a comment is an item.
func FuzzChecksums(f *testing.F) {
	f.Add(digestA + "  f\n\\" + digestB + ` *a\nb` + "\n# x\n\nSHA256 (f) = " + digestA + "\nMD5 (g) = 00\r\n")
	f.Add(digestA[:50] + "\x15" + digestA[:13] + "  f")
	f.Fuzz(func(t *testing.T, content string) { checkLines(t, content, FormatChecksums) })
}

// FuzzJSONLines: the same.
func FuzzJSONLines(f *testing.F) {
	f.Add(`{"name":"n","sha256":"` + digestA + `","path":"p","bundles":["b"],"product":"x"}` + "\n{}\n[]\n{\"path\":\"p\"}")
	f.Fuzz(func(t *testing.T, content string) { checkLines(t, content, FormatJSONLines) })
}

func checkLines(t *testing.T, content string, format Format) {
	t.Helper()
	want := 0
	for line := range strings.Lines(content) {
		if line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"); strings.TrimFunc(line, isSpace) != "" && line[0] != '#' {
			want++
		}
	}
	if got := len(checkList(t, content, format)); got != want {
		t.Errorf("%d items of %d lines", got, want)
	}
}

func isSpace(r rune) bool { return strings.TrimSpace(string(r)) == "" }

// FuzzCycloneDX: every component is an item, however deep it is.
func FuzzCycloneDX(f *testing.F) {
	f.Add(`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"file","name":"a"}},"components":[
	  {"type":"library","name":"l","hashes":[{"alg":"SHA-256","content":"` + digestA + `"}],"components":[{"type":"file","name":"f"}]}]}`)
	f.Fuzz(func(t *testing.T, content string) {
		items := checkList(t, content, FormatCycloneDX)
		var bom struct {
			Metadata   struct{ Component map[string]any }
			Components []any
		}
		if items == nil || json.Unmarshal([]byte(content), &bom) != nil {
			return
		}
		want := countComponents(bom.Components)
		if bom.Metadata.Component != nil {
			want += countComponents([]any{bom.Metadata.Component})
		}
		if len(items) < want {
			t.Errorf("%d items of %d components", len(items), want)
		}
	})
}

func countComponents(list []any) (n int) {
	for _, c := range list {
		n++
		if object, ok := c.(map[string]any); ok {
			inside, _ := object["components"].([]any)
			n += countComponents(inside)
		}
	}
	return n
}

// FuzzSPDX: every package and every file is an item.
func FuzzSPDX(f *testing.F) {
	f.Add(`{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","packages":[{"name":"p","SPDXID":"SPDXRef-p",
	  "checksums":[{"algorithm":"SHA256","checksumValue":"` + digestA + `"}]}],"files":[{"fileName":"f","SPDXID":"SPDXRef-f"}]}`)
	f.Fuzz(func(t *testing.T, content string) {
		items := checkList(t, content, FormatSPDX)
		var doc struct{ Packages, Files []any }
		if items == nil || json.Unmarshal([]byte(content), &doc) != nil {
			return
		}
		if want := len(doc.Packages) + len(doc.Files); len(items) != want {
			t.Errorf("%d items of %d packages and files", len(items), want)
		}
	})
}

// FuzzDetect: whatever the content is, its format is one of the four or an error, and the reader of that format takes
// it or refuses it.
func FuzzDetect(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "..", "..", "testdata", "vectors", "v1", "*", "valid", "*.json"))
	if err != nil || len(paths) == 0 {
		f.Fatal(err)
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Add(`{"name":"sha256","packages":[`)
	f.Fuzz(func(t *testing.T, content string) {
		format, err := detect(strings.NewReader(content))
		if (err == nil) != slices.Contains(Formats(), format) {
			t.Errorf("got %q, %v", format, err)
		}
		checkList(t, content, "")
	})
}
