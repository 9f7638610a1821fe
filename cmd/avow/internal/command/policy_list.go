package command

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// listedPolicy is what list says about one policy; the members of its JSON.
type listedPolicy struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Kind        string            `json:"kind"` // profile or rule
	Title       string            `json:"title"`
	Description string            `json:"description,omitempty"`
	Digest      string            `json:"digestSha256"`
	Needs       []string          `json:"needs"`
	Parameters  []policyParameter `json:"parameters"`
	Rules       []policyRule      `json:"rules"`
}

// policyParameter is a parameter of a policy. Value is absent where the buyer has to set it.
type policyParameter struct {
	Name        string  `json:"name"`
	Type        string  `json:"type"`
	Description string  `json:"description,omitempty"`
	Value       *string `json:"value,omitempty"`
}

// policyRule is a rule of a policy.
type policyRule struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Severity string `json:"severity"`
}

func (a *app) policyList() *cobra.Command {
	var f format
	c := &cobra.Command{
		Use:   "list",
		Short: "List the ready-made policies: profiles, and rules to include",
		Long: `List the ready-made policies: the profiles, for people who will not write rules, and the single
rules that they and your own policies include. A parameter without a value has to be set by you
(--policy-param, or a policy of your own), and until then every rule that reads it fails.`,
		Example: `  avow policy list
  avow policy list --format json`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return a.runPolicyList(c.Context(), f) },
	}
	f.register(c)
	return c
}

func (a *app) runPolicyList(ctx context.Context, f format) error {
	var all []listedPolicy
	for _, name := range policy.Names() {
		p, err := policy.Builtin(ctx, name, policy.Options{})
		if err != nil {
			return err
		}
		all = append(all, listed(p))
	}
	if f.json() {
		return a.printJSON(all)
	}
	w := a.writer()
	for _, kind := range []struct{ name, heading string }{
		{"profile", "Profiles, to verify by as they are or to include"},
		{"rule", "Rules, each a policy by itself"},
	} {
		w.Heading(kind.heading)
		for _, p := range all {
			if p.Kind == kind.name {
				printListed(w, p)
			}
		}
	}
	return w.Err()
}

// listed describes a policy.
func listed(p *policy.Policy) listedPolicy {
	meta, digest := p.Metadata(), p.Digest()
	l := listedPolicy{Name: meta.Name, Version: meta.Version, Kind: "rule", Title: meta.Title, Description: strings.TrimSpace(meta.Description),
		Digest: hex.EncodeToString(digest[:]), Needs: []string{}, Parameters: []policyParameter{}, Rules: []policyRule{}}
	if isProfile(p) {
		l.Kind = "profile"
	}
	for _, r := range p.Rules() {
		for _, n := range r.Needs {
			if !slices.Contains(l.Needs, n) {
				l.Needs = append(l.Needs, n)
			}
		}
		l.Rules = append(l.Rules, policyRule{ID: r.ID, Title: r.Title, Severity: r.Severity.String()})
		if l.Kind == "rule" {
			l.Description = strings.TrimSpace(r.Description) // the policy is its rule
		}
	}
	for _, q := range p.Parameters() {
		shown := policyParameter{Name: q.Name, Type: string(q.Type), Description: q.Description}
		if q.Set {
			shown.Value = &q.Value
		}
		l.Parameters = append(l.Parameters, shown)
	}
	return l
}

// printListed prints a policy of the list. Text of ready-made policies is this program's own, and made safe all the
// same.
func printListed(w *text.Writer, p listedPolicy) {
	const label = 12
	w.Line("")
	w.Item("  ", label+4, w.Style(text.Bold, text.Safe(p.Name)), text.Safe(p.Title))
	w.Item("    ", label+2, "asks for", text.Safe(p.Description))
	w.Item("    ", label+2, "needs", strings.Join(p.Needs, ", "))
	if p.Kind == "profile" {
		w.Item("    ", label+2, "denies by", rulesOf(p, verify.SeverityDeny))
		w.Item("    ", label+2, "warns by", rulesOf(p, verify.SeverityWarn))
	}
	for _, q := range p.Parameters {
		w.Item("    ", label+2, "parameter", parameterLine(q))
	}
}

// rulesOf lists the rules of a severity.
func rulesOf(p listedPolicy, s verify.Severity) string {
	var ids []string
	for _, r := range p.Rules {
		if r.Severity == s.String() {
			ids = append(ids, text.Safe(r.ID))
		}
	}
	return strings.Join(ids, ", ")
}

// parameterLine is a parameter with its type, what it is, and the beginning of its value.
func parameterLine(q policyParameter) string {
	line := q.Name + " (" + q.Type + ")"
	if q.Description != "" {
		line += ", " + text.Safe(strings.TrimRight(q.Description, ".\n"))
	}
	if q.Value == nil {
		return line + ": NOT SET, you have to"
	}
	const most = 60
	value := text.Safe(*q.Value)
	if text.Width(value) > most {
		value = text.Wrap(value, most)[0] + " ..."
	}
	return line + ": " + value
}
