package plain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// checkColumns is the width of the longest check id and a space.
const checkColumns = 24

// skippedMark begins the line of what was not run.
const skippedMark = "----"

// Verdict prints the outcome, one line for each check that was run, and, if the outcome is accepted, what the vendor
// declares.
func Verdict(w *text.Writer, artifact string, v *verify.Verdict) {
	if v.Outcome == verify.Accepted {
		w.Line("%s  %s", w.Style(text.Green, "ACCEPTED"), text.Safe(artifact))
	} else {
		w.Line("%s  %s", w.Style(text.Red, "REJECTED"), text.Safe(artifact))
	}
	for rest := v.Checks; len(rest) > 0; {
		end := slices.IndexFunc(rest, func(c verify.Check) bool { return c.Bundle != rest[0].Bundle })
		if end < 0 {
			end = len(rest)
		}
		heading(w, v, rest[0].Bundle)
		checks(w, rest[:end])
		rest = rest[end:]
	}
	if v.Policy != nil {
		policyRules(w, v.Policy)
	}
	if v.Outcome != verify.Accepted {
		w.Blank()
		w.Paragraph("", "What the bundles declare is not shown, because the verdict is a rejection.")
		return
	}
	declarations(w, v)
}

// heading names a bundle and its outcome, or the input as a whole.
func heading(w *text.Writer, v *verify.Verdict, name string) {
	if name == "" {
		w.Heading("The bundles together")
		return
	}
	var result verify.BundleResult // the zero value is rejected
	for _, b := range v.Bundles {
		if b.Name == name {
			result = b
		}
	}
	w.Heading("Bundle " + text.Safe(name) + ": " + result.Outcome.String())
	if result.Use == verify.UseSuperseded || result.Use == verify.UseNotInForce {
		w.Line("  %s  %s", w.Style(text.Faint, skippedMark), notCounted(result))
	}
}

// notCounted says why an accepted bundle's statement is not among those that the verdict builds on.
func notCounted(b verify.BundleResult) string {
	switch {
	case b.Use == verify.UseSuperseded && b.SupersededBy != "":
		return "not counted: superseded by " + text.Safe(b.SupersededBy)
	case b.SupersededBy != "":
		return "not counted: " + b.Use.String() + "; " + text.Safe(b.SupersededBy) + " counts instead"
	}
	return "not counted: " + b.Use.String()
}

// checks prints those of one bundle. Those that were not run, because an earlier one failed, share a line: they say
// nothing, and the one that failed is not to be searched for among them. Of those that were not asked for, for one
// reason, the first has a line.
func checks(w *text.Writer, list []verify.Check) {
	notRun, reason := 0, ""
	for _, c := range list {
		if c.Status != verify.StatusSkipped {
			reason = ""
			check(w, c)
			continue
		}
		if c.Detail == "" {
			notRun++
		} else if c.Detail != reason {
			check(w, c)
		}
		reason = c.Detail
	}
	switch {
	case notRun == 1:
		w.Line("  %s  not run: 1 check", w.Style(text.Faint, skippedMark))
	case notRun > 1:
		w.Line("  %s  not run: %d checks", w.Style(text.Faint, skippedMark), notRun)
	}
}

// check prints one line, and for a check that failed what was wanted, what was there and what to do.
func check(w *text.Writer, c verify.Check) {
	mark, colour := skippedMark, text.Faint
	switch c.Status {
	case verify.StatusPass:
		mark, colour = "ok  ", text.Green
	case verify.StatusFail:
		mark, colour = "FAIL", text.Red
	case verify.StatusWarning:
		mark, colour = "warn", text.Yellow
	}
	// Not wrapped: one line per check, for people who grep.
	line := fmt.Sprintf("%-*s%s", checkColumns, c.ID, text.Safe(c.Detail))
	w.Line("  %s  %s", w.Style(colour, mark), strings.TrimRight(line, " "))
	if c.Status != verify.StatusFail {
		return
	}
	w.Item("        ", checkColumns, "", prefixed("expected: ", c.Expected))
	w.Item("        ", checkColumns, "", prefixed("got:      ", c.Got))
	w.Item("        ", checkColumns, "", prefixed("hint:     ", c.Hint))
}

func prefixed(label, s string) string {
	if s == "" {
		return ""
	}
	return label + text.Safe(s)
}

// declarations prints the statements of the accepted bundles under the heading that says what they are worth.
func declarations(w *text.Writer, v *verify.Verdict) {
	for i := range v.Evidence {
		e := &v.Evidence[i]
		if e.Statement == nil {
			continue
		}
		w.Blank()
		heading, note := "declared by the vendor, not verified",
			"Verified is who signed this, by when, and that it is logged and unchanged. Whether it is true is the vendor's word."
		if e.Statement.IsEvidence() {
			heading, note = EvidenceHeading(e.Statement), EvidenceNote
		}
		w.Line("%s", w.Style(text.Bold, fmt.Sprintf("%s (%s): %s", TypeName(e.Statement.Type), text.Safe(e.Bundle), strings.ToUpper(heading))))
		w.Paragraph("  ", note)
		w.Item("  ", labelColumns, "Signed with", text.Safe(e.KeyID))
		w.Item("  ", labelColumns, "Signed by", e.SignedBy.UTC().Format(time.RFC3339)+" at the latest")
		w.Item("  ", labelColumns, "Logged at", fmt.Sprintf("%s, entry %d of %d", text.Safe(e.LogOrigin), e.LogIndex, e.TreeSize))
		if len(e.Cosignatures) > 0 {
			w.Item("  ", labelColumns, "Witnessed", fmt.Sprintf("by %s, in the log by %s", text.Safe(witnessNames(e)),
				e.WitnessedBy.UTC().Format(time.RFC3339)))
		}
		if e.LogPledge != nil {
			w.Item("  ", labelColumns, "Log pledge", Pledge(e))
		}
		standing(w, e.Standing)
		Statement(w, e.Statement)
		for _, f := range e.Warnings {
			w.Item("  ", labelColumns, "Warning "+f.Code, text.Safe(f.Message))
		}
	}
}

// Pledge says in which logs only the signer pledged to publish, and whether this statement is in one of them. The evidence has a pledge.
func Pledge(e *verify.Evidence) string {
	logs := text.Safe(strings.Join(e.LogPledge.Logs, ", "))
	if e.LogPledge.Kept {
		return "the signer publishes in " + logs + " only, and this is there"
	}
	return "BROKEN: the signer pledged to publish in " + logs + " only, and this is in " + text.Safe(e.LogOrigin)
}

// witnessNames lists who cosigned.
func witnessNames(e *verify.Evidence) string {
	names := make([]string, len(e.Cosignatures))
	for i, c := range e.Cosignatures {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}
