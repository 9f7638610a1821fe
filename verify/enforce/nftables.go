package enforce

import (
	"fmt"
	"net/netip"
	"strings"
)

// nftSet is a set of the ruleset that addresses of a host go into.
type nftSet struct {
	name string
	host string
	v6   bool
	keys []string // what follows the address in an element: " . tcp . 443"; one empty string for icmp
}

// maxElements bounds each set: more addresses than any host has, and a bound for the kernel's memory.
const maxElements = 65536

// nftables writes a ruleset that replaces the table of its name in one step. Only what the product itself begins is matched,
// packet by packet, so that a connection ends when its peer leaves the set.
func (p *plan) nftables() ([]byte, []nftSet, error) {
	names := p.names()
	if len(names) > 0 && !p.o.Resolver.IsValid() {
		return nil, nil, refuse(CodeOptions, "give the address of the resolver that the product may ask", "the statement declares names, and no resolver is given")
	}
	table := p.o.name()
	var decls, rules strings.Builder
	var sets []nftSet
	declared := map[string]bool{}
	for i := range p.rules {
		r := &p.rules[i]
		if r.prefix.IsValid() {
			rules.WriteString(prefixRule(r))
			continue
		}
		for _, v6 := range []bool{false, true} {
			set := hostSet(r, v6)
			sets = append(sets, set)
			if declared[set.name] {
				continue
			}
			declared[set.name] = true
			decls.WriteString(set.declaration())
			rules.WriteString(set.rule(r.flow.ID))
		}
	}
	resolverNote := "the names that the product may ask the resolver for are not limited here; a resolver that answers the declared ones alone limits them"
	if len(p.resolved) == 0 && len(names) == 0 {
		resolverNote = "no resolver may be asked"
	}
	var b strings.Builder
	b.WriteString(p.comments("addresses are put into the sets by `avow enforce --follow`; two services at one address are one peer", resolverNote))
	fmt.Fprintf(&b, "table inet %s {\n}\ndelete table inet %s\ntable inet %s {\n%s", table, table, table, decls.String())
	b.WriteString(p.nftHook())
	b.WriteString("\tchain egress {\n\t\toifname \"lo\" accept\n")
	b.WriteString("\t\ticmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report } accept\n")
	if len(p.inbound) > 0 {
		b.WriteString("\t\tct direction reply accept comment \"answers to what the remote side began\"\n")
	}
	if len(names) > 0 || len(p.resolved) > 0 {
		b.WriteString(p.resolverRule())
	}
	b.WriteString(rules.String())
	b.WriteString("\t\tcounter reject with icmpx admin-prohibited\n\t}\n}\n")
	return []byte(b.String()), sets, nil
}

// nftHook is the chain that sends the traffic of the scope to the chain egress.
func (p *plan) nftHook() string {
	policy, scope := "accept", ""
	switch s := p.o.Scope; {
	case s.Namespace:
		policy = "drop"
	case s.UID != nil:
		scope = fmt.Sprintf("meta skuid %d ", *s.UID)
	default:
		scope = fmt.Sprintf("socket cgroupv2 level %d %q ", strings.Count(s.Cgroup, "/")+1, s.Cgroup)
	}
	return fmt.Sprintf("\tchain output {\n\t\ttype filter hook output priority filter; policy %s;\n\t\t%sgoto egress\n\t}\n", policy, scope)
}

func (p *plan) resolverRule() string {
	r := p.o.Resolver
	return fmt.Sprintf("\t\t%s daddr %s meta l4proto { tcp, udp } th dport %d accept comment \"resolver\"\n", family(r.Addr()), r.Addr(), r.Port())
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "ip"
	}
	return "ip6"
}

func prefixRule(r *rule) string {
	match := "meta l4proto { icmp, ipv6-icmp }"
	if r.transport != "icmp" {
		match = fmt.Sprintf("%s dport { %s }", r.transport, joined(r.ports, ", "))
	}
	return fmt.Sprintf("\t\t%s daddr %s %s accept comment %q\n", family(r.prefix.Addr()), r.prefix, match, r.flow.ID)
}

// hostSet is the set of a rule's flow for one family of addresses, with what of it is the rule's.
func hostSet(r *rule, v6 bool) nftSet {
	s := nftSet{name: "flow-" + r.flow.ID, host: r.host, v6: v6}
	if r.transport == "icmp" {
		s.name, s.keys = s.name+".icmp", []string{""}
	}
	for _, port := range r.ports {
		s.keys = append(s.keys, fmt.Sprintf(" . %s . %d", r.transport, port))
	}
	if s.name += ".4"; v6 {
		s.name = strings.TrimSuffix(s.name, "4") + "6"
	}
	return s
}

func (s *nftSet) icmp() bool { return s.keys[0] == "" }

func (s *nftSet) declaration() string {
	kind := "ipv4_addr"
	if s.v6 {
		kind = "ipv6_addr"
	}
	if !s.icmp() {
		kind += " . inet_proto . inet_service"
	}
	return fmt.Sprintf("\tset %s {\n\t\ttype %s\n\t\tflags timeout\n\t\tsize %d\n\t}\n", s.name, kind, maxElements)
}

func (s *nftSet) rule(flow string) string {
	family, icmp := "ip", "icmp"
	if s.v6 {
		family, icmp = "ip6", "ipv6-icmp"
	}
	if s.icmp() {
		return fmt.Sprintf("\t\tmeta l4proto %s %s daddr @%s accept comment %q\n", icmp, family, s.name, flow)
	}
	return fmt.Sprintf("\t\t%s daddr . meta l4proto . th dport @%s accept comment %q\n", family, s.name, flow)
}
