package enforce_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/enforce"
)

// cuts compiles with options and returns the ids of the flows that are left out.
func cuts(tb testing.TB, v *verify.Verdict, change func(*enforce.Options)) []string {
	tb.Helper()
	o := optionsFor(enforce.Cilium)
	o.AllowUncompiled = true
	change(&o)
	p := compile(tb, v, o)
	var ids []string
	for _, i := range p.LeftOut {
		ids = append(ids, i.Flow)
		if !strings.Contains(string(p.Content), "# left out: flow "+i.Flow) || strings.Contains(string(p.Content), "matchName: "+i.Flow+".example.com") {
			tb.Errorf("%s is not out, or not said to be:\n%s", i.Flow, p.Content)
		}
	}
	return ids
}

func named(id string, members, recipient obj) flow {
	return flow{id: id, endpoints: []obj{endpoint("host", id+".example.com", "tcp", 443)}, members: members, recipient: recipient}
}

func party(country, controlledFrom string) obj {
	p := obj{"name": "Somebody", "country": country}
	if controlledFrom != "" {
		p["controlledFrom"] = controlledFrom
	}
	return p
}

// TestLeaveOutRecipients: a place that is not declared could be any, blocs are upper bounds, parts lie in their country.
func TestLeaveOutRecipients(t *testing.T) {
	v := accepted(t,
		named("german", nil, obj{"party": party("DE", "DE"), "storage": []string{"DE"}, "accessFrom": []string{"DE"}}),
		named("controlled", nil, obj{"party": party("DE", "US")}),
		named("undeclared", nil, obj{"party": party("DE", "")}),
		named("stored", nil, obj{"party": party("DE", "DE"), "storage": []string{"DE", "US-CA"}}),
		named("read", nil, obj{"party": party("DE", "DE"), "accessFrom": []string{"anywhere"}}),
		named("european", nil, obj{"party": party("DE", "DE"), "storage": []string{"EU"}}),
		named("processed", nil, obj{"party": party("DE", "DE"), "role": "processor"}),
		named("own", nil, obj{"party": party("US", "US"), "role": "customer"}),
	)
	for list, want := range map[string][]string{
		"US": {"controlled", "undeclared", "stored", "read"},
		"FR": {"undeclared", "read", "european"}, "NO": {"undeclared", "read"},
		"processor": {"processed"}, "customer": {"own"},
		"processor,US": {"controlled", "undeclared", "stored", "read", "processed"},
	} {
		got := cuts(t, v, func(o *enforce.Options) { o.LeaveOutRecipients = strings.Split(list, ",") })
		if !slices.Equal(got, want) {
			t.Errorf("%s: left out %v, want %v", list, got, want)
		}
	}
	o := optionsFor(enforce.Cilium)
	o.LeaveOutRecipients = []string{"Processor"}
	refused(t, v, o, enforce.CodeOptions)
}

func TestLeaveOutVendorBenefit(t *testing.T) {
	v := accepted(t, update443(), named("stats", obj{"necessity": "vendorBenefit"}, nil))
	if got := cuts(t, v, func(o *enforce.Options) { o.LeaveOutVendorBenefit = true }); !slices.Equal(got, []string{"stats"}) {
		t.Errorf("left out %v", got)
	}
	if got := cuts(t, v, func(*enforce.Options) {}); got != nil {
		t.Errorf("left out %v although nobody asked", got)
	}
}

// TestCut: what makes a rule fail is cut; a rule that is not about flows is not met by cutting.
func TestCut(t *testing.T) {
	v := accepted(t, update443(), named("stats", nil, nil))
	with := func(rules ...verify.RuleResult) verify.Policy {
		return policyFunc(func(f verify.Facts) *verify.PolicyResult {
			if f.ArtifactSHA256 != bundletest.ArtifactSHA256 || len(f.Evidence) != 1 || !f.At.Equal(now) {
				t.Errorf("the policy is asked about %+v", f)
			}
			return &verify.PolicyResult{Name: "no stats", Rules: rules}
		})
	}
	cut := with(verify.RuleResult{ID: "P1", Failing: []string{"stats"}}, verify.RuleResult{ID: "P2", Passed: true},
		verify.RuleResult{ID: "P3", Severity: verify.SeverityWarn, Failing: []string{"update"}})
	if got := cuts(t, v, func(o *enforce.Options) { o.Cut = cut }); !slices.Equal(got, []string{"stats"}) {
		t.Errorf("left out %v", got)
	}
	for name, p := range map[string]verify.Policy{
		"no flow named":  with(verify.RuleResult{ID: "P1", Message: "not complete"}),
		"not a flow":     with(verify.RuleResult{ID: "P1", Failing: []string{"stats", "NB-ACCESS"}}),
		"not evaluated":  with(verify.RuleResult{ID: "P1", Failing: []string{"stats"}, Error: "no such key"}),
		"no rule at all": with(),
	} {
		t.Run(name, func(t *testing.T) {
			o := optionsFor(enforce.Cilium)
			o.Cut = p
			refused(t, v, o, enforce.CodeCut)
		})
	}
}

// TestSharedPeers: a flow whose peer stays open for another is not cut, and that is never silent.
func TestSharedPeers(t *testing.T) {
	benefit := obj{"necessity": "vendorBenefit"}
	for name, c := range map[string]struct {
		out, stays obj
		shared     bool
	}{
		"same host":           {endpoint("host", "a.example.com", "tcp", 443), endpoint("host", "a.example.com", "tcp", 80, 443), true},
		"other host":          {endpoint("host", "a.example.com", "tcp", 443), endpoint("host", "b.example.com", "tcp", 443), false},
		"other port":          {endpoint("host", "a.example.com", "tcp", 443), endpoint("host", "a.example.com", "tcp", 444), false},
		"other transport":     {endpoint("host", "a.example.com", "tcp", 443), endpoint("host", "a.example.com", "udp", 443), false},
		"host under suffix":   {endpoint("host", "a.x.example.com", "tcp", 443), endpoint("suffix", "x.example.com", "tcp", 443), true},
		"host is the suffix":  {endpoint("host", "x.example.com", "tcp", 443), endpoint("suffix", "x.example.com", "tcp", 443), false},
		"suffix over host":    {endpoint("suffix", "x.example.com", "tcp", 443), endpoint("host", "a.x.example.com", "tcp", 443), true},
		"suffix under suffix": {endpoint("suffix", "a.x.example.com", "tcp", 443), endpoint("suffix", "x.example.com", "tcp", 443), true},
		"suffix over suffix":  {endpoint("suffix", "x.example.com", "tcp", 443), endpoint("suffix", "a.x.example.com", "tcp", 443), true},
		"blocks that overlap": {endpoint("cidr", "203.0.113.0/24", "tcp", 443), endpoint("cidr", "203.0.113.128/25", "tcp", 443), true},
		"blocks apart":        {endpoint("cidr", "203.0.113.0/25", "tcp", 443), endpoint("cidr", "203.0.113.128/25", "tcp", 443), false},
	} {
		t.Run(name, func(t *testing.T) {
			o := optionsFor(enforce.Squid)
			if c.out["transport"] == "udp" || c.stays["transport"] == "udp" {
				o.Target = enforce.NFTables
			}
			o.LeaveOutVendorBenefit = true
			v := accepted(t, flow{id: "out", endpoints: []obj{c.out}, members: benefit}, flow{id: "stays", endpoints: []obj{c.stays}})
			if !c.shared {
				compile(t, v, o)
				return
			}
			if r := refused(t, v, o, enforce.CodeUncompiled); !slices.Equal(whys(r.Items), []string{"out shared-peer"}) {
				t.Errorf("%v", r.Items)
			}
		})
	}
}
