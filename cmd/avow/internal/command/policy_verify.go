package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// policyFlags are the flags of a verification under a policy.
type policyFlags struct {
	name       string
	parameters policyParameters
	approved   []string
}

func (f *policyFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.name, "policy", "", "`NAME|FILE` of the policy that must be met: ready-made, or a file that ends in .yaml")
	f.parameters.register(c)
	o.StringArrayVar(&f.approved, "approved", nil,
		"`FILE` with a statement, or the bundle of one, of the release in use, for policies that compare with it. It is your own "+
			"and trusted as given: nothing of it is verified. May be repeated, once for each type")
	completePolicyFlag(c, "policy", completePolicy)
}

// apply loads the policy and adds to the input what it asks of the verification. The signers that the input has by now
// are those of the command line. Without a policy it does nothing.
func (f *policyFlags) apply(c *cobra.Command, a *app, input *verify.Input) error {
	if f.name == "" {
		switch {
		case len(f.parameters) > 0:
			return usageFailure(c.CommandPath(), errors.New("--policy-param is for a policy: give --policy"))
		case len(f.approved) > 0:
			return usageFailure(c.CommandPath(), errors.New("--approved is read by policies: give --policy"))
		}
		return nil
	}
	values, err := f.parameters.values(c)
	if err != nil {
		return err
	}
	p, err := loadPolicy(c.Context(), f.name, values)
	if err != nil {
		return err
	}
	asked := p.Requirements()
	if asked.MinWitnesses > 0 && input.Witnesses == nil {
		return failed("name the witnesses that you trust with --witness-policy; docs/witnesses.md shows how",
			"policy %s asks for %d witnesses, and none is named", f.name, asked.MinWitnesses)
	}
	for _, t := range asked.Types {
		if !slices.Contains(input.RequiredTypes, t) {
			input.RequiredTypes = append(input.RequiredTypes, t)
		}
	}
	input.MinTimestamps = max(input.MinTimestamps, asked.MinTimestamps)
	input.Signers = restrict(asked.Signers, input.Signers)
	input.Policy = p
	if len(f.approved) > 0 {
		approved, err := a.readApproved(f.approved)
		if err != nil {
			return err
		}
		input.Policy = againstApproved{Policy: p, approved: approved}
	}
	return nil
}

// againstApproved is a policy that is given the statements of the release in use.
type againstApproved struct {
	*policy.Policy
	approved []*predicate.Statement
}

// Judge implements verify.Policy.
func (c againstApproved) Judge(ctx context.Context, f verify.Facts) (*verify.PolicyResult, error) {
	f.Approved = c.approved
	r, err := c.Policy.Judge(ctx, f)
	if r != nil {
		r.Digest = c.Digest()
	}
	return r, err
}

// Digest is that of the policy and of what it compares with, as if these were parameters: a verdict about another
// comparison is another verdict.
func (c againstApproved) Digest() [sha256.Size]byte {
	ids := make([]string, len(c.approved))
	for i, st := range c.approved {
		ids[i] = st.ID()
	}
	slices.Sort(ids)
	digest := c.Policy.Digest()
	return sha256.Sum256([]byte(hex.EncodeToString(digest[:]) + "\napproved " + strings.Join(ids, " ")))
}

// readApproved reads statements, or the statements in bundles.
func (a *app) readApproved(paths []string) ([]*predicate.Statement, error) {
	var approved []*predicate.Statement
	for _, path := range paths {
		data, err := a.readLimited(path, verify.MaxBundleBytes)
		if err != nil {
			return nil, err
		}
		st, err := unverifiedStatement("--approved "+path, data)
		if err != nil {
			return nil, err
		}
		if !declares(st.Type) {
			return nil, failed("give what the vendor declared about the release in use",
				"--approved %s is a statement of type %s, which declares nothing", path, plain.TypeName(st.Type))
		}
		if slices.ContainsFunc(approved, func(o *predicate.Statement) bool { return o.Type == st.Type }) {
			return nil, failed("one release has one statement of a type that counts; leave the other out",
				"--approved %s is the second statement of type %s", path, plain.TypeName(st.Type))
		}
		approved = append(approved, st)
	}
	return approved, nil
}

// declares reports whether a predicate type is one of those that vendors declare with.
func declares(predicateType string) bool {
	return slices.Contains([]string{predicate.NoBackdoorType, predicate.DataFlowsType, predicate.UndertakingsType}, predicateType)
}

// mayDeclare reports whether a signer may make declarations.
func mayDeclare(s verify.Signer) bool {
	return len(s.Types) == 0 || slices.ContainsFunc(s.Types, declares)
}

// restrict merges the signers whom a policy names with those of the command line. Where the command line names any,
// no others may declare. One whom the policy names too keeps the name and the types that it has there: rules read them.
// Assessors and services of the policy are signers in any case, for their types alone.
func restrict(asked, given []verify.Signer) []verify.Signer {
	if len(given) == 0 {
		return asked
	}
	var merged []verify.Signer
	for _, g := range given {
		named := false
		for _, s := range asked {
			if mayDeclare(s) && sameSigner(s, g) {
				merged, named = append(merged, s), true
			}
		}
		if !named {
			merged = append(merged, g)
		}
	}
	for _, s := range asked {
		if !mayDeclare(s) {
			merged = append(merged, s)
		}
	}
	return merged
}

// sameSigner reports whether two signers are pinned by the same key or the same identity.
func sameSigner(a, b verify.Signer) bool {
	switch {
	case a.Key != nil && b.Key != nil:
		return a.Key.PublicKey.Equal(b.Key.PublicKey)
	case a.Identity != nil && b.Identity != nil:
		return *a.Identity == *b.Identity
	}
	return false
}

// someoneDeclares refuses a question for which nobody may make a declaration.
func someoneDeclares(c *cobra.Command, signers []verify.Signer) error {
	if slices.ContainsFunc(signers, mayDeclare) {
		return nil
	}
	return usageFailure(c.CommandPath(), errors.New("nobody was named who may have signed: give --key, or --identity and --issuer, "+
		"or a policy that names a vendor"))
}
