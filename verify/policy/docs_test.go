package policy_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/avow-dev/avow/verify/policy"
)

// The manual knows every variable, function, code and ready-made policy, in the
// words of the code, and its examples load.
func TestManual(t *testing.T) {
	data, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(data)
	has := func(row string) {
		t.Helper()
		if !strings.Contains(manual, row) {
			t.Errorf("docs/policies.md has no row %s", row)
		}
	}
	for _, v := range policy.Variables() {
		has("| `" + v.Name + "` | ")
		has(" | " + v.Description + " |")
	}
	for _, f := range policy.Functions() {
		has("| `" + f.Signature + "` | " + f.Description + " |")
	}
	for _, c := range policy.Codes() {
		has("| `" + string(c) + "` | ")
	}
	for _, name := range policy.Names() {
		p := builtin(t, name, nil)
		if !strings.HasPrefix(name, "P") {
			has("| `" + name + "` | ")
			continue
		}
		r := p.Rules()[0]
		has("| `" + name + "` | " + r.Title + " | " + strings.TrimSpace(r.Description) + " | ")
		for _, parameter := range p.Parameters() {
			has("`" + parameter.Name + "`")
		}
	}
	example := strings.Split(manual, "```yaml\n")[1]
	example, _, _ = strings.Cut(example, "```")
	files := fstest.MapFS{"p.yaml": {Data: []byte(example)}}
	if _, err := policy.Load(t.Context(), "p.yaml", files, policy.Options{}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"gateway.yaml", "gateway.cases.yaml"} {
		text, err := os.ReadFile("testdata/example/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(manual, "```yaml\n"+string(text)+"```") {
			t.Errorf("docs/policies.md does not show testdata/example/%s", name)
		}
	}
}
