package enforce

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"
)

// Address is one address that a host has, for a time.
type Address struct {
	Host string
	Addr netip.Addr
	// For is how much longer it counts; at least a second.
	For time.Duration
}

// Hosts returns the names that have to be resolved to fill the sets, each once, in the order of the statement; none for other
// targets than nftables.
func (p *Policy) Hosts() []string {
	var hosts []string
	seen := map[string]bool{}
	for i := range p.sets {
		if host := p.sets[i].host; !seen[host] {
			seen[host] = true
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// Fill returns the commands for `nft -f` that put addresses into the sets of the ruleset: all of them in one transaction, which
// replaces how long an address that is there already counts. Addresses of other names than [Policy.Hosts] are passed over.
// Where two names have one address, the longer time counts.
func (p *Policy) Fill(addresses []Address) []byte {
	type element struct{ set, key string }
	var order []element
	longest := map[element]time.Duration{}
	for _, a := range addresses {
		for i := range p.sets {
			s := &p.sets[i]
			if s.host != a.Host || s.v6 == a.Addr.Is4() || !a.Addr.IsValid() || a.Addr.Zone() != "" || a.Addr.Is4In6() {
				continue
			}
			for _, key := range s.keys {
				e := element{s.name, a.Addr.String() + key}
				if _, ok := longest[e]; !ok {
					order = append(order, e)
				}
				longest[e] = max(longest[e], a.For, time.Second)
			}
		}
	}
	var b bytes.Buffer
	for _, e := range order {
		seconds := int64((longest[e] + time.Second - 1) / time.Second)
		at := fmt.Sprintf("inet %s %s", p.name, e.set)
		// Adding what is there changes nothing, not even its timeout: it is deleted in between, unseen by packets.
		fmt.Fprintf(&b, "add element %s { %s }\ndelete element %s { %s }\nadd element %s { %s timeout %ds }\n", at, e.key, at, e.key, at, e.key, seconds)
	}
	return b.Bytes()
}
