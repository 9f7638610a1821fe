package report

import (
	_ "embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// maxDetailed is how many items of a batch are shown in full: those that were not accepted before the others. All of them
// are in the summary.
const maxDetailed = 100

//go:embed report.html.tmpl
var htmlSource string

var htmlTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report").Parse(htmlSource))
})

// page is what the template shows. Texts in it are safe to print; the template escapes them for HTML.
type page struct {
	Title    string
	Batch    bool
	Outcome  outcome
	Counts   string
	Rows     []indexRow
	Articles []article
	Written  string
}

// indexRow is an item in the summary of a batch.
type indexRow struct {
	Name, Reason string
	Outcome      outcome
	Anchor       string // "" where the item is not shown in full
}

// article is an item in full.
type article struct {
	Anchor       string
	Name         string
	Outcome      outcome
	Meaning      string
	Facts        []fact
	Findings     []entry
	Rules        []entry
	Bundles      []bundleRow
	Checks       []checkRow
	Declarations []declaration
	Beside       []declaration // observations and test results
	Proofs       []proof
	Again        []again
}

// fact is a label and a value; Code says that the value is for machines.
type fact struct {
	Label, Value string
	Code         bool
}

type bundleRow struct {
	Name, Outcome, Type, Use string
}

// checkRow is a check with what came of it for each bundle.
type checkRow struct {
	ID, Sentence, Word, Class string
	Results                   []checkResult
}

type checkResult struct {
	Bundle, Word, Detail string
}

// declaration is a statement that counts.
type declaration struct {
	Type, Bundle string
	Worth        string // whose word it is
	Sections     []section
}

// section is a part of a declaration, the flows with their drawing.
type section struct {
	plain.Section
	Drawing *drawing
}

// drawing is the figure of the flows.
type drawing struct {
	Panels []drawn
	Legend []legend
	Note   string
}

type drawn struct {
	ID string
	panel
}

// legend is a symbol with its words.
type legend struct {
	Shapes []shape
	Words  string
}

// proof is where a statement can be found and by what it is known.
type proof struct {
	Type  string
	Facts []fact
}

// writeHTML writes one self-contained page. It is built in memory: what stands at the top is known at the end.
func writeHTML(to io.Writer, items iter.Seq[Item], m Meta) error {
	p := page{Batch: m.Batch, Written: "Written by avow " + m.Version + besides("", " on ", instant(m.GeneratedAt)) + "."}
	var n counts
	var full [2][]article // those that were accepted, and the others
	for item := range items {
		o := outcomeOf(&item)
		n[o]++
		row := indexRow{Name: text.Safe(item.Name), Reason: item.reason(), Outcome: o}
		kind := 1
		if o == accepted {
			kind = 0
		}
		if len(full[kind]) < maxDetailed {
			row.Anchor = fmt.Sprintf("artifact-%d", n.total())
			full[kind] = append(full[kind], newArticle(&item, row.Anchor, n.total(), m))
		}
		p.Rows = append(p.Rows, row)
	}
	if left := maxDetailed - len(full[1]); len(full[0]) > left {
		p.dropAnchors(full[0][left:])
		full[0] = full[0][:left]
	}
	p.Articles = append(full[1], full[0]...)
	p.Outcome, p.Counts = n.worst(), n.String()
	p.Title = "Verification report: " + p.Counts
	if !m.Batch && len(p.Rows) == 1 {
		p.Title = p.Outcome.String() + ": " + p.Rows[0].Name
	}
	return htmlTemplate().Execute(to, p)
}

// dropAnchors takes away the links to articles that are not shown after all.
func (p *page) dropAnchors(list []article) {
	gone := make(map[string]bool, len(list))
	for _, a := range list {
		gone[a.Anchor] = true
	}
	for i := range p.Rows {
		if gone[p.Rows[i].Anchor] {
			p.Rows[i].Anchor = ""
		}
	}
}

func newArticle(i *Item, anchor string, index int, m Meta) article {
	a := article{Anchor: anchor, Name: text.Safe(i.Name), Outcome: outcomeOf(i), Meaning: meaning(i), Facts: facts(i),
		Findings: findings(i), Again: commands(i, m)}
	if a.Outcome == notEvaluated {
		return a
	}
	for _, e := range entries(i.Verdict) {
		if e.Rule {
			a.Rules = append(a.Rules, e)
		}
	}
	a.Bundles, a.Checks = bundleRows(i.Verdict), checkRows(i.Verdict)
	for j, e := range declared(i) {
		a.Declarations = append(a.Declarations, newDeclaration(e, number(index, j)))
	}
	for j, e := range beside(i) {
		a.Beside = append(a.Beside, newDeclaration(e, number(index, len(a.Declarations)+j)))
	}
	for j := range i.Verdict.Evidence {
		a.Proofs = append(a.Proofs, newProof(&i.Verdict.Evidence[j]))
	}
	return a
}

// facts are what was judged, when and under which rules.
func facts(i *Item) []fact {
	policy := ""
	if i.Err == nil && i.Verdict != nil && i.Verdict.Policy != nil {
		p := i.Verdict.Policy
		policy = text.Safe(p.Name) + " " + text.Safe(p.Version) + ", sha256:" + hex.EncodeToString(p.Digest[:])
	}
	return set(fact{"Artifact", text.Safe(i.Name), false}, fact{"SHA-256 of the artifact", text.Safe(i.Question.ArtifactSHA256), true},
		fact{"Time of verification", instant(i.Question.At), false},
		fact{"SHA-256 of the trusted root", trustDigest(&i.Question), true}, fact{"Policy", policy, false})
}

// set keeps the facts that have a value.
func set(facts ...fact) []fact {
	var list []fact
	for _, f := range facts {
		if f.Value != "" {
			list = append(list, f)
		}
	}
	return list
}

func bundleRows(v *verify.Verdict) []bundleRow {
	types := map[string]string{}
	for i := range v.Evidence {
		if e := &v.Evidence[i]; e.Statement != nil {
			types[e.Bundle] = plain.TypeName(e.Statement.Type)
		}
	}
	rows := make([]bundleRow, len(v.Bundles))
	for i, b := range v.Bundles {
		rows[i] = bundleRow{Name: text.Safe(b.Name), Outcome: b.Outcome.String(), Type: types[b.Name], Use: useWords(&b)}
		if b.Reason != "" {
			rows[i].Outcome += " by " + text.Safe(string(b.Reason))
		}
		if rows[i].Type == "" {
			rows[i].Type = "unknown: not verified"
		}
	}
	return rows
}

// useWords say whether a bundle's statement counts.
func useWords(b *verify.BundleResult) string {
	switch b.Use {
	case verify.UseCounts:
		return "counts: the verdict builds on it"
	case verify.UseSuperseded:
		return besides("does not count: superseded by a newer statement", ", in ", text.Safe(b.SupersededBy))
	case verify.UseNotInForce:
		return "does not count: not in force at the time of verification"
	default:
		return "does not count: the bundle was not accepted"
	}
}

// statusWords are the words of a check's status and the class that goes with them.
func statusWords(s verify.Status) (word, class string) {
	switch s {
	case verify.StatusPass:
		return "passed", "pass"
	case verify.StatusWarning:
		return "warning", "warn"
	case verify.StatusSkipped:
		return "not run", "skip"
	default:
		return "FAILED", "fail"
	}
}

// StatusWord is the word for the template.
func (e entry) StatusWord() string { w, _ := statusWords(e.Status); return w }

// Class is the style for the template.
func (e entry) Class() string { _, c := statusWords(e.Status); return c }

// Labelled are the parts of an entry for the template.
func (e entry) Labelled() [][2]string { return e.labelled() }

// checkRows gathers the checks by what is checked, in the order of the verdict. A row has the worst of its results.
func checkRows(v *verify.Verdict) []checkRow {
	index := map[string]int{}
	worst := map[string]verify.Status{}
	var rows []checkRow
	for _, e := range entries(v) {
		if e.Rule {
			continue
		}
		i, ok := index[e.ID]
		if !ok {
			i = len(rows)
			index[e.ID], worst[e.ID] = i, e.Status
			rows = append(rows, checkRow{ID: e.ID, Sentence: e.Sentence})
		}
		if severity(e.Status) > severity(worst[e.ID]) {
			worst[e.ID] = e.Status
		}
		rows[i].Results = append(rows[i].Results, checkResult{e.Bundle, e.StatusWord(), e.Detail})
	}
	for i := range rows {
		r := &rows[i]
		r.Word, r.Class = statusWords(worst[r.ID])
		if !slices.ContainsFunc(r.Results, func(c checkResult) bool { return c.Word != r.Results[0].Word || c.Detail != r.Results[0].Detail }) {
			r.Results = []checkResult{{Word: r.Word, Detail: r.Results[0].Detail}} // the same for each
		}
	}
	return rows
}

func severity(s verify.Status) int {
	switch s {
	case verify.StatusPass:
		return 0
	case verify.StatusWarning:
		return 1
	case verify.StatusSkipped:
		return 2
	default:
		return 3
	}
}

func newDeclaration(e *verify.Evidence, id string) declaration {
	d := declaration{Type: plain.TypeName(e.Statement.Type), Bundle: text.Safe(e.Bundle), Worth: "declared by the vendor, not verified"}
	if e.Statement.IsEvidence() {
		d.Worth = plain.EvidenceHeading(e.Statement)
	}
	for i, s := range plain.Describe(e.Statement) {
		if i == 0 {
			for _, w := range e.Warnings {
				s.Entries = append(s.Entries, plain.Entry{Label: "Warning " + text.Safe(w.Code), Paragraphs: []string{text.Safe(w.Message)}})
			}
		}
		view := section{Section: s}
		if len(s.Rows) > 0 {
			view.Drawing = newDrawing(plain.Product(e.Statement), plain.Arrows(e.Statement.DataFlows), id)
		}
		d.Sections = append(d.Sections, view)
	}
	return d
}

func newDrawing(product string, arrows []plain.Arrow, id string) *drawing {
	lines, grouped := linesOf(arrows)
	if len(lines) == 0 {
		return nil
	}
	d := &drawing{}
	if grouped != "" {
		d.Note = fmt.Sprintf("There are %d flows to recipients, too many to draw one by one: those to one %s that send the same kind of "+
			"data are one line with their number. The table has each of them.", len(arrows), grouped)
	}
	for i, p := range draw(product, lines) {
		d.Panels = append(d.Panels, drawn{ID: id + "-" + number(i), panel: p})
	}
	for kind := plain.PersonalSpecial; kind <= plain.PersonalNothing; kind++ {
		if slices.ContainsFunc(lines, func(l line) bool { return l.personal == kind }) {
			d.Legend = append(d.Legend, legend{symbol(kind, 13, 13), kind.String()})
		}
	}
	return d
}

func newProof(e *verify.Evidence) proof {
	p := proof{Facts: set(fact{"Bundle", text.Safe(e.Bundle), false}, fact{"Statement", e.StatementID, true},
		fact{"Signing key", text.Safe(e.KeyID), true}, fact{"Signed by", signer(&e.Signer), false},
		fact{"What was signed (PAE), SHA-256", hex.EncodeToString(e.PAEDigest[:]), true},
		fact{"Log", text.Safe(e.LogOrigin), false}, fact{"Entry in the log", fmt.Sprintf("index %d of a tree of size %d", e.LogIndex,
			e.TreeSize), false}, fact{"Root hash of that tree", hex.EncodeToString(e.RootHash), true},
		fact{"Id of the log", hex.EncodeToString(e.LogID), true}, fact{"Subject", text.Safe(e.SubjectName), false})}
	if e.Statement != nil {
		p.Type = plain.TypeName(e.Statement.Type)
	}
	if e.LogPledge != nil {
		p.Facts = append(p.Facts, fact{"Log pledge", plain.Pledge(e), false})
	}
	for _, t := range e.Timestamps {
		p.Facts = append(p.Facts, fact{"Timestamp", instant(t.Time) + " by " + text.Safe(t.Authority), false})
	}
	for _, c := range e.Cosignatures {
		p.Facts = append(p.Facts, fact{"Cosignature", instant(c.Time) + " by " + text.Safe(c.Name), false})
	}
	if len(e.Cosignatures) > 0 {
		p.Facts = append(p.Facts, fact{"Quorum of witnesses", instant(e.WitnessedBy), false})
	}
	for _, line := range plain.StandingLines(e.Standing) {
		p.Facts = append(p.Facts, fact{line[0], line[1], false})
	}
	return p
}

// signer names who signed, as the buyer pinned it.
func signer(s *verify.Signer) string {
	if s.Identity != nil {
		return text.Safe(s.Identity.SAN) + ", vouched for by " + text.Safe(s.Identity.Issuer)
	}
	return besides("a pinned key", ": ", text.Safe(s.Name))
}
