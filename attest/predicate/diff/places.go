package diff

import (
	"slices"

	"github.com/avow-dev/avow/attest/predicate"
)

// The blocs that a statement can name as upper bounds, as of 2026-01-01. A
// country that joins is added; one that leaves is taken out, which makes a
// statement that names it a wider one, as it should.
var (
	euMembers = []string{"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT",
		"LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"}
	eftaMembersOfEEA = []string{"IS", "LI", "NO"}
)

// within returns the places that a place lies in for certain, itself not
// among them. A part of a country lies in none but anywhere: it can lie outside
// the bloc of its country, as FR-NC does (specification, section 9).
func within(place string) []string {
	var blocs []string
	switch {
	case place == predicate.Anywhere || !predicate.EmbeddedTables().Jurisdiction(place):
		return nil // what is no place is as bad as anywhere
	case place == "EU":
		blocs = []string{"EEA"}
	case slices.Contains(euMembers, place):
		blocs = []string{"EU", "EEA"}
	case slices.Contains(eftaMembersOfEEA, place):
		blocs = []string{"EEA"}
	}
	return append(blocs, predicate.Anywhere)
}

// holder returns the place of the set that holds the given one, "" if none does.
func holder(place string, set map[string]bool) string {
	for _, p := range within(place) {
		if set[p] {
			return p
		}
	}
	return ""
}

const placesSays = "any place added that lies in none that was there; absent reads as anywhere"

// places compares lists of jurisdiction tokens. None is anywhere.
func places() rule {
	return rule{says: placesSays, what: WhatJurisdiction, compare: (*comparison).places}
}

// place compares one token.
func place() rule {
	return rule{says: placesSays, what: WhatJurisdiction, compare: func(c *comparison, m member) {
		was, is := m.was.v.String(), m.is.v.String()
		if was == is {
			return
		}
		kind := kindOf(was, is)
		old, now := or(was, predicate.Anywhere), or(is, predicate.Anywhere)
		switch {
		case old == now:
			m.aside = true
			c.report(m, kind, was, is, Neutral, "absent reads as anywhere")
		case slices.Contains(within(now), old):
			c.report(m, kind, was, is, Narrowing, "lies in "+old)
		case is == "":
			c.report(m, kind, was, is, Widening, "not stated any more, which reads as anywhere")
		default:
			c.report(m, kind, was, is, Widening, "does not lie in the place that was there")
		}
	}}
}

func (c *comparison) places(m member) {
	was, is := values(m.was), values(m.is)
	old, now := setOf(was), setOf(is)
	if len(was) == 0 || len(is) == 0 {
		c.unstated(m, was, is)
		return
	}
	added := func(p string) (Direction, string) {
		switch in := holder(p, old); {
		case in == "":
			return Widening, "lies in no place that was there"
		case now[in]:
			return Neutral, "lies in " + in + ", which is there as before"
		default:
			return Narrowing, "lies in " + in + ", which was there"
		}
	}
	removed := func(p string) (Direction, string) {
		if in := holder(p, now); in != "" {
			return Neutral, "lies in " + in + ", which is there"
		}
		return Narrowing, "is not there any more"
	}
	c.difference(m, was, is, added, removed)
}

// unstated reports the change between a list without places and one with some.
func (c *comparison) unstated(m member, was, is []value) {
	old, now := join(was), join(is)
	switch {
	case old == now:
	case setOf(was)[predicate.Anywhere] || setOf(is)[predicate.Anywhere]:
		m.aside = true
		c.report(m, kindOf(old, now), old, now, Neutral, "absent reads as anywhere")
	case now == "":
		c.report(m, Removed, old, "", Widening, "not stated any more, which reads as anywhere")
	case slices.ContainsFunc(is, func(v value) bool { return within(v.text) == nil }):
		c.report(m, Added, "", now, Widening, unknownValue)
	default:
		c.report(m, Added, "", now, Narrowing, "was not stated, which reads as anywhere")
	}
}
