package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// fetchFlags are the flags of fetch.
type fetchFlags struct {
	server    serverFlags
	keyID     string
	directory string
	force     bool
	format    format
}

func (a *app) fetch() *cobra.Command {
	f := &fetchFlags{}
	c := &cobra.Command{
		Use:   "fetch STATEMENT-ID --server HOST:PORT",
		Short: "Fetch a statement and its bundles from a service",
		Long: `Fetch a statement by its id, with the bundles of everybody who signed it, and write them as
TYPE.json and TYPE.sigstore.json (with several signers TYPE.KEY.sigstore.json).

The statement's bytes are checked against the id, and each bundle against the statement.
Signatures, log and timestamps are not checked here: run verify on the bundle.` + serverHelp,
		Example: `  avow fetch sha256:ae33...860b --server avow.example:8443 -o evidence`,
		Args:    arguments(1, 1, "which statement? give its id, sha256:HEX"),
		RunE:    func(c *cobra.Command, args []string) error { return a.runFetch(c, args[0], f) },
	}
	o := c.Flags()
	o.StringVar(&f.keyID, "key-id", "", "only the bundle by the key or identity of this `ID`")
	o.StringVarP(&f.directory, "output", "o", ".", "`DIRECTORY` to write to; made if it is not there")
	o.BoolVar(&f.force, "force", false, "replace files with other content")
	f.format.register(c)
	f.server.register(c)
	return c
}

func (a *app) runFetch(c *cobra.Command, id string, f *fetchFlags) error {
	if !digestArgument.MatchString(id) {
		return failed("`avow list` prints ids", "%q is not a statement id (sha256: and 64 lower-case hexadecimal digits)", id)
	}
	answer, err := a.getStatement(c.Context(), &f.server, id, f.keyID)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.directory, 0o755); err != nil {
		return err
	}
	return a.writeFetched(answer, f)
}

// getStatement asks the service for a statement and checks that it is the one that was asked for.
func (a *app) getStatement(ctx context.Context, server *serverFlags, id, keyID string) (*avowv1.GetStatementResponse, error) {
	ctx, connection, done, err := a.connect(ctx, server)
	if err != nil {
		return nil, err
	}
	defer done()
	var answer *avowv1.GetStatementResponse
	err = a.call(ctx, connection, func(ctx context.Context) (err error) {
		answer, err = avowv1.NewAttestationServiceClient(connection).GetStatement(ctx,
			&avowv1.GetStatementRequest{StatementId: id, KeyId: keyID})
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, checkFetched(id, answer)
}

// checkFetched checks the bytes against the id that was asked for. The service's own fields decide nothing.
func checkFetched(id string, answer *avowv1.GetStatementResponse) error {
	const hint = "tell the operator of the service; the statement may have been tampered with"
	digest := sha256.Sum256(answer.GetStatement())
	if got := "sha256:" + hex.EncodeToString(digest[:]); got != id {
		return failed(hint, "the service answered another statement: %s, want %s", got, id)
	}
	for _, b := range answer.GetBundles() {
		u, err := readUnverified(b.GetBundle())
		if err == nil {
			err = u.sameStatement(answer.GetStatement())
		}
		if err != nil {
			return failed(hint, "the bundle of key %s: %w", b.GetKeyId(), err)
		}
	}
	return nil
}

// fetched is fetch's JSON.
type fetched struct {
	StatementID string   `json:"statementId"`
	Statement   string   `json:"statement"`
	Bundles     []string `json:"bundles"`
	SignerCount uint32   `json:"signerCount"`
}

func (a *app) writeFetched(answer *avowv1.GetStatementResponse, f *fetchFlags) error {
	base := filepath.Join(f.directory, fileBase(answer.GetPredicateType()))
	result := fetched{StatementID: answer.GetStatementId(), Statement: base + ".json", Bundles: []string{},
		SignerCount: answer.GetSignerCount()}
	if err := replaceFile(result.Statement, answer.GetStatement(), f.force); err != nil {
		return err
	}
	for i, b := range answer.GetBundles() {
		path := base + bundleSuffix
		if len(answer.GetBundles()) > 1 {
			path = fmt.Sprintf("%s.%s%s", base, shortKey(b.GetKeyId(), i), bundleSuffix)
		}
		if err := replaceFile(path, b.GetBundle(), f.force); err != nil {
			return err
		}
		result.Bundles = append(result.Bundles, path)
	}
	if f.format.json() {
		return a.printJSON(result)
	}
	w := a.writer()
	w.Line("%s", text.Safe(result.Statement))
	for i, path := range result.Bundles {
		by := ""
		if id := answer.GetBundles()[i].GetIdentity(); id != nil {
			by = " by " + text.Safe(id.GetSubject()) + ", issuer " + text.Safe(id.GetIssuer())
		}
		w.Line("%s%s", text.Safe(path), by)
	}
	if int(answer.GetSignerCount()) > len(answer.GetBundles()) {
		a.note("%d signers, %d bundles: ask for the others with --key-id", answer.GetSignerCount(), len(answer.GetBundles()))
	}
	return w.Err()
}

// fileBase names files by the short name of the type. What the service says is no path: an unknown type is "statement".
func fileBase(predicateType string) string {
	if uri := plain.TypeURI(predicateType); uri != "" {
		return plain.TypeName(uri)
	}
	return "statement"
}

// shortKey names a bundle by the beginning of its key's id, or by its position where the id is not one.
func shortKey(keyID string, position int) string {
	if digestArgument.MatchString(keyID) {
		return strings.TrimPrefix(keyID, "sha256:")[:8]
	}
	return fmt.Sprint(position + 1)
}
