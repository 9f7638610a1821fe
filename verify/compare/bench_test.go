package compare

import (
	"fmt"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// world is a declaration of 256 flows (hosts, suffixes, blocks) and peers of
// which each is one of them, or none where share says so (one in share).
func world(peers, share int) (*predicate.DataFlows, *observation.Observation) {
	d := declare()
	for n := range 256 {
		d.Flows = append(d.Flows, flow(fmt.Sprintf("f%d", n), host("host", fmt.Sprintf("h%d.acme.example", n)),
			host("suffix", fmt.Sprintf("s%d.acme.example", n)), host("cidr", fmt.Sprintf("10.%d.0.0/%d", n, 16+n%9))))
	}
	o := observe()
	for n := range peers {
		var p observation.Peer
		switch k := n % 256; {
		case n%share == share-1:
			p = peer(fmt.Sprintf("n%d.evil.example", n))
		case n%3 == 0:
			p = peer(fmt.Sprintf("h%d.acme.example", k))
		case n%3 == 1:
			p = peer(fmt.Sprintf("n%d.x.s%d.acme.example", n, k))
		default:
			p = address(fmt.Sprintf("10.%d.0.%d", k, n%250), observation.NamingUnresolved)
		}
		p.Addresses = nil
		o.Peers = append(o.Peers, p)
	}
	return d, o
}

// BenchmarkCompare is 100,000 peers and 256 flows: the promise is 100 ms.
func BenchmarkCompare(b *testing.B) {
	for name, share := range map[string]int{"declared": 1 << 30, "one in ten undeclared": 10, "all undeclared": 1} {
		b.Run(name, func(b *testing.B) {
			d, o := world(observation.MaxPeers, share)
			observed := []*observation.Observation{o}
			b.ReportAllocs()
			for b.Loop() {
				if r := Compare(d, observed, Options{}); r.Clean() != (share == 1<<30) || r.Count(Declared) > observation.MaxPeers {
					b.Fatal(r.Findings[0])
				}
			}
		})
	}
}
