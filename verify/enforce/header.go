package enforce

import (
	"fmt"
	"strings"
	"time"
)

// Keys of the lines of the header that Compare reads back.
const (
	keyStatement = "statement"
	keyLog       = "log"
)

// header returns the lines that say where a policy comes from and what is not in it, each printable ASCII without line break.
// Text of the statement stands in quotes at their ends, or has been checked.
func (p *plan) header() []string {
	c := p.evidence.Statement.DataFlows.Common
	lines := []string{
		"avow egress policy, compiled from a verified statement: compile it again instead of editing it",
		keyStatement + ": " + p.evidence.StatementID,
		fmt.Sprintf("%s: %s entry %d", keyLog, plainText(p.evidence.LogOrigin), p.evidence.LogIndex),
		"product: " + quoted(c.Product.Name) + " " + quoted(c.Product.Version),
		"declarant: " + quoted(c.Declarant.Party.Name),
		"valid: from " + p.validFrom() + " until " + c.Validity.NotAfter,
		"standing: " + p.standing(),
	}
	for i := range p.rules {
		r := &p.rules[i]
		lines = append(lines, fmt.Sprintf("flow %s: %s to %s", r.flow.ID, quoted(r.flow.Title), r.peer()))
	}
	for _, list := range []struct {
		word  string
		items []Item
	}{{"resolver", p.resolved}, {"inbound", p.inbound}, {"left out", p.leftOut}, {"not compiled", p.uncompiled}} {
		for _, i := range list.items {
			lines = append(lines, list.word+": "+i.String())
		}
	}
	for _, n := range p.notes {
		lines = append(lines, "note: "+n)
	}
	return lines
}

func (p *plan) validFrom() string {
	if v := p.validity(); v.NotBefore != "" {
		return v.NotBefore
	}
	return p.validity().IssuedAt
}

// standing says how the statement stands, as far as it was asked.
func (p *plan) standing() string {
	s := p.evidence.Standing
	if s == nil {
		return "not asked for"
	}
	return fmt.Sprintf("%s as of %s, not known after %s", s.Standing, s.AsOf.UTC().Format(time.RFC3339), s.NotAfter.UTC().Format(time.RFC3339))
}

// comments returns the header as comment lines.
func (p *plan) comments(more ...string) string {
	var b strings.Builder
	for _, line := range append(p.header(), more...) {
		b.WriteString("# " + line + "\n")
	}
	return b.String()
}
