package command

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/verify/policy"
)

// policyExplainFlags are the flags of policy explain.
type policyExplainFlags struct {
	policy     string
	parameters policyParameters
}

func (a *app) policyExplain() *cobra.Command {
	f := &policyExplainFlags{}
	c := &cobra.Command{
		Use:   "explain RULE",
		Short: "Say in plain words what a rule asks and how it is met",
		Long: `Say what a rule asks for, how it is evaluated, with which parameters, what it means that it
failed, and what a vendor can do to meet it. The rule is one of the ready-made policies, or of
the one that --policy names.` + policyHelp,
		Example: `  avow policy explain P01
  avow policy explain P16 --policy policy.yaml --policy-param CONTRACT_END=2028-12-31`,
		Args: arguments(1, 1, "which rule? give its id, as a verdict names it"),
		RunE: func(c *cobra.Command, args []string) error { return a.runPolicyExplain(c, args[0], f) },
	}
	c.Flags().StringVar(&f.policy, "policy", "", "`NAME|FILE` of the policy that the rule is in")
	f.parameters.register(c)
	completePolicyFlag(c, "policy", completePolicy)
	c.ValidArgsFunction = func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		policies, err := f.candidates(c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return ruleIDs(policies), cobra.ShellCompDirectiveNoFileComp
	}
	return c
}

// candidates are the policies that the rule can be in.
func (f *policyExplainFlags) candidates(c *cobra.Command) ([]*policy.Policy, error) {
	if f.policy == "" {
		if len(f.parameters) > 0 {
			return nil, usageFailure(c.CommandPath(), errors.New("--policy-param is for a policy: give --policy"))
		}
		return readyMade(c.Context())
	}
	values, err := f.parameters.values(c)
	if err != nil {
		return nil, err
	}
	p, err := loadPolicy(c.Context(), f.policy, values)
	if err != nil {
		return nil, err
	}
	return []*policy.Policy{p}, nil
}

// readyMade loads all ready-made policies.
func readyMade(ctx context.Context) ([]*policy.Policy, error) {
	var all []*policy.Policy
	for _, name := range policy.Names() {
		p, err := policy.Builtin(ctx, name, policy.Options{})
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// ruleIDs returns the ids of all rules, each once.
func ruleIDs(policies []*policy.Policy) []string {
	var ids []string
	for _, p := range policies {
		for _, r := range p.Rules() {
			if !slices.Contains(ids, r.ID) {
				ids = append(ids, r.ID)
			}
		}
	}
	return ids
}

func (a *app) runPolicyExplain(c *cobra.Command, id string, f *policyExplainFlags) error {
	policies, err := f.candidates(c)
	if err != nil {
		return err
	}
	in, rule := findRule(policies, id)
	if in == nil {
		return unknownRule(id, f.policy, policies)
	}
	explained := plain.ExplainedRule{Rule: rule, Policy: in.Metadata()}
	for _, q := range in.Parameters() {
		if plain.Mentions(rule, q.Name) {
			explained.Parameters = append(explained.Parameters, q)
		}
	}
	if f.policy != "" {
		if policies, err = readyMade(c.Context()); err != nil {
			return err
		}
	}
	if slices.Contains(policy.Names(), rule.File) || rule.File == "" {
		explained.ReadyMade = rule.File != ""
		for _, p := range policies {
			if _, with := findRule([]*policy.Policy{p}, id); isProfile(p) && with.ID != "" {
				explained.Profiles = append(explained.Profiles, p.Metadata().Name+" ("+with.Severity.String()+")")
			}
		}
	}
	w := a.writer()
	plain.ExplainRule(w, explained)
	return w.Err()
}

// findRule returns the rule of an id, and the first policy that has it.
func findRule(policies []*policy.Policy, id string) (*policy.Policy, policy.Rule) {
	for _, p := range policies {
		for _, r := range p.Rules() {
			if r.ID == id {
				return p, r
			}
		}
	}
	return nil, policy.Rule{}
}

// unknownRule says that there is no such rule, and which there are.
func unknownRule(id, in string, policies []*policy.Policy) error {
	if in != "" {
		return failed(meant(id, ruleIDs(policies), "its rules: "+strings.Join(ruleIDs(policies), ", ")),
			"policy %s has no rule %q", in, id)
	}
	if slices.Contains(policy.Names(), id) {
		return failed("run `avow policy show "+id+"`; its rules: "+strings.Join(rulesOfPolicy(policies, id), ", "),
			"%s is a policy, not a rule", id)
	}
	return failed(meant(id, ruleIDs(policies), "for a rule of your own give --policy FILE; ready-made: "+
		strings.Join(ruleIDs(policies), ", ")), "no ready-made policy has a rule %q", id)
}

func rulesOfPolicy(policies []*policy.Policy, name string) []string {
	for _, p := range policies {
		if p.Metadata().Name == name {
			return ruleIDs([]*policy.Policy{p})
		}
	}
	return nil
}
