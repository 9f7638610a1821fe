package plain

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/diff"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// markColumns is the width of the marks of directions.
const markColumns = 10

// Diff prints what changed between two statements, item by item, those that widen first. next is the new statement: it
// says more about what was added. The caller prints whether the statements were verified.
func Diff(w *text.Writer, r *diff.Report, next *predicate.Statement) {
	w.Heading(TypeName(r.Type) + ": " + tally(r))
	w.Item("  ", markColumns, "Old", release(r.Old))
	w.Item("  ", markColumns, "New", release(r.New))
	for _, group := range groups(r.Changes) {
		w.Heading(groupTitle(group[0]))
		if sentence := signed(group[0].Item); sentence != "" {
			w.Paragraph("  ", sentence)
		}
		for _, c := range group {
			change(w, c)
			addition(w, c, next)
		}
	}
}

func release(r diff.Release) string {
	return join(" ", text.Safe(r.Product), text.Safe(r.Version), r.StatementID)
}

// tally counts the changes by direction.
func tally(r *diff.Report) string {
	if len(r.Changes) == 0 {
		return "no difference"
	}
	return fmt.Sprintf("%d widening, %d narrowing, %d neutral", r.Count(diff.Widening), r.Count(diff.Narrowing), r.Count(diff.Neutral))
}

// rank sorts what widens before what narrows before what does neither.
func rank(c diff.Change) int {
	switch c.Direction {
	case diff.Narrowing:
		return 1
	case diff.Neutral:
		return 2
	}
	return 0
}

// groups puts the changes of an item together. The item with the worst change is first, and so is the worst change of
// each item; otherwise the order stays.
func groups(changes []diff.Change) [][]diff.Change {
	var list [][]diff.Change
	at := map[string]int{}
	for _, c := range changes {
		key := section(c) + "/" + c.Item
		i, ok := at[key]
		if !ok {
			i = len(list)
			at[key] = i
			list = append(list, nil)
		}
		list[i] = append(list[i], c)
	}
	for _, group := range list {
		slices.SortStableFunc(group, func(a, b diff.Change) int { return rank(a) - rank(b) })
	}
	slices.SortStableFunc(list, func(a, b []diff.Change) int { return rank(a[0]) - rank(b[0]) })
	return list
}

// sections are the lists of items, with the word for one item.
var sections = map[string]string{"flows": "flow", "claims": "claim", "mechanisms": "mechanism", "undertakings": "undertaking",
	"evidence": "evidence"}

// section returns the list that the item of a change is in, "" for the rest of the statement.
func section(c diff.Change) string {
	if tokens := tokens(c); c.Item != "" && sections[tokens[0]] != "" {
		return tokens[0]
	}
	return ""
}

func groupTitle(c diff.Change) string {
	switch list := section(c); {
	case list != "":
		return text.Safe(c.Item) + " (" + sections[list] + ")"
	case c.Item != "":
		return "How complete the list is"
	}
	return "The statement as a whole"
}

// signed is the sentence of a claim or of an undertaking.
func signed(id string) string {
	if sentence := predicate.ClaimSentence(id); sentence != "" {
		return sentence
	}
	return predicate.UndertakingSentence(id)
}

// change prints one change and why it is what it is.
func change(w *text.Writer, c diff.Change) {
	mark, colour := "WIDER", text.Red
	switch rank(c) {
	case 1:
		mark, colour = "narrower", text.Green
	case 2:
		mark, colour = "neutral", text.Faint
	}
	happened := said(c, c.Old) + " -> " + said(c, c.New)
	switch c.Kind {
	case diff.Added:
		happened = "added " + said(c, c.New)
	case diff.Removed:
		happened = "removed " + said(c, c.Old)
	}
	w.Item("  ", markColumns, w.Style(colour, mark), member(c)+": "+happened+" ("+c.Why+")")
}

// said is a value in the registry's words, or as it is.
func said(c diff.Change, s string) string {
	if c.Registry != "" {
		return word(c.Registry, s)
	}
	return text.Safe(s)
}

// tokens are those of the pointer without the part that all have.
func tokens(c diff.Change) []string {
	return strings.Split(strings.TrimPrefix(strings.TrimPrefix(c.Pointer, "/"), "predicate/"), "/")
}

// member names the place of a change inside its item: the members that lead there, and the element of a list that they
// lead through.
func member(c diff.Change) string {
	path := tokens(c)
	if list := section(c); list != "" {
		if len(path) == 2 {
			return sections[list]
		}
		path = path[2:]
	}
	part := c.Part
	var name strings.Builder
	for i, token := range path {
		switch {
		case number(token) && i < len(path)-1 && part != "":
			name.WriteString(" " + text.Safe(part) + ",")
			part = "" // it names the elements of all lists on the way
		case number(token), token == "common" && i == 0:
		default:
			name.WriteString(" " + spaced(text.Safe(token)))
		}
	}
	return strings.TrimPrefix(name.String(), " ")
}

func number(token string) bool {
	return token != "" && strings.Trim(token, "0123456789") == ""
}

// spaced writes lowerCamelCase as words.
func spaced(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 && !unicode.IsUpper(rune(name[i-1])) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// addition prints what a flow or a mechanism that was added does, which no single change says.
func addition(w *text.Writer, c diff.Change, next *predicate.Statement) {
	if c.Kind != diff.Added || len(tokens(c)) != 2 {
		return
	}
	item := func(label, s string) { w.Item(strings.Repeat(" ", 2+markColumns), labelColumns+2, label, s) }
	switch {
	case c.What == diff.WhatFlow && next.DataFlows != nil:
		for i := range next.DataFlows.Flows {
			if f := &next.DataFlows.Flows[i]; f.ID == c.Item {
				for j, cell := range []text.Cell{receivers(f), data(f), where(f), why(f), off(f)} {
					item(strings.ToLower(flowColumns[j+1].Title), strings.Join(cell, "; "))
				}
			}
		}
	case c.What == diff.WhatMechanism && next.NoBackdoor != nil:
		for _, m := range next.NoBackdoor.Mechanisms {
			if m.ID == c.Item {
				item("can", words("capability", m.Capabilities))
				item("operated by", word("operator", m.Operator)+", "+word("access", m.Access))
				item("as shipped", word("defaultState", m.DefaultState))
				item("protection", join(", ", word("integrityCheck", m.IntegrityCheck), word("userNotice", m.UserNotice), recorded(m.Logging)))
				item("switching it off", control(m.Control))
			}
		}
	}
}
