package command

import (
	"net/netip"
	"slices"

	"github.com/avow-dev/avow/attest/predicate/observation"
	"github.com/avow-dev/avow/cmd/avow/internal/recorder"
)

// end is where sockets and peers meet: the far end of an outbound one, or the port
// that an inbound one comes in at.
type end struct {
	transport string
	remote    netip.AddrPort
	port      int
}

// attribute notes which program had the traffic with a peer, if that is certain: all
// connections of an outbound peer were seen as sockets of one program and could be
// no other peer's, or one program listened where an inbound peer came in. A peer of
// which not everything was seen has no program rather than that of a part.
func attribute(peers []observation.Peer, sockets []recorder.Socket) {
	if len(sockets) == 0 {
		return
	}
	seen := map[end]map[string]int64{} // sockets by program
	for _, s := range sockets {
		e := end{s.Transport, s.Remote, int(s.Listening)}
		if seen[e] == nil {
			seen[e] = map[string]int64{}
		}
		seen[e][s.Program] += int64(s.Count)
	}
	users := map[end]int{} // outbound peers at one end
	for i := range peers {
		for _, e := range endsOf(&peers[i]) {
			users[e]++
		}
	}
	for i := range peers {
		p := &peers[i]
		programs, shared := map[string]int64{}, false
		for _, e := range endsOf(p) {
			shared = shared || p.Direction == observation.Outbound && users[e] > 1
			for program, n := range seen[e] {
				programs[program] += n
			}
		}
		for program, n := range programs {
			if len(programs) == 1 && !shared && (p.Direction == observation.Inbound || n >= p.Connections) {
				p.Process = program
			}
		}
	}
}

// endsOf are those of a peer, none where there are no ports.
func endsOf(p *observation.Peer) []end {
	if p.Port == 0 {
		return nil
	}
	if p.Direction == observation.Inbound {
		return []end{{transport: p.Transport, port: p.Port}}
	}
	addresses := p.Addresses
	if len(addresses) == 0 {
		addresses = []string{p.Name}
	}
	var all []end
	for _, a := range slices.Compact(slices.Sorted(slices.Values(addresses))) {
		if addr, err := netip.ParseAddr(a); err == nil {
			all = append(all, end{transport: p.Transport, remote: netip.AddrPortFrom(addr.Unmap(), uint16(p.Port))})
		}
	}
	return all
}
