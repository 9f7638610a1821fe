package command

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/verify/policy"
)

// policyInitFlags are the flags of policy init.
type policyInitFlags struct {
	profile string
	output  string
}

// policyTemplate is the policy that init writes. Everything in it that a buyer has to replace makes the policy fail
// until that is done: the key is not there, a parameter that says FILL IN matches nothing.
//
//go:embed policy_init.tmpl
var policyTemplate string

func (a *app) policyInit() *cobra.Command {
	f := &policyInitFlags{}
	c := &cobra.Command{
		Use:   "init",
		Short: "Write a commented policy to start from",
		Long: `Write a policy to start from: a ready-made profile, the vendor whose key is pinned, the parameters
of the rules with their values, and the places for rules of your own, each with a comment. Until
the vendor's key lies where the policy says, it cannot be used. A file that exists is not
touched.`,
		Example: `  avow policy init -o policy.yaml
  avow policy init --profile procurement-eu -o tender.yaml`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return a.runPolicyInit(c.Context(), f) },
	}
	c.Flags().StringVar(&f.profile, "profile", "strict", "`NAME` of the ready-made policy to include")
	c.Flags().StringVarP(&f.output, "output", "o", "", "`FILE` to write instead of standard output; ends in .yaml")
	completePolicyFlag(c, "profile", completeReadyMade)
	return c
}

func (a *app) runPolicyInit(ctx context.Context, f *policyInitFlags) error {
	if f.output != "" && f.output != "-" && !isPolicyFile(f.output) {
		return failed("a policy file ends in .yaml", "-o %s", f.output)
	}
	if !slices.Contains(policy.Names(), f.profile) {
		return failed(meant(f.profile, policy.Names(), "run `avow policy list` for the ready-made policies"),
			"there is no ready-made policy %q", f.profile)
	}
	p, err := policy.Builtin(ctx, f.profile, policy.Options{})
	if err != nil {
		return err
	}
	data, err := newPolicy(p, f.output)
	if err != nil {
		return err
	}
	return a.output(f.output, data)
}

// newPolicy writes the policy that includes p.
func newPolicy(p *policy.Policy, file string) ([]byte, error) {
	if file == "" || file == "-" {
		file = "policy.yaml"
	}
	var types []string
	for _, t := range p.Requirements().Types {
		types = append(types, plain.TypeName(t))
	}
	var b strings.Builder
	t := template.Must(template.New("policy").Funcs(template.FuncMap{"setting": setting}).Parse(policyTemplate))
	err := t.Execute(&b, struct {
		File, APIVersion, Profile, Title, Types string
		Rules                                   []policy.Rule
		Parameters                              []policy.Parameter
	}{file, policy.APIVersion, p.Metadata().Name, p.Metadata().Title, strings.Join(types, ", "), p.Rules(), p.Parameters()})
	return []byte(b.String()), err
}

// setting is the line that sets a parameter: as a comment where it has a value, and else with one that no statement
// meets.
func setting(q policy.Parameter) string {
	switch {
	case q.Set && q.Type == policy.ParameterString:
		return fmt.Sprintf("# %s: %q", q.Name, q.Value)
	case q.Set:
		return fmt.Sprintf("# %s: %s", q.Name, q.Value)
	case q.Type == policy.ParameterList:
		return q.Name + `: ["FILL IN"]`
	case q.Type == policy.ParameterString:
		return q.Name + `: "FILL IN"`
	}
	return "# " + q.Name + ": "
}
