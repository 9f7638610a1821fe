package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/verify/policy"
)

// policyHelp is the part of the help about naming a policy that these commands share.
const policyHelp = `

A policy is a file that ends in .yaml or .yml, or else the name of a ready-made one. What a file
includes, and the keys that it names, are read from its directory and never from elsewhere.`

func (a *app) policy() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "List, explain, write, check and test the policies that verify applies",
		Long: `A policy is what a buyer demands beyond a valid signature: whose statements count for which
product, what must be stated, how old it may be, and rules over what is declared. ` + "`avow verify\n--policy`" +
			` applies one. Some are ready-made; a policy of your own includes them and adds to them.` + policyHelp,
		Example: `  avow policy list
  avow policy explain P01
  avow policy init --profile strict -o policy.yaml
  avow policy check policy.yaml
  avow policy lint policy.yaml
  avow policy test policies/`,
		Args: knownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },

		SuggestionsMinimumDistance: 2,
	}
	c.AddCommand(a.policyList(), a.policyShow(), a.policyExplain(), a.policyCheck(), a.policyTest(), a.policyLint(),
		a.policyInit())
	return c
}

// policyParameters are the flags with values for the parameters of a policy.
type policyParameters []string

func (p *policyParameters) register(c *cobra.Command) {
	c.Flags().StringArrayVar((*[]string)(p), "policy-param", nil,
		"`NAME=VALUE` of a parameter of the policy; a list is written with commas, a duration as 90d; may be repeated")
}

// values returns the values by name.
func (p policyParameters) values(c *cobra.Command) (map[string]string, error) {
	values := make(map[string]string, len(p))
	for _, given := range p {
		name, value, ok := strings.Cut(given, "=")
		if !ok || name == "" {
			return nil, usageFailure(c.CommandPath(), fmt.Errorf("--policy-param %q is not NAME=VALUE", given))
		}
		if _, again := values[name]; again {
			return nil, usageFailure(c.CommandPath(), fmt.Errorf("--policy-param gives %s twice", name))
		}
		values[name] = value
	}
	return values, nil
}

// completePolicy offers the ready-made policies, and files.
func completePolicy(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return policy.Names(), cobra.ShellCompDirectiveDefault
}

// completeReadyMade offers the ready-made policies.
func completeReadyMade(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return policy.Names(), cobra.ShellCompDirectiveNoFileComp
}

// completePolicyFlag offers policies as values of a flag. The flag must exist.
func completePolicyFlag(c *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // as in completes
	}
}

// meant is a hint with the names that a wrong one may have meant, by the distance that is used for commands, or else.
func meant(name string, names []string, otherwise string) string {
	list := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, n := range names {
		list.AddCommand(&cobra.Command{Use: n, Run: func(*cobra.Command, []string) {}})
	}
	near := list.SuggestionsFor(name)
	if len(near) == 0 {
		return otherwise
	}
	if len(near) > 3 {
		near = near[:3]
	}
	return "did you mean " + strings.Join(near, ", or ") + "? " + otherwise
}

// isProfile reports whether a policy is made of others.
func isProfile(p *policy.Policy) bool {
	return slices.ContainsFunc(p.Rules(), func(r policy.Rule) bool { return r.File != "" && r.File != p.Metadata().Name })
}

var errNoPolicy = errors.New("which policy? give a file or the name of a ready-made one")
