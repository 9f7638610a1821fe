package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/avow-dev/avow/cmd/avow/internal/plain"
)

// maxLines is how many lines a drawing has at most; where there are more flows, lines stand for several.
const maxLines = 40

// line is one line of a drawing: a flow, or several that are alike.
type line struct {
	place, recipient string
	about            []string
	label            string // what stands above the line
	data             []string
	personal         plain.Personal
	on               bool
	state            string
	out, in          bool
	flows            int // how many arrows it stands for
}

// linesOf makes the lines of a drawing: one for each flow and recipient, and if those are too many one for each recipient,
// then for each place, of the flows that are alike in what they send and whether they are on. grouped says which it is.
func linesOf(arrows []plain.Arrow) (lines []line, grouped string) {
	lines = make([]line, len(arrows))
	for i, a := range arrows {
		lines[i] = line{place: a.Place, recipient: a.Recipient, about: a.About, label: besides(a.ID, ": ", a.Title), data: a.Data,
			personal: a.Personal, on: a.On, state: a.State, out: a.Out, in: a.In, flows: 1}
	}
	if len(lines) <= maxLines {
		return lines, ""
	}
	if byRecipient := gather(lines, func(l *line) string { return l.recipient }); len(byRecipient) <= maxLines {
		return byRecipient, "recipient"
	}
	byPlace := gather(lines, func(*line) string { return "" })
	if len(byPlace) <= maxLines {
		return byPlace, "place"
	}
	// More places than lines: those with the most flows are drawn, the others become one line for each kind of data.
	slices.SortStableFunc(byPlace, func(a, b line) int { return cmp.Compare(b.flows, a.flows) })
	for i := maxLines / 2; i < len(byPlace); i++ {
		byPlace[i].place, byPlace[i].recipient = "other places", "several recipients"
	}
	return gather(byPlace, func(l *line) string { return l.recipient }), "place"
}

// gather puts together the lines to one place that have the same name, kind of data and default state. The first of them
// gives the order.
func gather(lines []line, name func(*line) string) []line {
	type key struct {
		place, name string
		personal    plain.Personal
		on          bool
	}
	index := map[key]int{}
	recipients := map[key]map[string]bool{}
	var out []line
	for _, l := range lines {
		k := key{l.place, name(&l), l.personal, l.on}
		i, ok := index[k]
		if !ok {
			i = len(out)
			index[k], recipients[k] = i, map[string]bool{}
			out = append(out, line{place: l.place, recipient: k.name, personal: l.personal, on: l.on, state: l.state})
		}
		o := &out[i]
		o.flows += l.flows
		o.out, o.in = o.out || l.out, o.in || l.in
		recipients[k][l.recipient] = true
		for _, d := range l.data {
			if !slices.Contains(o.data, d) {
				o.data = append(o.data, d)
			}
		}
	}
	for k, i := range index {
		o := &out[i]
		o.label = counted(o.flows, "flow", "flows")
		if o.recipient == "" {
			o.recipient = counted(len(recipients[k]), "recipient", "recipients")
		}
	}
	return out
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// sends are the words for the data on a line.
func (l *line) sends() string {
	return besides(l.personal.String(), ": ", strings.Join(l.data, ", "))
}

// String says what the line shows, for people who do not see it.
func (l *line) String() string {
	direction := " to "
	switch {
	case l.in && l.out:
		direction = " to and from "
	case l.in:
		direction = " from "
	}
	s := l.label + direction + l.recipient
	for _, a := range l.about {
		s += ", " + a
	}
	return s + "; " + l.state + "; " + l.sends()
}
