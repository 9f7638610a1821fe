package command

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify/policy"
)

// policyCheckFlags are the flags of policy check.
type policyCheckFlags struct {
	parameters policyParameters
	format     format
}

// checkedPolicy is what check says about one policy; the members of its JSON.
type checkedPolicy struct {
	Policy   string          `json:"policy"`
	Name     string          `json:"name,omitempty"`
	Version  string          `json:"version,omitempty"`
	Digest   string          `json:"digestSha256,omitempty"`
	Rules    int             `json:"rules"`
	Unset    []string        `json:"unsetParameters,omitempty"`
	Findings []policyFinding `json:"findings"`
}

func (a *app) policyCheck() *cobra.Command {
	f := &policyCheckFlags{}
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Check policies without using them: syntax, names, types, inclusions",
		Long: `Read each policy with all that it includes, check every expression against the types of the
statements, and print what is wrong as FILE:LINE:COLUMN with the line and what to do. Nothing
is evaluated; ` + "`avow policy test` does that, and `avow policy lint`" + ` asks what a vendor could gain by
leaving something out.

Exit code 0: every policy can be used; 1: something is wrong; 2: a policy could not be read.` + policyHelp,
		Example: `  avow policy check policy.yaml
  avow policy check policies/*.yaml --format json`,
		Args: arguments(1, -1, errNoPolicy.Error()),
		RunE: func(c *cobra.Command, args []string) error { return a.runPolicyCheck(c, args, f) },

		ValidArgsFunction: completePolicy,
	}
	f.parameters.register(c)
	f.format.register(c)
	return c
}

func (a *app) runPolicyCheck(c *cobra.Command, names []string, f *policyCheckFlags) error {
	values, err := f.parameters.values(c)
	if err != nil {
		return err
	}
	var all []checkedPolicy
	clean := true
	for _, name := range names {
		checked, err := checkPolicy(c.Context(), name, values)
		if err != nil {
			return err
		}
		clean = clean && len(checked.Findings) == 0
		all = append(all, *checked)
	}
	if f.format.json() {
		err = a.printJSON(all)
	} else {
		err = a.printChecked(all)
	}
	if err == nil && !clean {
		return no()
	}
	return err
}

// checkPolicy loads one policy. The error is for one that could not be read.
func checkPolicy(ctx context.Context, name string, values map[string]string) (*checkedPolicy, error) {
	checked := &checkedPolicy{Policy: name, Findings: []policyFinding{}}
	p, err := loadPolicy(ctx, name, values)
	var bad *policyProblem
	switch {
	case errors.As(err, &bad) && !bad.unread:
		checked.Findings = bad.findings
		return checked, nil
	case err != nil:
		return nil, err
	}
	digest := p.Digest()
	checked.Name, checked.Version, checked.Digest = p.Metadata().Name, p.Metadata().Version, hex.EncodeToString(digest[:])
	checked.Rules = len(p.Rules())
	checked.Unset = unset(p)
	return checked, nil
}

// unset returns the parameters that have no value.
func unset(p *policy.Policy) []string {
	var names []string
	for _, q := range p.Parameters() {
		if !q.Set {
			names = append(names, q.Name)
		}
	}
	return names
}

func (a *app) printChecked(all []checkedPolicy) error {
	w := a.writer()
	for i := range all {
		p := &all[i]
		for j := range p.Findings {
			for _, line := range p.Findings[j].describe(w.Width()) {
				w.Line("%s", line)
			}
		}
		if n := len(p.Findings); n > 0 {
			w.Line("%s: %s", text.Safe(p.Policy), count(n, "error"))
			continue
		}
		w.Line("%s: ok, policy %s %s, %s, sha256:%s", text.Safe(p.Policy), text.Safe(p.Name), text.Safe(p.Version),
			count(p.Rules, "rule"), p.Digest)
		for _, name := range p.Unset {
			w.Line("%s: %s has no value: every rule that reads it fails until you give --policy-param %s=...",
				text.Safe(p.Policy), name, name)
		}
	}
	return w.Err()
}
