package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/enforce"
)

// enforceFlags are the flags of enforce.
type enforceFlags struct {
	question verifyFlags
	target   enforceTargetFlags
	leaveOut leaveOutFlags
	follow   followFlags
	output   string
	check    string
}

const enforceLong = `Compile the data flows that a vendor declared into an egress policy: what is declared may leave, and
nothing else. The bundles are verified first, exactly as ` + "`avow verify`" + ` does it, and with the same flags: an
unverified, rejected or expired statement never becomes a policy. With --status neither does one that
was withdrawn or superseded, or of which that is not known.

Targets:
  cilium       CiliumNetworkPolicy with FQDN rules and the DNS rule that they need    (--selector)
  kubernetes   NetworkPolicy; refused where host names are declared                   (--selector)
  nftables     ruleset whose sets --follow fills      (--uid, --cgroup or --whole-namespace; --resolver)
  envoy        configuration of a forward proxy                                       (--listen)
  squid        configuration of a forward proxy                                       (--listen)
  docker       Compose file: an internal network behind a Squid proxy   (--service, --proxy-image)
  hosts        refused: a hosts file drops nothing

A policy is never wider than the statement. What a target cannot express exactly is listed, and nothing
is written until you give your own values (--configured) or say that it is to be left out
(--allow-uncompiled). So is what you leave out and cannot be told apart from what stays.

Leave out what you do not accept and install the rest: --leave-out vendorBenefit, recipients by role or
country (a place that is not declared could be any), or the flows that a policy's rules reject.

--check compares a deployed policy with the one that would be compiled now. --follow, for nftables, loads
the ruleset, resolves the declared names by --resolver and keeps the sets filled until it is stopped, or
the statement's time or the status' is over.

Exit code 0: compiled, or the same; 1: refused, or different; 2: could not be evaluated.`

const enforceExamples = `  avow enforce app.tar.gz --bundle data-flows.sigstore.json --trusted-root trusted_root.json --key vendor.pub \
      --target cilium --selector app=gateway --namespace edge -o gateway.yaml
  avow enforce app.tar.gz --bundle data-flows.sigstore.json --trusted-root trusted_root.json --key vendor.pub \
      --status app.status.json --witness-policy witnesses.txt --target squid \
      --leave-out vendorBenefit --leave-out-recipient US --configured database.url=db.corp.example:5432
  avow enforce app.tar.gz --bundle data-flows.sigstore.json --trusted-root trusted_root.json --key vendor.pub \
      --target nftables --uid 1001 --resolver 192.0.2.53 --follow
  avow enforce app.tar.gz --bundle data-flows.sigstore.json --trusted-root trusted_root.json --key vendor.pub \
      --target cilium --selector app=gateway --namespace edge --check deployed.yaml`

func (a *app) enforce() *cobra.Command {
	f := &enforceFlags{}
	c := &cobra.Command{
		Use: "enforce (FILE|sha256:HEX|oci://IMAGE@sha256:HEX) --bundle BUNDLE... --trusted-root ROOT " +
			"(--key PUB... | --identity URI --issuer URI | --policy FILE) --target TARGET",
		Short:   "Compile the verified data flows into an egress policy",
		Long:    enforceLong,
		Example: enforceExamples,
		Args:    arguments(1, 1, "which file? give FILE or sha256:HEX"),
		RunE:    func(c *cobra.Command, args []string) error { return a.runEnforce(c, args[0], f) },
	}
	f.question.registerQuestion(c)
	f.target.register(c)
	f.leaveOut.register(c)
	f.follow.register(c)
	c.Flags().StringVarP(&f.output, "output", "o", "", "`FILE|DIR` to write instead of standard output; replaced if it is there")
	c.Flags().StringVar(&f.check, "check", "", "`FILE` with a deployed policy to compare instead of writing one; - is standard input")
	return c
}

func (a *app) runEnforce(c *cobra.Command, artifact string, f *enforceFlags) error {
	if err := f.compatible(c); err != nil {
		return err
	}
	o := enforce.Options{RequireStanding: f.question.status.file != ""}
	if err := errors.Join(f.target.apply(c, &o), f.leaveOut.apply(c, &o)); err != nil {
		return err
	}
	if o.Target == enforce.Hosts { // before anything is read: the answer is the same
		_, err := enforce.Compile(c.Context(), nil, o)
		return err
	}
	verdict, err := a.enforceVerdict(c, artifact, f)
	if err != nil {
		return err
	}
	o.Now = a.env.Now()
	policy, err := enforce.Compile(c.Context(), verdict, o)
	if err != nil {
		a.noteFailures(verdict)
		return err
	}
	a.noteItems("left out", policy.LeftOut)
	a.noteItems("not compiled, left out", policy.Uncompiled)
	switch {
	case f.check != "":
		return a.checkDeployed(policy, f.check)
	case f.follow.on:
		return a.follow(c.Context(), policy, &f.follow, o.Resolver)
	}
	return a.writePolicy(policy, f, artifact)
}

// compatible refuses flags that do not go together.
func (f *enforceFlags) compatible(c *cobra.Command) error {
	for _, pair := range [][2]string{{"check", "output"}, {"check", "follow"}, {"follow", "output"}} {
		if c.Flags().Changed(pair[0]) && c.Flags().Changed(pair[1]) {
			return usageFailure(c.CommandPath(), fmt.Errorf("--%s and --%s are both given", pair[0], pair[1]))
		}
	}
	if c.Flags().Changed("check") && f.check == "" {
		return usageFailure(c.CommandPath(), errors.New("--check names no file"))
	}
	return f.follow.check(c, f.target.target)
}

// enforceVerdict verifies as verify does, and demands that data flows are declared.
func (a *app) enforceVerdict(c *cobra.Command, artifact string, f *enforceFlags) (*verify.Verdict, error) {
	q := &f.question
	q.types = []string{"data-flows"}
	if err := a.pinnedTrust(q); err != nil {
		return nil, err
	}
	if err := notAnInput(f.output, slices.Concat([]string{artifact, q.trustedRoot, q.policy.name, q.witnesses.policy}, q.bundles, q.keys,
		q.policy.approved, q.status.files())); err != nil {
		return nil, err
	}
	asked, err := a.question(c, artifact, q)
	if err != nil {
		return nil, err
	}
	return a.answer(c.Context(), q, asked)
}

// noteFailures says which checks failed.
func (a *app) noteFailures(v *verify.Verdict) {
	for _, check := range v.Failures() {
		a.note("  FAIL  %s", text.Safe(strings.TrimPrefix(check.String(), "fail ")))
	}
}

func (a *app) noteItems(word string, items []enforce.Item) {
	for _, i := range items {
		a.note("%s: %s", word, text.Safe(i.String()))
	}
}

// checkDeployed compares a deployed policy with the compiled one.
func (a *app) checkDeployed(policy *enforce.Policy, path string) error {
	deployed, err := a.readLimited(path, enforce.MaxDeployedBytes)
	if err != nil {
		return err
	}
	compared, err := policy.Compare(deployed)
	if err != nil {
		return failed("give the policy as it was written, or as the cluster returns it", "%s: %w", path, err)
	}
	err = buffered(a.env.Stdout, func(w io.Writer) error { return printComparison(w, policy, compared) })
	if err != nil {
		return err
	}
	if !compared.Same() {
		return no()
	}
	return nil
}

func printComparison(w io.Writer, policy *enforce.Policy, c *enforce.Comparison) error {
	if c.Same() {
		_, err := fmt.Fprintf(w, "SAME: the deployed policy is what is compiled from %s now\n", policy.StatementID)
		return err
	}
	var b bytes.Buffer
	b.WriteString("DIFFERENT\n")
	switch c.Age {
	case enforce.AgeOlder:
		fmt.Fprintf(&b, "deployed is a policy of the older statement %s; in force is %s\n", c.StatementID, policy.StatementID)
	case enforce.AgeNewer:
		fmt.Fprintf(&b, "deployed is a policy of %s, which was logged after the statement that you gave, %s\n", c.StatementID, policy.StatementID)
	case enforce.AgeUnknown:
		if c.StatementID == "" {
			fmt.Fprintf(&b, "deployed is a policy that names no statement; in force is %s\n", policy.StatementID)
		} else {
			fmt.Fprintf(&b, "deployed is a policy of another statement, %s; in force is %s\n", c.StatementID, policy.StatementID)
		}
	}
	for _, d := range c.Differences {
		b.WriteString("  " + d + "\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writePolicy writes the policy to standard output, to a file, or into a directory under its own name.
func (a *app) writePolicy(policy *enforce.Policy, f *enforceFlags, artifact string) error {
	path := f.output
	if path == "" || path == "-" {
		_, err := a.env.Stdout.Write(policy.Content)
		return err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, policy.FileName)
	}
	if err := notAnInput(path, append(slices.Clone(f.question.bundles), artifact, f.question.trustedRoot)); err != nil {
		return err
	}
	err := writeOut(path, func(w io.Writer) error {
		_, err := w.Write(policy.Content)
		return err
	})
	if err == nil {
		a.note("wrote %s, of %s, founded until %s", text.Safe(path), policy.StatementID, policy.Until.Format("2006-01-02T15:04:05Z"))
	}
	return err
}

// cutPolicy loads the policy whose rules say which flows are left out.
func cutPolicy(ctx context.Context, name string, values map[string]string) (verify.Policy, error) {
	p, err := loadPolicy(ctx, name, values)
	if err != nil {
		return nil, err // and no interface with nothing in it
	}
	return p, nil
}
