package draft

import (
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
)

// TestSystemResolver: a stub resolver is the system's; a resolver elsewhere, and
// anything else on loopback, is a peer like others.
func TestSystemResolver(t *testing.T) {
	stub := Peer{Host: "127.0.0.53", Port: 53, Transport: "udp", Application: "domain", Startup: true}
	for name, c := range map[string]struct {
		change func(*Peer)
		kind   string
	}{
		"stub":       {func(*Peer) {}, "discovered"},
		"by IPv6":    {func(p *Peer) { p.Host = "::1" }, "discovered"},
		"elsewhere":  {func(p *Peer) { p.Host = "192.0.2.53" }, "cidr"},
		"other port": {func(p *Peer) { p.Port = 5353 }, ""},
		"not DNS":    {func(p *Peer) { p.Application = "" }, ""},
		"inbound":    {func(p *Peer) { p.Inbound = true }, ""},
	} {
		p := stub
		c.change(&p)
		flows, err := Compose([]*Findings{{Peers: []Peer{p}}})
		if err != nil || len(flows) != 1 {
			t.Fatalf("%s: %d flows, %v", name, len(flows), err)
		}
		e := flows[0].Endpoints[0]
		if c.kind != "" && e.Kind != c.kind || c.kind == "" && e.Kind == "discovered" {
			t.Errorf("%s: kind %q, want %q", name, e.Kind, c.kind)
		}
		if c.kind == "discovered" && (e.Setting != SystemResolver || flows[0].Activation.Trigger != "startup" || flows[0].Necessity != "core") {
			t.Errorf("%s: %+v", name, flows[0])
		}
	}
}

// TestSystemResolverIsNotAsked: nobody is asked about it, so that the questions are
// left for the peers.
func TestSystemResolverIsNotAsked(t *testing.T) {
	flows, err := Compose([]*Findings{{Peers: []Peer{{Host: "127.0.0.53", Port: 53, Transport: "udp", Application: "domain"},
		{Host: "whois.example", Port: 43, Transport: "tcp"}}}})
	if err != nil {
		t.Fatal(err)
	}
	about := map[string]int{}
	for _, q := range Questions(&predicate.DraftOptions{Flows: flows}) {
		for _, id := range []string{"name-resolution", "whois.example"} {
			if strings.Contains(q.Text, id) {
				about[id]++
			}
		}
	}
	if about["name-resolution"] != 0 || about["whois.example"] != 3 {
		t.Errorf("questions by flow: %v", about)
	}
}
