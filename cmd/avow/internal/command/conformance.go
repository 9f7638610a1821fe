package command

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/verify"
)

// bundleFlags are the flags of verify-bundle.
type bundleFlags struct {
	staging     bool
	bundle      string
	identity    string
	issuer      string
	key         string
	trustedRoot string
}

// verifyBundle speaks the client protocol of the sigstore-conformance suite
// (https://github.com/sigstore/sigstore-conformance/blob/main/docs/cli_protocol.md).
func (a *app) verifyBundle() *cobra.Command {
	f := &bundleFlags{}
	c := &cobra.Command{
		Use:   "verify-bundle --bundle FILE (--certificate-identity I --certificate-oidc-issuer U | --key KEY) --trusted-root ROOT FILE|sha256:HEX",
		Short: "Verify any Sigstore bundle (sigstore-conformance protocol)",
		Long: `Verify a Sigstore bundle of any kind by Sigstore's rules: blob signatures and attestations,
Rekor v1 and v2, public-good instances included. It is the verification half of the client
protocol of the sigstore-conformance suite.

It asks less than verify does: nothing about statements, and only what Sigstore's client
specification demands. To decide about an avow declaration use verify.

Nothing is fetched, so the trusted root has to be given; --staging is accepted and changes
nothing. Exit code 0: accepted; 1: rejected; 2: could not be evaluated.`,
		Example: `  avow verify-bundle --bundle app.sigstore.json --trusted-root trusted_root.json \
      --certificate-identity jane@example.com --certificate-oidc-issuer https://accounts.example.com app.tar.gz`,
		Args: arguments(1, 1, "which file? give FILE or sha256:HEX"),
		RunE: func(c *cobra.Command, args []string) error { return a.runVerifyBundle(c, args[0], f) },
	}
	o := c.Flags()
	o.BoolVar(&f.staging, "staging", false, "accepted for the protocol's sake")
	o.StringVar(&f.bundle, "bundle", "", "`FILE` with the bundle")
	o.StringVar(&f.identity, "certificate-identity", "", "`IDENTITY` in the certificate")
	o.StringVar(&f.issuer, "certificate-oidc-issuer", "", "`URL` of the identity's issuer")
	o.StringVar(&f.key, "key", "", "`FILE` with the public key (PEM)")
	o.StringVar(&f.trustedRoot, "trusted-root", "", "`FILE` with the trusted root (trusted_root.json)")
	return c
}

func (a *app) runVerifyBundle(c *cobra.Command, artifact string, f *bundleFlags) error {
	if f.bundle == "" {
		return usageFailure(c.CommandPath(), errors.New("no --bundle was given"))
	}
	input := verify.SigstoreInput{}
	var err error
	if input.Trust, err = a.readTrust(f.trustedRoot); err != nil {
		return err
	}
	if input.Bundle, err = a.readUpTo(f.bundle, maxSigstoreBundleBytes); err != nil {
		return err
	}
	if err := a.sigstoreSigner(c, f, &input); err != nil {
		return err
	}
	if _, statErr := os.Lstat(artifact); statErr != nil && digestArgument.MatchString(artifact) {
		input.DigestAlgorithm = "sha256"
		if input.Digest, err = hex.DecodeString(strings.TrimPrefix(artifact, "sha256:")); err != nil {
			return err
		}
	} else {
		file, err := os.Open(artifact)
		if err != nil {
			return err
		}
		defer file.Close()
		input.Artifact = file
	}
	err = verify.VerifySigstore(c.Context(), input)
	switch {
	case err == nil:
		w := a.writer()
		w.Line("accepted")
		return w.Err()
	case errors.Is(err, verify.ErrInput), c.Context().Err() != nil:
		return err
	}
	return &failure{code: exitNo, err: fmt.Errorf("rejected: %w", err),
		hint: "the bundle does not show that this signer signed this artifact"}
}

// maxSigstoreBundleBytes bounds bundles of others, which may carry long payloads.
const maxSigstoreBundleBytes = 16 << 20

// sigstoreSigner reads who must have signed.
func (a *app) sigstoreSigner(c *cobra.Command, f *bundleFlags, input *verify.SigstoreInput) error {
	byIdentity := f.identity != "" || f.issuer != ""
	if byIdentity == (f.key != "") || (f.identity == "") != (f.issuer == "") {
		return usageFailure(c.CommandPath(), errors.New("give --certificate-identity with --certificate-oidc-issuer, or --key"))
	}
	if byIdentity {
		input.Identity = &verify.Identity{SAN: f.identity, Issuer: f.issuer}
		return nil
	}
	data, err := a.readLimited(f.key, attest.MaxKeyFileBytes)
	if err != nil {
		return err
	}
	input.Key, err = anyPublicKey(data)
	return about(f.key, err)
}

// anyPublicKey reads a public key of any algorithm: this command verifies other people's bundles, which
// attest.ParsePublicKey is too strict for.
func anyPublicKey(data []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, failed("give a PEM file with a \"PUBLIC KEY\" block", "there is no public key in the file")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, failed("give a PEM file with a \"PUBLIC KEY\" block", "the public key does not parse: %w", err)
	}
	return key, nil
}
