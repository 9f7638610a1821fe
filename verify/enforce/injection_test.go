package enforce_test

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/avow-dev/avow/verify/enforce"
)

// hostile are texts that would say something in one of the targets' languages, if they got out of their place.
var hostile = []string{
	"\n}\ntable inet evil { chain c { accept } }\n#",
	"\nhttp_access allow all\n",
	"\r\nhttp_access allow all\r\n",
	"\u2028http_access allow all\u2029\u0085http_access allow all",
	`" accept; #`, `' accept; #`, `\`, "x\\", "`id`", "$(id) ${HOME} $$ %{x}",
	"x: y\n---\nkind: Evil\n", "x\nspec:\n  egress:\n  - toEntities: [all]\n",
	"*/ # // -- <!-- {{ .Evil }} !!python/object &a *a",
	"\u202eevil\u202c \u200b\x7f\x1b[2J",
	strings.Repeat("A", 4000),
}

// TestInjection: titles and names of the statement change comments and annotations and nothing else, whatever they hold.
func TestInjection(t *testing.T) {
	flows := func(text string) []flow {
		list := addressesOnly()
		for i := range list {
			list[i].members = mapsWith(list[i].members, obj{"title": text, "component": text})
		}
		list = append(list, flow{id: "shop", endpoints: []obj{{"kind": "configured", "setting": text, "transport": "tcp", "application": "https"}},
			members: obj{"title": text}})
		return list
	}
	for _, target := range enforced() {
		o := optionsFor(target)
		o.AllowUncompiled, o.LeaveOutVendorBenefit = true, true
		want := commands(t, compile(t, accepted(t, flows("harmless")...), o))
		for _, text := range hostile {
			p := compile(t, hostileVerdict(t, text, flows(text)), o)
			if got := commands(t, p); !slices.Equal(got, want) {
				t.Errorf("%s: %q changes the policy:\n%s\nwant\n%s", target, text, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if i := strings.IndexFunc(string(p.Content), func(r rune) bool { return r > 0x7e || r < 0x20 && r != '\n' && r != '\t' }); i >= 0 {
				t.Errorf("%s: %q leaves %q in the output", target, text, p.Content[i])
			}
			for line := range strings.Lines(string(p.Content)) {
				if strings.HasSuffix(line, "\\\n") {
					t.Errorf("%s: %q leaves a line that goes on: %s", target, text, line)
				}
			}
		}
	}
}

// commands are what the target's program would read: the policy without comments and avow's annotations. It is written
// without the package's own reader.
func commands(t *testing.T, p *enforce.Policy) []string {
	t.Helper()
	data := p.Content
	if p.Target == enforce.Cilium || p.Target == enforce.Kubernetes {
		var v obj
		if err := yaml.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		for key := range v["metadata"].(obj)["annotations"].(obj) {
			if !strings.HasPrefix(key, "avow.dev/") {
				t.Errorf("annotation %q", key)
			}
		}
		delete(v["metadata"].(obj), "annotations")
		var err error
		if data, err = yaml.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	for _, line := range strings.FieldsFunc(string(data), func(r rune) bool { return strings.ContainsRune("\n\r\u2028\u2029\u0085\v\f", r) }) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			lines = append(lines, line)
		}
	}
	return lines
}
