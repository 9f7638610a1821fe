package server

import (
	"bytes"
	"context"
	"errors"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/avow-dev/avow/verify"
)

// openCertified opens an envelope that the vendor signed with a certified key.
func (i *issuer) openCertified(ctx context.Context, in *avowv1.SignedEnvelope, now time.Time) (*submission, error) {
	cert, err := attest.ParseCertificate(in.GetCertificate())
	if err != nil {
		return nil, err
	}
	vendor, err := i.identityFor(ctx, cert, now)
	var refused *refusal
	if errors.As(err, &refused) && refused.reason == reasonCertificateNotValid {
		return i.takenBefore(ctx, in, cert, now, err)
	}
	if err != nil {
		return nil, err
	}
	sub := &submission{vendor: vendor}
	return i.openWith(ctx, sub, envelopeReader{
		open: func(o attest.PrepareOptions) (*attest.Envelope, error) {
			return attest.OpenCertified(in.GetEnvelope(), cert, o)
		},
		reopen: func() (*attest.Envelope, error) { return attest.ReopenCertified(in.GetEnvelope(), cert) },
	}, now)
}

// takenBefore answers a request that comes again after its certificate has expired: a row with this very certificate was
// taken while it was valid, and has its timestamps.
func (i *issuer) takenBefore(
	ctx context.Context, in *avowv1.SignedEnvelope, cert *attest.Certificate, now time.Time, refused error,
) (*submission, error) {
	vendor, err := i.registeredIdentity(ctx, cert.Identity(), now)
	if err != nil {
		return nil, err
	}
	env, err := attest.ReopenCertified(in.GetEnvelope(), cert)
	if err != nil {
		return nil, err
	}
	rec, err := i.cfg.Store.GetBy(ctx, env.StatementID(), env.SignerID())
	if err != nil || !bytes.Equal(rec.Certificate, cert.DER()) {
		return nil, refused
	}
	return &submission{vendor: vendor, envelope: env, known: &rec}, nil
}

// envelopeReader opens one envelope, as a new one and as one that was issued before.
type envelopeReader struct {
	open   func(attest.PrepareOptions) (*attest.Envelope, error)
	reopen func() (*attest.Envelope, error)
}

// openWith opens the envelope of a submission whose signer may speak for its vendor.
func (i *issuer) openWith(ctx context.Context, sub *submission, r envelopeReader, now time.Time) (*submission, error) {
	var err error
	sub.envelope, err = r.open(i.prepareOptions(now))
	var rules *predicate.RulesError
	switch {
	case errors.As(err, &rules):
		// A statement that is committed already is answered again, also when it is too old to be received now or a
		// rule was sharpened since: a vendor that lost the answer must be able to ask for it.
		stored, reopenErr := r.reopen()
		if reopenErr != nil {
			return nil, err
		}
		sub.envelope = stored
		return i.knownOr(ctx, sub, err)
	case err != nil:
		return nil, err
	}
	return sub, checkPermitted(sub.vendor, sub.envelope.Statement())
}

// identityFor finds whom a certificate speaks for now: its identity is registered, and it verifies as a buyer will verify it.
func (i *issuer) identityFor(ctx context.Context, cert *attest.Certificate, now time.Time) (*vendors.Vendor, error) {
	vendor, err := i.registeredIdentity(ctx, cert.Identity(), now)
	if err != nil {
		return nil, err
	}
	err = i.verifier.VerifyCertificate(cert.DER(), now)
	switch {
	case errors.Is(err, verify.ErrCertificateTime):
		return nil, &refusal{reason: reasonCertificateNotValid, message: err.Error() + "; sign with a new certificate"}
	case err != nil:
		return nil, &refusal{reason: reasonCertificateInvalid, cause: err,
			message: "the certificate does not verify under the service's trusted root: the chain, the usage for code signing, or " +
				"the certificate timestamp"}
	}
	return vendor, nil
}

// registeredIdentity finds whom an identity may speak for at all of the times. Credentials, if there are any, must be the
// same vendor's.
func (i *issuer) registeredIdentity(ctx context.Context, id attest.Identity, times ...time.Time) (*vendors.Vendor, error) {
	vendor, entry, ok := i.cfg.Vendors.Registry().ByIdentity(id.Issuer, id.Subject)
	if !ok {
		return nil, refuse(reasonIdentityUnknown,
			"no registered vendor has the identity %q of issuer %q; it is compared letter by letter; ask the operator of the service to register it",
			clip(id.Subject, 300), clip(id.Issuer, 200))
	}
	if c := callerOf(ctx); c.vendor != nil && c.vendor.Name != vendor.Name {
		return nil, refuse(reasonCredentialsInvalid,
			"the credentials are those of %s, the identity belongs to another vendor", c.vendor.Name)
	}
	for _, at := range times {
		if !entry.ValidAt(at) {
			return nil, refuse(reasonIdentityNotValid, "the identity %q of %s is registered from %s to %s; it is about %s",
				clip(id.Subject, 300), vendor.Name, bound(entry.NotBefore), bound(entry.NotAfter), at.UTC().Format(time.RFC3339))
		}
	}
	return vendor, nil
}

// signerOf is the requirement that a bundle of the envelope has to meet.
func signerOf(env *attest.Envelope) verify.Signer {
	if c := env.Certificate(); c != nil {
		return verify.Signer{Identity: &verify.Identity{SAN: c.Identity().Subject, Issuer: c.Identity().Issuer}}
	}
	return verify.Signer{Key: &verify.Key{PublicKey: env.PublicKey()}}
}

// identityMessage is what is shown of an envelope's identity, nil where a key signed.
func identityMessage(env *attest.Envelope) *avowv1.SignerIdentity {
	c := env.Certificate()
	if c == nil {
		return nil
	}
	return &avowv1.SignerIdentity{Issuer: c.Identity().Issuer, Subject: c.Identity().Subject}
}
