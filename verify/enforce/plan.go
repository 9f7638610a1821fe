package enforce

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// plan is a statement on its way to a policy: what may leave, and what is not in it.
type plan struct {
	o        *Options
	evidence *verify.Evidence
	flows    []predicate.Flow

	rules      []rule
	leftOut    []Item
	uncompiled []Item
	inbound    []Item
	notes      []string
	resolved   []Item // asking a resolver, which the target has a rule of its own for
}

// rule is one peer that may be reached. Exactly one of host, suffix and prefix is set.
type rule struct {
	flow      *predicate.Flow
	endpoint  int // from 1
	host      string
	suffix    string
	prefix    netip.Prefix
	transport string
	ports     []int // sorted; none for icmp
	tls       bool  // TLS is required, so that a proxy needs to tunnel only
}

// peer names the rule's peer.
func (r *rule) peer() string {
	name := r.host
	switch {
	case r.suffix != "":
		name = "names under " + r.suffix
	case r.prefix.IsValid():
		name = r.prefix.String()
	}
	name += " " + r.transport
	for i, port := range r.ports {
		sep := ","
		if i == 0 {
			sep = " "
		}
		name += fmt.Sprintf("%s%d", sep, port)
	}
	return name
}

func item(f *predicate.Flow, endpoint int, why Why, format string, args ...any) Item {
	return Item{Flow: f.ID, Title: f.Title, Endpoint: endpoint, Why: why, Detail: fmt.Sprintf(format, args...)}
}

// build turns the flows that stay into rules. out says of the other flows why they are left out.
func (p *plan) build(out map[string]Item) error {
	if p.evidence.Statement.Ignored() {
		p.notes = append(p.notes, "the statement has members that this version does not know; they were not read")
	}
	var cut []*predicate.Flow
	for i := range p.flows {
		f := &p.flows[i]
		if !flowID.MatchString(f.ID) {
			return malformed(f, -1, f.ID)
		}
		if f.Initiator == "remote" {
			p.inbound = append(p.inbound, item(f, 0, "", "the remote side initiates it; egress needs no rule"))
			continue
		}
		if why, ok := out[f.ID]; ok {
			cut = append(cut, f)
			if why.Why == WhyWithdrawn {
				p.uncompiled = append(p.uncompiled, why)
			} else {
				p.leftOut = append(p.leftOut, why)
			}
			continue
		}
		rules, missing, err := p.flowRules(f)
		if err != nil {
			return err
		}
		p.rules, p.uncompiled = append(p.rules, rules...), append(p.uncompiled, missing...)
	}
	return p.findShared(cut)
}

// flowRules returns the rules of a flow and what of it cannot be compiled.
func (p *plan) flowRules(f *predicate.Flow) (rules []rule, missing []Item, err error) {
	for j := range f.Endpoints {
		found, why, detail, err := p.endpointRules(f, j)
		if err != nil {
			return nil, nil, err
		}
		switch why {
		case "":
		case whyResolver:
			p.resolved = append(p.resolved, item(f, j+1, "", "%s", detail))
			continue
		default:
			missing = append(missing, item(f, j+1, why, "%s", detail))
			continue
		}
		for _, r := range found {
			if why, detail := p.o.Target.cannot(&r); why != "" {
				missing = append(missing, item(f, j+1, why, "%s", detail))
				continue
			}
			rules = append(rules, r)
		}
	}
	return rules, missing, nil
}

// endpointRules reads one endpoint. The values were checked at verification; they are checked again, since they become part of
// another program's input.
func (p *plan) endpointRules(f *predicate.Flow, j int) ([]rule, Why, string, error) {
	e := &f.Endpoints[j]
	r := rule{flow: f, endpoint: j + 1, transport: e.Transport, ports: sortedPorts(e.Ports), tls: e.TLS != nil && e.TLS.Requirement == "required"}
	for _, port := range r.ports {
		if port < 1 || port > 65535 {
			return nil, "", "", malformed(f, j, fmt.Sprint(port))
		}
	}
	switch e.Kind {
	case "host", "suffix":
		if !validHost(e.Value) || !strings.Contains(e.Value, ".") {
			return nil, "", "", malformed(f, j, e.Value)
		}
		if r.host = e.Value; e.Kind == "suffix" {
			r.host, r.suffix = "", e.Value
		}
	case "cidr":
		prefix, err := netip.ParsePrefix(e.Value)
		if err != nil || prefix.Masked() != prefix || prefix.Addr().Is4In6() {
			return nil, "", "", malformed(f, j, e.Value)
		}
		r.prefix = prefix
	case "configured", "discovered":
		return p.operatorRules(r, e)
	case "localNetwork":
		return nil, WhyLocalNetwork, "any peer of the local network; no rule names it", nil
	case "userDirected":
		return nil, WhyUserDirected, "the user chooses the peer; no rule names it", nil
	default:
		return nil, WhyUnknownKind, fmt.Sprintf("kind %s is not known to this version", quoted(e.Kind)), nil
	}
	return p.withPorts([]rule{r})
}

// operatorRules makes rules of the operator's own values.
func (p *plan) operatorRules(r rule, e *predicate.Endpoint) ([]rule, Why, string, error) {
	values := p.o.configured(e.Setting)
	if len(values) == 0 {
		if asksResolver(r.flow, e) && p.resolves() {
			return nil, whyResolver, p.resolverDetail(), nil
		}
		if e.Kind == "discovered" {
			return nil, WhyDiscovered, "the network announces the peer: " + quoted(e.Setting), nil
		}
		return nil, WhyNotConfigured, "no value was given for the setting " + quoted(e.Setting), nil
	}
	if r.transport == "" {
		r.transport = "tcp" // what an operator's HOST:PORT means where nothing else is declared
	}
	var rules []rule
	for _, c := range values {
		own := r
		own.host, own.prefix = c.Host, c.Prefix
		if c.Port != 0 {
			if len(r.ports) > 0 && !slices.Contains(r.ports, c.Port) {
				return nil, "", "", refuse(CodeOptions, "use a declared port, or ask the vendor to declare it",
					"port %d of setting %s is not among the declared ports %v", c.Port, quoted(c.Setting), r.ports)
			}
			own.ports = []int{c.Port}
		}
		rules = append(rules, own)
	}
	return p.withPorts(rules)
}

// withPorts finds rules that would be about any port, which nobody declared.
func (p *plan) withPorts(rules []rule) ([]rule, Why, string, error) {
	for i := range rules {
		switch rules[i].transport {
		case "tcp", "udp", "sctp":
			if len(rules[i].ports) == 0 {
				return nil, WhyNoPort, "no port is declared; give the operator's value with one", nil
			}
		default:
			rules[i].ports = nil
		}
	}
	return rules, "", "", nil
}

// whyResolver marks an endpoint that the target's own rule about a resolver covers: it is compiled, if not to a rule of its own.
const whyResolver Why = "resolver"

// asksResolver reports whether an endpoint is the resolver of the system or the network.
func asksResolver(f *predicate.Flow, e *predicate.Endpoint) bool {
	return e.Application == "domain" || e.Application == "" && slices.Contains(f.Purposes, "nameResolution")
}

func (p *plan) resolverDetail() string {
	switch p.o.Target {
	case Cilium:
		return "the cluster's resolver may be asked for the declared names, and for no others"
	case NFTables:
		return "the resolver " + p.o.Resolver.String() + " may be asked"
	}
	return "the proxy resolves the declared names"
}

// resolves reports whether the policy has a resolver of its own that the product's questions go to.
func (p *plan) resolves() bool {
	switch p.o.Target {
	case Cilium:
		return true
	case NFTables:
		return p.o.Resolver.IsValid()
	}
	return p.o.Target.proxy()
}

// flowID is the form of a flow's id, which names sets.
var flowID = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

func malformed(f *predicate.Flow, j int, value string) *Refusal {
	return refuse(CodeMalformed, "do not use the bundle; tell whoever verified it", "flow %s endpoint %d: %s is not a value that can be issued",
		quoted(f.ID), j+1, quoted(value))
}

func sortedPorts(ports []int) []int {
	sorted := slices.Clone(ports)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// cannot says why a target has no rule that is exactly this one, "" if it has.
func (t Target) cannot(r *rule) (Why, string) {
	switch {
	case r.transport == "icmp" && t == NFTables:
	case r.transport == "sctp" && !t.proxy():
	case r.transport == "tcp":
	case r.transport == "udp" && !t.proxy():
	default:
		return WhyTransport, fmt.Sprintf("%s has no rule for transport %s", t, quoted(r.transport))
	}
	switch {
	case r.host != "" && t == Kubernetes:
		return WhyHostName, "a NetworkPolicy has no rule for the name " + r.host
	case r.suffix != "" && t == Kubernetes:
		return WhyHostName, "a NetworkPolicy has no rule for names under " + r.suffix
	case r.suffix != "" && t == Cilium:
		return WhySuffix, "*." + r.suffix + " matches one label in Cilium, and the statement means any number"
	case r.suffix != "" && t == NFTables:
		return WhySuffix, "names under " + r.suffix + " cannot be resolved beforehand"
	case t == Envoy && r.prefix.IsValid() && !r.prefix.IsSingleIP():
		return WhyAddressBlock, "the proxy's routes match names, not the block " + r.prefix.String()
	}
	return "", ""
}

// refuseUncompiled refuses what would leave out something silently.
func (p *plan) refuseUncompiled() error {
	if p.o.Target == Kubernetes {
		var names []Item
		for _, i := range p.uncompiled {
			if i.Why == WhyHostName {
				names = append(names, i)
			}
		}
		if len(names) > 0 {
			r := refuse(CodeHostNames, "use --target cilium, or a proxy (squid, envoy)", "a Kubernetes NetworkPolicy knows address blocks only, and %d of "+
				"the declared endpoints are names: addresses that they have today would be wrong tomorrow, and any address would be no policy", len(names))
			r.Items = names
			return r
		}
	}
	if len(p.uncompiled) > 0 && !p.o.AllowUncompiled {
		r := refuse(CodeUncompiled, "give the operator's values with --configured, or leave them out with --allow-uncompiled",
			"%d of what is declared or to be left out cannot be compiled", len(p.uncompiled))
		r.Items = p.uncompiled
		return r
	}
	return nil
}
