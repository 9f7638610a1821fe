package predicate

import (
	"slices"
	"sync"
	"time"
)

// Rule is one rule of the specification, section 10, in words. The code is
// never reused; R09, R19 and R35 to R39 are free.
type Rule struct {
	// Code is R01 to R42 or W01 to W10.
	Code string
	// Severity is error for R codes and warning for W codes.
	Severity Severity
	// When says when a statement is rejected, or warned about.
	When string
	// Why is the reason of the rule.
	Why string
	// Fix says what to do.
	Fix string
	// Needs says what must be known to apply it: S the statement, D the tables,
	// C a clock, T other statements, I the signer, B the SBOM or binary.
	Needs string

	// check applies what the statement alone shows; related what other
	// statements show. Nil: not here.
	check   func(*checker)
	related func(*checker, related)
}

// Rules returns every rule in the order of the codes, those that this package
// does not apply included (their Needs say why).
func Rules() []Rule { return slices.Clone(allRules()) }

// allRules is built once, at the first use.
var allRules = sync.OnceValue(func() []Rule {
	rules := slices.Concat(formRules(), commonRules(), claimRules(), flowRules(), dataRules(), evidenceRules(),
		lifecycleRules(), warningRules())
	slices.SortFunc(rules, func(a, b Rule) int {
		if a.Code < b.Code {
			return -1
		}
		return 1
	})
	return rules
})

// checker collects the findings of one statement.
type checker struct {
	s        *Statement
	t        *Tables
	rule     *Rule
	findings Findings
}

// report records that the current rule is broken at a place.
func (c *checker) report(at, found, message, hint string) {
	if len(c.findings) < MaxFindings {
		c.findings = append(c.findings, Finding{Code: c.rule.Code, Severity: c.rule.Severity, Pointer: at,
			Found: printable(found), Message: message, Hint: hint})
	}
}

// Check applies every rule that the statement alone can show, and returns
// errors (R03 to R34, R42) and warnings (W01, W04 to W07), sorted. Nil tables
// are the embedded ones. Nothing is fetched, no clock is read.
func (s *Statement) Check(t *Tables) Findings {
	if t == nil {
		t = EmbeddedTables()
	}
	c := &checker{s: s, t: t}
	rules := allRules()
	for i := range rules {
		if c.rule = &rules[i]; c.rule.check != nil {
			c.rule.check(c)
		}
	}
	return c.findings.sort()
}

// CheckReceipt applies the half of R05 that needs a clock: issuedAt is at most
// MaxIssuedAhead after now and at most MaxIssuedPast before. It says nothing
// about types without issuedAt.
func (s *Statement) CheckReceipt(now time.Time) Findings {
	v := s.validity()
	if v == nil {
		return nil
	}
	issued, ok := parseTime(v.IssuedAt)
	if !ok {
		return nil // Check reports it
	}
	finding := Finding{Code: "R05", Severity: SeverityError, Pointer: s.validityPointer() + "/issuedAt", Found: v.IssuedAt}
	received := now.UTC().Format(timeLayout)
	switch {
	case issued.After(now.Add(MaxIssuedAhead)):
		finding.Message = "is more than " + MaxIssuedAhead.String() + " after the time of receipt, " + received
	case issued.Before(now.Add(-MaxIssuedPast)):
		finding.Message = "is more than " + MaxIssuedPast.String() + " before the time of receipt, " + received
	default:
		return nil
	}
	finding.Hint = "set issuedAt to the present time and sign again: nothing is dated back"
	return Findings{finding}
}

// CheckRelated applies the halves of the rules that other statements show: R10,
// R13 and R31 (the related data-flows statement), R16 as far as statements can
// show it, R21, and R40 (the target). Others are the store or the batch; they
// are matched by id and may hold more than is needed.
func (s *Statement) CheckRelated(others []*Statement) Findings {
	c := &checker{s: s}
	byID := make(related, len(others))
	for _, o := range others {
		if o != nil {
			byID[o.ID()] = o
		}
	}
	rules := allRules()
	for i := range rules {
		if c.rule = &rules[i]; c.rule.related != nil {
			c.rule.related(c, byID)
		}
	}
	return c.findings.sort()
}

// related are the other statements by id.
type related map[string]*Statement

// formRules are those that Parse applies, and the registry rule.
func formRules() []Rule {
	return []Rule{
		{Code: "R01", Severity: SeverityError, Needs: "S",
			When: "the JSON is not strict: not UTF-8 or over 256 KiB; a key twice in one object after unescaping; a lone surrogate; " +
				"data after the value; null; nesting over 16 levels in the predicate or more than 20 000 values; a number with " +
				"fraction or exponent or outside 0 to 2147483647 (in evidence: 9007199254740991); at statement level another spelling of a key (type, " +
				"predicate_type, SUBJECT)",
			Why: "two readers must not see two statements",
			Fix: "the finding gives the byte; write plain JSON, numbers that are larger as strings"},
		{Code: "R02", Severity: SeverityError, Needs: "S",
			When: "the statement has not the shape of its type: another _type; an unknown member outside extensions; a wrong JSON " +
				"type; a mandatory member that is absent or empty; a malformed id, UUID, decimal number or digest; over a limit; a " +
				"placeholder of a draft that was not filled in",
			Why: "a typo in a legal text is not ignored",
			Fix: "the finding names the member and what it should hold"},
		{Code: "R03", Severity: SeverityError, Needs: "S", check: deferredFindings,
			When: "a value is not in its registry, the predicate type, the monitor of a runtime trace and the result of a test included",
			Why:  "unknown reads as the worst, so it is not issued",
			Fix:  "use a value of the registry; other words belong into description, note or purposeText"},
	}
}

// deferredFindings reports what the walk of the shape found for this rule.
func deferredFindings(c *checker) {
	for _, f := range c.s.deferred {
		if f.Code == c.rule.Code {
			c.report(f.Pointer, f.Found, f.Message, f.Hint)
		}
	}
}
