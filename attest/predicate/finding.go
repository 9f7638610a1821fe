package predicate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Severity says whether a finding blocks issuance.
type Severity string

// The severities. The zero value is none of them and counts as an error.
const (
	// SeverityError blocks issuance (codes R..).
	SeverityError Severity = "error"
	// SeverityWarning is returned and does not block (codes W..).
	SeverityWarning Severity = "warning"
)

// Finding is one broken rule at one place of a statement.
type Finding struct {
	// Code is the rule, R01 to R42 or W01 to W10 (docs/predicates.md).
	Code string `json:"code"`
	// Severity is error for R codes and warning for W codes.
	Severity Severity `json:"severity"`
	// Pointer is the place as an RFC 6901 JSON pointer into the statement. A
	// member that is absent is named by the pointer it would have. Empty = the
	// whole document.
	Pointer string `json:"pointer"`
	// Found is the offending value, printable and cut to 120 characters; empty
	// when something is absent.
	Found string `json:"found,omitempty"`
	// Message says what is wrong.
	Message string `json:"message"`
	// Hint says what to do about it.
	Hint string `json:"hint,omitempty"`
}

// String returns code, pointer, message and the offending value on one line.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(f.Code)
	b.WriteByte(' ')
	if f.Pointer == "" {
		b.WriteString("(document)")
	} else {
		b.WriteString(f.Pointer)
	}
	b.WriteString(": ")
	b.WriteString(f.Message)
	if f.Found != "" {
		fmt.Fprintf(&b, " (found %s)", f.Found)
	}
	return b.String()
}

// Findings are what the rules have to say about a statement, sorted: errors
// before warnings, then by code and by place.
type Findings []Finding

// Errors returns the findings that block issuance.
func (fs Findings) Errors() Findings {
	return fs.filter(func(f Finding) bool { return f.Severity != SeverityWarning })
}

// Warnings returns the findings that do not block issuance.
func (fs Findings) Warnings() Findings {
	return fs.filter(func(f Finding) bool { return f.Severity == SeverityWarning })
}

func (fs Findings) filter(keep func(Finding) bool) Findings {
	var out Findings
	for _, f := range fs {
		if keep(f) {
			out = append(out, f)
		}
	}
	return out
}

// Codes returns the distinct codes, sorted.
func (fs Findings) Codes() []string {
	var codes []string
	for _, f := range fs {
		codes = append(codes, f.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// Err returns nil if no finding is an error, else a [*RulesError] with those
// that are.
func (fs Findings) Err() error {
	if errs := fs.Errors(); len(errs) > 0 {
		return &RulesError{Findings: errs}
	}
	return nil
}

// sort orders the findings and drops exact repetitions.
func (fs Findings) sort() Findings {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(severityRank(a.Severity), severityRank(b.Severity)),
			cmp.Compare(a.Code, b.Code),
			comparePointers(a.Pointer, b.Pointer),
			cmp.Compare(a.Message, b.Message),
			cmp.Compare(a.Found, b.Found),
		)
	})
	return slices.Compact(fs)
}

func severityRank(s Severity) int {
	if s == SeverityWarning {
		return 1
	}
	return 0
}

// comparePointers orders pointers token by token, numbers by value, so that
// flow 10 comes after flow 9.
func comparePointers(a, b string) int {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range min(len(as), len(bs)) {
		if as[i] == bs[i] {
			continue
		}
		m, errA := strconv.Atoi(as[i])
		n, errB := strconv.Atoi(bs[i])
		if errA == nil && errB == nil && m != n {
			return cmp.Compare(m, n)
		}
		return cmp.Compare(as[i], bs[i])
	}
	return cmp.Compare(len(as), len(bs))
}

// RulesError is the error of a statement that breaks rules. The findings are
// never empty and hold errors only.
type RulesError struct {
	// Findings are the broken rules, sorted.
	Findings Findings
}

// Error lists code, pointer and message of the first findings.
func (e *RulesError) Error() string {
	const most = 5
	var b strings.Builder
	b.WriteString("statement breaks the rules: ")
	for i, f := range e.Findings {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(e.Findings)-most)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.String())
	}
	return b.String()
}

// printable makes a foreign value fit to be shown: cut, and escaped where it
// holds characters that a terminal or a reader would not show as they are.
func printable(s string) string {
	if strings.ContainsAny(s, "\n\t") {
		s = strings.Join(strings.Fields(s), " ") // JSON as it stands in a file
	}
	cut := false
	n := 0
	for i := range s {
		if n == maxFoundChars {
			s, cut = s[:i], true
			break
		}
		n++
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			q := strconv.QuoteToASCII(s)
			s = q[1 : len(q)-1]
			break
		}
	}
	if cut {
		s += "..."
	}
	return s
}

// pointer builds an RFC 6901 pointer from tokens: strings and ints.
func pointer(tokens ...any) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		switch t := t.(type) {
		case string:
			b.WriteString(escapeToken(t))
		case int:
			b.WriteString(strconv.Itoa(t))
		}
	}
	return b.String()
}

// escapeToken escapes a member name for a JSON pointer.
//
// > "because the characters '~' (%x7E) and '/' (%x2F) have special meanings in
// > JSON Pointer, '~' needs to be encoded as '~0' and '/' needs to be encoded as
// > '~1'" (RFC 6901, section 3)
func escapeToken(s string) string {
	if !strings.ContainsAny(s, "~/") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "~", "~0"), "/", "~1")
}
