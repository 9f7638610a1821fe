package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/avow-dev/avow/cmd/avow/internal/manifest"
	"github.com/avow-dev/avow/cmd/avow/internal/report"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// manifestReport writes what came of a list: a row for each entry, in the list's order, and an end.
type manifestReport interface {
	row(r *entryResult) error
	end(s *summary) error
}

// newManifestReport returns the report of a format that is written row by row; nil for one of package report.
func (a *app) newManifestReport(f format, out io.Writer) manifestReport {
	switch f.String() {
	case string(report.Text):
		w := a.writer()
		if out != a.env.Stdout {
			w = text.NewWriter(out, false, 0)
		}
		return &textReport{w: w}
	case string(report.JSON):
		return &jsonReport{w: out}
	case formatJSONLines:
		return &linesReport{w: out}
	}
	return nil
}

// reportItem is the entry for package report. A reader has to find it in the list.
func (r *entryResult) reportItem() report.Item {
	name := r.item.Name
	if name == "" {
		name = r.item.Position
	}
	return report.Item{Name: name, Verdict: r.verdict, Question: r.question, Err: r.err}
}

// summary counts the results of a list.
type summary struct {
	format                              manifest.Format
	entries, accepted, rejected, failed int
	byCheck                             map[verify.CheckID]*reasonCount
}

// reasonCount is how often entries were rejected by a check, with what was said the first time.
type reasonCount struct {
	check verify.Check
	count int
}

func newSummary(list *manifest.Manifest) *summary {
	return &summary{format: list.Format(), byCheck: map[verify.CheckID]*reasonCount{}}
}

func (s *summary) add(r *entryResult) {
	s.entries++
	switch {
	case r.err != nil:
		s.failed++
	case r.accepted():
		s.accepted++
	default:
		s.rejected++
		reason := r.reason()
		if s.byCheck[reason.ID] == nil {
			s.byCheck[reason.ID] = &reasonCount{check: reason}
		}
		s.byCheck[reason.ID].count++
	}
}

// reasons lists the checks that entries were rejected by, the most frequent first.
func (s *summary) reasons() []*reasonCount {
	var list []*reasonCount
	for _, r := range s.byCheck {
		list = append(list, r)
	}
	slices.SortFunc(list, func(x, y *reasonCount) int {
		return cmp.Or(cmp.Compare(y.count, x.count), cmp.Compare(x.check.ID, y.check.ID))
	})
	return list
}

// exit is the one answer to the whole list. An entry that could not be evaluated weighs more than one that was rejected:
// nobody knows what it would have been.
func (s *summary) exit() error {
	switch {
	case s.failed > 0:
		return failed("the rows of the report say why; correct the list or what it refers to, and run it again",
			"%d of %d entries could not be evaluated", s.failed, s.entries)
	case s.accepted != s.entries || s.entries == 0:
		return no()
	}
	return nil
}

// nameColumns is the width of the names of entries; longer ones push what follows to the right.
const nameColumns = 32

// textReport is the report for people: a line for each entry, for those who grep, and a table of counts.
type textReport struct{ w *text.Writer }

func (t *textReport) row(r *entryResult) error {
	outcome, colour, why := "REJECTED", text.Red, ""
	switch {
	case r.err != nil:
		outcome, colour = "ERROR", text.Yellow
		why = text.Safe(r.item.Position + ": " + firstLine(sentence(r.err)))
	case r.accepted():
		outcome, colour = "ACCEPTED", text.Green
	default:
		reason := r.reason()
		why = text.Safe(string(reason.ID) + ": " + reason.Detail)
		if reason.Bundle != "" {
			why += text.Safe(" (" + reason.Bundle + ")")
		}
	}
	name := text.Safe(r.item.Name)
	if name == "" {
		name = "-"
	}
	pad := strings.Repeat(" ", max(nameColumns-text.Width(name), 0))
	label := fmt.Sprintf("%-8s", outcome)
	t.w.Line("%s  %s", t.w.Style(colour, label), strings.TrimRight(name+pad+"  "+why, " "))
	return t.w.Err()
}

func (t *textReport) end(s *summary) error {
	w := t.w
	w.Heading("Summary")
	const columns = 28
	count := func(indent, label string, n int, what string) {
		w.Line("%s", strings.TrimRight(fmt.Sprintf("%s%-*s%8d  %s", indent, columns-len(indent), label, n, what), " "))
	}
	count("  ", "entries", s.entries, string(s.format))
	count("  ", "accepted", s.accepted, "")
	count("  ", "rejected", s.rejected, "")
	for _, r := range s.reasons() {
		count("    ", string(r.check.ID), r.count, text.Safe(r.check.Hint))
	}
	count("  ", "not evaluated", s.failed, "")
	return w.Err()
}
