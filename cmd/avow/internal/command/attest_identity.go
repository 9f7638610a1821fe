package command

import (
	"context"
	"errors"
	"os"
	"strings"

	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/cmd/avow/internal/identity"
	"github.com/avow-dev/avow/cmd/avow/internal/remote"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// identityFlags are the flags for signing without a key.
type identityFlags struct {
	token     string
	ambient   bool
	audience  string
	fulcioURL string
}

// identityHelp is the part of the help about them.
const identityHelp = `

Without a key: with --identity a key is made for this run alone, and the certificate authority of
the service certifies that it is yours (--fulcio-url names another authority). Who you are says an
identity token: in GitHub Actions (permission id-token: write) and GitLab (id_tokens with
SIGSTORE_ID_TOKEN) the CI system gives one, elsewhere put it into AVOW_IDENTITY_TOKEN or a file for
--identity-token. A token on the command line can be seen by everybody on the machine. The operator
registers your identity instead of a key; a buyer verifies with --identity and --issuer.`

func (f *identityFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.token, "identity-token", "", "`FILE` with an identity token, - for standard input, or the token itself")
	o.BoolVar(&f.ambient, "identity", false, "sign as the identity that the environment gives")
	o.StringVar(&f.audience, "audience", "sigstore", "`AUDIENCE` of the token that GitHub Actions is asked for")
	o.StringVar(&f.fulcioURL, "fulcio-url", "", "`URL` of another certificate authority than the service's (Fulcio v2 over HTTP)")
}

// given reports whether signing without a key was asked for.
func (f *identityFlags) given() bool { return f.token != "" || f.ambient }

// identityToken finds the token and says where it comes from.
func (a *app) identityToken(ctx context.Context, f *identityFlags) (identity.Token, error) {
	if f.token != "" {
		return a.readToken(f.token)
	}
	token, from, err := identity.Find(ctx, a.env.LookupEnv, f.audience)
	switch {
	case errors.Is(err, identity.ErrNone):
		return token, failed("give --identity-token, or --key for signing with a key", "%w", err)
	case err != nil:
		return token, failed("check what the CI system puts into the environment of the job", "%w", err)
	}
	a.note("identity token from %s", from)
	return token, nil
}

// readToken reads the value of --identity-token. Whatever is wrong with it, it is not repeated: it may be the token.
func (a *app) readToken(value string) (identity.Token, error) {
	const hint = "give a file with the token, - for standard input, or set " + identity.TokenVariable
	raw := value
	if _, err := os.Stat(value); value == "-" || err == nil {
		data, err := a.readLimited(value, identity.MaxTokenBytes)
		if err != nil {
			return identity.Token{}, err
		}
		raw = string(data)
	} else if strings.Count(value, ".") != 2 {
		return identity.Token{}, failed(hint, "the value of --identity-token is neither a file nor a token")
	}
	token, err := identity.ParseToken(raw)
	if err != nil {
		return token, failed(hint, "%w", err)
	}
	return token, nil
}

// certify gets a certificate for this run, and shows whose it is.
func (a *app) certify(ctx context.Context, connection *remote.Connection, f *identityFlags) (*attest.CertifiedSigner, error) {
	token, err := a.identityToken(ctx, f)
	if err != nil {
		return nil, err
	}
	authority := a.ownAuthority(connection)
	if f.fulcioURL != "" {
		if authority, err = identity.OverHTTP(f.fulcioURL); err != nil {
			return nil, failed("give --fulcio-url as https://HOST", "%w", err)
		}
	}
	signer, err := identity.Obtain(ctx, token, authority)
	var refused *remote.Error
	switch {
	case errors.As(err, &refused):
		return nil, about("certificate", err)
	case err != nil:
		return nil, failed("check the token, its audience and its age; it lives for minutes", "certificate: %w", err)
	}
	id := signer.Certificate().Identity()
	a.note("signing as %s, issuer %s", text.Safe(id.Subject), text.Safe(id.Issuer))
	return signer, nil
}

// ownAuthority is the certificate authority of the service, behind the connection that is there already.
func (a *app) ownAuthority(connection *remote.Connection) identity.Authority {
	ask := identity.OverGRPC(connection)
	return func(ctx context.Context, t identity.Token, key *fulciopb.PublicKeyRequest) (answer *fulciopb.SigningCertificate, err error) {
		err = a.call(ctx, connection, func(ctx context.Context) (err error) {
			answer, err = ask(ctx, t, key)
			return err
		})
		return answer, err
	}
}
