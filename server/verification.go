package server

import (
	"context"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/verify"
)

// verificationService is avow.v1.VerificationService.
type verificationService struct {
	avowv1.UnsafeVerificationServiceServer
	server    *Server
	verifiers *digestCache[trustedVerifier] // for trusted roots that callers brought
	policies  *digestCache[compiledPolicy]
}

// trustedVerifier is a verifier with the trust that it was made with.
type trustedVerifier struct {
	verifier *verify.Verifier
	trust    *verify.Trust
}

func newVerificationService(s *Server) *verificationService {
	return &verificationService{
		server:    s,
		verifiers: newDigestCache[trustedVerifier](maxCachedVerifiers),
		policies:  newDigestCache[compiledPolicy](maxCachedPolicies),
	}
}

// Verify implements avow.v1.VerificationService. A rejected bundle is an answer, not an error.
func (s *verificationService) Verify(ctx context.Context, req *avowv1.VerifyRequest) (*avowv1.VerifyResponse, error) {
	d, err := s.demand(ctx, "", demandsOf(req))
	if err != nil {
		return nil, err
	}
	verdict, signed, err := s.judge(ctx, d, req.GetArtifactSha256(), req.GetBundles())
	if err != nil {
		return nil, err
	}
	return &avowv1.VerifyResponse{Verdict: verdict, SignedVerdict: signed}, nil
}

// verifierFor returns the verifier for a trusted root, the service's own for none. A root that came before is not
// parsed again.
func (s *verificationService) verifierFor(trustedRoot []byte) (trustedVerifier, error) {
	if len(trustedRoot) == 0 {
		return s.server.own, nil
	}
	return s.verifiers.get(trustedRoot, func() (trustedVerifier, error) { return newTrustedVerifier(s.server.cfg, trustedRoot) })
}

func newTrustedVerifier(cfg Config, trustedRoot []byte) (trustedVerifier, error) {
	trust, err := verify.ParseTrust(trustedRoot)
	if err != nil {
		return trustedVerifier{}, err
	}
	v, err := verify.New(verify.Config{Trust: trust, Clock: cfg.Clock, Tables: cfg.Tables})
	return trustedVerifier{verifier: v, trust: trust}, err
}
