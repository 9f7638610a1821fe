package enforce_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify/enforce"
)

// TestCompareTellsTheStatement: which statement a deployed policy is of, and how it stands to the one in force.
func TestCompareTellsTheStatement(t *testing.T) {
	w := bundletest.NewWorld(t)
	for _, target := range []enforce.Target{enforce.Cilium, enforce.NFTables, enforce.Envoy} {
		o := optionsFor(target)
		first := compile(t, verdict(t, w, nil, payload(t, []flow{update443()})), o)
		second := compile(t, verdict(t, w, nil, payload(t, []flow{update443(), named("extra", nil, nil)})), o)
		fork := bundletest.NewWorld(t)
		other := compile(t, verdict(t, fork, nil, payload(t, []flow{update443()}, "Example Gateway", "Other Gateway")), o)
		bare := []byte(strings.ReplaceAll(string(first.Content), "sha256:", "sha512:"))
		for name, c := range map[string]struct {
			current  *enforce.Policy
			deployed []byte
			age      enforce.Age
			same     bool
		}{
			"itself":        {first, first.Content, enforce.AgeSame, true},
			"of an older":   {second, first.Content, enforce.AgeOlder, false},
			"of a newer":    {first, second.Content, enforce.AgeNewer, false},
			"of no one":     {first, bare, enforce.AgeUnknown, false},
			"at that index": {first, other.Content, enforce.AgeUnknown, false},
		} {
			if name == "at that index" && first.LogIndex != other.LogIndex {
				continue // another place in the log than intended: older or newer, which is tested above
			}
			got, err := c.current.Compare(c.deployed)
			if err != nil || got.Age != c.age || got.Same() != c.same {
				t.Errorf("%s %s: %+v %v, want %s", target, name, got, err, c.age)
			}
		}
		got, err := second.Compare(first.Content)
		if err != nil || got.StatementID != first.StatementID || !slices.ContainsFunc(got.Differences, func(d string) bool {
			return strings.HasPrefix(d, "+ ") && strings.Contains(d, "extra")
		}) {
			t.Errorf("%s: %+v %v", target, got, err)
		}
	}
}

// TestCompareSupersedes: the statement in force names the older one, though it was logged elsewhere.
func TestCompareSupersedes(t *testing.T) {
	old := compile(t, accepted(t, update443()), optionsFor(enforce.Squid))
	reference := fmt.Sprintf(`"supersedes": [{"digest": {"sha256": %q}, "predicateType": "https://w3id.org/avow/data-flows/v1"}], "validity"`,
		strings.TrimPrefix(old.StatementID, "sha256:"))
	w := bundletest.NewWorld(t)
	w.Log.Append([]byte("another entry"))
	is := compile(t, verdict(t, w, nil, payload(t, []flow{update443()}, `"validity"`, reference)), optionsFor(enforce.Squid))
	deployed := strings.ReplaceAll(string(old.Content), "log.example.test", "log.elsewhere.test")
	if c, err := is.Compare([]byte(deployed)); err != nil || c.Age != enforce.AgeOlder || c.Same() || len(c.Differences) != 0 {
		t.Errorf("%+v %v", c, err)
	}
}

// TestCompareFindsChanges: whatever is added to, taken from or moved in a deployed policy is found.
func TestCompareFindsChanges(t *testing.T) {
	v := accepted(t, update443(), named("extra", nil, nil))
	for _, c := range []struct {
		target   enforce.Target
		old, new string
		want     string
	}{
		{enforce.Squid, "http_access deny all", "http_access allow all", "+ http_access deny all"},
		{enforce.Squid, "http_access deny all\n", "", "+ http_access deny all"},
		{enforce.Squid, "acl avow_connect", "include /etc/squid/more.conf\nacl avow_connect", "- include /etc/squid/more.conf"},
		{enforce.NFTables, "\t\toifname \"lo\" accept\n", "\t\toifname \"lo\" accept\n\t\taccept\n", "- \\t\\taccept"},
		{enforce.Cilium, "matchName: extra.example.com", "matchName: evil.example.com", `"evil.example.com"`},
		{enforce.Cilium, "spec:\n", "spec:\n  ingress: []\n", "- spec.ingress: []"},
		{enforce.Cilium, "port: \"443\"", "port: 443", "spec.egress[1].toPorts[0].ports[0].port: 443"},
		{enforce.Cilium, "name: avow-egress", "name: other", `metadata.name: other`},
		{enforce.Docker, "networks: !override", "networks:", "- "},
		{enforce.Envoy, "extra.example.com:443", "extra.example.com:444", "extra.example.com:444"},
	} {
		p := compile(t, v, optionsFor(c.target))
		deployed := strings.Replace(string(p.Content), c.old, c.new, 1)
		if deployed == string(p.Content) {
			t.Fatalf("%s: no %q in the policy", c.target, c.old)
		}
		got, err := p.Compare([]byte(deployed))
		if err != nil || got.Same() || !slices.ContainsFunc(got.Differences, func(d string) bool { return strings.Contains(d, c.want) }) {
			t.Errorf("%s: %q for %q: %+v %v, want %q", c.target, c.new, c.old, got, err, c.want)
		}
	}
	p := compile(t, v, optionsFor(enforce.Squid))
	lines := strings.SplitAfter(string(p.Content), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return l == "http_access deny all\n" })
	lines[i], lines[i-1] = lines[i-1], lines[i]
	if got, err := p.Compare([]byte(strings.Join(lines, ""))); err != nil || got.Same() || len(got.Differences) != 1 || !strings.Contains(got.Differences[0], "another order") {
		t.Errorf("moved: %+v %v", got, err)
	}
}

// TestCompareAsTheClusterReturnsIt: what the API server adds to an object is no difference.
func TestCompareAsTheClusterReturnsIt(t *testing.T) {
	p := compile(t, accepted(t, update443()), optionsFor(enforce.Cilium))
	returned := strings.Replace(string(p.Content), "metadata:\n", "metadata:\n  uid: 0-1\n  generation: 3\n  creationTimestamp: \"2026-09-01T11:00:00Z\"\n", 1) +
		"status:\n  conditions: []\n"
	if got, err := p.Compare([]byte(returned)); err != nil || !got.Same() {
		t.Errorf("%+v %v", got, err)
	}
}

func TestCompareRefuses(t *testing.T) {
	p := compile(t, accepted(t, update443()), optionsFor(enforce.Cilium))
	for name, c := range map[string]struct{ data, want string }{
		"too long":    {strings.Repeat("#", enforce.MaxDeployedBytes+1), "has 1048577 bytes, want at most 1048576"},
		"not YAML":    {"a: [", "is not a Kubernetes object"},
		"empty":       {"", "is not a Kubernetes object"},
		"a list":      {"- a\n", "is not a Kubernetes object"},
		"two objects": {string(p.Content) + "---\n" + string(p.Content), "holds more than one Kubernetes object"},
	} {
		if got, err := p.Compare([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v %v, want %q", name, got, err, c.want)
		}
	}
}
