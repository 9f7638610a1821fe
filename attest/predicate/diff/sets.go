package diff

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
)

// value is an element of a list of plain values.
type value struct {
	text  string
	place side
}

// values returns the elements of a list, each once.
func values(s side) []value {
	var list []value
	seen := map[string]bool{}
	for _, e := range s.elements() {
		text := fmt.Sprint(e.v.Interface())
		if !seen[text] {
			seen[text] = true
			list = append(list, value{text, e})
		}
	}
	return list
}

func setOf(list []value) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, v := range list {
		set[v.text] = true
	}
	return set
}

func join(list []value) string {
	all := make([]string, len(list))
	for i, v := range list {
		all[i] = v.text
	}
	return strings.Join(all, ", ")
}

// difference reports the values that only one of the lists has. Order and
// repetition do not count.
func (c *comparison) difference(m member, was, is []value, added, removed func(string) (Direction, string)) {
	old, now := setOf(was), setOf(is)
	for _, v := range is {
		if !old[v.text] {
			inner := m.of(side{}, v.place)
			d, why := added(v.text)
			c.report(inner, Added, "", v.text, d, why)
		}
	}
	for _, v := range was {
		if !now[v.text] {
			inner := m.of(v.place, side{})
			d, why := removed(v.text)
			c.report(inner, Removed, v.text, "", d, why)
		}
	}
}

// set compares lists of plain values by the direction of what is added and of
// what is removed. empty is what a list without elements means, where that is
// more than any element can; "" = nothing.
func set(says string, added, removed Direction, empty string) rule {
	always := func(d Direction, why string) func(string) (Direction, string) {
		return func(string) (Direction, string) { return d, why }
	}
	return rule{says: says, compare: func(c *comparison, m member) {
		was, is := values(m.was), values(m.is)
		switch {
		case empty != "" && len(was) == 0 && len(is) > 0:
			c.report(m, Added, "", join(is), Narrowing, "was not stated, which means "+empty)
		case empty != "" && len(is) == 0 && len(was) > 0:
			c.report(m, Removed, join(was), "", Widening, "not stated any more, which means "+empty)
		default:
			c.difference(m, was, is, always(added, "was not there before"), always(removed, "is not there any more"))
		}
	}}
}

// more is a set of which each element is something more that is done.
func more() rule { return set("anything added", Widening, Narrowing, "") }

// moreOf is the same where an empty list sets no limit.
func moreOf(empty string) rule {
	return set("anything added, or all removed: none means "+empty, Widening, Narrowing, empty)
}

// support is a set of which each element is a reason to believe, or a way out.
func support() rule { return set("anything removed", Narrowing, Widening, "") }

// names are names of one thing: where one is gone, it may be another thing.
func names() rule { return set("anything removed", Neutral, Widening, "") }

// notes is a set that says nothing about what the product does.
func notes() rule { return set("never", Neutral, Neutral, "") }

// list compares lists of structs.
type list[T any] struct {
	// keys are what elements are matched by, the strictest first. A key counts
	// where one element of each list has it; equal elements match in any case.
	keys []func(*T) string
	// item says that name is the id of an item; else it is the part of one.
	item bool
	// name names an element, show says more about one that is added or removed.
	name, show func(*T) string
	// added and removed are the directions.
	added, removed Direction
	// empty is what a list without elements means, where that is more than any
	// element; "" = nothing.
	empty string
	// worthless tells of an element that adding makes nothing better; may be nil.
	worthless func(*T) string
	// each compares two elements that match; nil: member by member.
	each func(c *comparison, m member)
}

// rule returns the rule for a list.
func (l list[T]) rule(what What, says string) rule {
	return rule{what: what, says: says, compare: func(c *comparison, m member) {
		was, is := m.was.elements(), m.is.elements()
		partner, gone := match(was, is, l.keys)
		for i, e := range is {
			if partner[i] >= 0 {
				l.pair(c, l.of(m, was[partner[i]], e))
				continue
			}
			d, why := l.addition(as[T](e), len(was) == 0)
			c.report(l.of(m, side{}, e), Added, "", l.show(as[T](e)), d, why)
		}
		for _, i := range gone {
			d, why := l.removed, "is not there any more"
			if l.empty != "" && len(is) == 0 {
				d, why = Widening, "none is stated any more, which means "+l.empty
			}
			c.report(l.of(m, was[i], side{}), Removed, l.show(as[T](was[i])), "", d, why)
		}
	}}
}

// addition tells the direction of an element that was added.
func (l list[T]) addition(e *T, first bool) (Direction, string) {
	if l.empty != "" && first {
		return Narrowing, "none was stated, which means " + l.empty
	}
	if l.worthless != nil {
		if reason := l.worthless(e); reason != "" {
			return Neutral, reason
		}
	}
	return l.added, "was not there before"
}

func (l list[T]) pair(c *comparison, m member) {
	if l.each != nil {
		l.each(c, m)
		return
	}
	c.members(m)
}

// of returns the member for an element, of which one side may be missing.
func (l list[T]) of(m member, was, is side) member {
	inner := m.of(was, is)
	known := is
	if !known.v.IsValid() {
		known = was
	}
	switch name := l.name(as[T](known)); {
	case l.item:
		inner.item = name
	case inner.part != "":
		inner.part += ", " + name
	default:
		inner.part = name
	}
	return inner
}

// as returns the element of a list as what it is.
func as[T any](s side) *T { return s.v.Addr().Interface().(*T) }

// match finds for each element of the new list its partner in the old one, -1
// for none, and returns the old elements that have none.
func match[T any](was, is []side, keys []func(*T) string) (partner, gone []int) {
	partner = make([]int, len(is))
	taken := make([]bool, len(was))
	for i := range partner {
		partner[i] = -1
	}
	pair := func(key func(side) string, equal bool) {
		old, now := map[string][]int{}, map[string][]int{}
		for i := range was {
			if !taken[i] {
				k := key(was[i])
				old[k] = append(old[k], i)
			}
		}
		for i := range is {
			if partner[i] < 0 {
				k := key(is[i])
				now[k] = append(now[k], i)
			}
		}
		for k, candidates := range now {
			if !equal && (len(candidates) != 1 || len(old[k]) != 1) {
				continue
			}
			for j := range min(len(candidates), len(old[k])) {
				partner[candidates[j]] = old[k][j]
				taken[old[k][j]] = true
			}
		}
	}
	byKey := func(k func(*T) string) func(side) string { return func(s side) string { return k(as[T](s)) } }
	pair(byKey(keys[0]), false)
	pair(side.typed, true)
	for _, k := range keys {
		pair(byKey(k), false)
	}
	for i := range was {
		if !taken[i] {
			gone = append(gone, i)
		}
	}
	return partner, gone
}

// documents compares lists of documents: each by its name or address, and as one.
func documents(says string, added, removed Direction) rule {
	l := list[predicate.ResourceDescriptor]{
		keys: []func(*predicate.ResourceDescriptor) string{
			func(d *predicate.ResourceDescriptor) string { return d.Name + "\x00" + d.URI },
			func(d *predicate.ResourceDescriptor) string { return or(d.Name, d.URI) },
		},
		name: func(d *predicate.ResourceDescriptor) string { return or(d.Name, d.URI) },
		show: document, added: added, removed: removed,
	}
	changed := unit("", shown(document), func(Kind) (Direction, string) { return Neutral, "another document of the name" })
	l.each = changed.compare
	return l.rule("", says)
}

// shown adapts a line about a T for unit.
func shown[T any](show func(*T) string) func(side) string {
	return func(s side) string {
		v := s.v
		switch {
		case v.Kind() != reflect.Pointer:
			v = v.Addr()
		case v.IsNil():
			return ""
		}
		return show(v.Interface().(*T))
	}
}
