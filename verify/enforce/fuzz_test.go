package enforce

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzCompare: no deployed policy is the same unless it names the statement, and what is listed is bounded and safe to print.
// The policies are the golden files, so that nothing has to be verified before each process can begin.
func FuzzCompare(f *testing.F) {
	var policies []*Policy
	for _, target := range []Target{Cilium, NFTables, Envoy, Docker} {
		suffix := map[Target]string{Cilium: "cilium.yaml", NFTables: "nft", Envoy: "envoy.yaml", Docker: "compose.yaml"}[target]
		content, err := os.ReadFile(filepath.Join("testdata", "golden", DefaultName+"."+suffix))
		if err != nil {
			f.Fatal(err)
		}
		_, from, err := textLines(content)
		if err != nil || from.statement == "" {
			f.Fatalf("the golden file for %s names no statement: %v", target, err)
		}
		p := &Policy{Target: target, Content: content, StatementID: from.statement, LogOrigin: from.log, LogIndex: from.index}
		f.Add(len(policies), content)
		f.Add(len(policies), []byte(strings.ReplaceAll(string(content), "443", "444")))
		policies = append(policies, p)
	}
	f.Add(0, []byte("spec: &a [*a]\nmetadata: {annotations: {avow.dev/statement: x}}\n"))
	f.Fuzz(func(t *testing.T, i int, deployed []byte) {
		p := policies[uint(i)%uint(len(policies))]
		c, err := p.Compare(deployed)
		if err != nil {
			return
		}
		if c.Same() && !strings.Contains(string(deployed), p.StatementID) {
			t.Errorf("the same, without naming the statement: %q", deployed)
		}
		if len(c.Differences) > maxDifferences+1 {
			t.Errorf("%d differences", len(c.Differences))
		}
		for _, d := range c.Differences {
			if strings.ContainsFunc(d, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
				t.Errorf("difference %q", d)
			}
		}
	})
}
