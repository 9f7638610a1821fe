package enforce_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/enforce"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

type obj = map[string]any

// now is when the tests compile: an hour after the statements were issued.
var now = bundletest.Epoch.Add(time.Hour)

// endpoint is a complete endpoint of a kind that has a value.
func endpoint(kind, value, transport string, ports ...int) obj {
	e := obj{"kind": kind, "value": value, "transport": transport, "application": "https",
		"tls": obj{"requirement": "required", "minVersion": "1.2", "verification": "systemRoots"}}
	if len(ports) > 0 {
		e["ports"] = ports
	}
	return e
}

// flow says how a flow of a test differs from the minimal one.
type flow struct {
	id        string
	endpoints []obj
	members   obj // replace those of the minimal flow
	recipient obj // replaces members of its recipient
}

// payload is a data-flows statement with these flows.
func payload(tb testing.TB, flows []flow, oldNew ...string) []byte {
	tb.Helper()
	var s obj
	if err := json.Unmarshal(bundletest.Statement(tb, "data-flows", oldNew...), &s); err != nil {
		tb.Fatal(err)
	}
	p := s["predicate"].(obj)
	minimal := p["flows"].([]any)[0].(obj)
	// Configured endpoints and what the user directs are outside of what "complete" can mean.
	p["completeness"].(obj)["level"] = "completeForConfiguration"
	var list []any
	for _, f := range flows {
		m := maps.Clone(minimal)
		m["id"], m["title"], m["endpoints"] = f.id, "Flow "+f.id, f.endpoints
		delete(m, "evidence")
		maps.Copy(m, f.members)
		r := maps.Clone(minimal["recipients"].([]any)[0].(obj))
		maps.Copy(r, f.recipient)
		m["recipients"] = []any{r}
		list = append(list, m)
	}
	p["flows"] = list
	delete(p, "evidence")
	out, err := json.Marshal(s)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// verdict verifies payloads as a buyer does; change adds to the question.
func verdict(tb testing.TB, w *bundletest.World, change func(*verify.Input), payloads ...[]byte) *verify.Verdict {
	tb.Helper()
	trust, err := verify.ParseTrust(w.TrustedRoot())
	if err != nil {
		tb.Fatal(err)
	}
	v, err := verify.New(verify.Config{Trust: trust, Clock: func() time.Time { return now }})
	if err != nil {
		tb.Fatal(err)
	}
	in := verify.Input{ArtifactSHA256: bundletest.ArtifactSHA256,
		Signers: []verify.Signer{{Name: "vendor", Key: &verify.Key{PublicKey: &w.Vendor.PublicKey}}}}
	for _, p := range payloads {
		in.Bundles = append(in.Bundles, verify.NamedBundle{Data: w.IssueJSON(tb, bundletest.Spec{Payload: p})})
	}
	if change != nil {
		change(&in)
	}
	verdict, err := v.Verify(tb.Context(), in)
	if err != nil {
		tb.Fatal(err)
	}
	return verdict
}

// accepted verifies flows and demands that they are accepted.
func accepted(tb testing.TB, flows ...flow) *verify.Verdict {
	tb.Helper()
	v := verdict(tb, bundletest.NewWorld(tb), nil, payload(tb, flows))
	if v.Outcome != verify.Accepted {
		tb.Fatal(v.Failures())
	}
	return v
}

// optionsFor are complete options for a target.
func optionsFor(target enforce.Target) enforce.Options {
	uid := uint32(1000)
	return enforce.Options{Target: target, Now: now, Namespace: "apps", Selector: map[string]string{"app": "gateway", "tier": "web"},
		Scope: enforce.Scope{UID: &uid}, Resolver: netip.MustParseAddrPort("192.0.2.53:53"), Service: "gateway", ProxyImage: "example/squid@sha256:00"}
}

func compile(tb testing.TB, v *verify.Verdict, o enforce.Options) *enforce.Policy {
	tb.Helper()
	p, err := enforce.Compile(tb.Context(), v, o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// refused demands a refusal with a code.
func refused(tb testing.TB, v *verify.Verdict, o enforce.Options, code enforce.Code) *enforce.Refusal {
	tb.Helper()
	p, err := enforce.Compile(tb.Context(), v, o)
	var r *enforce.Refusal
	if p != nil || !errors.As(err, &r) || r.Code != code || r.Detail == "" || r.Hint == "" {
		tb.Fatalf("got policy %v, error %v; want a refusal %s with detail and hint", p != nil, err, code)
	}
	return r
}

// whys are the reasons of items, as FLOW WHY.
func whys(items []enforce.Item) []string {
	var list []string
	for _, i := range items {
		list = append(list, i.Flow+" "+string(i.Why))
	}
	return list
}

// policyFunc is a verify.Policy that answers what it is made of.
type policyFunc func(verify.Facts) *verify.PolicyResult

func (f policyFunc) Judge(_ context.Context, facts verify.Facts) (*verify.PolicyResult, error) {
	return f(facts), nil
}

// enforced are the targets that compile to something.
func enforced() []enforce.Target {
	return slices.DeleteFunc(enforce.Targets(), func(t enforce.Target) bool { return t == enforce.Hosts })
}

// everything is one flow of each sort.
func everything() []flow {
	plain := endpoint("host", "mirror.example.net", "tcp", 80, 8080)
	plain["application"] = "http"
	plain["tls"].(obj)["requirement"] = "none"
	ntp := func(host string) obj {
		return obj{"kind": "host", "value": host, "transport": "udp", "ports": []int{123}, "application": "ntp"}
	}
	setting := func(kind, setting, application string) obj {
		return obj{"kind": kind, "setting": setting, "transport": "tcp", "application": application}
	}
	ping := obj{"kind": "host", "value": "status.example.com", "transport": "icmp", "application": "icmp"}
	return []flow{
		{id: "update", endpoints: []obj{endpoint("host", "updates.example.com", "tcp", 443)}},
		{id: "mirror", endpoints: []obj{plain, endpoint("cidr", "203.0.113.0/24", "tcp", 8443, 443), endpoint("cidr", "2001:db8:1::/48", "tcp", 443)}},
		{id: "time", endpoints: []obj{ntp("0.pool.example.org"), ntp("1.pool.example.org")}},
		{id: "telemetry", endpoints: []obj{endpoint("host", "stats.example.com", "tcp", 443)}, members: obj{"necessity": "vendorBenefit"}},
		{id: "uploads", endpoints: []obj{endpoint("suffix", "uploads.example.com", "tcp", 443)}},
		{id: "ping", endpoints: []obj{ping}},
		{id: "api", endpoints: []obj{setting("configured", "listen", "https")}, members: obj{"initiator": "remote"}},
		{id: "database", endpoints: []obj{setting("configured", "database.url", "postgresql")}},
		{id: "dns", endpoints: []obj{setting("discovered", "resolvers from DHCP", "domain")}},
		{id: "browse", endpoints: []obj{{"kind": "userDirected"}}, members: obj{"activation": obj{"defaultState": "on", "trigger": "userAction",
			"consent": "eachUse", "control": obj{"possible": "yes", "by": "user", "methods": []string{"ui"}, "setting": "do not click"}}}},
		{id: "printers", endpoints: []obj{{"kind": "localNetwork"}}},
	}
}

// mapsWith is a copy of a with the members of b.
func mapsWith(a, b obj) obj {
	m := maps.Clone(a)
	if m == nil {
		m = obj{}
	}
	maps.Copy(m, b)
	return m
}

// hostileVerdict is an accepted verdict about a statement whose names are a text too.
func hostileVerdict(tb testing.TB, text string, flows []flow) *verify.Verdict {
	tb.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		tb.Fatal(err)
	}
	v := verdict(tb, bundletest.NewWorld(tb), nil, payload(tb, flows, `"Example Gateway"`, string(quoted), `"Example Devices GmbH"`, string(quoted)))
	if v.Outcome != verify.Accepted {
		tb.Fatal(v.Failures())
	}
	return v
}
