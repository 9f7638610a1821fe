package predicate

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const registriesFile = "testdata/registries.txt"

// TestRegistriesOnlyGrow: what was registered keeps its id, its words and its
// day. -update adds what is new and refuses what has changed.
func TestRegistriesOnlyGrow(t *testing.T) {
	now := make(map[string]bool)
	var lines []string
	for _, r := range Registries() {
		for _, v := range r.Values {
			line := strings.Join([]string{r.Name, v.ID, v.Added, v.Term, v.Label}, "\t")
			now[line] = true
			lines = append(lines, line)
		}
	}
	if *update {
		defer func() {
			if err := os.WriteFile(registriesFile, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}()
	}
	data, err := os.ReadFile(registriesFile)
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for line := range strings.Lines(string(data)) {
		known++
		if line = strings.TrimSuffix(line, "\n"); !now[line] {
			t.Errorf("registered and gone or changed: %q", line)
		}
	}
	if known != len(lines) && !*update {
		t.Errorf("%d values, %s has %d: go test -run TestRegistriesOnlyGrow -update", len(lines), registriesFile, known)
	}
}

func TestRegistries(t *testing.T) {
	date := regexp.MustCompile(`^20\d\d-\d\d-\d\d$`)
	names := make(map[string]bool)
	for _, r := range Registries() {
		if names[r.Name] || r.Title == "" || len(r.Values) < 2 {
			t.Errorf("registry %s is not complete, or stands twice", r.Name)
		}
		names[r.Name] = true
		ids := make(map[string]bool)
		for _, v := range r.Values {
			if ids[v.ID] || v.ID == "" || v.Label == "" || !date.MatchString(v.Added) {
				t.Errorf("%s %s is not complete, or stands twice", r.Name, v.ID)
			}
			ids[v.ID] = true
			if got, ok := Lookup(r.Name, v.ID); !ok || got != v || Label(r.Name, v.ID) != v.Label {
				t.Errorf("%s %s is not found", r.Name, v.ID)
			}
		}
	}
	if Label("purpose", "unknown") != "" || Label("unknown", "other") != "" || IDs("unknown") != nil {
		t.Error("something unknown is found")
	}
	if got := len(IDs("claim")) + len(IDs("undertaking")) + len(IDs("mechanismKind")) + len(IDs("purpose")) + len(IDs("dataCategory")); got != 9+11+20+21+25 {
		t.Errorf("%d claims, undertakings, mechanisms, purposes and categories", got)
	}
}

// TestEveryRegistryIsUsed: the shapes name every registry, and no other.
func TestEveryRegistryIsUsed(t *testing.T) {
	used := make(map[string]bool)
	var walk func(sh *shape)
	walk = func(sh *shape) {
		for _, f := range sh.fields {
			used[f.enum] = true
			if f.elem != nil {
				walk(f.elem)
			}
		}
	}
	for _, sh := range predicateShapes() {
		walk(sh)
	}
	for _, r := range Registries() {
		if !used[r.Name] {
			t.Errorf("no member is of the registry %s", r.Name)
		}
	}
}

func TestSentences(t *testing.T) {
	for _, c := range Claims() {
		if ClaimSentence(c.ID) != c.Sentence || !strings.HasSuffix(c.Sentence, ".") || len(c.CWE) == 0 {
			t.Errorf("claim %s", c.ID)
		}
	}
	for _, u := range UndertakingTerms() {
		if UndertakingSentence(u.ID) != u.Sentence || !strings.HasSuffix(u.Sentence, ".") {
			t.Errorf("undertaking %s", u.ID)
		}
		for _, p := range u.Parameters {
			if _, ok := predicateShapes()[UndertakingsType].field("undertakings").elem.byName[p]; !ok {
				t.Errorf("%s names the parameter %s, which no undertaking has", u.ID, p)
			}
		}
	}
	if ClaimSentence("NB-OTHER") != "" || UndertakingSentence("U-OTHER") != "" {
		t.Error("something unknown has a sentence")
	}
}

func (sh *shape) field(name string) *field { return &sh.fields[sh.byName[name]] }
