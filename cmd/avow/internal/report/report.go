package report

import (
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/verify"
)

// Format is a form of report.
type Format string

// The formats.
const (
	// Text is for a person at a terminal.
	Text Format = "text"
	// JSON is the API's Verdict message.
	JSON Format = "json"
	// SARIF 2.1.0 is for code scanning.
	SARIF Format = "sarif"
	// JUnit is for build servers.
	JUnit Format = "junit"
	// Markdown is for pull requests and tickets.
	Markdown Format = "markdown"
	// HTML is one self-contained file, to read, print and keep.
	HTML Format = "html"
)

// Formats returns the names of all formats.
func Formats() []string {
	return []string{string(Text), string(JSON), string(SARIF), string(JUnit), string(Markdown), string(HTML)}
}

// Item is one artifact of a report.
type Item struct {
	// Name is what the caller calls the artifact: a file, or "sha256:" and hex digits.
	Name string
	// Verdict is the answer; nil where Err is set.
	Verdict *verify.Verdict
	// Question is what was asked.
	Question verdictpb.Question
	// Err says why there is no verdict.
	Err error
}

// Accepted reports whether the item was evaluated and accepted.
func (i *Item) Accepted() bool {
	return i.Err == nil && i.Verdict != nil && i.Verdict.Outcome == verify.Accepted
}

// Meta is what a report says about itself.
type Meta struct {
	// Version is that of avow.
	Version string
	// GeneratedAt is the time of the report.
	GeneratedAt time.Time
	// Command are the program and its arguments that ask the same question again; empty if that cannot be said.
	Command []string
	// TrustedRoot is the file with the trusted root, as it is to be named in commands.
	TrustedRoot string
	// Keys maps key ids to the files that hold them, for commands.
	Keys map[string]string
	// Batch says that the items are a list, however many there are. Without it there is exactly one. Text and JSON are
	// for one alone: a list has forms of its own there, with a row for each entry.
	Batch bool
	// Colours and Width are those of a terminal, for Text alone.
	Colours bool
	Width   int
}

// writers has the code of each format. It is a table, written here and nowhere else.
var writers = map[Format]func(io.Writer, iter.Seq[Item], Meta) error{
	Text: writeText, JSON: writeJSON, SARIF: writeSARIF, JUnit: writeJUnit, Markdown: writeMarkdown, HTML: writeHTML,
}

// Write writes the report. Items are read once and one after the other. The error is the destination's, or says that the
// format is not known.
func Write(w io.Writer, f Format, items iter.Seq[Item], m Meta) error {
	write := writers[f]
	if m.Batch && (f == Text || f == JSON) {
		return fmt.Errorf("report format %q is for one item", f)
	}
	if write == nil {
		return fmt.Errorf("report format %q is not known", f)
	}
	return write(w, items, m)
}

// outcome is the state of an item, with its words.
type outcome int

// The states. The zero value is the one that claims least.
const (
	notEvaluated outcome = iota
	rejected
	accepted
)

func outcomeOf(i *Item) outcome {
	switch {
	case i.Accepted():
		return accepted
	case i.Err != nil || i.Verdict == nil:
		return notEvaluated
	}
	return rejected
}

// String returns the word in capitals.
func (o outcome) String() string {
	return [...]string{"NOT EVALUATED", "REJECTED", "ACCEPTED"}[o]
}

// meaning says what the outcome of an item means.
func meaning(i *Item) string {
	switch outcomeOf(i) {
	case accepted:
		if i.Verdict.Policy != nil {
			return "Every demand was met: who signed, when, that it is logged and unchanged, and every rule of the policy that can reject."
		}
		return "Every demand was met: who signed, when, and that it is logged and unchanged. No policy was given."
	case rejected:
		return "At least one demand was not met. Do not install it under these rules."
	default:
		return "The question could not be answered. That is not an acceptance."
	}
}

// problem is the error of an item that has no verdict.
func (i *Item) problem() string {
	if i.Err == nil {
		return "there is no verdict"
	}
	return text.Safe(i.Err.Error())
}

// reason is why an item was not accepted, in a line: the ids of the failed rules or of the first failed checks.
func (i *Item) reason() string {
	if outcomeOf(i) == notEvaluated {
		return i.problem()
	}
	if p := i.Verdict.Policy; p != nil {
		if denials := p.Denials(); len(denials) > 0 {
			return "policy: " + ruleIDs(denials)
		}
	}
	failures := i.Verdict.Failures()
	if len(failures) == 0 {
		return ""
	}
	if first := failures[0]; first.Bundle != "" {
		return text.Safe(string(first.ID)) + " (" + text.Safe(first.Bundle) + ")"
	}
	return text.Safe(string(failures[0].ID))
}

// ruleIDs names rules, and the rest of a long list by its number.
func ruleIDs(rules []verify.RuleResult) string {
	const most = 5
	s := ""
	for i, r := range rules {
		if i == most {
			return s + fmt.Sprintf(", %d more", len(rules)-most)
		}
		if i > 0 {
			s += ", "
		}
		s += text.Safe(r.ID)
	}
	return s
}

// counts are how many items had which outcome.
type counts [3]int

func (c counts) total() int { return c[0] + c[1] + c[2] }

// String is the summary of a batch.
func (c counts) String() string {
	return fmt.Sprintf("%d accepted, %d rejected, %d not evaluated", c[accepted], c[rejected], c[notEvaluated])
}

// worst is the outcome of the whole: accepted only if there is something and all of it was accepted.
func (c counts) worst() outcome {
	switch {
	case c[notEvaluated] > 0 || c.total() == 0:
		return notEvaluated
	case c[rejected] > 0:
		return rejected
	}
	return accepted
}

// use returns what became of a bundle's statement.
func use(v *verify.Verdict, bundle string) verify.Use {
	for _, b := range v.Bundles {
		if b.Name == bundle {
			return b.Use
		}
	}
	return verify.UseNone
}

// declared returns the evidence whose statements may be shown as what the vendor declares.
func declared(i *Item) []*verify.Evidence {
	return slices.DeleteFunc(counting(i), func(e *verify.Evidence) bool { return e.Statement.IsEvidence() })
}

// beside returns the evidence whose statements are observations and test results.
func beside(i *Item) []*verify.Evidence {
	return slices.DeleteFunc(counting(i), func(e *verify.Evidence) bool { return !e.Statement.IsEvidence() })
}

// counting returns the evidence of statements that count, in an accepted verdict.
func counting(i *Item) []*verify.Evidence {
	var list []*verify.Evidence
	if !i.Accepted() {
		return nil
	}
	for j := range i.Verdict.Evidence {
		e := &i.Verdict.Evidence[j]
		if e.Statement != nil && use(i.Verdict, e.Bundle) == verify.UseCounts {
			list = append(list, e)
		}
	}
	return list
}

// judged returns the evidence of which it was asked how it stands.
func judged(i *Item) []*verify.Evidence {
	var list []*verify.Evidence
	if i.Err != nil || i.Verdict == nil {
		return nil
	}
	for j := range i.Verdict.Evidence {
		if e := &i.Verdict.Evidence[j]; e.Standing != nil {
			list = append(list, e)
		}
	}
	return list
}

// trustDigest is the SHA-256 of the trusted root in hex, or "" where none was read.
func trustDigest(q *verdictpb.Question) string {
	if q.Trust == nil {
		return ""
	}
	digest := q.Trust.Digest()
	return hex.EncodeToString(digest[:])
}

// instant is a time as reports print it.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
