package predicate

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

const docsFile = "../../docs/predicates.md"

// TestDocs keeps the generated parts of the documentation in step with rules,
// registries, shapes and limits: go test -run TestDocs -update writes them.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for name, generate := range map[string]func() string{
		"errors":       func() string { return docsRules(SeverityError) },
		"warnings":     func() string { return docsRules(SeverityWarning) },
		"claims":       docsClaims,
		"undertakings": docsUndertakings,
		"registries":   docsRegistries,
		"members":      docsMembers,
		"limits":       docsLimits,
	} {
		begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
		before, rest, ok1 := strings.Cut(text, begin)
		old, after, ok2 := strings.Cut(rest, end)
		if !ok1 || !ok2 {
			t.Fatalf("%s has no part %s", docsFile, name)
		}
		want := "\n" + generate() + "\n"
		if old != want && !*update {
			t.Errorf("%s: the part %s is out of step: go test ./attest/predicate -run TestDocs -update", docsFile, name)
		}
		text = before + begin + want + end + after
	}
	if *update {
		if err := os.WriteFile(docsFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func docsRules(severity Severity) string {
	var b strings.Builder
	b.WriteString("| Code | When | Why | What to do |\n|---|---|---|---|\n")
	for _, r := range Rules() {
		if r.Severity == severity {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.Code, r.When, r.Why, r.Fix)
		}
	}
	return b.String()
}

func docsClaims() string {
	var b strings.Builder
	b.WriteString("| Claim | Sentence that is signed | CWE | GIDS | CRA Annex I | SSDF, CISA form |\n|---|---|---|---|---|---|\n")
	for _, c := range Claims() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", c.ID, c.Sentence, strings.Trim(fmt.Sprint(c.CWE), "[]"), c.GIDS, c.CRA, c.SSDF)
	}
	return b.String()
}

func docsUndertakings() string {
	var b strings.Builder
	b.WriteString("| Undertaking | Sentence that is signed | Parameter | From |\n|---|---|---|---|\n")
	for _, u := range UndertakingTerms() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", u.ID, u.Sentence, strings.Join(u.Parameters, ", "), u.From)
	}
	return b.String()
}

func docsRegistries() string {
	var b strings.Builder
	for _, r := range Registries() {
		if r.Name == "claim" || r.Name == "undertaking" {
			continue
		}
		var values []string
		for _, v := range r.Values {
			values = append(values, "`"+v.ID+"`")
		}
		fmt.Fprintf(&b, "- **%s** (%s): %s\n", r.Name, strings.ToLower(r.Title[:1])+r.Title[1:], strings.Join(values, ", "))
	}
	return b.String()
}

// docsMembers writes a table for each struct, in the order in which the types
// lead to them.
func docsMembers() string {
	var b strings.Builder
	done := map[reflect.Type]bool{}
	for _, predicateType := range Types() {
		queue := []*shape{predicateShapes()[predicateType]}
		for ; len(queue) > 0; queue = queue[1:] {
			sh := queue[0]
			if done[sh.typ] {
				continue
			}
			done[sh.typ] = true
			fmt.Fprintf(&b, "#### %s\n\n| Member | | Value |\n|---|---|---|\n", sh.typ.Name())
			for i := range sh.fields {
				f := &sh.fields[i]
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, f.need(), f.describe())
				if f.elem != nil {
					queue = append(queue, f.elem)
				}
			}
			b.WriteByte('\n')
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (f *field) need() string {
	switch {
	case f.present:
		return "mandatory, may be `[]`"
	case f.mandatory:
		return "mandatory"
	case f.rule != "":
		return "mandatory (" + f.rule + ")"
	}
	return ""
}

func (f *field) describe() string {
	what := map[fieldKind]string{fieldString: "text", fieldInt: "number", fieldStrings: "list of texts", fieldInts: "list of ports",
		fieldMap: "digests: algorithm to hex", fieldRaw: "free members"}[f.kind]
	switch {
	case f.enum != "" && f.elem == nil && f.name == "scheme":
		what = "a scheme of the registry that the place has"
	case f.enum != "" && f.kind == fieldStrings:
		what = "list of values of " + f.enum
	case f.enum != "":
		what = "value of " + f.enum
	case f.elem != nil && f.kind == fieldList:
		what = "list of " + f.elem.typ.Name()
	case f.elem != nil:
		what = f.elem.typ.Name()
	case f.format == "time":
		what = "time"
	case f.format == "uuid":
		what = "`urn:uuid:` in lower case"
	case f.format == "decimal":
		what = "decimal number as text"
	case f.format == "id":
		what = "id"
	case f.format == "sha256":
		what = "64 hexadecimal digits"
	case f.format == "content":
		what = "base64"
	}
	if f.max > 0 {
		what += fmt.Sprintf(", at most %d", f.max)
	}
	if f.chars > 0 {
		what += fmt.Sprintf(", at most %d characters", f.chars)
	}
	return what
}

func docsLimits() string {
	var b strings.Builder
	b.WriteString("| What | Limit | Code |\n|---|---|---|\n")
	for _, l := range []struct {
		what  string
		limit string
		code  string
	}{
		{"statement", fmt.Sprintf("%d KiB", MaxStatementBytes>>10), "R01"},
		{"nesting inside the predicate (itself = 1)", fmt.Sprint(MaxPredicateDepth), "R01"},
		{"values in the document", fmt.Sprint(MaxValues), "R01"},
		{"numbers", fmt.Sprintf("integers from 0 to %d", MaxInteger), "R01"},
		{"subjects; digests of one", fmt.Sprintf("%d; %d", MaxSubjects, MaxDigests), "R04"},
		{"flows; endpoints of one", fmt.Sprintf("%d; %d", MaxFlows, MaxEndpoints), "R02"},
		{"mechanisms; evidence", fmt.Sprintf("%d; %d", MaxMechanisms, MaxEvidence), "R02"},
		{"numbers of evidence (runtime-trace, test-result)", fmt.Sprintf("integers from 0 to %d", MaxEvidenceInteger), "R01"},
		{"tests of one outcome (test-result)", fmt.Sprint(MaxTests), "R02"},
		{"text", fmt.Sprintf("%d KiB", MaxStringBytes>>10), "R02"},
		{"name of a free member", fmt.Sprintf("%d bytes", maxKeyBytes), "R02"},
		{"summary of a dispute", fmt.Sprintf("%d characters", MaxSummaryChars), "R02"},
		{"content of a resource descriptor", fmt.Sprintf("%d KiB", MaxContentBytes>>10), "R02"},
		{"validity from issuedAt", fmt.Sprintf("%d days", MaxValidity/24/3600e9), "R05"},
		{"validity of undertakings", fmt.Sprintf("%d days", MaxUndertakingsValidity/24/3600e9), "R05"},
		{"issuedAt at receipt", fmt.Sprintf("%d minutes ahead to %d hours past", MaxIssuedAhead/60e9, MaxIssuedPast/3600e9), "R05"},
		{"life of a standing", fmt.Sprintf("%d days", MaxStandingValidity/24/3600e9), "R42"},
		{"findings of one answer", fmt.Sprint(MaxFindings), ""},
	} {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", l.what, l.limit, l.code)
	}
	return b.String()
}
