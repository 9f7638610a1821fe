package diff

import (
	"maps"
	"slices"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
)

// The lines that stand for an element of a list where it was added or removed.

// flowLine says who gets what.
func flowLine(f *predicate.Flow) string {
	var to, what []string
	for i := range f.Recipients {
		to = append(to, recipientLine(&f.Recipients[i]))
	}
	for i := range f.Sends {
		what = append(what, f.Sends[i].Category+" ("+f.Sends[i].Personal+")")
	}
	line := f.Title
	if len(to) > 0 {
		line += "; to " + strings.Join(to, ", ")
	}
	if len(what) > 0 {
		line += "; sends " + strings.Join(what, ", ")
	}
	return line
}

// recipientName is the name of the party, or the role of one that is not named.
func recipientName(r *predicate.Recipient) string {
	if r.Party == nil {
		return r.Role
	}
	return r.Party.Name
}

func recipientInRole(r *predicate.Recipient) string { return recipientName(r) + "\x00" + r.Role }

func recipientLine(r *predicate.Recipient) string {
	if r.Party == nil {
		return r.Role
	}
	return partyLine(r.Party) + " as " + r.Role
}

func partyLine(p *predicate.Party) string {
	return p.Name + " (" + or(p.Country, predicate.Anywhere) + ", controlled from " + or(p.ControlledFrom, predicate.Anywhere) + ")"
}

func itemLine(d *predicate.DataItem) string {
	return d.Category + ": " + d.Description + " (" + d.Personal + ", " + d.Linked + ")"
}

func itemsLine(s side) string {
	var lines []string
	for _, e := range s.elements() {
		lines = append(lines, itemLine(as[predicate.DataItem](e)))
	}
	return strings.Join(lines, ", ")
}

func mechanismLine(m *predicate.Mechanism) string {
	return m.Kind + ": " + m.Description + " (" + strings.Join(m.Capabilities, ", ") + "; " + m.Operator + ", " + m.Access + ")"
}

// document names a document.
func document(d *predicate.ResourceDescriptor) string {
	return words(d.Name, d.URI, digestLine(d.Digest))
}

func referenceLine(r *predicate.StatementRef) string {
	return words(r.PredicateType, digestLine(r.Digest))
}

func subjectLine(s *predicate.Subject) string { return words(s.Name, digestLine(s.Digest)) }

func digestLine(digests map[string]string) string {
	var all []string
	for _, algorithm := range slices.Sorted(maps.Keys(digests)) {
		all = append(all, algorithm+":"+digests[algorithm])
	}
	return strings.Join(all, " ")
}
