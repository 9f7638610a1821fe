package command

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/diff"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// diffFlags are the flags of diff.
type diffFlags struct {
	server   serverFlags
	trust    verifyFlags // the trusted root and who may have signed
	format   diffFormat
	exitCode bool
}

// diffFormat is the value of --format. The zero value is text.
type diffFormat string

var diffFormats = []string{"text", "json", "markdown"}

// String, Set and Type make diffFormat a pflag.Value.
func (f *diffFormat) String() string {
	if *f == "" {
		return diffFormats[0]
	}
	return string(*f)
}

// Set takes one of the formats.
func (f *diffFormat) Set(s string) error {
	if !slices.Contains(diffFormats, s) {
		return fmt.Errorf("%q is none of %s", s, strings.Join(diffFormats, ", "))
	}
	*f = diffFormat(s)
	return nil
}

// Type names the kind of value for help texts.
func (f *diffFormat) Type() string { return "format" }

func (a *app) diff() *cobra.Command {
	f := &diffFlags{}
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show what changed between two statements, and what widens",
		Long: `Compare two statements of one type (no-backdoor, data-flows or undertakings), usually of two
releases: flows, recipients, places, data, mechanisms, claims and undertakings that were added,
removed or changed. Each change is marked:

  WIDER      more is done, given away or reserved, or less is promised, or nobody can tell
  narrower   less is done, given away or reserved, or more is promised
  neutral    neither, or free text that you have to read

Each of the two is a file with a statement, a file with a bundle, "-" for standard input, or the
id of a statement that the service of --server holds.

NOTHING IS VERIFIED unless you say whom you trust: with --trusted-root and --key (or --identity
and --issuer) both must have bundles, and a bundle that does not verify is refused. Artifact and
today's date are not judged: the old release may have expired. verify judges them.

Exit code 0: compared; 1: with --exit-code, something widens; 2: could not be compared.` + serverHelp,
		Example: `  avow diff 1.2.3/data-flows.json data-flows.json
  avow diff approved.sigstore.json data-flows.sigstore.json --exit-code \
      --trusted-root trusted_root.json --key vendor.pub
  avow diff sha256:ae33...860b data-flows.sigstore.json --server avow.example:8443 --format markdown > comment.md`,
		Args: arguments(2, 2, "which statements? give the old one and the new one"),
		RunE: func(c *cobra.Command, args []string) error { return notCompared(a.runDiff(c, args, f)) },
	}
	o := c.Flags()
	f.trust.registerTrust(c, "`FILE` with the trusted root; verify both bundles")
	o.BoolVar(&f.exitCode, "exit-code", false, "exit with 1 if anything widens")
	o.Var(&f.format, "format", "`FORMAT` of the answer: text, json, or markdown for a pull request")
	completes(c, "format", diffFormats...)
	f.server.register(c)
	return c
}

// registerTrust adds the flags of commands that verify only if somebody says whom to trust.
func (f *verifyFlags) registerTrust(c *cobra.Command, root string) {
	o := c.Flags()
	o.StringVar(&f.trustedRoot, "trusted-root", "", root)
	o.StringArrayVar(&f.keys, "key", nil, "`FILE` with a public key that may have signed; may be repeated")
	o.StringVar(&f.identity, "identity", "", "`URI` or e-mail address in the signer's certificate, exactly")
	o.StringVar(&f.issuer, "issuer", "", "`URI` of the issuer that vouched for the identity, exactly")
}

func (a *app) runDiff(c *cobra.Command, args []string, f *diffFlags) error {
	check, err := a.diffVerifier(c, &f.trust)
	if err != nil {
		return err
	}
	var sides [2]*compared
	for i, arg := range args {
		if sides[i], err = a.readCompared(c, arg, f); err != nil {
			return err
		}
		if check != nil {
			err = check(sides[i])
		} else {
			sides[i].statement, err = predicate.Parse(sides[i].payload, predicate.Consumption)
		}
		if err != nil {
			return about(arg, err)
		}
	}
	report, err := diff.Compare(sides[0].statement, sides[1].statement)
	if err != nil {
		return failed("compare two statements of one type; `avow show` says of which type a file is", "%w", err)
	}
	if err := a.printDiff(report, sides, check != nil, f.format); err != nil {
		return err
	}
	if f.exitCode && len(report.Widening()) > 0 {
		return no()
	}
	return nil
}

// notCompared keeps exit code 1 for the answer that something widens: whatever prevented the comparison, a refusal of
// the service or a statement that breaks the rules included, is 2.
func notCompared(err error) error {
	var f *failure
	if err == nil || errors.As(err, &f) && f.err == nil {
		return err
	}
	_, hint := classify(err)
	return &failure{code: exitError, err: err, hint: hint}
}

// compared is one of the two statements.
type compared struct {
	name      string
	payload   []byte
	bundles   [][]byte // none for a bare statement; one for each signer
	statement *predicate.Statement
	evidence  *verify.Evidence // nil unless verified
}

// readCompared reads a file, or fetches a statement by its id where no file has that name.
func (a *app) readCompared(c *cobra.Command, arg string, f *diffFlags) (*compared, error) {
	if digestArgument.MatchString(arg) {
		if _, err := os.Lstat(arg); err != nil {
			return a.fetchCompared(c, arg, f)
		}
	}
	data, err := a.readLimited(arg, verify.MaxBundleBytes)
	if err != nil {
		return nil, err
	}
	if isStatement(data) {
		return &compared{name: arg, payload: data}, nil
	}
	u, err := readUnverified(data)
	if err != nil {
		return nil, about(arg, err)
	}
	return &compared{name: arg, payload: u.payload, bundles: [][]byte{data}}, nil
}

func (a *app) fetchCompared(c *cobra.Command, id string, f *diffFlags) (*compared, error) {
	answer, err := a.getStatement(c.Context(), &f.server, id, "")
	if err != nil {
		return nil, about(id, err)
	}
	s := &compared{name: id, payload: answer.GetStatement()}
	for _, b := range answer.GetBundles() {
		s.bundles = append(s.bundles, b.GetBundle())
	}
	return s, nil
}

// diffVerifier returns the function that verifies a statement's bundles, nil where nobody asked for it.
func (a *app) diffVerifier(c *cobra.Command, t *verifyFlags) (func(*compared) error, error) {
	if t.trustedRoot == "" && len(t.keys) == 0 && t.identity == "" && t.issuer == "" {
		return nil, nil
	}
	signers, err := a.signers(c, t)
	if err == nil {
		err = someoneDeclares(c, signers)
	}
	if err != nil {
		return nil, err
	}
	trust, err := a.readTrust(t.trustedRoot)
	if err != nil {
		return nil, err
	}
	now := a.env.Now()
	verifier, err := verify.New(verify.Config{Trust: trust, Clock: func() time.Time { return now }})
	if err != nil {
		return nil, err
	}
	return func(s *compared) error { return verifyCompared(c, verifier, signers, s) }, nil
}

// verifyCompared takes the statement from the first bundle that verifies. All bundles of a fetched statement are around
// the same bytes, so that one signer who is trusted is enough.
func verifyCompared(c *cobra.Command, verifier *verify.Verifier, signers []verify.Signer, s *compared) error {
	if len(s.bundles) == 0 {
		return failed("give the bundle of the statement, or leave out --trusted-root and --key to compare without verifying",
			"a statement without a bundle cannot be verified")
	}
	var reason verify.Check
	for _, bundle := range s.bundles {
		for _, signer := range signers {
			evidence, checks, err := verifier.VerifyBundle(c.Context(), bundle, signer)
			if err != nil {
				return err
			}
			if evidence != nil {
				s.statement, s.evidence = evidence.Statement, evidence
				return nil
			}
			i := slices.IndexFunc(checks, func(c verify.Check) bool { return c.Status == verify.StatusFail })
			// A failure beyond the question whose signature it is says more.
			if i >= 0 && (reason.ID == "" || reason.ID == verify.CheckSigner) {
				reason = checks[i]
			}
		}
	}
	return failed("run `avow verify` on the bundle for all checks; a statement that does not verify is not compared",
		"does not verify: %s: %s", reason.ID, reason.Detail)
}

// diffed is diff's JSON.
type diffed struct {
	Verified bool `json:"verified"`
	*diff.Report
	Widening  int           `json:"widening"`
	Narrowing int           `json:"narrowing"`
	Neutral   int           `json:"neutral"`
	Evidence  []diffedProof `json:"evidence,omitempty"`
}

// diffedProof says who signed one of the statements, old first, and by when.
type diffedProof struct {
	StatementID string `json:"statementId"`
	KeyID       string `json:"keyId"`
	SignedBy    string `json:"signedBy"`
	LogOrigin   string `json:"logOrigin"`
	LogIndex    string `json:"logIndex"`
}

func (a *app) printDiff(r *diff.Report, sides [2]*compared, verified bool, f diffFormat) error {
	const (
		unverifiedNote = "this is what the files say. With --trusted-root and --key both are verified first."
		verifiedNote   = "both statements are by the signers that you named, logged and time-stamped. Whether they are true is " +
			"the declarant's word; artifact and today's date were not judged."
	)
	switch f {
	case "json":
		return a.printDiffJSON(r, sides, verified)
	case "markdown":
		note := "**Not verified**: " + unverifiedNote
		if verified {
			note = "**Verified**: " + verifiedNote
		}
		_, err := fmt.Fprint(a.env.Stdout, plain.DiffMarkdown(r, note))
		return err
	}
	w := a.writer()
	if !verified {
		w.Item("", 14, w.Style(text.Yellow, "NOT VERIFIED:"), unverifiedNote)
	} else {
		w.Item("", 14, w.Style(text.Green, "VERIFIED:"), verifiedNote)
		for _, s := range sides {
			w.Item("  ", 10, "Signed", fmt.Sprintf("%s: by %s at the latest, entry %d of %s, with %s", text.Safe(s.name),
				s.evidence.SignedBy.UTC().Format(time.RFC3339), s.evidence.LogIndex, text.Safe(s.evidence.LogOrigin), s.evidence.KeyID))
		}
	}
	plain.Diff(w, r, sides[1].statement)
	return w.Err()
}

func (a *app) printDiffJSON(r *diff.Report, sides [2]*compared, verified bool) error {
	if r.Changes == nil {
		r.Changes = []diff.Change{} // [] and not null
	}
	out := diffed{Verified: verified, Report: r, Widening: r.Count(diff.Widening), Narrowing: r.Count(diff.Narrowing),
		Neutral: r.Count(diff.Neutral)}
	for _, s := range sides {
		if e := s.evidence; e != nil {
			out.Evidence = append(out.Evidence, diffedProof{StatementID: e.StatementID, KeyID: e.KeyID,
				SignedBy: e.SignedBy.UTC().Format(time.RFC3339), LogOrigin: e.LogOrigin, LogIndex: fmt.Sprint(e.LogIndex)})
		}
	}
	return a.printJSON(out)
}
