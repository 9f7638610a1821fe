package report

import (
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// Limits of what goes into a comment: platforms take 65,536 characters or so. What is left out is said.
const (
	maxMarkdownRows     = 200 // artifacts of a batch, those that were not accepted first
	maxMarkdownDetailed = 20  // of them in full
	maxMarkdownFlows    = 40
)

// markdown builds a document.
type markdown struct {
	strings.Builder
}

func (b *markdown) line(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }

// table writes rows whose cells are Markdown already.
func (b *markdown) table(columns []string, rows [][]string) {
	b.line("")
	b.line("| %s |", strings.Join(columns, " | "))
	b.line("|%s", strings.Repeat(" --- |", len(columns)))
	for _, r := range rows {
		b.line("| %s |", strings.Join(r, " | "))
	}
}

// writeMarkdown writes the verdict for a pull request or a ticket: what failed, and what is declared.
func writeMarkdown(to io.Writer, items iter.Seq[Item], m Meta) error {
	var (
		b        markdown
		n        counts
		rows     [2][][]string // those that were accepted, and the others
		detailed markdown
		shown    int
	)
	for item := range items {
		o := outcomeOf(&item)
		n[o]++
		kind := 1
		if o == accepted {
			kind = 0
		}
		if len(rows[kind]) < maxMarkdownRows {
			rows[kind] = append(rows[kind], []string{"**" + o.String() + "**", code(text.Safe(item.Name)), prose(item.reason())})
		}
		if (!m.Batch || o != accepted) && shown < maxMarkdownDetailed {
			shown++
			detailed.article(&item, m)
		}
	}
	if m.Batch {
		b.line("## %s: %s", map[bool]string{true: "ALL ACCEPTED", false: "NOT ALL ACCEPTED"}[n.worst() == accepted], n)
		all := append(rows[1], rows[0]...)
		all = all[:min(len(all), maxMarkdownRows)]
		b.table([]string{"Verdict", "Artifact", "Reason"}, all)
		if rest := n.total() - len(all); rest > 0 {
			b.line("\nThe table has %d of %d artifacts.", len(all), n.total())
		}
		if rest := n[rejected] + n[notEvaluated] - shown; rest > 0 {
			b.line("\nBelow, %d of the %d that were not accepted are shown in full.", shown, shown+rest)
		}
		b.line("")
	}
	b.WriteString(detailed.String())
	b.line("\n---\n*Written by avow %s%s. It states what was verified and what the vendor declared.*", prose(text.Safe(m.Version)),
		besides("", " on ", code(instant(m.GeneratedAt))))
	_, err := io.WriteString(to, b.String())
	return err
}

// article writes one artifact.
func (b *markdown) article(i *Item, m Meta) {
	o := outcomeOf(i)
	b.line("## %s: %s\n\n%s", o, code(text.Safe(i.Name)), meaning(i))
	var rows [][]string
	for _, f := range facts(i) {
		rows = append(rows, []string{f.Label, code(f.Value)})
	}
	b.table([]string{"What was verified", ""}, rows)
	b.findings(findings(i))
	if i.Verdict != nil && i.Err == nil {
		b.rules(i.Verdict.Policy)
		b.proofs(i.Verdict)
	}
	for _, e := range declared(i) {
		b.declaration(e, "Declared by the vendor, not verified")
	}
	for _, e := range beside(i) {
		b.declaration(e, "Evidence: "+plain.EvidenceHeading(e.Statement))
	}
	if !i.Accepted() {
		b.line("\nWhat the bundles declare is not shown, because there is no acceptance.")
	}
	if len(m.Command) > 0 && !m.Batch {
		b.line("\n### How to check it again\n")
		for _, c := range commands(i, m) {
			b.line("%s:\n\n````sh\n%s\n````\n", c.What, c.Line)
		}
	}
	b.line("")
}

// findings writes what failed and what warns, checks and rules.
func (b *markdown) findings(list []entry) {
	if len(list) == 0 {
		return
	}
	var rows [][]string
	for _, e := range list {
		why := prose(e.Detail)
		for _, p := range e.labelled() {
			if p[0] != "bundle" {
				why += "<br>" + p[0] + ": " + prose(p[1])
			}
		}
		rows = append(rows, []string{"**" + e.StatusWord() + "**", code(e.key()), code(e.Bundle), prose(e.Sentence), why})
	}
	title := "Warnings"
	if list[0].Status == verify.StatusFail {
		title = "What failed"
	}
	b.line("\n### %s", title)
	b.table([]string{"Result", "Check", "Bundle", "Asked for", "What is wrong"}, rows)
}

// rules writes the policy's rules with what made them fail.
func (b *markdown) rules(p *verify.PolicyResult) {
	if p == nil || len(p.Rules) == 0 {
		return
	}
	var rows [][]string
	for i := range p.Rules {
		e := ruleEntry(&p.Rules[i])
		word := e.StatusWord()
		if e.Status == verify.StatusPass {
			word = "met"
		}
		failing := make([]string, len(e.Failing))
		for j, id := range e.Failing {
			failing[j] = code(id)
		}
		rows = append(rows, []string{word, code(e.ID), prose(e.Sentence), strings.Join(failing, ", ")})
	}
	b.line("\n### The buyer's policy")
	b.table([]string{"Result", "Rule", "Asks for", "Because of"}, rows)
}

// proofs writes which statements count, and where they are.
func (b *markdown) proofs(v *verify.Verdict) {
	evidence := map[string]*verify.Evidence{}
	for i := range v.Evidence {
		evidence[v.Evidence[i].Bundle] = &v.Evidence[i]
	}
	var rows [][]string
	for _, r := range v.Bundles {
		id, place := "", ""
		if e := evidence[r.Name]; e != nil {
			id = code(e.StatementID)
			place = fmt.Sprintf("%s, index %d of %d, root %s, signed by %s", code(text.Safe(e.LogOrigin)), e.LogIndex, e.TreeSize,
				code(hex.EncodeToString(e.RootHash)), code(instant(e.SignedBy)))
		}
		rows = append(rows, []string{code(text.Safe(r.Name)), r.Outcome.String(), prose(useWords(&r)), id, place})
	}
	b.line("\n### Statements")
	b.table([]string{"Bundle", "Bundle was", "Its statement", "Statement id", "In the log"}, rows)
	b.standings(v)
}

// standings writes how statements stand, where it was asked for.
func (b *markdown) standings(v *verify.Verdict) {
	var rows [][]string
	for i := range v.Evidence {
		for _, line := range plain.StandingLines(v.Evidence[i].Standing) {
			rows = append(rows, []string{code(text.Safe(v.Evidence[i].Bundle)), line[0], prose(line[1])})
		}
	}
	if len(rows) > 0 {
		b.line("\n### How they stand")
		b.table([]string{"Bundle", "", ""}, rows)
	}
}

// declaration writes what a statement says: claims in a list, flows in a table.
func (b *markdown) declaration(e *verify.Evidence, worth string) {
	b.line("\n### %s: %s", worth, plain.TypeName(e.Statement.Type))
	for _, s := range plain.Describe(e.Statement) {
		if s.Title != "" {
			b.line("\n#### %s", s.Title)
		}
		if s.Note != "" {
			b.line("\n%s", s.Note)
		}
		b.line("")
		for _, entry := range s.Entries {
			b.line("- **%s**", prose(entry.Label))
			for _, p := range entry.Paragraphs {
				if digestName.MatchString(p) {
					b.line("  <br>%s", code(p))
				} else {
					b.line("  <br>%s", prose(p))
				}
			}
		}
		b.cells(s.Columns, s.Rows)
	}
}

func (b *markdown) cells(columns []text.Column, cells [][]text.Cell) {
	if len(cells) == 0 {
		return
	}
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.Title
	}
	var rows [][]string
	for _, r := range cells[:min(len(cells), maxMarkdownFlows)] {
		row := make([]string, len(r))
		for i, c := range r {
			paragraphs := make([]string, len(c))
			for j, p := range c {
				paragraphs[j] = prose(p)
			}
			row[i] = strings.Join(paragraphs, "<br>")
		}
		rows = append(rows, row)
	}
	b.table(titles, rows)
	if rest := len(cells) - len(rows); rest > 0 {
		b.line("\n%d more are not shown here; `--format html` has all.", rest)
	}
}
