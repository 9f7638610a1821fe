package verify

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

// Policy is a buyer's rules over verified evidence. It is an interface so that
// this package needs no policy language: verify/policy implements it in CEL.
//
// Judge must not accept what it could not evaluate: a rule that ends in an error
// is a failed rule. The error is for a caller's mistake or an ended context.
// It is called only when every bundle that counts was verified, and must be safe
// for concurrent use.
type Policy interface {
	Judge(ctx context.Context, f Facts) (*PolicyResult, error)
}

// Facts are what a policy may see: verified facts about one artifact.
type Facts struct {
	// ArtifactSHA256 is the artifact's SHA-256, 64 lower-case hex digits.
	ArtifactSHA256 string
	// At is the time of verification.
	At time.Time
	// Evidence holds the statements that count: at most one of each
	// declaration type. Superseded statements, and those that are not in force,
	// are not among them.
	Evidence []Evidence
	// Approved are the statements of the release that the buyer approved before,
	// with which a policy may compare these: at most one of each declaration
	// type. They are the buyer's own and were verified when they were approved.
	Approved []*predicate.Statement
}

// Severity says what a failed rule of a policy does. Its zero value denies.
type Severity int

// The two severities.
const (
	// SeverityDeny rejects when the rule fails.
	SeverityDeny Severity = iota
	// SeverityWarn only tells.
	SeverityWarn
)

// String returns "deny" or "warn".
func (s Severity) String() string {
	if s == SeverityWarn {
		return "warn"
	}
	return "deny"
}

// RuleResult is the outcome of one rule of a policy.
type RuleResult struct {
	// ID is the rule's stable name within the policy.
	ID string
	// Description says in plain words what the rule asks for.
	Description string
	// Severity says what a failure does.
	Severity Severity
	// Passed is set only if the rule was evaluated and holds.
	Passed bool
	// Message says what is wrong, where the rule failed.
	Message string
	// Failing are the ids of the flows, claims, mechanisms or undertakings that
	// made the rule fail, in the statement's order; empty where the rule is not
	// about a list.
	Failing []string
	// Error says why the rule could not be evaluated; then it failed.
	Error string
}

// PolicyResult is what a policy says about [Facts].
type PolicyResult struct {
	// Name and Version are the policy's own.
	Name, Version string
	// Digest is the SHA-256 of the policy as it was evaluated: its text, all that
	// it includes, and the parameters.
	Digest [32]byte
	// Rules are all rules in the policy's order.
	Rules []RuleResult
}

// Denials returns the rules that reject: those that failed and do not merely warn.
func (p *PolicyResult) Denials() []RuleResult {
	var denials []RuleResult
	for _, r := range p.Rules {
		if !r.Passed && r.Severity != SeverityWarn {
			denials = append(denials, r)
		}
	}
	return denials
}

// Warnings returns the failed rules that only warn.
func (p *PolicyResult) Warnings() []RuleResult {
	var warnings []RuleResult
	for _, r := range p.Rules {
		if !r.Passed && r.Severity == SeverityWarn {
			warnings = append(warnings, r)
		}
	}
	return warnings
}

// String returns the rule's id with what made it fail.
func (r RuleResult) String() string {
	s := r.ID
	if len(r.Failing) > 0 {
		s += " (" + strings.Join(r.Failing, ", ") + ")"
	}
	return s
}

// checkPolicy turns the policy's answer into the check. A policy without rules
// asks for nothing, and is rejected like one that could not be evaluated.
func checkPolicy(result *PolicyResult) Check {
	c := Check{ID: CheckPolicy}
	if len(result.Rules) == 0 {
		f := fail("at least one rule", "0 rules", "the policy has no rule, so nothing was evaluated", "add a rule to the policy")
		f.ID = c.ID
		return f
	}
	denials, warnings := result.Denials(), result.Warnings()
	switch {
	case len(denials) > 0:
		c = fail("every rule of policy "+result.Name+" met", ruleList(denials), denials[0].ID+": "+denials[0].why(),
			"the rules say what they ask for; `avow policy explain RULE` says it in full")
	case len(warnings) > 0:
		c = pass("%s of %s met; warnings: %s", counted(len(result.Rules)-len(warnings), "rule", "rules"),
			result.title(), ruleList(warnings))
		c.Status = StatusWarning
	default:
		c = pass("%s of %s met", counted(len(result.Rules), "rule", "rules"), result.title())
	}
	c.ID = CheckPolicy
	return c
}

// why is the sentence about a failed rule.
func (r RuleResult) why() string {
	if r.Error != "" {
		return "could not be evaluated: " + r.Error
	}
	return r.Message
}

// title names the policy with its version and digest.
func (p *PolicyResult) title() string {
	return fmt.Sprintf("policy %s %s (sha256:%s)", p.Name, p.Version, hex.EncodeToString(p.Digest[:8]))
}

func ruleList(rules []RuleResult) string {
	const most = 8
	var list []string
	for i, r := range rules {
		if i == most {
			list = append(list, fmt.Sprintf("%d more", len(rules)-most))
			break
		}
		list = append(list, clip(r.String()))
	}
	return strings.Join(list, ", ")
}
