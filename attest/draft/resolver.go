package draft

import (
	"net/netip"

	"github.com/avow-dev/avow/attest/predicate"
)

// SystemResolver is the setting of the endpoint that stands for whatever resolver
// the system of the user has: a comparison is told by it which one that was.
const SystemResolver = "the resolvers of the operating system"

const domainPort = 53

// systemResolver is the flow of a program that asks the resolver of its system,
// known by a loopback address: a stub of the system, or the one of a recording.
// Nobody declares such an address. What is the same for every program is filled
// in, and where it is not the value is the worst.
func (g *group) systemResolver() (predicate.Flow, bool) {
	for _, p := range g.peers {
		addr, err := netip.ParseAddr(p.Host)
		if err != nil || !addr.IsLoopback() || p.Port != domainPort || p.Application != "domain" || p.Inbound {
			return predicate.Flow{}, false
		}
	}
	trigger := "event"
	for _, p := range g.peers {
		if p.Startup {
			trigger = "startup"
		}
	}
	return predicate.Flow{ID: slug("name resolution", g.component), Title: "Looking up addresses of hosts", Component: g.component,
		Initiator: "product", DataDirection: "both", Endpoints: []predicate.Endpoint{{Kind: "discovered", Setting: SystemResolver}},
		Purposes:   []string{"nameResolution"},
		Sends:      []predicate.DataItem{{Category: "dnsQueries", Personal: "mayContain", Linked: "linkedToDevice", Description: "names of the hosts that the product connects to"}},
		Receives:   []predicate.DataItem{{Category: "other", Personal: "none", Linked: "notLinked", Description: "their addresses"}},
		Recipients: []predicate.Recipient{{Role: "customer"}},
		Activation: predicate.Activation{DefaultState: "on", Trigger: trigger, Consent: "none", Control: predicate.Control{Possible: "no", By: "vendorOnly"}},
		Necessity:  "core"}, true
}
