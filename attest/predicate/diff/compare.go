package diff

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
)

// Compare returns what changed from the old statement to the new one. Both are
// no-backdoor, data-flows or undertakings statements, and of the same type;
// anything else is an error that names both types and ids.
func Compare(old, new *predicate.Statement) (*Report, error) {
	changes, err := compare(old, new)
	if err != nil {
		return nil, err
	}
	return &Report{Type: old.Type, Old: release(old), New: release(new), Changes: changes}, nil
}

// Contradictions returns what two statements of one type say differently about
// one artifact, both being in force. Left out is what two honest statements may
// well have of their own: id, validity, references, signatory, evidence,
// extensions, free text, the list of subjects, and values that read the same.
// Statements that [Compare] refuses say nothing about the same thing: nil.
func Contradictions(a, b *predicate.Statement) []Change {
	changes, err := compare(a, b)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(changes, func(c Change) bool { return c.aside })
}

func compare(old, new *predicate.Statement) ([]Change, error) {
	if old == nil || new == nil {
		return nil, fmt.Errorf("diff: no statement to compare")
	}
	was, is := declared(old), declared(new)
	if old.Type != new.Type || !was.IsValid() || !is.IsValid() || was.Type() != is.Type() {
		return nil, fmt.Errorf("diff: statement %s is of type %q, %s of type %q: want two of one type out of no-backdoor, "+
			"data-flows and undertakings", old.ID(), old.Type, new.ID(), new.Type)
	}
	m := member{}
	if old.Ignored() || new.Ignored() {
		m.was.raw, m.is.raw = decode(old), decode(new)
	}
	c := &comparison{plans: plans(), predicateType: old.Type}
	subjects := m.at("subject")
	subjects.was.v, subjects.is.v = reflect.ValueOf(old.Subjects), reflect.ValueOf(new.Subjects)
	c.apply(subjectRule(), subjects)
	predicates := m.at("predicate")
	predicates.was.v, predicates.is.v = was, is
	c.members(predicates)
	return c.changes, nil
}

// declared returns the predicate of a statement that can be compared, else the
// zero Value.
func declared(st *predicate.Statement) reflect.Value {
	switch {
	case st.NoBackdoor != nil:
		return reflect.ValueOf(*st.NoBackdoor)
	case st.DataFlows != nil:
		return reflect.ValueOf(*st.DataFlows)
	case st.Undertakings != nil:
		return reflect.ValueOf(*st.Undertakings)
	}
	return reflect.Value{}
}

func release(st *predicate.Statement) Release {
	product := st.Common().Product
	return Release{StatementID: st.ID(), Product: product.Name, Version: product.Version}
}

// decode returns the payload as encoding/json reads it, which the strict parse
// has made sure is the only way to read it. It is looked at for members that the
// types do not have, and for nothing else.
func decode(st *predicate.Statement) any {
	var root any
	if err := json.Unmarshal(st.Payload(), &root); err != nil {
		return nil // not from a parsed statement
	}
	return root
}

// side is a member in one of the statements.
type side struct {
	v     reflect.Value
	raw   any // the same in the decoded payload; nil where all members are known
	place int // of an element in its list
}

// member is a member of a struct, or an element of a list, in both statements,
// with what is known of it from what is around it.
type member struct {
	was, is    side
	owner      *member // the struct or list around it
	name       string  // in the struct; an element has none
	element    bool
	what       What
	item, part string
	aside      bool
}

// at returns the member of this name, without its values.
func (m *member) at(name string) member {
	inner := *m
	inner.owner, inner.name, inner.element = m, name, false
	inner.was, inner.is = m.was.key(name), m.is.key(name)
	return inner
}

// of returns the element of this list that the two sides are. One of them may
// be missing.
func (m *member) of(was, is side) member {
	inner := *m
	inner.owner, inner.element = m, true
	inner.was, inner.is = was, is
	return inner
}

// pointer returns the JSON pointer in the old or in the new statement.
func (m *member) pointer(old bool) string {
	switch {
	case m.owner == nil:
		return ""
	case m.element && old:
		return m.owner.pointer(old) + "/" + strconv.Itoa(m.was.place)
	case m.element:
		return m.owner.pointer(old) + "/" + strconv.Itoa(m.is.place)
	}
	return m.owner.pointer(old) + "/" + pointerEscaper.Replace(m.name)
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

func (s side) key(name string) side {
	if s.raw == nil {
		return side{}
	}
	object, _ := s.raw.(map[string]any)
	return side{raw: object[name]}
}

func (s side) index(i int) side {
	list, _ := s.raw.([]any)
	e := side{v: s.v.Index(i), place: i}
	if i < len(list) {
		e.raw = list[i]
	}
	return e
}

// elements returns the elements of a list member.
func (s side) elements() []side {
	list := make([]side, s.v.Len())
	for i := range list {
		list[i] = s.index(i)
	}
	return list
}

// structure returns the struct that the member is or points to. An absent one
// reads as one without members.
func (s side) structure() side {
	if s.v.Kind() != reflect.Pointer {
		return s
	}
	if s.v.IsNil() {
		s.v = reflect.Zero(s.v.Type().Elem())
		return s
	}
	s.v = s.v.Elem()
	return s
}

// typed returns the whole value, as far as the types have it, in one form; ""
// if it is absent.
func (s side) typed() string {
	if s.v.IsZero() {
		return ""
	}
	data, err := json.Marshal(s.v.Interface())
	if err != nil {
		return fmt.Sprintf("%#v", s.v.Interface()) // not from a parsed statement
	}
	return string(data)
}

// comparison collects changes.
type comparison struct {
	plans         map[reflect.Type]*plan
	predicateType string
	changes       []Change
}

// report adds a change of the member.
func (c *comparison) report(m member, kind Kind, was, is string, d Direction, why string) {
	c.changes = append(c.changes, Change{What: m.what, Item: m.item, Part: m.part, Pointer: m.pointer(kind == Removed), Kind: kind,
		Old: clip(was), New: clip(is), Direction: d, Why: why, aside: m.aside})
}

// apply compares a member by its rule.
func (c *comparison) apply(r rule, m member) {
	if r.what != "" {
		m.what = r.what
	}
	if r.item != "" {
		m.item = r.item
	}
	m.aside = m.aside || r.aside
	first := len(c.changes)
	r.compare(c, m)
	if r.registry != "" {
		for i := range c.changes[first:] {
			c.changes[first+i].of(r.registry)
		}
	}
}

// of names the registry of the values. A new value that it does not have makes
// nothing better.
func (c *Change) of(registry string) {
	c.Registry = registry
	if c.Kind != Removed && c.Direction == Narrowing {
		if _, known := predicate.Lookup(registry, c.New); !known {
			c.Direction, c.Why = Widening, unknownValue
		}
	}
}

// members compares two structs of one type, member by member.
func (c *comparison) members(m member) {
	p := c.plans[m.was.v.Type()]
	for i, name := range p.names {
		inner := m.at(name)
		inner.was.v, inner.is.v = m.was.v.Field(i), m.is.v.Field(i)
		c.apply(p.rules[i], inner)
	}
	c.unknown(m, p.names)
}

// unknown compares the members that a struct does not have. A newer version of
// the type may have added them, and only to deny or to inform (specification,
// section 3): what they are about is not known here.
func (c *comparison) unknown(m member, known []string) {
	was, _ := m.was.raw.(map[string]any)
	is, _ := m.is.raw.(map[string]any)
	var names []string
	for _, object := range []map[string]any{was, is} {
		for name := range object {
			if !slices.Contains(known, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		inner := m.at(name)
		inner.what = WhatUnknown
		old, now := canonicalRaw(was[name]), canonicalRaw(is[name])
		if old != now {
			c.report(inner, kindOf(old, now), old, now, Widening, "a member that this version does not know, which counts as the worst")
		}
	}
}

func canonicalRaw(raw any) string {
	if raw == nil {
		return ""
	}
	data, _ := json.Marshal(raw) // was decoded from JSON
	return string(data)
}

// kindOf tells from two values of which one may be absent what happened.
func kindOf(was, is string) Kind {
	switch {
	case was == "":
		return Added
	case is == "":
		return Removed
	}
	return Changed
}
