package enforce_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/verify/enforce"
)

// TestUncompiled: what a target cannot express exactly is refused item by item, and left out only when that is asked for.
func TestUncompiled(t *testing.T) {
	v := accepted(t, everything()...)
	always := []string{"database not-configured", "browse user-directed", "printers local-network"}
	for target, want := range map[enforce.Target][]string{
		enforce.Cilium:   {"uploads suffix", "ping transport"},
		enforce.NFTables: {"uploads suffix"},
		enforce.Squid:    {"time transport", "time transport", "ping transport"},
		enforce.Docker:   {"time transport", "time transport", "ping transport"},
		enforce.Envoy:    {"mirror address-block", "mirror address-block", "time transport", "time transport", "ping transport"},
	} {
		t.Run(string(target), func(t *testing.T) {
			o := optionsFor(target)
			want := slices.Concat(want, always)
			r := refused(t, v, o, enforce.CodeUncompiled)
			if !slices.Equal(whys(r.Items), want) {
				t.Errorf("got %v, want %v", whys(r.Items), want)
			}
			o.AllowUncompiled = true
			p := compile(t, v, o)
			if !slices.Equal(whys(p.Uncompiled), want) {
				t.Errorf("left out %v, want %v", whys(p.Uncompiled), want)
			}
			for _, i := range p.Uncompiled {
				if !strings.Contains(string(p.Content), "# not compiled: "+i.String()+"\n") {
					t.Errorf("%s is not in the comments", i)
				}
			}
		})
	}
}

// TestKubernetesKnowsNoNames: whatever is allowed, names are not turned into addresses.
func TestKubernetesKnowsNoNames(t *testing.T) {
	for _, kind := range []string{"host", "suffix"} {
		v := accepted(t, flow{id: "update", endpoints: []obj{endpoint(kind, "updates.example.com", "tcp", 443)}}, addressesOnly()[0])
		o := optionsFor(enforce.Kubernetes)
		o.AllowUncompiled = true
		if r := refused(t, v, o, enforce.CodeHostNames); !slices.Equal(whys(r.Items), []string{"update host-name"}) {
			t.Errorf("%v", r.Items)
		}
	}
}

// TestDiscovered: what the network announces needs the operator's value, but for a resolver that the target has a rule for.
func TestDiscovered(t *testing.T) {
	dns := everything()[8]
	printer := flow{id: "printer", endpoints: []obj{{"kind": "discovered", "setting": "printers by mDNS", "transport": "tcp", "application": "ipp"}}}
	block := flow{id: "block", endpoints: []obj{endpoint("cidr", "203.0.113.0/24", "tcp", 443)}}
	v := accepted(t, dns, printer, block)
	for target, want := range map[enforce.Target][]string{
		enforce.Kubernetes: {"dns discovered", "printer discovered"}, enforce.NFTables: {"printer discovered"}, enforce.Cilium: {"printer discovered"},
		enforce.Squid: {"printer discovered"},
	} {
		if r := refused(t, v, optionsFor(target), enforce.CodeUncompiled); !slices.Equal(whys(r.Items), want) {
			t.Errorf("%s: %v, want %v", target, whys(r.Items), want)
		}
	}
	o := optionsFor(enforce.NFTables)
	o.Resolver = optionsFor(enforce.Hosts).Listen // none
	if r := refused(t, v, o, enforce.CodeUncompiled); !slices.Equal(whys(r.Items), []string{"dns discovered", "printer discovered"}) {
		t.Errorf("without resolver: %v", whys(r.Items))
	}
}

// TestConfigured: the operator's values are compiled with the declared transport and ports, and nothing undeclared is.
func TestConfigured(t *testing.T) {
	setting := func(ports ...int) flow {
		e := obj{"kind": "configured", "setting": "db=url", "application": "postgresql"}
		if ports != nil {
			e["ports"], e["transport"] = ports, "tcp"
		}
		return flow{id: "db", endpoints: []obj{e}}
	}
	compiled := func(v flow, values ...string) (string, *enforce.Refusal) {
		o := optionsFor(enforce.NFTables)
		for _, s := range values {
			c, err := enforce.ParseConfigured(s)
			if err != nil {
				t.Fatal(err)
			}
			o.Configured = append(o.Configured, c)
		}
		p, err := enforce.Compile(t.Context(), accepted(t, v), o)
		if r, ok := err.(*enforce.Refusal); ok {
			return "", r
		}
		return string(p.Content), nil
	}
	got, _ := compiled(setting(), "db=url=10.1.2.3:5432", "db=url=[2001:db8::5]:5432", "db=url=db.corp:6432")
	for _, want := range []string{"ip daddr 10.1.2.3/32 tcp dport { 5432 }", "ip6 daddr 2001:db8::5/128 tcp dport { 5432 }", "to db.corp tcp 6432"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if got, _ := compiled(setting(5432, 5433), "db=url=10.0.0.0/8"); !strings.Contains(got, "ip daddr 10.0.0.0/8 tcp dport { 5432, 5433 }") {
		t.Error(got)
	}
	for name, c := range map[string]struct {
		flow  flow
		value string
		code  enforce.Code
	}{
		"undeclared port":    {setting(5432), "db=url=10.1.2.3:22", enforce.CodeOptions},
		"undeclared setting": {setting(5432), "DB=url=10.1.2.3:5432", enforce.CodeOptions},
		"no port":            {setting(), "db=url=10.1.2.3", enforce.CodeUncompiled},
	} {
		if _, r := compiled(c.flow, c.value); r == nil || r.Code != c.code {
			t.Errorf("%s: %v, want %s", name, r, c.code)
		}
	}
}

func TestParseConfigured(t *testing.T) {
	for _, bad := range []string{"", "x", "=h", "s=", "s=a b", "s=A.example", "s=a.example:0", "s=a.example:70000", "s=a.example:x", "s=1.2.3", "s=10.0.0.1/8",
		"s=::1%eth0", "s=::ffff:10.0.0.1", "s=a\n.example", "s=http://a.example", "s=a..example", "s=-a.example", "s=" + strings.Repeat("a.", 127) + "aa"} {
		if c, err := enforce.ParseConfigured(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, c)
		}
	}
	for _, good := range []string{"s=h", "s=h:1", "s=10.0.0.0/8", "s=::1", "s=[::1]:443", "s=a.example:65535"} {
		if _, err := enforce.ParseConfigured(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

// TestOptions: what is missing or malformed is refused before anything is looked at.
func TestOptions(t *testing.T) {
	v := accepted(t, update443())
	for name, change := range map[string]func(*enforce.Options){
		"target":            func(o *enforce.Options) { o.Target = "iptables" },
		"no target":         func(o *enforce.Options) { o.Target = "" },
		"time":              func(o *enforce.Options) { o.Now = o.Now.AddDate(-5000, 0, 0) },
		"name":              func(o *enforce.Options) { o.Name = "a b" },
		"name with newline": func(o *enforce.Options) { o.Name = "a\nb" },
		"selector":          func(o *enforce.Options) { o.Selector = nil },
		"label":             func(o *enforce.Options) { o.Selector = map[string]string{"a": "b c"} },
		"label prefix":      func(o *enforce.Options) { o.Selector = map[string]string{"A_/a": "b"} },
		"namespace":         func(o *enforce.Options) { o.Namespace = "A" },
		"no scope":          func(o *enforce.Options) { o.Target, o.Scope = enforce.NFTables, enforce.Scope{} },
		"two scopes":        func(o *enforce.Options) { o.Target, o.Scope.Cgroup = enforce.NFTables, "a" },
		"cgroup":            func(o *enforce.Options) { o.Target, o.Scope = enforce.NFTables, enforce.Scope{Cgroup: `a" accept`} },
		"cgroup above":      func(o *enforce.Options) { o.Target, o.Scope = enforce.NFTables, enforce.Scope{Cgroup: "a/../b"} },
		"resolver":          func(o *enforce.Options) { o.Target, o.Resolver = enforce.NFTables, o.Listen },
		"resolver's zone":   func(o *enforce.Options) { o.Resolver = netip.MustParseAddrPort("[fe80::1%eth0 accept]:53") },
		"resolver's port":   func(o *enforce.Options) { o.Resolver = netip.MustParseAddrPort("192.0.2.53:0") },
		"listen":            func(o *enforce.Options) { o.Listen = netip.MustParseAddrPort("[::ffff:127.0.0.1]:3128") },
		"configured host":   func(o *enforce.Options) { o.Configured = []enforce.Configured{{Setting: "s", Host: "a\nb"}} },
		"configured block": func(o *enforce.Options) {
			o.Configured = []enforce.Configured{{Setting: "s", Prefix: netip.MustParsePrefix("10.0.0.1/8")}}
		},
		"configured port":    func(o *enforce.Options) { o.Configured = []enforce.Configured{{Setting: "s", Host: "a", Port: 70000}} },
		"nothing configured": func(o *enforce.Options) { o.Configured = []enforce.Configured{{Setting: "s"}} },
		"service":            func(o *enforce.Options) { o.Target, o.Service = enforce.Docker, "" },
		"image":              func(o *enforce.Options) { o.Target, o.ProxyImage = enforce.Docker, "" },
	} {
		t.Run(name, func(t *testing.T) {
			o, code := optionsFor(enforce.Cilium), enforce.CodeOptions
			if change(&o); name == "time" {
				code = enforce.CodeNotInForce
			}
			refused(t, v, o, code)
		})
	}
	o := optionsFor(enforce.Cilium)
	o.Now = now.AddDate(0, 0, 0).Local()
	compile(t, v, o)
}
