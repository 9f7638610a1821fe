package policy

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/avow-dev/avow/verify"
)

// Policy is a loaded policy, ready for use. It implements [verify.Policy] and is
// safe for concurrent use.
type Policy struct {
	meta       Metadata
	documents  []*document
	rules      []*rule
	parameters []*declared
	types      []string
	timestamps int
	witnesses  int
	maxAge     time.Duration
	vendors    []*vendor
	assessors  []*vendor
	standing   []*vendor
	digest     [sha256.Size]byte
	reads      *reads
}

var _ verify.Policy = (*Policy)(nil)

// Metadata returns what the policy says it is.
func (p *Policy) Metadata() Metadata { return p.meta }

// Digest returns the SHA-256 of the policy as it is evaluated: its text, all
// that it includes, the keys that it names and the parameters in effect.
func (p *Policy) Digest() [sha256.Size]byte { return p.digest }

// Parameters returns the parameters with the values in effect.
func (p *Policy) Parameters() []Parameter {
	list := make([]Parameter, len(p.parameters))
	for i, d := range p.parameters {
		list[i] = d.Parameter
	}
	return list
}

// Rules returns all rules in the order in which they are evaluated.
func (p *Policy) Rules() []Rule {
	list := make([]Rule, len(p.rules))
	for i, r := range p.rules {
		list[i] = r.Rule
	}
	return list
}

// Requirements are what a policy asks of the verification before it. The caller
// merges them into [verify.Input]; what of them can be seen in verified facts is
// judged by the rules with reserved ids too, so that none is lost if he does not.
type Requirements struct {
	// Types are the predicate types of which a statement must exist.
	Types []string
	// MinTimestamps is the least number of timestamp authorities; 0 asks for none.
	MinTimestamps int
	// MinWitnesses is the least number of witnesses that must have cosigned the
	// log's checkpoint; 0 asks for none. Who is a witness is for the caller to say
	// (verify.Input.Witnesses): where it does not, nobody is.
	MinWitnesses int
	// MaxAge is the most that may lie between signature and verification; 0 is
	// no limit.
	MaxAge time.Duration
	// Signers are the pinned vendors, assessors and services, each with the
	// predicate types that it may sign.
	Signers []verify.Signer
}

// Requirements returns them.
func (p *Policy) Requirements() Requirements {
	r := Requirements{Types: append([]string(nil), p.types...), MinTimestamps: p.timestamps, MinWitnesses: p.witnesses, MaxAge: p.maxAge}
	for _, v := range p.vendors {
		r.Signers = append(r.Signers, v.signers(vendorTypes())...)
	}
	for _, v := range p.assessors {
		r.Signers = append(r.Signers, v.signers(assessorTypes())...)
	}
	for _, v := range p.standing {
		r.Signers = append(r.Signers, v.signers([]string{standingType})...)
	}
	return r
}

// Judge implements [verify.Policy]: every rule, in order. The error is non-nil
// only if the facts are not what verification yields, or the context has ended.
func (p *Policy) Judge(ctx context.Context, f verify.Facts) (*verify.PolicyResult, error) {
	in, err := p.gather(f)
	if err != nil {
		return nil, err
	}
	return p.judge(ctx, in)
}

// judge evaluates the rules over what was gathered.
func (p *Policy) judge(ctx context.Context, in *inputs) (*verify.PolicyResult, error) {
	result := &verify.PolicyResult{Name: p.meta.Name, Version: p.meta.Version, Digest: p.digest,
		Rules: make([]verify.RuleResult, 0, len(p.rules))}
	for _, r := range p.rules {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		verdict := r.judge(ctx, in)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		result.Rules = append(result.Rules, verdict)
	}
	return result, nil
}
