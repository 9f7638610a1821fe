package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/keyref"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/authority"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
	"github.com/avow-dev/avow/verify/result"
)

// compilePolicy is what server.Config.CompilePolicy wants: a policy that a caller sent. It has no directory, so it can include
// ready-made policies alone.
func compilePolicy(ctx context.Context, yaml []byte) (verify.Policy, server.PolicyRequirements, error) {
	p, err := policy.LoadText(ctx, yaml, policy.Options{})
	if err != nil {
		return nil, server.PolicyRequirements{}, err
	}
	asks := p.Requirements()
	return p, server.PolicyRequirements{RequiredTypes: asks.Types, MinTimestamps: asks.MinTimestamps, Signers: asks.Signers}, nil
}

// verdictSigner signs the service's own verdicts.
type verdictSigner struct {
	result.Signer
	id string // URI; empty: named after the key
}

// verdictSigner opens the key that the configuration names, for as long as the process lives; nil if it names none.
func (c *Config) verdictSigner(ctx context.Context) (*verdictSigner, error) {
	switch {
	case c.Verdicts.Key == "":
		return nil, nil
	case keyref.Is(c.Verdicts.Key):
		key, err := keyref.Open(ctx, c.Verdicts.Key, keyOptions())
		if err != nil {
			return nil, fmt.Errorf("verdicts.key: %w", err)
		}
		return &verdictSigner{Signer: key, id: c.Verdicts.VerifierID}, nil
	}
	key, err := readKey(c.path(c.Verdicts.Key), authority.ParseKey)
	if err != nil {
		return nil, err
	}
	return &verdictSigner{Signer: fileKey{key}, id: c.Verdicts.VerifierID}, nil
}

// fileKey signs with a key in memory.
type fileKey struct{ private *ecdsa.PrivateKey }

// PublicKey implements result.Signer.
func (k fileKey) PublicKey() *ecdsa.PublicKey { return &k.private.PublicKey }

// SignDigest implements result.Signer.
func (k fileKey) SignDigest(_ context.Context, digest [32]byte) ([]byte, error) {
	return ecdsa.SignASN1(rand.Reader, k.private, digest[:])
}

// sign is what server.Config.SignVerdict wants. A rejection that the form cannot express is answered without a signature.
func (s *verdictSigner) sign(ctx context.Context, v *verify.Verdict, q verdictpb.Question, form avowv1.SignedVerdictForm,
	lifetime time.Duration,
) ([]byte, error) {
	forms := map[avowv1.SignedVerdictForm]result.Form{
		avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_SVR: result.SVR,
		avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_VSA: result.VSA,
	}
	signed, err := result.Sign(ctx, v, result.Inputs{
		ArtifactSHA256: q.ArtifactSHA256, TrustedRoot: q.Trust.Digest(), VerifiedAt: q.At, Lifetime: lifetime,
		VerifierID: s.id, VerifierVersion: ownVersion(),
	}, forms[form], s)
	var refusal *result.Error
	if errors.As(err, &refusal) && refusal.Code == result.CodeNotPassed {
		return nil, nil
	}
	return signed, err
}

// describe is what buyers are told of the signer.
func (s *verdictSigner) describe() (*server.VerdictKey, error) {
	public, err := attest.MarshalPublicKey(s.PublicKey())
	if err != nil {
		return nil, err
	}
	id := s.id
	if id == "" {
		if id, err = result.KeyVerifierID(s.PublicKey()); err != nil {
			return nil, err
		}
	}
	return &server.VerdictKey{PublicKeyPEM: public, VerifierID: id}, nil
}

// newVerdictKey makes the key of the service's own verdicts in PKCS #8 PEM form.
func newVerdictKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return marshalKey(key)
}
