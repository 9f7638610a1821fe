package command

import (
	"context"
	"encoding/hex"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/internal/trustroot"
	"github.com/avow-dev/avow/verify"
)

// trustFlags are the flags of trust.
type trustFlags struct {
	server serverFlags
	output string
	vendor string
	// verdictKey is where the key of the service's own verdicts goes.
	verdictKey string
	// signingConfig is where the addresses for Sigstore clients go.
	signingConfig string
	force         bool
	format        format
}

func (a *app) trust() *cobra.Command {
	f := &trustFlags{}
	c := &cobra.Command{
		Use:   "trust --server HOST:PORT -o FILE",
		Short: "Fetch a service's trusted root, or a vendor's registered keys",
		Long: `Fetch the keys of the service's log and timestamp authority as a Sigstore trusted_root.json, and
print its digest.

Compare the digest with one from another channel before you use the file: a service that is
attacked would answer the attacker's keys. A trusted root is fetched once and kept; a file with
other content is not replaced without --force.

The key of the service's index log, if it has one, is written beside it as ` + indexKeyFile + `: avow verify
--status takes it from there.

With --verdict-key FILE the key that the service signs its own verdicts with is written too; its
verifier id is printed, for avow verify --with-verdict.

With --signing-config FILE the addresses under which cosign and other Sigstore clients write into
the service's log are written too, as a Sigstore signing_config.json.

With --vendor NAME the keys and identities that the service registered for a vendor are printed.
That is the operator's word: take a vendor's key from the vendor.

To follow a trusted root over the years, pin it: the commands below keep it, update it and say what
changes.` + serverHelp,
		Example: `  avow trust --server avow.example:8443 -o trusted_root.json
  avow trust --server avow.example:8443 -o trusted_root.json --signing-config signing_config.json
  avow trust --server avow.example:8443 --vendor example`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.vendor != "" {
				return a.runVendor(c.Context(), f)
			}
			return a.runTrust(c.Context(), f)
		},
	}
	o := c.Flags()
	o.StringVarP(&f.output, "output", "o", "", "`FILE` to write instead of standard output")
	o.StringVar(&f.vendor, "vendor", "", "print the keys registered for the vendor of this `NAME`")
	o.StringVar(&f.verdictKey, "verdict-key", "", "`FILE` for the public key of the service's own verdicts")
	o.StringVar(&f.signingConfig, "signing-config", "", "`FILE` for the signing config of Sigstore clients")
	o.BoolVar(&f.force, "force", false, "replace a file with other content")
	f.format.register(c)
	f.server.register(c)
	c.AddCommand(a.trustPin(), a.trustUpdate(), a.trustStatus(), a.trustUnpin())
	return c
}

func (a *app) runTrust(ctx context.Context, f *trustFlags) error {
	ctx, connection, done, err := a.connect(ctx, &f.server)
	if err != nil {
		return err
	}
	defer done()
	var answer *avowv1.GetTrustedRootResponse
	signing := &avowv1.GetSigningConfigResponse{}
	err = a.call(ctx, connection, func(ctx context.Context) (err error) {
		service := avowv1.NewTrustServiceClient(connection)
		if answer, err = service.GetTrustedRoot(ctx, &avowv1.GetTrustedRootRequest{}); err == nil && f.signingConfig != "" {
			signing, err = service.GetSigningConfig(ctx, &avowv1.GetSigningConfigRequest{})
		}
		return err
	})
	if err != nil {
		return err
	}
	trust, err := verify.ParseTrust(answer.GetTrustedRoot())
	if err != nil {
		return failed("tell the operator of the service", "the service answered a trusted root that cannot be used: %w", err)
	}
	if f.output == "" {
		if err := a.output("", answer.GetTrustedRoot()); err != nil {
			return err
		}
	} else if err := a.replaceRoot(f.output, answer.GetTrustedRoot(), f.force); err != nil {
		return err
	}
	if err := a.writeVerdictKey(f, answer); err != nil {
		return err
	}
	if err := a.writeIndexKey(f.output, answer.GetIndexLogKey(), f.force); err != nil {
		return err
	}
	if f.signingConfig != "" {
		if err := replaceFile(f.signingConfig, signing.GetSigningConfig(), f.force); err != nil {
			return err
		}
	}
	digest := trust.Digest()
	a.note("trusted root sha256:%s", hex.EncodeToString(digest[:]))
	a.note("compare this digest with one from another channel before you use it")
	return nil
}

// replaceRoot writes a trusted root over one with other content only with force, and says in words what that changes.
func (a *app) replaceRoot(path string, data []byte, force bool) error {
	if old, err := a.readUpTo(path, verify.MaxTrustBytes); err == nil {
		from, oldErr := trustroot.Parse(old)
		to, newErr := trustroot.Parse(data)
		if oldErr == nil && newErr == nil {
			for _, change := range trustroot.Diff(from, to) {
				a.note("%s", change)
			}
		}
	}
	return replaceFile(path, data, force)
}

// writeVerdictKey writes the key of the service's own verdicts, where it was asked for.
func (a *app) writeVerdictKey(f *trustFlags, answer *avowv1.GetTrustedRootResponse) error {
	if f.verdictKey == "" {
		return nil
	}
	if answer.GetVerdictKeyPem() == "" {
		return failed("leave --verdict-key out, or ask the operator of the service", "the service signs no verdicts")
	}
	key, err := attest.ParsePublicKey([]byte(answer.GetVerdictKeyPem()))
	if err != nil {
		return failed("tell the operator of the service", "the service answered a key that cannot be used: %w", err)
	}
	public, err := attest.MarshalPublicKey(key)
	if err != nil {
		return err
	}
	if err := replaceFile(f.verdictKey, public, f.force); err != nil {
		return err
	}
	a.note("verdicts are by --verifier-id %s", text.Safe(answer.GetVerifierId()))
	return nil
}

func (a *app) runVendor(ctx context.Context, f *trustFlags) error {
	ctx, connection, done, err := a.connect(ctx, &f.server)
	if err != nil {
		return err
	}
	defer done()
	var answer *avowv1.GetVendorResponse
	err = a.call(ctx, connection, func(ctx context.Context) (err error) {
		answer, err = avowv1.NewTrustServiceClient(connection).GetVendor(ctx, &avowv1.GetVendorRequest{Name: f.vendor})
		return err
	})
	if err != nil {
		return err
	}
	if f.format.json() {
		return a.printMessage(answer.GetVendor())
	}
	v := answer.GetVendor()
	w := a.writer()
	w.Item("", 12, "vendor", text.Safe(v.GetName()))
	w.Item("", 12, "declarant", text.Safe(v.GetDeclarant())+", "+text.Safe(v.GetCountry()))
	w.Item("", 12, "contact", text.Safe(v.GetContact()))
	for _, prefix := range v.GetProductPrefixes() {
		w.Item("", 12, "products", text.Safe(prefix))
	}
	for _, k := range v.GetKeys() {
		w.Item("", 12, "key", text.Safe(k.GetKeyId())+registeredWindow(k.GetNotBefore(), k.GetNotAfter()))
	}
	for _, i := range v.GetIdentities() {
		w.Item("", 12, "identity", text.Safe(i.GetSubject())+", issuer "+text.Safe(i.GetIssuer())+
			registeredWindow(i.GetNotBefore(), i.GetNotAfter()))
	}
	return w.Err()
}

// registeredWindow is when a key or identity may be used; empty without bounds.
func registeredWindow(from, to *timestamppb.Timestamp) string {
	window := ""
	if from != nil {
		window += " from " + from.AsTime().UTC().Format("2006-01-02T15:04:05Z")
	}
	if to != nil {
		window += " until " + to.AsTime().UTC().Format("2006-01-02T15:04:05Z")
	}
	return window
}
