package enforce

import (
	"context"
	"slices"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// Policy is a compiled egress policy. Only [Compile] makes one.
type Policy struct {
	// Target is what it was compiled for.
	Target Target
	// StatementID, LogOrigin and LogIndex name the statement.
	StatementID string
	LogOrigin   string
	LogIndex    uint64
	// Until is when the policy ends to be founded: the end of the statement's validity, or when its standing is not fresh any
	// more, whichever comes first.
	Until time.Time
	// FileName is the customary name of the file.
	FileName string
	// Content are the bytes of the file.
	Content []byte
	// LeftOut are the flows that were to be left out, Uncompiled what could not be compiled and was allowed to be left out, and
	// Inbound the flows that the remote side initiates, which need no rule for egress.
	LeftOut, Uncompiled, Inbound []Item

	supersedes []string
	name       string
	sets       []nftSet
}

// Compile compiles the data-flows statement of an accepted verdict. The error is a *[Refusal], or what [Options].Cut ended in,
// or the context's.
func Compile(ctx context.Context, v *verify.Verdict, o Options) (*Policy, error) {
	if o.Target == Hosts {
		return nil, refuse(CodeCannotEnforce, "enforce with nftables, or with a proxy (squid, envoy, docker)",
			"a hosts file gives names addresses and drops nothing: what is not in it is resolved and reached as before")
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	facts, evidence, err := admit(v, &o)
	if err != nil {
		return nil, err
	}
	p := &plan{o: &o, evidence: evidence, flows: evidence.Statement.DataFlows.Flows}
	if err := p.checkSettings(); err != nil {
		return nil, err
	}
	out, err := p.leaveOut(ctx, facts)
	if err != nil {
		return nil, err
	}
	if err := p.build(out); err != nil {
		return nil, err
	}
	if err := p.refuseUncompiled(); err != nil {
		return nil, err
	}
	return p.render()
}

// admit establishes that the verdict is one to build on, and finds the statement.
func admit(v *verify.Verdict, o *Options) (verify.Facts, *verify.Evidence, error) {
	if v != nil && v.Outcome != verify.Accepted {
		detail := "the verdict is rejected"
		if failures := v.Failures(); len(failures) > 0 {
			detail += ": " + string(failures[0].ID) + ": " + failures[0].Detail
		}
		return verify.Facts{}, nil, refuse(CodeRejected, "run `avow verify` for all checks", "%s", detail)
	}
	facts, ok := v.Established()
	if !ok {
		return facts, nil, refuse(CodeUnverified, "verify the bundle first", "the verdict was not given by a verifier")
	}
	i := slices.IndexFunc(facts.Evidence, func(e verify.Evidence) bool { return e.Statement.DataFlows != nil })
	if i < 0 {
		return facts, nil, refuse(CodeNoDataFlows, "give the bundle of the data-flows statement", "no data-flows statement is among the bundles that count")
	}
	e := &facts.Evidence[i]
	if ok, why := e.Statement.InForce(o.Now); !ok {
		return facts, nil, refuse(CodeNotInForce, "get the statement that is in force now", "%s is %s", e.StatementID, why)
	}
	return facts, e, admitStanding(e, o)
}

// admitStanding refuses a statement that does not stand, or of which nothing is known although that was asked for.
func admitStanding(e *verify.Evidence, o *Options) error {
	s := e.Standing
	const hint = "fetch the status again with `avow status`"
	switch {
	case s == nil && o.RequireStanding:
		return refuse(CodeNoStanding, "give --status", "whether %s was withdrawn is not shown", e.StatementID)
	case s == nil:
		return nil
	case s.Standing != verify.StandingInForce && s.Standing != verify.StandingPartlyWithdrawn:
		return refuse(CodeStanding, "get a statement that stands", "%s is %s", e.StatementID, s.Standing)
	case s.NotAfter.IsZero() || o.Now.After(s.NotAfter):
		return refuse(CodeStanding, hint, "how %s stands was last shown for %s", e.StatementID, s.AsOf.UTC().Format(time.RFC3339))
	}
	return nil
}

// until returns when the policy ends to be founded.
func (p *plan) until() time.Time {
	end, err := time.Parse(time.RFC3339, p.validity().NotAfter)
	if err != nil {
		return p.o.Now // not reached: a period that cannot be read is not in force
	}
	if s := p.evidence.Standing; s != nil && s.NotAfter.Before(end) {
		end = s.NotAfter
	}
	return end.UTC()
}

func (p *plan) validity() predicate.Validity { return p.evidence.Statement.DataFlows.Common.Validity }

// render writes the policy in the form of its target.
func (p *plan) render() (*Policy, error) {
	e := p.evidence
	policy := &Policy{Target: p.o.Target, StatementID: e.StatementID, LogOrigin: e.LogOrigin, LogIndex: e.LogIndex, Until: p.until(),
		LeftOut: p.leftOut, Uncompiled: p.uncompiled, Inbound: p.inbound, name: p.o.name()}
	for _, ref := range e.Statement.DataFlows.Common.Supersedes {
		policy.supersedes = append(policy.supersedes, ref.ID())
	}
	var err error
	switch p.o.Target {
	case Cilium:
		policy.FileName = policy.name + ".cilium.yaml"
		policy.Content, err = p.cilium()
	case Kubernetes:
		policy.FileName = policy.name + ".networkpolicy.yaml"
		policy.Content, err = p.kubernetes()
	case NFTables:
		policy.FileName = policy.name + ".nft"
		policy.Content, policy.sets, err = p.nftables()
	case Envoy:
		policy.FileName = policy.name + ".envoy.yaml"
		policy.Content, err = p.envoy()
	case Squid:
		policy.FileName = policy.name + ".squid.conf"
		policy.Content = p.squid(p.o.listen().String())
	case Docker:
		policy.FileName = policy.name + ".compose.yaml"
		policy.Content, err = p.docker()
	}
	if err != nil {
		return nil, err
	}
	return policy, nil
}
