package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/identity"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/remote"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// bundleSuffix ends the names of bundle files.
const bundleSuffix = ".sigstore.json"

// attestFlags are the flags of attest.
type attestFlags struct {
	server      serverFlags
	key         string
	identity    identityFlags
	serviceSign bool
	directory   string
	strict      bool
	format      format
}

// issue is one statement on its way.
type issue struct {
	path      string
	output    string
	statement *predicate.Statement
	prepared  *attest.Prepared // nil for a bundle of another client
	envelope  *attest.Envelope // nil when the service signs
	submitted []byte           // the bundle of another client
	composed  bool             // by this program: the statement is written to path before it is issued
}

func (a *app) attest() *cobra.Command {
	f := &attestFlags{}
	c := &cobra.Command{
		Use:   "attest STATEMENT... (--key KEY | --identity) --server HOST:PORT",
		Short: "Sign statements, have them logged, write their bundles",
		Long: `Check the statements, sign them on this machine, and have the service check, time-stamp and log
them. The Sigstore bundle of STATEMENT.json is written beside it as STATEMENT.sigstore.json (-o
names another directory). Keep the bundles with the release: they are what a buyer verifies,
offline.

Observations (avow observe) and results of comparisons (avow compare) are issued like declarations.
They are evidence: the word of who signs them about what was seen, whoever made the artifact.

Several statements are one declaration: either all of them are issued or none. What is issued is
public and cannot be removed.

A statement that was issued before is answered with its bundle of the first time, so the command
can be repeated after any failure. With --service-sign the service signs with the key that it
keeps for you; it has to know who you are (--token-file, or --cert and --cert-key).

Exit code 0: issued; 1: refused by the rules or by the service; 2: could not be carried out.` + keyHelp + identityHelp + serverHelp,
		Example: `  avow attest no-backdoor.json data-flows.json --key vendor.key --server avow.example:8443
  avow attest data-flows.json --key vendor.key --server localhost:8080 --insecure -o dist
  avow attest data-flows.json --key hashivault://vendor --server avow.example:8443
  avow attest data-flows.json --identity --server avow.example:8443
  avow attest observation.json comparison.json --key lab.key --server avow.example:8443`,
		Args: arguments(1, -1, "which statement? give its file"),
		RunE: func(c *cobra.Command, args []string) error { return a.runAttest(c, args, f) },
	}
	c.Flags().BoolVar(&f.strict, "strict", false, "warnings W01 to W05 forbid issuing")
	f.register(c)
	return c
}

// register adds the flags of everything that is signed and issued.
func (f *attestFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.key, "key", "", "`KEY` to sign with: the file of an encrypted key, or a key reference")
	f.identity.register(c)
	o.BoolVar(&f.serviceSign, "service-sign", false, "let the service sign with the key that it keeps for you")
	o.StringVarP(&f.directory, "output", "o", "", "`DIRECTORY` for the bundles; made if it is not there")
	f.format.register(c)
	f.server.register(c)
}

func (a *app) runAttest(c *cobra.Command, paths []string, f *attestFlags) error {
	if err := a.chooseSigner(c, f); err != nil {
		return err
	}
	issues, err := a.prepareIssues(paths, f)
	if err != nil {
		return err
	}
	return a.signAndIssue(c.Context(), issues, f)
}

// signAndIssue signs what is ready, has it issued, and writes the bundles.
func (a *app) signAndIssue(ctx context.Context, issues []*issue, f *attestFlags) error {
	if f.directory != "" { // before anything is issued: what cannot be written is better not public yet
		if err := os.MkdirAll(f.directory, 0o755); err != nil {
			return err
		}
	}
	ctx, connection, done, err := a.connect(ctx, &f.server)
	if err != nil {
		return err
	}
	defer done()
	if err := a.signIssues(ctx, connection, issues, f); err != nil {
		return err
	}
	for _, i := range issues {
		if !i.composed {
			continue
		}
		if err := createFile(i.path, i.statement.Payload(), 0o644); err != nil {
			return err
		}
	}
	if !f.format.json() {
		a.noteWarnings(issues)
	}
	return a.issueAndWrite(ctx, connection, issues, f.format)
}

// chooseSigner sees to it that exactly one of the ways to sign is asked for. Where none is, the environment may have a
// token: then that is used, and said.
func (a *app) chooseSigner(c *cobra.Command, f *attestFlags) error {
	ways := 0
	for _, asked := range []bool{f.key != "", f.serviceSign, f.identity.given()} {
		if asked {
			ways++
		}
	}
	if ways == 0 && identity.Offered(a.env.LookupEnv) {
		f.identity.ambient, ways = true, 1
	}
	if ways != 1 || f.identity.token != "" && f.identity.ambient {
		return usageFailure(c.CommandPath(), errors.New("give one of --key, --identity, --identity-token and --service-sign"))
	}
	if f.identity.fulcioURL != "" && !f.identity.given() {
		return usageFailure(c.CommandPath(), errors.New("--fulcio-url is for signing with --identity or --identity-token"))
	}
	return nil
}

// prepareIssues reads and checks the statements. References are checked where all of them lead to statements given
// here; the service knows the others.
func (a *app) prepareIssues(paths []string, f *attestFlags) ([]*issue, error) {
	payloads := make([][]byte, len(paths))
	var declaration []*predicate.Statement
	outputs := map[string]string{}
	issues := make([]*issue, len(paths))
	for i, path := range paths {
		data, err := a.readUpTo(path, predicate.MaxStatementBytes+1)
		if err != nil {
			return nil, err
		}
		issues[i], payloads[i] = &issue{path: path, output: bundlePath(path, f.directory)}, data
		if other, ok := outputs[issues[i].output]; ok {
			return nil, failed("rename one of them", "%s and %s would both be written to %s", other, path, issues[i].output)
		}
		outputs[issues[i].output] = path
		if st, err := predicate.Parse(data, predicate.Issuance); err == nil {
			declaration = append(declaration, st)
		}
	}
	for i, data := range payloads {
		o := attest.PrepareOptions{Now: a.env.Now(), Strict: f.strict}
		if st, err := predicate.Parse(data, predicate.Issuance); err == nil && len(paths) > 1 && allKnown(st, declaration) {
			o.Related = declaration
		}
		prepared, err := attest.Prepare(data, o)
		if err != nil {
			return nil, about(issues[i].path, err)
		}
		if bad := lintObservation(prepared.Statement()); len(bad) > 0 {
			return nil, about(issues[i].path, bad.Err())
		}
		issues[i].prepared, issues[i].statement = prepared, prepared.Statement()
	}
	return issues, nil
}

// allKnown reports whether every statement that this one refers to is in the declaration.
func allKnown(st *predicate.Statement, declaration []*predicate.Statement) bool {
	for _, ref := range st.References() {
		if !slices.ContainsFunc(declaration, func(other *predicate.Statement) bool { return other.ID() == ref.ID() }) {
			return false
		}
	}
	return true
}

// bundlePath is STATEMENT.sigstore.json for STATEMENT.json, in the directory if one is given.
func bundlePath(path, directory string) string {
	name := strings.TrimSuffix(path, ".json") + bundleSuffix
	if directory != "" {
		name = filepath.Join(directory, filepath.Base(name))
	}
	return name
}

// signIssues signs with the key or as an identity, or leaves signing to the service. One certificate is for all
// statements of a run.
func (a *app) signIssues(ctx context.Context, connection *remote.Connection, issues []*issue, f *attestFlags) error {
	var sign func(*attest.Prepared) (*attest.Envelope, error)
	switch {
	case f.serviceSign:
		return nil
	case f.key != "":
		key, done, err := a.openSigner(ctx, f.key)
		if err != nil {
			return err
		}
		defer done()
		sign = func(p *attest.Prepared) (*attest.Envelope, error) { return p.Sign(ctx, key) }
	default:
		signer, err := a.certify(ctx, connection, &f.identity)
		if err != nil {
			return err
		}
		sign = func(p *attest.Prepared) (*attest.Envelope, error) { return p.SignCertified(ctx, signer) }
	}
	for _, i := range issues {
		var err error
		if i.envelope, err = sign(i.prepared); err != nil {
			return about(i.path, err)
		}
	}
	return nil
}

func (i *issue) request() *avowv1.IssueRequest {
	switch {
	case i.submitted != nil:
		return submission(i.submitted)
	case i.envelope == nil:
		return &avowv1.IssueRequest{Content: &avowv1.IssueRequest_UnsignedStatement{
			UnsignedStatement: &avowv1.UnsignedStatement{Statement: i.prepared.Statement().Payload()}}}
	}
	signed := &avowv1.SignedEnvelope{Envelope: i.envelope.JSON()}
	if c := i.envelope.Certificate(); c != nil {
		signed.Certificate = c.DER()
	} else {
		signed.KeyId = i.envelope.KeyID()
	}
	return &avowv1.IssueRequest{Content: &avowv1.IssueRequest_SignedEnvelope{SignedEnvelope: signed}}
}

// issue calls Issue for one statement and IssueBatch for several.
func (a *app) issue(ctx context.Context, connection *remote.Connection, issues []*issue) ([]*avowv1.IssueResponse, error) {
	client := avowv1.NewAttestationServiceClient(connection)
	var responses []*avowv1.IssueResponse
	err := a.call(ctx, connection, func(ctx context.Context) error {
		if len(issues) == 1 {
			response, err := client.Issue(ctx, issues[0].request())
			responses = []*avowv1.IssueResponse{response}
			return err
		}
		batch := &avowv1.IssueBatchRequest{}
		for _, i := range issues {
			batch.Requests = append(batch.Requests, i.request())
		}
		response, err := client.IssueBatch(ctx, batch)
		responses = response.GetResponses()
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(responses) != len(issues) {
		return nil, failed("tell the operator of the service", "the service answered %d bundles for %d statements",
			len(responses), len(issues))
	}
	return responses, nil
}

// checkIssued checks that the bundle is about the statement that was sent, and signed with the key that signed it. It
// is not a buyer's verification: that needs a trusted root from another channel than the service itself.
func checkIssued(i *issue, r *avowv1.IssueResponse) error {
	const hint = "tell the operator of the service, and do not hand out what it answered"
	u, err := readUnverified(r.GetBundle())
	if err == nil {
		err = u.sameStatement(i.statement.Payload())
	}
	if err == nil && i.envelope != nil {
		err = checkSigner(i.envelope, u)
	}
	if err != nil {
		return failed(hint, "the service answered a bundle that does not belong to the statement: %w", err)
	}
	return nil
}

// checkSigner checks that a bundle is by the signer of an envelope: by its key, or by its identity, whose certificate may be
// that of an earlier time.
func checkSigner(e *attest.Envelope, u *unverified) error {
	own := e.Certificate()
	if own == nil {
		_, err := attest.Reopen(u.envelope, e.PublicKey())
		return err
	}
	certificate, err := attest.ParseCertificate(u.certificate)
	if err != nil {
		return err
	}
	if got, want := certificate.Identity(), own.Identity(); got != want {
		return fmt.Errorf("it is by %s, issuer %s, want %s, issuer %s", got.Subject, got.Issuer, want.Subject, want.Issuer)
	}
	_, err = attest.ReopenCertified(u.envelope, certificate)
	return err
}

// identityJSON is an identity in the JSON of several commands.
type identityJSON struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// issued is one line of attest's JSON.
type issued struct {
	Statement     string `json:"statement"`
	Bundle        string `json:"bundle"`
	StatementID   string `json:"statementId"`
	PredicateType string `json:"predicateType"`
	KeyID         string `json:"keyId"`
	// Identity is set where an identity signed.
	Identity      *identityJSON `json:"identity,omitempty"`
	LogOrigin     string        `json:"logOrigin"`
	LogIndex      uint64        `json:"logIndex"`
	AlreadyIssued bool          `json:"alreadyIssued"`
}

func (a *app) printIssued(issues []*issue, responses []*avowv1.IssueResponse, f format) error {
	list := make([]issued, len(issues))
	for n, r := range responses {
		list[n] = issued{Statement: issues[n].path, Bundle: issues[n].output, StatementID: issues[n].statement.ID(),
			PredicateType: issues[n].statement.Type, KeyID: r.GetKeyId(), LogOrigin: r.GetLogOrigin(), LogIndex: r.GetLogIndex(),
			AlreadyIssued: r.GetAlreadyIssued()}
		if id := r.GetIdentity(); id != nil {
			list[n].Identity = &identityJSON{Issuer: id.GetIssuer(), Subject: id.GetSubject()}
		}
	}
	if f.json() {
		return a.printJSON(list)
	}
	w := a.writer()
	for _, i := range list {
		again := ""
		if i.AlreadyIssued {
			again = " (issued before)"
		}
		w.Line("%s: %s, entry %d of %s%s", text.Safe(i.Bundle), plain.TypeName(i.PredicateType), i.LogIndex,
			text.Safe(i.LogOrigin), again)
		w.Line("  statement %s", i.StatementID)
	}
	return w.Err()
}

// noteServiceWarnings says what only the service can know: it does not block either.
func (a *app) noteServiceWarnings(responses []*avowv1.IssueResponse) {
	for _, r := range responses {
		for _, f := range r.GetWarnings() {
			if f.GetCode() == "W09" || f.GetCode() == "W10" {
				a.note("warning %s: %s; %s", text.Safe(f.GetCode()), text.Safe(f.GetMessage()), text.Safe(f.GetHint()))
			}
		}
	}
}

// noteWarnings says that there are some. They do not block, and lint is where they are explained.
func (a *app) noteWarnings(issues []*issue) {
	n := 0
	for _, i := range issues {
		n += len(i.prepared.Warnings())
	}
	if n > 0 {
		a.note("%s; `avow lint` shows what to do about them", count(n, "warning"))
	}
}
