package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/avow-dev/avow/verify"
)

// openBundle opens a statement that another Sigstore client signed, logged and time-stamped. It is verified as a buyer
// would verify it, so what has become of the certificate since does not matter: the bundle's own timestamps say that it was
// valid when it signed. They are kept with the statement.
func (i *issuer) openBundle(ctx context.Context, in *avowv1.SignedBundle, now time.Time) (*submission, error) {
	switch n := len(in.GetBundle()); {
	case n == 0:
		return nil, invalidField("signed_bundle.bundle", "is empty")
	case n > verify.MaxBundleBytes:
		return nil, invalidField("signed_bundle.bundle", "got %d bytes, want at most %d", n, verify.MaxBundleBytes)
	}
	parts, err := verify.ReadParts(in.GetBundle())
	if err != nil {
		return nil, &refusal{reason: reasonBundleInvalid, message: "the bundle cannot be read: " + err.Error()}
	}
	claim, err := i.claimOf(ctx, parts, now)
	if err != nil {
		return nil, err
	}
	evidence, checks, err := i.verifier.VerifyBundle(ctx, in.GetBundle(), claim.signer)
	switch {
	case err != nil:
		return nil, err
	case evidence == nil:
		return nil, &refusal{reason: reasonBundleInvalid,
			message: "the bundle does not verify under the service's trusted root: " + failedCheck(checks).Error()}
	}
	if err := claim.at(evidence.SignedBy); err != nil {
		return nil, err
	}
	sub := &submission{vendor: claim.vendor, tokens: parts.Timestamps}
	return i.openWith(ctx, sub, claim.reader, now)
}

// bundleClaim is by whom a bundle wants to be: somebody who may speak for a vendor.
type bundleClaim struct {
	vendor *vendors.Vendor
	signer verify.Signer
	reader envelopeReader
	// at refuses a signature that was made outside of what is registered.
	at func(time.Time) error
}

// claimOf finds the registered signer that a bundle names.
func (i *issuer) claimOf(ctx context.Context, parts *verify.Parts, now time.Time) (*bundleClaim, error) {
	if parts.Certificate != nil {
		return i.claimOfIdentity(ctx, parts, now)
	}
	hint, err := base64.StdEncoding.DecodeString(parts.KeyHint)
	if err != nil || len(hint) != sha256.Size {
		return nil, refuse(reasonBundleInvalid, "the bundle's key hint %q is not the SHA-256 of a key in base64", clip(parts.KeyHint, 80))
	}
	vendor, key, err := i.signerFor(ctx, "sha256:"+hex.EncodeToString(hint), now)
	if err != nil {
		return nil, err
	}
	return &bundleClaim{
		vendor: vendor, signer: verify.Signer{Key: &verify.Key{PublicKey: key.PublicKey}},
		reader: envelopeReader{
			open: func(o attest.PrepareOptions) (*attest.Envelope, error) {
				return attest.Open(parts.Envelope, key.PublicKey, o)
			},
			reopen: func() (*attest.Envelope, error) { return attest.Reopen(parts.Envelope, key.PublicKey) },
		},
		at: func(signed time.Time) error { return checkKeyWindow(vendor, key, signed) },
	}, nil
}

func (i *issuer) claimOfIdentity(ctx context.Context, parts *verify.Parts, now time.Time) (*bundleClaim, error) {
	cert, err := attest.ParseCertificate(parts.Certificate)
	if err != nil {
		return nil, err
	}
	id := cert.Identity()
	vendor, err := i.registeredIdentity(ctx, id, now)
	if err != nil {
		return nil, err
	}
	return &bundleClaim{
		vendor: vendor, signer: verify.Signer{Identity: &verify.Identity{SAN: id.Subject, Issuer: id.Issuer}},
		reader: envelopeReader{
			open: func(o attest.PrepareOptions) (*attest.Envelope, error) {
				return attest.OpenCertified(parts.Envelope, cert, o)
			},
			reopen: func() (*attest.Envelope, error) { return attest.ReopenCertified(parts.Envelope, cert) },
		},
		at: func(signed time.Time) error {
			// The buyer's path asks for a certificate timestamp where the root names CT logs; the service always does.
			if err := i.verifier.VerifyCertificate(parts.Certificate, signed); err != nil {
				return &refusal{reason: reasonCertificateInvalid, cause: err,
					message: "the certificate does not verify under the service's trusted root at the time of the signature"}
			}
			_, err := i.registeredIdentity(ctx, id, signed)
			return err
		},
	}, nil
}
