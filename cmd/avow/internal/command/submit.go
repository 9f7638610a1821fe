package command

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/remote"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// submitFlags are the flags of submit.
type submitFlags struct {
	server    serverFlags
	directory string
	format    format
}

func (a *app) submit() *cobra.Command {
	f := &submitFlags{}
	c := &cobra.Command{
		Use:   "submit BUNDLE... --server HOST:PORT",
		Short: "Issue statements that cosign or another Sigstore client signed",
		Long: `Hand the service bundles that another Sigstore client made of avow statements, with its log and
its timestamps. The service verifies each as a buyer would, checks the statement by all rules, and
issues it: it keeps its place in the log, and the answer is written as BUNDLE.sigstore.json (-o names
another directory). No file is replaced.

A certificate may have expired since it signed; the timestamp in the bundle says that it was valid
then. The signer's key or identity has to be registered, as with attest. Several bundles are one
declaration: either all of them are issued or none.

Exit code 0: issued; 1: refused by the rules or by the service; 2: could not be carried out.` + serverHelp,
		Example: `  cosign attest-blob --statement data-flows.json --bundle data-flows.cosign.json ... app.tar.gz
  avow submit data-flows.cosign.json --server avow.example:8443`,
		Args: arguments(1, -1, "which bundle? give its file"),
		RunE: func(c *cobra.Command, args []string) error { return a.runSubmit(c, args, f) },
	}
	c.Flags().StringVarP(&f.directory, "output", "o", "", "`DIRECTORY` for the bundles; made if it is not there")
	f.format.register(c)
	f.server.register(c)
	return c
}

func (a *app) runSubmit(c *cobra.Command, paths []string, f *submitFlags) error {
	issues, err := a.readSubmissions(paths, f.directory)
	if err != nil {
		return err
	}
	if f.directory != "" {
		if err := os.MkdirAll(f.directory, 0o755); err != nil {
			return err
		}
	}
	ctx, connection, done, err := a.connect(c.Context(), &f.server)
	if err != nil {
		return err
	}
	defer done()
	return a.issueAndWrite(ctx, connection, issues, f.format)
}

// readSubmissions reads the bundles and finds a free name for each answer, before anything is issued.
func (a *app) readSubmissions(paths []string, directory string) ([]*issue, error) {
	issues := make([]*issue, len(paths))
	outputs := map[string]string{}
	for n, path := range paths {
		data, err := a.readLimited(path, verify.MaxBundleBytes)
		if err != nil {
			return nil, err
		}
		u, err := readUnverified(data)
		if err != nil {
			return nil, about(path, err)
		}
		st, err := predicate.Parse(u.payload, predicate.Consumption)
		if err != nil {
			return nil, about(path, err)
		}
		output := bundlePath(strings.TrimSuffix(path, bundleSuffix), directory)
		if other, ok := outputs[output]; ok {
			return nil, failed("rename one of them", "%s and %s would both be written to %s", other, path, output)
		}
		if _, err := os.Lstat(output); err == nil {
			return nil, failed("name another directory with -o", "%s exists already", output)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		outputs[output] = path
		issues[n] = &issue{path: path, output: filepath.Clean(output), statement: st, submitted: data}
	}
	return issues, nil
}

// issueAndWrite has the service issue what is ready, checks what it answers, and writes it.
func (a *app) issueAndWrite(ctx context.Context, connection *remote.Connection, issues []*issue, f format) error {
	a.note("issuing %s at %s ...", count(len(issues), "statement"), text.Safe(connection.Address()))
	responses, err := a.issue(ctx, connection, issues)
	if err != nil {
		return err
	}
	for i, r := range responses {
		if err := checkIssued(issues[i], r); err != nil {
			return about(issues[i].path, err)
		}
	}
	for i, r := range responses {
		if err := writeFile(issues[i].output, r.GetBundle(), 0o644); err != nil {
			return &failure{code: exitError, err: err,
				hint: "the statements are issued; run the command again when the directory can be written to, " +
					"or fetch them with `avow fetch " + r.GetStatementId() + "`"}
		}
	}
	a.noteServiceWarnings(responses)
	return a.printIssued(issues, responses, f)
}

// submission is the request for a bundle of another client.
func submission(bundle []byte) *avowv1.IssueRequest {
	return &avowv1.IssueRequest{Content: &avowv1.IssueRequest_SignedBundle{
		SignedBundle: &avowv1.SignedBundle{Bundle: bundle}}}
}
