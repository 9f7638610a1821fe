package plain

import (
	"fmt"
	"strings"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// checkColumns is the width of the longest check id and a space.
const checkColumns = 24

// Verdict prints the outcome, one line for each check, and, if the outcome is accepted, what the vendor declares.
func Verdict(w *text.Writer, artifact string, v *verify.Verdict) {
	if v.Outcome == verify.Accepted {
		w.Line("%s  %s", w.Style(text.Green, "ACCEPTED"), text.Safe(artifact))
	} else {
		w.Line("%s  %s", w.Style(text.Red, "REJECTED"), text.Safe(artifact))
	}
	last := "\x00" // no bundle has this name
	for _, c := range v.Checks {
		if c.Bundle != last {
			heading(w, v, c.Bundle)
			last = c.Bundle
		}
		check(w, c)
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
	outcome := verify.Rejected
	for _, b := range v.Bundles {
		if b.Name == name {
			outcome = b.Outcome
		}
	}
	w.Heading("Bundle " + text.Safe(name) + ": " + outcome.String())
}

// check prints one line, and for a check that failed what was wanted, what was there and what to do.
func check(w *text.Writer, c verify.Check) {
	mark, colour := "----", text.Faint
	switch c.Status {
	case verify.StatusPass:
		mark, colour = "ok  ", text.Green
	case verify.StatusFail:
		mark, colour = "FAIL", text.Red
	case verify.StatusWarning:
		mark, colour = "warn", text.Yellow
	}
	detail := text.Safe(c.Detail)
	if detail == "" && c.Status == verify.StatusSkipped {
		detail = "not run"
	}
	// Not wrapped: one line per check, for people who grep.
	w.Line("  %s  %s", w.Style(colour, mark), strings.TrimRight(fmt.Sprintf("%-*s%s", checkColumns, c.ID, detail), " "))
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
		w.Line("%s", w.Style(text.Bold, fmt.Sprintf("%s (%s): DECLARED BY THE VENDOR, NOT VERIFIED",
			TypeName(e.Statement.Type), text.Safe(e.Bundle))))
		w.Paragraph("  ", "Verified is who signed this, by when, and that it is logged and unchanged. Whether it is true is the vendor's word.")
		w.Item("  ", labelColumns, "Signed with", text.Safe(e.KeyID))
		w.Item("  ", labelColumns, "Signed by", e.SignedBy.UTC().Format(time.RFC3339)+" at the latest")
		w.Item("  ", labelColumns, "Logged at", fmt.Sprintf("%s, entry %d of %d", text.Safe(e.LogOrigin), e.LogIndex, e.TreeSize))
		Statement(w, e.Statement)
		for _, f := range e.Warnings {
			w.Item("  ", labelColumns, "Warning "+f.Code, text.Safe(f.Message))
		}
	}
}
