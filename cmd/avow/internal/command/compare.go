package command

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/compare"
	"github.com/avow-dev/avow/verify/result"
)

// compareFlags are the flags of compare.
type compareFlags struct {
	declared   string
	observed   []string
	trust      verifyFlags // the trusted root and who may have signed
	configured []string
	directed   []string
	switches   []string
	startup    time.Duration
	options    compare.Options
	anySubject bool
	output     string
	key, out   string
	into       string
	dispute    string
	format     format
}

// maxObservations bounds what is in memory at once.
const maxObservations = 16

// comparisonFile is where a signed result goes unless --result-out says otherwise.
const comparisonFile = "comparison" + bundleSuffix

func (a *app) compare() *cobra.Command {
	f := &compareFlags{}
	c := &cobra.Command{
		Use:   "compare --declared BUNDLE|STATEMENT --observed OBSERVATION...",
		Short: "Compare observed traffic with the declared data flows",
		Long: `Compare what was observed of a program's network traffic with the flows that its vendor declares,
peer by peer and flow by flow. An observation is an in-toto runtime-trace statement about the same
files: a capture or a traced run, summarised.

The default is UNEXPECTED. A peer that no flow declares is undeclared. A peer of which no name is
known (an address that no DNS answer gave, names resolved out of sight, an address with several
names) matches declared address blocks only; else it is unclassified, and that is not clean either.
Of the endpoints with the peer's transport and port the longest match counts: host before suffix
before address block. Of a declared peer are compared: TLS and its version, who opens the
connection, what makes it (seen at start-up though declared as a user's action), how often.

Endpoints that name no peer match nothing until you say which peers they are; the observation
never does:
  --configured SETTING=HOST   of the kinds configured and discovered: what the operator set
  --user-directed HOST        of the kind userDirected: where you directed the program
  --local-network             of the kind localNetwork: private, link-local and loopback addresses

With observations with and without a setting, off-switches are tried: a flow that the setting is
declared to switch off and that is still seen fails.

NOTHING OF THE DECLARATION IS VERIFIED unless you say whom you trust: with --trusted-root and --key
(or --identity and --issuer) it must be a bundle, and is verified first.

-o writes the result as an in-toto test-result v0.1 statement; --attest-result signs it, --into names
it as evidence in a draft, and avow attest has it logged.
--draft-dispute writes the opening of a dispute where something contradicts the declaration.

Exit code 0: everything that was seen is as declared; 1: something is not, or is unclassified;
2: could not be compared.`,
		Example: `  avow compare --declared data-flows.sigstore.json --observed run.json --trusted-root trusted_root.json --key vendor.pub
  avow compare --declared data-flows.json --observed run.json --configured "system resolver=192.0.2.53" --local-network
  avow compare --declared data-flows.json --observed default.json --observed telemetry-off.json --format json
  avow compare --declared data-flows.sigstore.json --observed run.json -o result.json --draft-dispute dispute.json`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return notCompared(a.runCompare(c, f)) },
	}
	f.register(c)
	return c
}

func (f *compareFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.declared, "declared", "", "`FILE` with the data-flows statement, or with its bundle")
	o.StringArrayVar(&f.observed, "observed", nil, "`FILE` with an observation, or with a bundle of one; may be repeated")
	f.trust.registerTrust(c, "`FILE` with the trusted root; verify the declaration's bundle")
	o.StringArrayVar(&f.configured, "configured", nil, "`SETTING=HOST` (or address, or block) behind a configured or discovered endpoint; may be repeated")
	o.StringArrayVar(&f.directed, "user-directed", nil, "`HOST` (or address, or block) that the user named meanwhile; may be repeated")
	o.BoolVar(&f.options.LocalNetwork, "local-network", false, "let localNetwork endpoints match private, link-local and loopback addresses")
	o.BoolVar(&f.options.UserActed, "user-acted", false, "a user acted from the start: flows of a user's action may be seen then")
	o.DurationVar(&f.startup, "startup-window", compare.DefaultStartupWindow, "`DURATION` after the start that counts as start-up; 0 to judge no start-up")
	o.StringArrayVar(&f.switches, "switch", nil, "`SETTING=FLOW-ID`: the setting of an observation switches the flow; may be repeated")
	o.BoolVar(&f.options.FailOnGaps, "fail-on-gaps", false, "not clean if an observation says that it missed something")
	o.BoolVar(&f.anySubject, "any-subject", false, "compare though the observed files are not the declared ones")
	o.StringVarP(&f.output, "output", "o", "", "`FILE` for the result as a test-result statement; replaced if it is there")
	o.StringVar(&f.key, "attest-result", "", "`KEY` to sign the result with: the file of an encrypted key, or a key reference")
	o.StringVar(&f.out, "result-out", comparisonFile, "`FILE` for the signed result; an older one is replaced")
	o.StringVar(&f.dispute, "draft-dispute", "", "`FILE` for the draft of a dispute, written where something contradicts the declaration")
	o.StringVar(&f.into, "into", "", "draft `FILE` to append the statement of -o to, as evidence by its digest")
	f.format.register(c)
}

// comparison is everything about one run of compare.
type comparison struct {
	declared *compared
	inputs   compare.Inputs
	report   *compare.Report
	verified bool
}

func (a *app) runCompare(c *cobra.Command, f *compareFlags) error {
	if err := f.check(c); err != nil {
		return err
	}
	check, err := a.diffVerifier(c, &f.trust)
	if err != nil {
		return err
	}
	run := &comparison{verified: check != nil}
	if run.declared, err = a.readDeclared(c, f.declared, check); err != nil {
		return about(f.declared, err)
	}
	run.inputs = compare.Inputs{Declared: run.declared.statement, AnySubjectUnsafe: f.anySubject}
	for _, path := range f.observed {
		if err := a.readObserved(path, &run.inputs); err != nil {
			return about(path, err)
		}
	}
	if _, err := run.inputs.Subjects(); err != nil {
		return failed("observe the declared files; --any-subject compares all the same, and the result is then about the observed files", "%w", err)
	}
	if run.inputs.Options, err = f.parse(run.declared.statement.DataFlows); err != nil {
		return failed("`avow show` prints the declared flows; `avow compare --help` explains the options", "%w", err)
	}
	run.report = compare.Compare(run.declared.statement.DataFlows, run.inputs.Observed, run.inputs.Options)
	if err := a.writeResult(c, f, run); err != nil {
		return err
	}
	if err := a.printComparison(run, f.format); err != nil {
		return err
	}
	if !run.report.Clean() {
		return no()
	}
	return nil
}

func (f *compareFlags) check(c *cobra.Command) error {
	switch {
	case f.declared == "":
		return usageFailure(c.CommandPath(), errors.New("no --declared was given"))
	case len(f.observed) == 0:
		return usageFailure(c.CommandPath(), errors.New("no --observed was given"))
	case len(f.observed) > maxObservations:
		return usageFailure(c.CommandPath(), fmt.Errorf("%d observations, at most %d at once", len(f.observed), maxObservations))
	case f.startup < 0:
		return usageFailure(c.CommandPath(), fmt.Errorf("--startup-window %s is negative", f.startup))
	case f.into != "" && f.output == "":
		return usageFailure(c.CommandPath(), errors.New("--into names the result by digest: write it with -o FILE"))
	case f.key == "" && c.Flags().Changed("result-out"):
		return usageFailure(c.CommandPath(), errors.New("--result-out has no effect without --attest-result"))
	}
	inputs := append([]string{f.declared, f.trust.trustedRoot}, append(f.observed, f.trust.keys...)...)
	for _, output := range []string{f.output, f.dispute, f.out, f.into} {
		if err := notAnInput(output, inputs); err != nil {
			return err
		}
	}
	return nil
}

// parse reads the options that hold names.
func (f *compareFlags) parse(declared *predicate.DataFlows) (compare.Options, error) {
	o := f.options
	switch f.startup {
	case compare.DefaultStartupWindow: // an option that was not given is not in the result
	case 0:
		o.StartupWindow = -1
	default:
		o.StartupWindow = f.startup
	}
	for _, argument := range f.configured {
		at := strings.LastIndexByte(argument, '=') // a setting may hold one, a host cannot
		if at <= 0 {
			return o, fmt.Errorf("--configured %q is not SETTING=HOST", argument)
		}
		target, err := compare.ParseTarget(argument[at+1:])
		if err != nil {
			return o, fmt.Errorf("--configured: %w", err)
		}
		if o.Configured == nil {
			o.Configured = map[string][]compare.Target{}
		}
		o.Configured[argument[:at]] = append(o.Configured[argument[:at]], target)
	}
	for _, argument := range f.directed {
		target, err := compare.ParseTarget(argument)
		if err != nil {
			return o, fmt.Errorf("--user-directed: %w", err)
		}
		o.UserDirected = append(o.UserDirected, target)
	}
	for _, argument := range f.switches {
		at := strings.LastIndexByte(argument, '=')
		if at <= 0 {
			return o, fmt.Errorf("--switch %q is not SETTING=FLOW-ID", argument)
		}
		if o.Switches == nil {
			o.Switches = map[string][]string{}
		}
		o.Switches[argument[:at]] = append(o.Switches[argument[:at]], argument[at+1:])
	}
	return o, o.Validate(declared)
}

// readDeclared reads the declaration, and verifies it where somebody is trusted.
func (a *app) readDeclared(c *cobra.Command, path string, check func(*compared) error) (*compared, error) {
	data, err := a.readLimited(path, verify.MaxBundleBytes)
	if err != nil {
		return nil, err
	}
	s := &compared{name: path, payload: data}
	if !isStatement(data) {
		u, err := readUnverified(data)
		if err != nil {
			return nil, err
		}
		s.payload, s.bundles = u.payload, [][]byte{data}
	}
	if check != nil {
		err = check(s)
	} else {
		s.statement, err = predicate.Parse(s.payload, predicate.Consumption)
	}
	if err == nil && s.statement.DataFlows == nil {
		err = failed("give the data-flows statement of the release", "it is a %q, want a %s", s.statement.Type, predicate.DataFlowsType)
	}
	return s, err
}

// readObserved reads an observation. One in a bundle is taken out of it: who signed it is not asked, because nothing is
// believed of an observation that its reader did not make or does not trust for other reasons.
func (a *app) readObserved(path string, in *compare.Inputs) error {
	data, err := a.readLimited(path, observation.MaxBytes)
	if err != nil {
		return err
	}
	if !observation.IsObservation(data) {
		u, err := readUnverified(data)
		if err != nil {
			return failed("give a runtime-trace statement about network flows, or its bundle", "it is not an observation")
		}
		data = u.payload
	}
	o, err := observation.Parse(data)
	if err != nil {
		return failed("give a runtime-trace statement about network flows, or its bundle", "%w", err)
	}
	in.Observed = append(in.Observed, o)
	in.Files = append(in.Files, compare.Input{Name: path, SHA256: sha256.Sum256(data)})
	return nil
}

// writeResult writes what was asked for, before the answer is printed: an answer that was to be signed and is not has not
// been given.
func (a *app) writeResult(c *cobra.Command, f *compareFlags, run *comparison) error {
	if f.output != "" || f.key != "" {
		statement, err := compare.Compose(run.report, run.inputs)
		if err != nil {
			return err
		}
		if f.output != "" {
			if err := a.replaceNoted(f.output, statement.Payload()); err != nil {
				return err
			}
		}
		if err := a.signComparison(c, f, statement); err != nil {
			return err
		}
		if err := a.capturedInto(f.into, "comparison", f.output, statement.Payload()); err != nil {
			return err
		}
	}
	if f.dispute == "" {
		return nil
	}
	about := predicate.AboutOptions{Target: run.declared.statement, Now: a.env.Now()}
	if e := run.declared.evidence; e != nil {
		about.LogOrigin, about.LogIndex = e.LogOrigin, fmt.Sprint(e.LogIndex)
	}
	draft, err := compare.Dispute(run.report, run.inputs, about)
	if err != nil {
		a.note("no dispute is drafted: %s", err)
		return nil
	}
	return a.replaceNoted(f.dispute, draft)
}

func (a *app) signComparison(c *cobra.Command, f *compareFlags, s *compare.Statement) error {
	if f.key == "" {
		return nil
	}
	key, done, err := a.openSigner(c.Context(), f.key)
	if err != nil {
		return err
	}
	defer done()
	signed, err := result.SignComparison(c.Context(), s, key)
	if err != nil {
		return err
	}
	bundle, err := signed.Bundle()
	if err != nil {
		return err
	}
	return a.replaceNoted(f.out, append(bundle, '\n'))
}

// replaceNoted writes a file whole, and says so.
func (a *app) replaceNoted(path string, data []byte) error {
	if err := writeFile(path, data, 0o644); err != nil {
		return err
	}
	a.note("wrote %s", text.Safe(path))
	return nil
}
