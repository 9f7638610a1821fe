package draft

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
)

// plain are applications that are not encrypted where no TLS was seen.
var plain = []string{"http", "ftp", "telnet", "smtp", "imap", "pop3", "mqtt", "ldap", "irc", "syslog"}

// without are the applications of which R30 asks for no tls.
var without = []string{"ntp", "domain", "dhcp", "icmp", "mdns"}

// group is what becomes one flow.
type group struct {
	domain, application, component string
	peers                          []Peer
}

// Compose makes flows of what the sources say. Flows that a source has as such
// come first, then those of its peers, by id; known packages of an SBOM last.
// More than [MaxFlows] are an error.
func Compose(sources []*Findings) ([]predicate.Flow, error) {
	tables, known := predicate.EmbeddedTables(), Services()
	var flows []predicate.Flow
	groups := map[string]*group{}
	var packages []string
	for _, s := range sources {
		flows = append(flows, s.Flows...)
		packages = append(packages, s.Packages...)
		for _, p := range s.Peers {
			p.Component = strings.TrimSuffix(path.Base(strings.ReplaceAll(p.Component, `\`, "/")), ".exe")
			if p.Component == "." {
				p.Component = ""
			}
			g := group{domain: p.Host, application: cmp.Or(p.Application, p.Transport), component: brief(p.Component)}
			if _, err := netip.ParseAddr(p.Host); err != nil {
				g.domain = registrable(tables, p.Host)
			}
			key := g.domain + "|" + g.application + "|" + g.component
			if groups[key] == nil {
				groups[key] = &g
			}
			groups[key].peers = append(groups[key].peers, p)
		}
	}
	made := len(flows)
	for _, g := range groups {
		flows = append(flows, g.flows(known)...)
	}
	slices.SortStableFunc(flows[made:], func(a, b predicate.Flow) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Title, b.Title)) })
	flows = append(flows, suggested(known, packages, flows)...)
	if len(flows) > MaxFlows {
		return nil, fmt.Errorf("%d flows, a statement has at most %d: observe one program at a time", len(flows), MaxFlows)
	}
	return unique(flows), nil
}

// unique gives flows whose ids are the same a number.
func unique(flows []predicate.Flow) []predicate.Flow {
	used := map[string]bool{}
	for i := range flows {
		id := flows[i].ID
		for n := 2; used[flows[i].ID]; n++ {
			flows[i].ID = fmt.Sprintf("%s-%d", id, n)
		}
		used[flows[i].ID] = true
	}
	return flows
}

// flows makes the flow of a group, and more of them where it has more endpoints
// than one may have.
func (g *group) flows(known []Service) []predicate.Flow {
	if f, ok := g.systemResolver(); ok {
		return []predicate.Flow{f}
	}
	application := g.application
	if application == "https" {
		application = "" // nearly all have it
	}
	name := g.domain
	if _, err := netip.ParseAddr(name); err == nil {
		name = "address " + name
	}
	f := predicate.Flow{ID: slug(name, application, g.component), Title: brief("Traffic with " + g.domain + " (" + cmp.Or(g.application, "unknown protocol") + ")"),
		Component: g.component, Initiator: "product"}
	for i := range g.peers {
		p := &g.peers[i]
		if p.Inbound {
			f.Initiator = "remote"
		}
		if p.Startup {
			f.Activation.Trigger = "startup"
		}
		if p.IntervalSeconds > 0 && (f.Activation.IntervalSeconds == nil || *f.Activation.IntervalSeconds > p.IntervalSeconds) {
			f.Activation.IntervalSeconds = &p.IntervalSeconds
		}
	}
	if f.Activation.Trigger == "" && f.Activation.IntervalSeconds != nil {
		f.Activation.Trigger = "periodic"
	}
	for i := range known {
		if at := slices.IndexFunc(g.peers, func(p Peer) bool { return known[i].ofHost(p.Host) }); at >= 0 {
			f.Purposes = []string{predicate.PlaceholderOf("purpose", known[i].suggestion(g.peers[at].Host))}
			break
		}
	}
	var flows []predicate.Flow
	for part := range slices.Chunk(g.endpoints(), maxEndpoints) {
		f.Endpoints = part
		flows = append(flows, f)
	}
	return flows
}

// endpoints are the peers of a group: one for each host, transport and kind of
// encryption, with all ports.
func (g *group) endpoints() []predicate.Endpoint {
	var list []predicate.Endpoint
	at := map[string]int{}
	slices.SortStableFunc(g.peers, func(a, b Peer) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Transport, b.Transport), cmp.Compare(a.Port, b.Port), cmp.Compare(a.TLS, b.TLS))
	})
	for i := range g.peers {
		p := &g.peers[i]
		key := p.Host + "|" + p.Transport + "|" + fmt.Sprint(p.TLS != "")
		n, ok := at[key]
		if !ok {
			n = len(list)
			at[key] = n
			list = append(list, p.endpoint())
		}
		e := &list[n]
		if p.Port > 0 && !slices.Contains(e.Ports, p.Port) {
			e.Ports = append(e.Ports, p.Port)
		}
		if e.TLS != nil && p.TLS != "" && p.TLS < e.TLS.MinVersion { // sorted: an older one may be at a later port
			e.TLS.MinVersion = p.TLS
		}
	}
	for i := range list {
		if t := list[i].TLS; t != nil && !slices.Contains(predicate.IDs("tlsVersion"), t.MinVersion) {
			t.MinVersion = "" // not known, or older than can be declared
		}
	}
	return list
}

// endpoint is the peer as one, without ports.
func (p *Peer) endpoint() predicate.Endpoint {
	e := predicate.Endpoint{Kind: "host", Value: p.Host, Transport: p.Transport, Application: p.Application}
	if addr, err := netip.ParseAddr(p.Host); err == nil {
		p.addressed(&e, addr.Unmap().WithZone(""))
	} else if problem := predicate.EmbeddedTables().EndpointProblem(&e); problem != "" {
		e.Kind, e.Value = predicate.PlaceholderOf("endpointKind", "seen: "+brief(p.Host)+", which "+problem+"; configured and discovered need setting"), ""
	}
	switch {
	case slices.Contains(without, p.Application):
	case p.TLS != "":
		e.TLS = &predicate.TLS{Requirement: "required", MinVersion: p.TLS}
	case slices.Contains(plain, p.Application):
		e.TLS = &predicate.TLS{Requirement: "none", Verification: "none"}
	default:
		e.TLS = &predicate.TLS{}
	}
	return e
}

// addressed writes an address without a name: a block where it means the same
// peer everywhere, else a place to say what it is.
func (p *Peer) addressed(e *predicate.Endpoint, addr netip.Addr) {
	switch {
	case len(p.Candidates) > 0:
		e.Value = predicate.Placeholder("one of " + brief(strings.Join(p.Candidates[:min(len(p.Candidates), 8)], ", ")) + ": " + addr.String() + " had these names")
	case isPublicAddress(addr):
		e.Kind, e.Value = "cidr", netip.PrefixFrom(addr, addr.BitLen()).String()
	default:
		what := fmt.Sprintf("%s %s port %d", addr, p.Transport, p.Port)
		e.Kind = predicate.PlaceholderOf("endpointKind", "seen: "+what+"; configured and discovered need setting, localNetwork needs nothing more")
		e.Value = ""
	}
}

// suggested are flows that the packages of an SBOM suggest and nobody saw. All
// of such a flow is a question.
func suggested(known []Service, packages []string, have []predicate.Flow) []predicate.Flow {
	var flows []predicate.Flow
	for i := range known {
		s := &known[i]
		at := slices.IndexFunc(packages, s.ofPackage)
		seen := func(f predicate.Flow) bool {
			return slices.ContainsFunc(f.Endpoints, func(e predicate.Endpoint) bool { return s.ofHost(e.Value) })
		}
		if at < 0 || slices.ContainsFunc(have, seen) {
			continue
		}
		flows = append(flows, predicate.Flow{ID: slug(s.Name),
			Title: predicate.Placeholder("what happens; remove the flow if the product does not use " + brief(packages[at])),
			Endpoints: []predicate.Endpoint{{Kind: "host", Application: "https", Transport: "tcp", TLS: &predicate.TLS{},
				Value: predicate.Placeholder("host name; " + s.Name + " has " + strings.Join(s.Hosts, ", ") + " (" + s.Source + ")")}},
			Purposes: []string{predicate.PlaceholderOf("purpose", s.suggestion(brief(packages[at])))}})
	}
	return flows
}
