package diff

import (
	"reflect"
	"strconv"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

// rule says how one member is compared. Rules are written in rules.go and made
// by the functions of this package, each of which is one way to compare.
type rule struct {
	what     What   // "" = what the struct around it is about
	item     string // the item that the members inside belong to, "" = that of the struct around it
	registry string // of the values, "" = none
	aside    bool   // no contradiction
	says     string // for docs/diff.md: what widens
	compare  func(c *comparison, m member)
}

// about sets what the changes are about.
func (r rule) about(what What) rule {
	r.what = what
	return r
}

// of sets the item that the members inside belong to.
func (r rule) of(item string) rule {
	r.item = item
	return r
}

// in names the registry of the values.
func (r rule) in(registry string) rule {
	r.registry = registry
	return r
}

// beside marks what two statements about one artifact may each have of its own.
func (r rule) beside() rule {
	r.aside = true
	return r
}

// inside compares the members of a struct. An absent struct reads as one in
// which every member is absent.
func inside(what What) rule {
	return rule{what: what, compare: func(c *comparison, m member) {
		m.was, m.is = m.was.structure(), m.is.structure()
		c.members(m)
	}}
}

// scaled compares values of a registry by an order; absent is what the absence
// of a value reads as, "" if the specification says nothing.
func scaled(registry, order, absent string) rule {
	s := newScale(order)
	r := rule{registry: registry, says: "worse in the order " + order}
	if absent != "" {
		r.says += "; absent reads as " + absent
	}
	r.compare = func(c *comparison, m member) {
		was, is := m.was.v.String(), m.is.v.String()
		if was == is {
			return
		}
		old, now := or(was, absent), or(is, absent)
		if old == now {
			m.aside = true
			c.report(m, kindOf(was, is), was, is, Neutral, "absent reads as "+absent)
			return
		}
		d, why := s.compare(old, now)
		c.report(m, kindOf(was, is), was, is, d, why)
	}
	return r
}

func or(s, absent string) string {
	if s == "" {
		return absent
	}
	return s
}

// texts is the rule for a text: a direction and a reason for each kind of change.
func texts(says string, direct func(Kind) (Direction, string)) rule {
	return rule{says: says, compare: func(c *comparison, m member) {
		was, is := m.was.v.String(), m.is.v.String()
		if was == is {
			return
		}
		kind := kindOf(was, is)
		d, why := direct(kind)
		c.report(m, kind, was, is, d, why)
	}}
}

// wording is free text, which only a person can judge.
func wording() rule {
	return texts("never: free text, listed", func(Kind) (Direction, string) {
		return Neutral, "free text: read it"
	}).about(WhatText).beside()
}

// noted is a value that says nothing about what the product does.
func noted(why string) rule {
	return texts("never", func(Kind) (Direction, string) { return Neutral, why })
}

// needed is a text that says how to do something: its words do not matter here,
// its absence does.
func needed() rule {
	return texts("removed", func(k Kind) (Direction, string) {
		switch k {
		case Added:
			return Narrowing, "was not stated"
		case Removed:
			return Widening, "not stated any more"
		}
		return Neutral, "other words: read them"
	})
}

// bound is a value that says what the statement is about, or how far it goes:
// no change of it can be ordered.
func bound(why string) rule {
	return texts("any change", func(Kind) (Direction, string) { return Widening, why })
}

// stated is a value without an order: another one widens, and so does none.
func stated(another string) rule {
	return texts("removed, or another value", func(k Kind) (Direction, string) {
		switch k {
		case Added:
			return Narrowing, "was not stated, which counts as the worst"
		case Removed:
			return Widening, "not stated any more, which counts as the worst"
		}
		return Widening, another
	})
}

// unit compares a member, with everything inside, as a whole, by one direction
// for each kind of change. show writes it on one line; nil writes JSON.
func unit(says string, show func(side) string, direct func(Kind) (Direction, string)) rule {
	return rule{says: says, compare: func(c *comparison, m member) {
		if t := m.was.structure().v.Type(); t.Kind() == reflect.Struct {
			c.unknown(m, memberNames(t))
		}
		was, is := m.was.typed(), m.is.typed()
		if was == is {
			return
		}
		kind := kindOf(was, is)
		d, why := direct(kind)
		if show != nil {
			if old, now := show(m.was), show(m.is); old != now {
				was, is = old, now
			}
		}
		c.report(m, kind, was, is, d, why)
	}}
}

// free are members that mean nothing to avow.
func free() rule {
	return unit("never: means nothing to avow", nil, func(Kind) (Direction, string) {
		return Neutral, "extensions mean nothing to avow"
	}).about(WhatExtension).beside()
}

// unlisted is the rule for a member that the table does not have.
func unlisted() rule {
	return unit("any change", nil, func(Kind) (Direction, string) {
		return Widening, "nobody has said how to compare it, which counts as the worst"
	})
}

// numbers compares two optional numbers; direct is asked where they differ.
func numbers(says string, direct func(m member, was, is *int) (Direction, string)) rule {
	return rule{says: says, compare: func(c *comparison, m member) {
		was, _ := m.was.v.Interface().(*int)
		is, _ := m.is.v.Interface().(*int)
		old, now := digits(was), digits(is)
		if old == now {
			return
		}
		d, why := direct(m, was, is)
		c.report(m, kindOf(old, now), old, now, d, why)
	}}
}

func digits(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

// fewer compares numbers of which the smaller is better.
func fewer() rule {
	return numbers("more, or removed", func(_ member, was, is *int) (Direction, string) { return less(was, is) })
}

func less(was, is *int) (Direction, string) {
	switch {
	case was == nil:
		return Narrowing, "was not stated, which counts as the worst"
	case is == nil:
		return Widening, "not stated any more, which counts as the worst"
	case *is > *was:
		return Widening, "more than before"
	}
	return Narrowing, "less than before"
}

// retentionDays counts only where days say how long data is kept; other kinds
// of retention are ordered by their kind.
func retentionDays() rule {
	return numbers("more, where the kind is days", func(m member, was, is *int) (Direction, string) {
		old, now := m.owner.was.v.Interface().(predicate.Retention), m.owner.is.v.Interface().(predicate.Retention)
		if old.Kind != "days" || now.Kind != "days" {
			return Neutral, "the kind of retention says what it means"
		}
		return less(was, is)
	})
}

// interval is the period of a flow: a shorter one is worse, and so is none
// while the flow stays periodic.
func interval() rule {
	return numbers("less, or removed while the trigger is periodic", func(m member, was, is *int) (Direction, string) {
		old, now := m.owner.was.v.Interface().(predicate.Activation), m.owner.is.v.Interface().(predicate.Activation)
		switch {
		case was != nil && is != nil && *is < *was:
			return Widening, "more often than before"
		case was != nil && is != nil:
			return Narrowing, "less often than before"
		case old.Trigger != "periodic" || now.Trigger != "periodic":
			return Neutral, "the trigger says what it means"
		case is == nil:
			return Widening, "not stated any more, which counts as the worst"
		}
		return Narrowing, "was not stated, which counts as the worst"
	})
}

// later compares times of which the later is better. One that cannot be read
// is as bad as none.
func later(better Direction) rule {
	return rule{says: "earlier, or removed", compare: func(c *comparison, m member) {
		was, is := m.was.v.String(), m.is.v.String()
		if was == is {
			return
		}
		old, oldErr := time.Parse(time.RFC3339, was)
		now, nowErr := time.Parse(time.RFC3339, is)
		switch kind := kindOf(was, is); {
		case nowErr != nil:
			c.report(m, kind, was, is, Widening, "no time any more")
		case oldErr != nil:
			c.report(m, kind, was, is, better, "was no time")
		case now.Before(old):
			c.report(m, kind, was, is, Widening, "earlier")
		case now.After(old):
			c.report(m, kind, was, is, better, "later")
		default:
			c.report(m, kind, was, is, Neutral, "the same time")
		}
	}}
}

// end is the end of a statement's validity. Undertakings hold until then, so
// that an earlier end is less; for other statements it is no more than the day
// on which the next one is due.
func end() rule {
	r := later(Narrowing)
	r.says = "earlier or removed, in undertakings"
	inner := r.compare
	other := noted("the next statement is due then").compare
	r.compare = func(c *comparison, m member) {
		if c.predicateType == predicate.UndertakingsType {
			inner(c, m)
			return
		}
		other(c, m)
	}
	return r
}
