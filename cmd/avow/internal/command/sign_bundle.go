package command

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/identity"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// signBundleFlags are the flags of sign-bundle.
type signBundleFlags struct {
	staging       bool
	inToto        bool
	token         string
	bundle        string
	trustedRoot   string
	signingConfig string
}

// signBundle speaks the other half of the sigstore-conformance client protocol.
func (a *app) signBundle() *cobra.Command {
	f := &signBundleFlags{}
	c := &cobra.Command{
		Use:   "sign-bundle --identity-token TOKEN --bundle FILE --trusted-root ROOT --signing-config CONFIG FILE",
		Short: "Sign any file as an identity (sigstore-conformance protocol)",
		Long: `Sign a file of any kind as the identity that a token names, and write the Sigstore bundle: the
signing half of the client protocol of the sigstore-conformance suite. The signing config names the
certificate authority, timestamp authorities and Rekor v2 logs to use; the bundle is verified with
the trusted root before it is written. With --in-toto the file is an in-toto statement and is signed
as one (DSSE).

It asks nothing about what the file says. To issue an avow declaration use attest.

Nothing is fetched beforehand, so trusted root and signing config have to be given; --staging is
accepted and changes nothing. Exit code 0: signed; 2: could not be carried out.`,
		Example: `  avow sign-bundle --identity-token token.jwt --bundle app.sigstore.json \
      --trusted-root trusted_root.json --signing-config signing_config.json app.tar.gz`,
		Args: arguments(1, 1, "which file?"),
		RunE: func(c *cobra.Command, args []string) error { return a.runSignBundle(c, args[0], f) },
	}
	o := c.Flags()
	o.BoolVar(&f.staging, "staging", false, "accepted for the protocol's sake")
	o.BoolVar(&f.inToto, "in-toto", false, "the file is an in-toto statement")
	o.StringVar(&f.token, "identity-token", "", "`FILE` with an identity token, - for standard input, or the token itself")
	o.StringVar(&f.bundle, "bundle", "", "`FILE` to write the bundle to")
	o.StringVar(&f.trustedRoot, "trusted-root", "", "`FILE` with the trusted root (trusted_root.json)")
	o.StringVar(&f.signingConfig, "signing-config", "", "`FILE` with the signing config (signing_config.json)")
	return c
}

// maxSignedBytes bounds what sign-bundle reads into memory, and maxSigningConfigBytes its signing config.
const (
	maxSignedBytes        = 256 << 20
	maxSigningConfigBytes = 1 << 20
	signBundleTimeout     = 2 * time.Minute
)

func (a *app) runSignBundle(c *cobra.Command, path string, f *signBundleFlags) error {
	if f.bundle == "" || f.token == "" || f.trustedRoot == "" || f.signingConfig == "" {
		return usageFailure(c.CommandPath(), errors.New("give --identity-token, --bundle, --trusted-root and --signing-config"))
	}
	options, err := a.signingServices(f)
	if err != nil {
		return err
	}
	token, err := a.readToken(f.token)
	if err != nil {
		return err
	}
	data, err := a.readLimited(path, maxSignedBytes)
	if err != nil {
		return err
	}
	var content sign.Content = &sign.PlainData{Data: data}
	if f.inToto {
		content = &sign.DSSEData{Data: data, PayloadType: predicate.PayloadType}
	}
	ctx, cancel := context.WithTimeout(c.Context(), signBundleTimeout)
	defer cancel()
	options.Context = ctx
	signer, err := identity.Obtain(ctx, token, options.authority)
	if err != nil {
		return failed("check the token, its audience and its age; it lives for minutes", "certificate: %w", err)
	}
	id := signer.Certificate().Identity()
	a.note("signing as %s, issuer %s", text.Safe(id.Subject), text.Safe(id.Issuer))
	options.CertificateProvider = certified{signer.Certificate()}
	signed, err := sign.Bundle(content, keypair{signer}, options.BundleOptions)
	if err != nil {
		return failed("check that the signing config and the trusted root are of one instance, and that it answers", "%w", err)
	}
	raw, err := protojson.Marshal(signed)
	if err != nil {
		return err
	}
	return writeFile(f.bundle, raw, 0o644)
}

// services are what a signing config selects.
type services struct {
	sign.BundleOptions

	authority identity.Authority
}

// signingServices chooses from the signing config by its rules: windows, major versions, one operator each, any or all.
func (a *app) signingServices(f *signBundleFlags) (*services, error) {
	const hint = "give the signing_config.json of the instance; `avow trust --signing-config` fetches it"
	raw, err := a.readLimited(f.signingConfig, maxSigningConfigBytes)
	if err != nil {
		return nil, err
	}
	config, err := root.NewSigningConfigFromJSON(raw)
	if err != nil {
		return nil, failed(hint, "%s: %w", f.signingConfig, err)
	}
	s := &services{}
	if raw, err = a.readLimited(f.trustedRoot, maxSigningConfigBytes); err != nil {
		return nil, err
	}
	if s.TrustedRoot, err = root.NewTrustedRootFromJSON(raw); err != nil {
		return nil, failed("give the trusted_root.json of the instance", "%s: %w", f.trustedRoot, err)
	}
	now := a.env.Now()
	ca, err := root.SelectService(config.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now)
	if err != nil {
		return nil, failed(hint, "%s: certificate authority: %w", f.signingConfig, err)
	}
	if s.authority, err = identity.OverHTTP(ca.URL); err != nil {
		return nil, failed(hint, "%s: certificate authority: %w", f.signingConfig, err)
	}
	logs, err := root.SelectServices(config.RekorLogURLs(), config.RekorLogURLsConfig(), []uint32{2}, now)
	if err != nil {
		return nil, failed(hint, "%s: Rekor v2 log: %w", f.signingConfig, err)
	}
	for _, l := range logs {
		s.TransparencyLogs = append(s.TransparencyLogs, sign.NewRekor(&sign.RekorOptions{BaseURL: l.URL, Version: l.MajorAPIVersion}))
	}
	stampers, err := root.SelectServices(config.TimestampAuthorityURLs(), config.TimestampAuthorityURLsConfig(),
		sign.TimestampAuthorityAPIVersions, now)
	if err != nil {
		return nil, failed(hint, "%s: timestamp authority: %w", f.signingConfig, err)
	}
	for _, t := range stampers {
		s.TimestampAuthorities = append(s.TimestampAuthorities, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: t.URL}))
	}
	return s, nil
}

// certified gives sigstore-go the certificate that was obtained before, without the token ever reaching it.
type certified struct{ certificate *attest.Certificate }

// GetCertificate implements sign.CertificateProvider.
func (c certified) GetCertificate(_ context.Context, k sign.Keypair, _ *sign.CertificateProviderOptions) ([]byte, error) {
	if !c.certificate.PublicKey().Equal(k.GetPublicKey()) {
		return nil, errors.New("the certificate is for another key")
	}
	return c.certificate.DER(), nil
}

// keypair is a certified signer as sigstore-go takes one.
type keypair struct{ signer *attest.CertifiedSigner }

// GetHashAlgorithm implements sign.Keypair.
func (keypair) GetHashAlgorithm() commonv1.HashAlgorithm { return commonv1.HashAlgorithm_SHA2_256 }

// GetSigningAlgorithm implements sign.Keypair.
func (keypair) GetSigningAlgorithm() commonv1.PublicKeyDetails {
	return commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

// GetHint implements sign.Keypair. A bundle with a certificate has none.
func (keypair) GetHint() []byte { return nil }

// GetKeyAlgorithm implements sign.Keypair.
func (keypair) GetKeyAlgorithm() string { return "ECDSA" }

// GetPublicKey implements sign.Keypair.
func (k keypair) GetPublicKey() crypto.PublicKey { return k.signer.Certificate().PublicKey() }

// GetPublicKeyPem implements sign.Keypair.
func (k keypair) GetPublicKeyPem() (string, error) {
	public, err := attest.MarshalPublicKey(k.signer.Certificate().PublicKey())
	return string(public), err
}

// SignData implements sign.Keypair.
func (k keypair) SignData(ctx context.Context, data []byte) (signature, digest []byte, err error) {
	sum := sha256.Sum256(data)
	if signature, err = k.signer.SignDigest(ctx, sum); err != nil {
		return nil, nil, fmt.Errorf("signing: %w", err)
	}
	return signature, sum[:], nil
}
