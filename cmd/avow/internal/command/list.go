package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// listFlags are the flags of list.
type listFlags struct {
	server  serverFlags
	vendor  string
	product string
	kind    string
	limit   int
	prove   bool
	keys    logKeyFlags
	format  format
}

func (a *app) list() *cobra.Command {
	f := &listFlags{}
	c := &cobra.Command{
		Use:   "list [FILE|sha256:HEX] --server HOST:PORT",
		Short: "List the statements that a service holds about a file",
		Long: `List the statements that the service holds about a file, of a vendor, or about a product;
filters are combined. The answer is the service's word: fetch a statement and verify its bundle
before you rely on it.

With --prove the service has to show that it leaves nothing out: of a file, of a product (whatever
its version), or of a vendor. All pages are fetched, and the proof is checked with the trusted root and
the key of the index log, which ` + "`avow trust`" + ` writes beside it. A list that is not exactly what is proved ends
with exit code 1 and says what is missing. Which signers are a vendor's is the service's word.` + stateHelp + serverHelp,
		Example: `  avow list app.tar.gz --server avow.example:8443
  avow list --vendor example --type data-flows --server avow.example:8443
  avow list --product pkg:generic/example-gateway@1.2.3 --server avow.example:8443 --format json
  avow list app.tar.gz --prove --trusted-root trusted_root.json --server avow.example:8443`,
		Args: arguments(0, 1, ""),
		RunE: func(c *cobra.Command, args []string) error { return a.runList(c, args, f) },
	}
	o := c.Flags()
	o.StringVar(&f.vendor, "vendor", "", "`NAME` of a registered vendor")
	o.StringVar(&f.product, "product", "", "product `IDENTIFIER`, for example a package URL with its version")
	o.StringVar(&f.kind, "type", "", "`TYPE` of the statements, for example no-backdoor")
	o.IntVar(&f.limit, "limit", 100, "`NUMBER` of statements at most")
	o.BoolVar(&f.prove, "prove", false, "check that nothing is left out")
	f.keys.register(c)
	f.format.register(c)
	f.server.register(c)
	completes(c, "type", shortNames(predicate.AllTypes())...)
	return c
}

func (a *app) runList(c *cobra.Command, args []string, f *listFlags) error {
	request := &avowv1.ListStatementsRequest{Vendor: f.vendor, Product: f.product}
	if len(args) == 1 {
		digest, err := a.artifactDigest(args[0])
		if err != nil {
			return err
		}
		request.SubjectSha256 = digest
	}
	if f.kind != "" {
		if request.PredicateType = plain.TypeURI(f.kind); request.PredicateType == "" {
			return failed("run `avow schema` for the list", "--type %q is not a statement type", f.kind)
		}
	}
	if len(args) == 0 && f.vendor == "" && f.product == "" && f.kind == "" {
		return usageFailure(c.CommandPath(), errors.New("name a file, --vendor, --product or --type"))
	}
	if f.limit < 1 {
		return usageFailure(c.CommandPath(), fmt.Errorf("--limit %d is less than 1", f.limit))
	}
	if err := f.checkProve(c, len(args) == 1); err != nil {
		return err
	}
	if f.prove {
		return a.runListProve(c.Context(), request, f)
	}
	answer, err := a.listAll(c.Context(), request, f)
	if err != nil {
		return err
	}
	if f.format.json() {
		return a.printMessage(answer)
	}
	return a.printList(answer)
}

// checkProve refuses what cannot be proved.
func (f *listFlags) checkProve(c *cobra.Command, ofFile bool) error {
	given := 0
	for _, yes := range []bool{ofFile, f.vendor != "", f.product != ""} {
		if yes {
			given++
		}
	}
	refuse := ""
	switch {
	case !f.prove && (f.keys.trustedRoot != "" || f.keys.indexKey != "" || f.keys.policy != "" || f.keys.state.path != ""):
		refuse = "--trusted-root, --index-key, --witness-policy and --state are about a proof: give --prove"
	case !f.prove:
	case given != 1 || f.kind != "":
		refuse = "--prove is for exactly one of a file, --vendor and --product, without --type"
	case c.Flags().Changed("limit"):
		refuse = "--prove lists everything: leave --limit out"
	case f.keys.trustedRoot == "":
		refuse = "--prove needs --trusted-root"
	}
	if refuse != "" {
		return usageFailure(c.CommandPath(), errors.New(refuse))
	}
	return nil
}

// listAll reads pages until the limit is reached. The token of the answer is set where there is more.
func (a *app) listAll(ctx context.Context, request *avowv1.ListStatementsRequest,
	f *listFlags) (*avowv1.ListStatementsResponse, error) {
	ctx, connection, done, err := a.connect(ctx, &f.server)
	if err != nil {
		return nil, err
	}
	defer done()
	client := avowv1.NewAttestationServiceClient(connection)
	all := &avowv1.ListStatementsResponse{}
	for {
		request.PageSize = uint32(min(f.limit-len(all.Statements), 200))
		var page *avowv1.ListStatementsResponse
		err := a.call(ctx, connection, func(ctx context.Context) (err error) {
			page, err = client.ListStatements(ctx, request)
			return err
		})
		if err != nil {
			return nil, err
		}
		if all.Proof == nil {
			all.Proof = page.GetProof()
		}
		all.Statements = append(all.Statements, page.GetStatements()...)
		all.NextPageToken, request.PageToken = page.GetNextPageToken(), page.GetNextPageToken()
		if all.NextPageToken == "" || len(all.Statements) >= f.limit || len(page.GetStatements()) == 0 {
			return all, nil
		}
	}
}

func (a *app) printList(answer *avowv1.ListStatementsResponse) error {
	w := a.writer()
	if len(answer.GetStatements()) == 0 {
		w.Line("no statement")
		return w.Err()
	}
	for _, s := range answer.GetStatements() {
		w.Line("%s", text.Safe(s.GetStatementId()))
		w.Item("  ", 10, "type", plain.TypeName(s.GetPredicateType()))
		w.Item("  ", 10, "vendor", text.Safe(s.GetVendor()))
		w.Item("  ", 10, "product", text.Safe(strings.Join(s.GetProducts(), ", ")))
		w.Item("  ", 10, "logged", fmt.Sprintf("entry %d, %s", s.GetLogIndex(),
			s.GetCommitTime().AsTime().UTC().Format(time.RFC3339)))
		if id := s.GetIdentity(); id != nil {
			w.Item("  ", 10, "identity", text.Safe(id.GetSubject())+", issuer "+text.Safe(id.GetIssuer()))
			continue
		}
		w.Item("  ", 10, "key", text.Safe(s.GetKeyId()))
	}
	if answer.GetNextPageToken() != "" {
		a.note("there are more; raise --limit")
	}
	return w.Err()
}
