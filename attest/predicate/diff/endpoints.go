package diff

import (
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
)

// maxWider is in how many wider endpoints one is looked for. Honest statements
// have one or two; a hostile one shall not make this slow. What was not looked
// at is not taken for wider.
const maxWider = 8

// endpoints compares the endpoints of a flow. An endpoint that is new may lie
// within one that was there: a name under a suffix, a block in a block, any peer
// where the user directed the flow before. It then widens nothing, provided that
// it is reached in no worse way.
func endpoints() rule {
	says := "an endpoint added that lies in none that was there"
	return rule{what: WhatEndpoint, says: says, compare: func(c *comparison, m member) {
		was, is := m.was.elements(), m.is.elements()
		partner, gone := match(was, is, []func(*predicate.Endpoint) string{address, target})
		for i, e := range is {
			if partner[i] >= 0 {
				c.members(endpointOf(&m, was[partner[i]], e))
				continue
			}
			d, why := Widening, "was not there before"
			if j := c.wider(&m, was, e); j >= 0 {
				d, why = Neutral, "lies in another endpoint that was there"
				if slices.Contains(gone, j) {
					d = Narrowing
				}
			}
			c.report(endpointOf(&m, side{}, e), Added, "", address(as[predicate.Endpoint](e)), d, why)
		}
		for _, i := range gone {
			d, why := Narrowing, "is not there any more"
			if j := c.wider(&m, is, was[i]); j >= 0 {
				d, why = Neutral, "lies in another endpoint that is there"
			}
			c.report(endpointOf(&m, was[i], side{}), Removed, address(as[predicate.Endpoint](was[i])), "", d, why)
		}
	}}
}

func endpointOf(m *member, was, is side) member {
	inner := m.of(was, is)
	if !is.v.IsValid() {
		is = was
	}
	inner.part = target(as[predicate.Endpoint](is))
	return inner
}

// wider returns the place of an endpoint of the list whose peers include those
// of the given one, reached in no better way; -1 if there is none.
func (c *comparison) wider(m *member, list []side, e side) int {
	tries := 0
	for i := range list {
		if !covers(as[predicate.Endpoint](list[i]), as[predicate.Endpoint](e)) {
			continue
		}
		if tries++; tries > maxWider {
			return -1
		}
		if c.reaches(m, list[i], e) {
			return i
		}
	}
	return -1
}

// reaches compares two endpoints as if they named the same peer, and reports
// whether the way to the narrow one is as good.
func (c *comparison) reaches(m *member, wide, narrow side) bool {
	outer, peer := as[predicate.Endpoint](wide), *as[predicate.Endpoint](narrow)
	peer.Kind, peer.Value, peer.Setting = outer.Kind, outer.Value, outer.Setting
	narrow.v = reflect.ValueOf(&peer).Elem()
	trial := comparison{plans: c.plans, predicateType: c.predicateType}
	trial.members(m.of(wide, narrow))
	return !slices.ContainsFunc(trial.changes, func(c Change) bool { return c.Direction == Widening })
}

// covers reports whether the peers that the inner endpoint names are all among
// those of the outer one.
func covers(outer, inner *predicate.Endpoint) bool {
	switch {
	case target(outer) == target(inner):
		return true
	case outer.Kind == "userDirected":
		return slices.Contains(predicate.IDs("endpointKind"), inner.Kind)
	case outer.Value == "" || inner.Value == "":
		return false
	case outer.Kind == "suffix":
		return (inner.Kind == "host" || inner.Kind == "suffix") && strings.HasSuffix(inner.Value, "."+outer.Value)
	case outer.Kind == "cidr" && inner.Kind == "cidr":
		wide, err1 := netip.ParsePrefix(outer.Value)
		narrow, err2 := netip.ParsePrefix(inner.Value)
		return err1 == nil && err2 == nil && wide.Bits() <= narrow.Bits() && wide.Contains(narrow.Addr())
	}
	return false
}

// target is the peer that an endpoint names.
func target(e *predicate.Endpoint) string {
	return words(e.Kind, e.Value, e.Setting)
}

// address is the target with the way to it.
func address(e *predicate.Endpoint) string {
	ports := make([]string, len(e.Ports))
	for i, p := range e.Ports {
		ports[i] = strconv.Itoa(p)
	}
	return words(target(e), e.Transport, strings.Join(ports, ","), e.Application)
}

// words joins what is not empty.
func words(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}
