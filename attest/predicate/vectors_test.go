package predicate

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const vectorsDir = "../../testdata/vectors"

// place is a finding as the index of the vectors has it.
type place struct {
	Code    string `json:"code"`
	Pointer string `json:"pointer"`
}

// vector is a statement with what the rules say about it alone.
type vector struct {
	// File is relative to testdata/vectors.
	File string `json:"file"`
	// ID is the statement's id, of the exact bytes of the file.
	ID       string  `json:"id"`
	Errors   []place `json:"errors"`
	Warnings []place `json:"warnings"`

	data []byte
}

// relatedVector is a statement with what other statements show about it.
type relatedVector struct {
	Name      string   `json:"name"`
	Statement string   `json:"statement"`
	Others    []string `json:"others"`
	Errors    []place  `json:"errors"`
}

// receiptVector is a statement with what the time of receipt shows about it.
type receiptVector struct {
	Name       string    `json:"name"`
	Statement  string    `json:"statement"`
	ReceivedAt time.Time `json:"receivedAt"`
	Errors     []place   `json:"errors"`
}

// vectorIndex is testdata/vectors/vectors.json, for runners in any language.
type vectorIndex struct {
	Comment string          `json:"comment"`
	Tables  []TableDate     `json:"tables"`
	Vectors []vector        `json:"vectors"`
	Related []relatedVector `json:"related"`
	Receipt []receiptVector `json:"receipt"`
}

func places(fs Findings) []place {
	out := []place{}
	for _, f := range fs {
		out = append(out, place{f.Code, f.Pointer})
	}
	return out
}

func readVector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectorsDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustParse(t testing.TB, name string) *Statement {
	t.Helper()
	s, err := Parse(readVector(t, name), Issuance)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

// vectorFiles lists the statements below testdata/vectors/v1, sorted.
func vectorFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(vectorsDir, "v1", "*", "*", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for i, f := range files {
		rel, err := filepath.Rel(vectorsDir, f)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = filepath.ToSlash(rel)
	}
	slices.Sort(files)
	return files
}

func loadIndex(t testing.TB) vectorIndex {
	t.Helper()
	var index vectorIndex
	if err := json.Unmarshal(readVector(t, "vectors.json"), &index); err != nil {
		t.Fatal(err)
	}
	return index
}

func loadVectors(t testing.TB) []vector {
	t.Helper()
	vectors := loadIndex(t).Vectors
	for i := range vectors {
		vectors[i].data = readVector(t, vectors[i].File)
	}
	return vectors
}

// TestVectors walks the vectors: a valid one has no error; an invalid one has
// exactly the code that begins its name; a valid one whose name begins with a
// warning's code has that warning. The index says the same, with places.
func TestVectors(t *testing.T) {
	computed := make(map[string]vector)
	for _, file := range vectorFiles(t) {
		v := lintVector(t, file)
		computed[file] = v
		code := filepath.Base(file)[:3]
		codes := func(ps []place) []string {
			var cs []string
			for _, p := range ps {
				cs = append(cs, p.Code)
			}
			return slices.Compact(cs)
		}
		switch {
		case strings.Contains(file, "/invalid/"):
			if got := codes(v.Errors); !slices.Equal(got, []string{code}) {
				t.Errorf("%s: errors %v, want %s alone", file, v.Errors, code)
			}
		case len(v.Errors) > 0:
			t.Errorf("%s: errors %v in a valid statement", file, v.Errors)
		case code[0] == 'W' && !slices.Contains(codes(v.Warnings), code):
			t.Errorf("%s: warnings %v, want %s", file, v.Warnings, code)
		}
	}
	if *update {
		updateIndex(t, computed)
	}
	index := loadIndex(t)
	if len(index.Vectors) != len(computed) {
		t.Errorf("vectors.json lists %d statements, there are %d: go test -run TestVectors -update", len(index.Vectors), len(computed))
	}
	for _, v := range index.Vectors {
		got := computed[v.File]
		if v.ID != got.ID || !slices.Equal(v.Errors, got.Errors) || !slices.Equal(v.Warnings, got.Warnings) {
			t.Errorf("%s: vectors.json says %s %v %v, got %s %v %v", v.File, v.ID, v.Errors, v.Warnings, got.ID, got.Errors, got.Warnings)
		}
	}
}

func lintVector(t *testing.T, file string) vector {
	data := readVector(t, file)
	findings := Lint(data, EmbeddedTables())
	for _, f := range findings {
		if f.Message == "" || f.Hint == "" {
			t.Errorf("%s: %s is without message or hint", file, f)
		}
	}
	return vector{File: file, ID: idOf(data), Errors: places(findings.Errors()), Warnings: places(findings.Warnings()), data: data}
}

// updateIndex writes the part of vectors.json that can be computed. What is
// there is kept: an expectation that changes has to be removed by hand first.
func updateIndex(t *testing.T, computed map[string]vector) {
	var index vectorIndex
	if data, err := os.ReadFile(filepath.Join(vectorsDir, "vectors.json")); err == nil {
		if err := json.Unmarshal(data, &index); err != nil {
			t.Fatal(err)
		}
	}
	index.Comment = "Statements and what the rules say. vectors: the statement alone. related: with others at hand. receipt: at a time of " +
		"receipt. Paths are relative to this file; the bytes of the files are frozen. See docs/predicates.md."
	index.Tables = EmbeddedTables().Dates()
	for _, v := range index.Vectors {
		delete(computed, v.File)
	}
	for _, v := range computed {
		index.Vectors = append(index.Vectors, v)
	}
	slices.SortFunc(index.Vectors, func(a, b vector) int { return cmp.Compare(a.File, b.File) })
	data, err := json.MarshalIndent(index, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(vectorsDir, "vectors.json"), append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEveryRuleHasAVector: a rule without a test that fails without it does not
// count.
func TestEveryRuleHasAVector(t *testing.T) {
	seen := make(map[string]bool)
	index := loadIndex(t)
	for _, v := range index.Vectors {
		for _, p := range slices.Concat(v.Errors, v.Warnings) {
			seen[p.Code] = true
		}
	}
	for _, v := range index.Related {
		for _, p := range v.Errors {
			seen[p.Code] = true
		}
	}
	for _, r := range Rules() {
		elsewhere := r.check == nil && r.related == nil && r.Code != "R01" && r.Code != "R02"
		if seen[r.Code] == elsewhere {
			t.Errorf("%s: has a vector: %v, is applied here: %v", r.Code, seen[r.Code], !elsewhere)
		}
	}
}

// TestRelatedVectors runs CheckRelated on the related vectors.
func TestRelatedVectors(t *testing.T) {
	for _, v := range loadIndex(t).Related {
		var others []*Statement
		for _, name := range v.Others {
			others = append(others, mustParse(t, name))
		}
		if got := places(mustParse(t, v.Statement).CheckRelated(others)); !slices.Equal(got, v.Errors) {
			t.Errorf("%s: got %v, want %v", v.Name, got, v.Errors)
		}
	}
}

// TestReceiptVectors runs CheckReceipt on the receipt vectors.
func TestReceiptVectors(t *testing.T) {
	for _, v := range loadIndex(t).Receipt {
		if got := places(mustParse(t, v.Statement).CheckReceipt(v.ReceivedAt)); !slices.Equal(got, v.Errors) {
			t.Errorf("%s: got %v, want %v", v.Name, got, v.Errors)
		}
	}
}
