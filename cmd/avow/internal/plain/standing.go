package plain

import (
	"fmt"
	"strings"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// standing prints how a statement stands, and what was said about it; nothing where nobody asked.
func standing(w *text.Writer, r *verify.StandingResult) {
	for _, line := range StandingLines(r) {
		w.Item("  ", labelColumns, line[0], line[1])
	}
}

// StandingLines are what there is to say of how a statement stands, each with its label: the standing, what was withdrawn, and
// what others said. They are safe to print.
func StandingLines(r *verify.StandingResult) [][2]string {
	if r == nil {
		return nil
	}
	lines := [][2]string{{"Standing", Standing(r)}}
	if len(r.Items) > 0 {
		lines = append(lines, [2]string{"Withdrawn items", text.Safe(strings.Join(r.Items, ", "))})
	}
	for i := range r.OpenDisputes {
		lines = append(lines, [2]string{"Open dispute", saidLine(&r.OpenDisputes[i])})
	}
	for i := range r.Said {
		if s := &r.Said[i]; s.Statement.Assessment != nil {
			lines = append(lines, [2]string{"Assessment", saidLine(s)})
		}
	}
	return lines
}

// Standing is how a statement stands, in a line: "in force as of ..., by the word of 3 witnesses".
func Standing(r *verify.StandingResult) string {
	s := r.Standing.String()
	if r.Standing != verify.StandingInForce && r.Standing != verify.StandingPartlyWithdrawn {
		s += " (" + text.Safe(string(r.Reason)) + ")"
	}
	if r.AsOf.IsZero() {
		return s
	}
	whose := "the time that you gave; the operator is trusted for it"
	if r.Witnessed {
		whose = fmt.Sprintf("by the word of %s", count(len(r.Cosignatures), "witness", "witnesses"))
	}
	return fmt.Sprintf("%s as of %s, %s", s, r.AsOf.UTC().Format(time.RFC3339), whose)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// saidLine is a dispute or an assessment in a line.
func saidLine(s *verify.SaidStatement) string {
	about, by, items, note := "", "", []string(nil), ""
	switch {
	case s.Statement.Dispute != nil:
		d := s.Statement.Dispute
		about, by, items, note = word("disputeGround", d.Ground), d.Party.Name, d.Items, d.Summary
	case s.Statement.Assessment != nil:
		d := s.Statement.Assessment
		about, by = word("overall", d.Overall), d.Assessor.Name
	}
	line := text.Safe(about)
	if len(items) > 0 {
		line += " (" + text.Safe(strings.Join(items, ", ")) + ")"
	}
	line += ", by " + text.Safe(by) + fmt.Sprintf(", entry %d", s.LogIndex)
	if note != "" {
		line += ": " + text.Safe(note)
	}
	return line
}
