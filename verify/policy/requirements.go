package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/verify"
)

// The reserved ids: rules that are no CEL, because they compare what the policy
// pins with what verification found.
const (
	// RuleTypes: each type of require.types is stated by a statement that counts.
	RuleTypes = "required-types"
	// RuleTimestamps: each statement has the signatures of require.minTimestamps
	// authorities.
	RuleTimestamps = "timestamps"
	// RuleWitnesses: require.minWitnesses witnesses cosigned the log that holds
	// each statement.
	RuleWitnesses = "witnesses"
	// RuleVendor: each declaration is by a vendor of the policy for the product
	// that it names.
	RuleVendor = "vendor"
	// RuleMaxAge: each declaration was signed within require.maxAge.
	RuleMaxAge = "max-age"
)

func reservedIDs() []string {
	return []string{RuleTypes, RuleTimestamps, RuleWitnesses, RuleVendor, RuleMaxAge}
}

// requirementRules puts the rules with reserved ids before the others, those
// that the policy asks for.
func (p *Policy) requirementRules() {
	var rules []*rule
	add := func(wanted bool, r Rule, check func(*inputs) outcome) {
		if wanted {
			rules = append(rules, &rule{Rule: r, check: check})
		}
	}
	add(len(p.types) > 0, Rule{ID: RuleTypes, Title: "Required statements",
		Description: fmt.Sprintf("The vendor has made these statements about the artifact: %s.", shortTypes(p.types)),
		Message:     "a required statement is missing"}, p.checkTypes)
	add(p.timestamps > 0, Rule{ID: RuleTimestamps, Title: "Independent timestamps",
		Description: fmt.Sprintf("At least %d timestamp authorities have signed when each statement was made.", p.timestamps),
		Message:     "a statement has too few independent timestamps"}, p.checkTimestamps)
	add(p.witnesses > 0, Rule{ID: RuleWitnesses, Title: "Independent witnesses",
		Description: fmt.Sprintf("At least %d witnesses, whom you name beside this policy, have seen the log that holds each statement.",
			p.witnesses),
		Message: "a statement is in a log that too few of the named witnesses have seen"}, p.checkWitnesses)
	add(len(p.vendors) > 0, Rule{ID: RuleVendor, Title: "Pinned vendor",
		Description: "Each statement is signed by a vendor whom this policy names for the product that the statement is about.",
		Message:     "a statement is not by the vendor whom the policy names for its product"}, p.checkVendor)
	add(p.maxAge > 0, Rule{ID: RuleMaxAge, Title: "Not too old",
		Description: fmt.Sprintf("Each statement was signed at most %s before the verification.", inDays(p.maxAge)),
		Message:     "a statement was signed too long ago"}, p.checkAge)
	p.rules = append(rules, p.rules...)
}

func shortTypes(types []string) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = shortType(t)
	}
	return strings.Join(names, ", ")
}

func inDays(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}

// failingTypes is the outcome of a check over all declarations that count. With
// none there is nothing that could hold.
func failingTypes(in *inputs, holds func(verify.Evidence) bool) outcome {
	if len(in.declarations) == 0 {
		return outcome{err: errors.New("there is no verified statement that counts")}
	}
	var failing []string
	for _, e := range in.declarations {
		if !holds(e) {
			failing = append(failing, shortType(e.Statement.Type))
		}
	}
	return outcome{passed: len(failing) == 0, failing: failing}
}

func (p *Policy) checkTypes(in *inputs) outcome {
	stated := func(t string) bool {
		switch t {
		case standingType: // by somebody who may make one, of this statement
			return in.missing[inputStanding] == ""
		case assessmentType:
			return in.missing[inputAssessments] == ""
		}
		return slices.ContainsFunc(in.facts.Evidence, func(e verify.Evidence) bool { return e.Statement.Type == t })
	}
	var failing []string
	for _, t := range p.types {
		if !stated(t) {
			failing = append(failing, shortType(t))
		}
	}
	return outcome{passed: len(failing) == 0, failing: failing}
}

func (p *Policy) checkTimestamps(in *inputs) outcome {
	return failingTypes(in, func(e verify.Evidence) bool {
		authorities := map[string]bool{}
		for _, t := range e.Timestamps {
			authorities[t.Authority] = true
		}
		return len(authorities) >= p.timestamps
	})
}

func (p *Policy) checkWitnesses(in *inputs) outcome {
	return failingTypes(in, func(e verify.Evidence) bool {
		keys := map[string]bool{}
		for _, c := range e.Cosignatures {
			keys[c.KeyID] = true
		}
		return len(keys) >= p.witnesses
	})
}

func (p *Policy) checkVendor(in *inputs) outcome { return failingTypes(in, p.byVendor) }

// byVendor reports whether a declaration is signed by a vendor whom the policy
// names for its product.
func (p *Policy) byVendor(e verify.Evidence) bool {
	common := e.Statement.Common()
	return common != nil && slices.ContainsFunc(p.vendors, func(v *vendor) bool {
		return v.signed(e) && v.makes(common.Product)
	})
}

func (p *Policy) checkAge(in *inputs) outcome {
	return failingTypes(in, func(e verify.Evidence) bool {
		return !e.SignedBy.IsZero() && in.facts.At.Sub(e.SignedBy) <= p.maxAge
	})
}
