package predicate

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTmpVectors(t *testing.T) {
	files, _ := filepath.Glob("../../testdata/vectors/v1/*/*/*.json")
	for _, f := range files {
		b, _ := os.ReadFile(f)
		fs := Lint(b, nil)
		if filepath.Base(filepath.Dir(f)) == "valid" {
			if len(fs.Errors()) > 0 {
				t.Errorf("%s: %v", f, fs.Errors())
			}
			t.Logf("%s %v", filepath.Base(f), fs.Warnings())
			continue
		}
		want := filepath.Base(f)[:3]
		if c := fs.Errors().Codes(); len(c) != 1 || c[0] != want {
			t.Errorf("%s: %v", f, fs.Errors())
		} else {
			t.Logf("%s %v", filepath.Base(f), fs.Errors())
		}
	}
}
