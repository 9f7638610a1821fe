package compare

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// naive is the longest match by the words of the specification: every endpoint
// is asked, and the best ones are kept.
func naive(d *predicate.DataFlows, p *observation.Peer) []string {
	best, flows := 0, []string{}
	for _, f := range d.Flows {
		for _, e := range f.Endpoints {
			length := 0
			switch e.Kind {
			case "host":
				if p.Naming.Named() && p.Name == e.Value {
					length = 1_000_000
				}
			case "suffix":
				if p.Naming.Named() && strings.HasSuffix(p.Name, "."+e.Value) {
					length = 1000 + len(e.Value)
				}
			case "cidr":
				block := netip.MustParsePrefix(e.Value)
				if !p.Naming.Named() && block.Contains(netip.MustParseAddr(p.Name)) {
					length = 1 + block.Bits()
				}
			}
			if length == 0 || e.Transport != p.Transport || !slices.Contains(e.Ports, p.Port) {
				continue
			}
			if length > best {
				best, flows = length, []string{}
			}
			if length == best && !slices.Contains(flows, f.ID) {
				flows = append(flows, f.ID)
			}
		}
	}
	return flows
}

// TestLongestMatch: the index finds what asking every endpoint finds.
func TestLongestMatch(t *testing.T) {
	names := []string{"acme.example", "a.acme.example", "b.acme.example", "x.a.acme.example", "y.x.a.acme.example", "other.example", "xacme.example"}
	blocks := []string{"192.0.0.0/16", "192.0.2.0/24", "192.0.2.16/28", "192.0.2.17/32", "2001:db8::/32", "2001:db8:1::/48"}
	addresses := []string{"192.0.2.17", "192.0.2.18", "192.0.2.200", "192.0.3.1", "198.51.100.1", "2001:db8:1::1", "2001:db8:2::1"}
	rapid.Check(t, func(t *rapid.T) {
		d := declare()
		for n := range rapid.IntRange(0, 8).Draw(t, "flows") {
			f := flow(fmt.Sprintf("f%d", n))
			for range rapid.IntRange(1, 3).Draw(t, "endpoints") {
				e := predicate.Endpoint{Kind: rapid.SampledFrom([]string{"host", "suffix", "cidr"}).Draw(t, "kind"),
					Transport: rapid.SampledFrom([]string{"tcp", "udp"}).Draw(t, "transport"),
					Ports:     rapid.SliceOfNDistinct(rapid.IntRange(1, 3), 1, 2, rapid.ID[int]).Draw(t, "ports")}
				if e.Value = rapid.SampledFrom(names).Draw(t, "name"); e.Kind == "cidr" {
					e.Value = rapid.SampledFrom(blocks).Draw(t, "block")
				}
				f.Endpoints = append(f.Endpoints, e)
			}
			d.Flows = append(d.Flows, f)
		}
		p := peer(rapid.SampledFrom(names).Draw(t, "peer"))
		if rapid.Bool().Draw(t, "unnamed") {
			p = address(rapid.SampledFrom(addresses).Draw(t, "address"), observation.NamingDirect)
		}
		p.Transport, p.Port = rapid.SampledFrom([]string{"tcp", "udp"}).Draw(t, "by"), rapid.IntRange(1, 3).Draw(t, "at")
		r := Compare(d, []*observation.Observation{observe(p)}, Options{})
		want := naive(d, &p)
		got := append([]string{}, r.Peers[0].Flows...)
		if !slices.Equal(got, want) {
			t.Fatalf("%s: got %v, want %v", PeerName(&p), got, want)
		}
		if r.Clean() != (len(want) > 0) {
			t.Fatalf("%s: clean is %v with the flows %v", PeerName(&p), r.Clean(), want)
		}
	})
}

// TestOrderDoesNotCount: neither flows nor peers have an order that decides.
func TestOrderDoesNotCount(t *testing.T) {
	flows := []predicate.Flow{flow("a", host("suffix", "acme.example")), flow("b", host("host", "x.acme.example")), flow("c", host("suffix", "x.acme.example"))}
	rapid.Check(t, func(t *rapid.T) {
		p := peer(rapid.SampledFrom([]string{"x.acme.example", "y.x.acme.example", "z.acme.example", "acme.example"}).Draw(t, "peer"))
		one := Compare(declare(flows...), []*observation.Observation{observe(p)}, Options{})
		two := Compare(declare(rapid.Permutation(flows).Draw(t, "flows")...), []*observation.Observation{observe(p)}, Options{})
		if !slices.Equal(one.Peers[0].Flows, two.Peers[0].Flows) || one.Clean() != two.Clean() {
			t.Fatalf("got %v and %v", one.Peers[0], two.Peers[0])
		}
	})
}
