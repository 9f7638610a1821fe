package compare

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// rule is one endpoint of one flow, as something that accepts peers.
type rule struct {
	flow *predicate.Flow
	e    *predicate.Endpoint
	// open: a kind for which transport and ports may be left out, and then mean any.
	open bool
	own  []string // the id of the flow, as a list that peers share
	said string   // what the rule names, for people
}

// accepts reports whether transport and port are among those of the endpoint.
// Which peer it is was decided before.
func (r *rule) accepts(p *observation.Peer) bool { return r.transport(p) && r.port(p) }

func (r *rule) transport(p *observation.Peer) bool {
	return r.e.Transport == p.Transport || r.open && r.e.Transport == ""
}

func (r *rule) port(p *observation.Peer) bool {
	switch {
	case p.Transport != "tcp" && p.Transport != "udp" && p.Transport != "sctp": // has none
		return true
	case len(r.e.Ports) == 0:
		return r.open // a port that is not declared is none that is declared
	}
	return slices.Contains(r.e.Ports, p.Port)
}

// name says what an endpoint names, for people.
func name(e *predicate.Endpoint) string {
	if e.Kind == "host" || e.Kind == "suffix" || e.Kind == "cidr" {
		return e.Kind + " " + e.Value
	}
	return strings.TrimSpace(e.Kind + " " + e.Setting)
}

// index finds the rules of a peer.
type index struct {
	hosts    map[string][]rule
	suffixes map[string][]rule
	blocks   map[netip.Prefix][]rule
	// bits4 and bits6 are the lengths of the blocks that are there, longest first.
	bits4, bits6 []int
	local        []rule
}

// newIndex takes the declaration apart. What cannot match is a finding.
func newIndex(declared *predicate.DataFlows, o *Options, report func(Finding)) *index {
	x := &index{hosts: map[string][]rule{}, suffixes: map[string][]rule{}, blocks: map[netip.Prefix][]rule{}}
	tables := predicate.EmbeddedTables()
	for i := range declared.Flows {
		f := &declared.Flows[i]
		for j := range f.Endpoints {
			e := &f.Endpoints[j]
			if problem := tables.EndpointProblem(e); problem != "" {
				report(Finding{Code: EndpointIgnored, Severity: Warning, Observation: -1, Flow: f.ID,
					Detail: "endpoint " + e.Kind + " " + e.Value + " matches nothing: " + problem + " (R22)"})
				continue
			}
			x.add(rule{flow: f, e: e, own: []string{f.ID}, said: name(e)}, o, report)
		}
	}
	for block := range x.blocks {
		bits := &x.bits6
		if block.Addr().Is4() {
			bits = &x.bits4
		}
		if !slices.Contains(*bits, block.Bits()) {
			*bits = append(*bits, block.Bits())
		}
	}
	longestFirst := func(a, b int) int { return cmp.Compare(b, a) }
	slices.SortFunc(x.bits4, longestFirst)
	slices.SortFunc(x.bits6, longestFirst)
	return x
}

func (x *index) add(r rule, o *Options, report func(Finding)) {
	switch r.e.Kind {
	case "host":
		x.hosts[r.e.Value] = append(x.hosts[r.e.Value], r)
	case "suffix":
		x.suffixes[r.e.Value] = append(x.suffixes[r.e.Value], r)
	case "cidr":
		block := netip.MustParsePrefix(r.e.Value) // R22 was asked
		x.blocks[block] = append(x.blocks[block], r)
	case "configured", "discovered":
		x.given(r, o.Configured[r.e.Setting], report)
	case "userDirected":
		x.given(r, o.UserDirected, report)
	case "localNetwork":
		r.open = true
		if !o.LocalNetwork {
			x.given(r, nil, report)
			return
		}
		x.local = append(x.local, r)
	}
}

// given adds what the verifier says is behind an endpoint that names no peer.
func (x *index) given(r rule, targets []Target, report func(Finding)) {
	r.open = true
	if len(targets) == 0 {
		report(Finding{Code: KindNotGiven, Severity: Warning, Observation: -1, Flow: r.flow.ID,
			Detail: "endpoint " + r.said + " matches nothing until the verifier says which peers it is"})
	}
	for _, t := range targets {
		if t.host != "" {
			x.hosts[t.host] = append(x.hosts[t.host], r)
		} else if t.block.IsValid() {
			x.blocks[t.block] = append(x.blocks[t.block], r)
		}
	}
}

// find returns the rules of the longest match that accept the peer. Where none
// does, near are rules that would match but for transport or port. A named peer
// that is declared by its addresses has one list for each address. The lists are
// appended to found, which the caller uses again.
func (x *index) find(p *observation.Peer, found [][]rule) (_ [][]rule, near []rule) {
	addresses := p.Addresses
	if p.Naming.Named() {
		if list := x.byName(p, &near); list != nil {
			return append(found, list), nil
		}
	} else {
		addresses = []string{p.Name}
	}
	for _, a := range addresses {
		list := x.byAddress(p, a, &near)
		if list == nil {
			return nil, near
		}
		found = append(found, list)
	}
	return found, near
}

func (x *index) byName(p *observation.Peer, near *[]rule) []rule {
	if list := accepting(x.hosts[p.Name], p, near); list != nil {
		return list
	}
	for rest := p.Name; ; {
		_, parent, ok := strings.Cut(rest, ".")
		if !ok {
			return nil
		}
		if list := accepting(x.suffixes[parent], p, near); list != nil {
			return list
		}
		rest = parent
	}
}

func (x *index) byAddress(p *observation.Peer, address string, near *[]rule) []rule {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return nil
	}
	addr = addr.Unmap().WithZone("")
	lengths := x.bits6
	if addr.Is4() {
		lengths = x.bits4
	}
	for _, bits := range lengths {
		block, err := addr.Prefix(bits)
		if err != nil {
			continue
		}
		if list := accepting(x.blocks[block], p, near); list != nil {
			return list
		}
	}
	if len(x.local) > 0 && isLocal(addr) {
		return accepting(x.local, p, near)
	}
	return nil
}

// accepting returns the rules that accept the peer, without copying where all do.
func accepting(list []rule, p *observation.Peer, near *[]rule) []rule {
	n := 0
	for i := range list {
		if list[i].accepts(p) {
			n++
		}
	}
	switch n {
	case 0:
		*near = append(*near, list...)
		return nil
	case len(list):
		return list
	}
	some := make([]rule, 0, n)
	for _, r := range list {
		if r.accepts(p) {
			some = append(some, r)
		}
	}
	return some
}

// isLocal reports whether an address is of this machine or its local networks:
// loopback, private (RFC 1918, RFC 4193), link-local, broadcast, and multicast
// that does not leave the site (RFC 2365, RFC 4291).
func isLocal(a netip.Addr) bool {
	if a.IsMulticast() {
		b := a.AsSlice()
		return a.Is4() && (b[0] == 239 || a.IsLinkLocalMulticast()) || a.Is6() && b[1]&0x0f <= 5
	}
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
