package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/verify"
)

// verificationService is avow.v1.VerificationService.
type verificationService struct {
	avowv1.UnsafeVerificationServiceServer
	cfg Config
	own trustedVerifier

	mu    sync.Mutex
	other map[[sha256.Size]byte]trustedVerifier // for trusted roots that callers brought
	order [][sha256.Size]byte                   // the oldest first
}

// trustedVerifier is a verifier with the trust that it was made with.
type trustedVerifier struct {
	verifier *verify.Verifier
	trust    *verify.Trust
}

func newVerificationService(cfg Config, own trustedVerifier) *verificationService {
	return &verificationService{cfg: cfg, own: own, other: make(map[[sha256.Size]byte]trustedVerifier)}
}

// Verify implements avow.v1.VerificationService. A rejected bundle is an answer, not an error.
func (s *verificationService) Verify(ctx context.Context, req *avowv1.VerifyRequest) (*avowv1.VerifyResponse, error) {
	v, err := s.verifierFor(req.GetTrustedRoot())
	if err != nil {
		return nil, err
	}
	in, err := verifyInput(req)
	if err != nil {
		return nil, err
	}
	if in.At.IsZero() {
		in.At = s.cfg.Clock()
	}
	verdict, err := v.verifier.Verify(ctx, in)
	if err != nil {
		return nil, err
	}
	return &avowv1.VerifyResponse{Verdict: verdictpb.New(verdict, verdictpb.Question{
		ArtifactSHA256: in.ArtifactSHA256, Trust: v.trust, At: in.At,
	})}, nil
}

// BatchVerify implements avow.v1.VerificationService.
func (s *verificationService) BatchVerify(grpc.BidiStreamingServer[avowv1.BatchVerifyRequest, avowv1.BatchVerifyResponse]) error {
	return refuse(reasonInternal, "not yet")
}

// verifierFor returns the verifier for a trusted root, the service's own for none. A root that came before is not
// parsed again.
func (s *verificationService) verifierFor(trustedRoot []byte) (trustedVerifier, error) {
	if len(trustedRoot) == 0 {
		return s.own, nil
	}
	key := sha256.Sum256(trustedRoot)
	s.mu.Lock()
	known, ok := s.other[key]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	made, err := newTrustedVerifier(s.cfg, trustedRoot)
	if err != nil {
		return trustedVerifier{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.other[key]; !ok {
		if len(s.order) >= maxCachedVerifiers {
			delete(s.other, s.order[0])
			s.order = s.order[1:]
		}
		s.order = append(s.order, key)
	}
	s.other[key] = made
	return made, nil
}

func newTrustedVerifier(cfg Config, trustedRoot []byte) (trustedVerifier, error) {
	trust, err := verify.ParseTrust(trustedRoot)
	if err != nil {
		return trustedVerifier{}, err
	}
	v, err := verify.New(verify.Config{Trust: trust, Clock: cfg.Clock, Tables: cfg.Tables})
	return trustedVerifier{verifier: v, trust: trust}, err
}

// verifyInput translates the request. What it leaves to verify is judged there; here is only what a message cannot
// express as an Input.
func verifyInput(req *avowv1.VerifyRequest) (verify.Input, error) {
	in := verify.Input{
		ArtifactSHA256: req.GetArtifactSha256(),
		RequiredTypes:  req.GetRequiredPredicateTypes(),
		MinTimestamps:  int(min(req.GetMinTimestamps(), verify.MaxTimestamps+1)), // one too many is refused there
	}
	if len(req.GetBundles()) > verify.MaxBundles {
		return in, invalidField("bundles", "got %d, want at most %d", len(req.GetBundles()), verify.MaxBundles)
	}
	for _, b := range req.GetBundles() {
		in.Bundles = append(in.Bundles, verify.NamedBundle{Name: b.GetName(), Data: b.GetBundle()})
	}
	if len(req.GetSigners()) > verify.MaxSigners {
		return in, invalidField("signers", "got %d, want at most %d", len(req.GetSigners()), verify.MaxSigners)
	}
	for n, r := range req.GetSigners() {
		signer, err := verifySigner(fmt.Sprintf("signers[%d]", n), r)
		if err != nil {
			return in, err
		}
		in.Signers = append(in.Signers, signer)
	}
	var err error
	in.At, err = timeField("at", req.GetAt())
	return in, err
}

// verifySigner translates one requirement.
func verifySigner(field string, r *avowv1.SignerRequirement) (verify.Signer, error) {
	out := verify.Signer{Name: r.GetName()}
	switch who := r.GetSigner().(type) {
	case *avowv1.SignerRequirement_Key:
		pub, err := attest.ParsePublicKey([]byte(who.Key.GetPublicKeyPem()))
		if err != nil {
			return out, &refusal{reason: reasonVerificationInput, cause: err,
				message: field + ".key.public_key_pem: want a PEM \"PUBLIC KEY\" with an ECDSA P-256 key"}
		}
		out.Key = &verify.Key{PublicKey: pub}
		if out.Key.NotBefore, err = timeField(field+".key.not_before", who.Key.GetNotBefore()); err != nil {
			return out, err
		}
		out.Key.NotAfter, err = timeField(field+".key.not_after", who.Key.GetNotAfter())
		return out, err
	case *avowv1.SignerRequirement_Identity:
		out.Identity = &verify.Identity{SAN: who.Identity.GetSubjectAlternativeName(), Issuer: who.Identity.GetIssuer()}
		return out, nil
	default:
		return out, invalidField(field, "neither key nor identity is given")
	}
}

// timeField translates an optional time; absent is the zero time.
func timeField(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, invalidField(field, "is not a time: %v", err)
	}
	if at := t.AsTime(); !at.IsZero() {
		return at, nil
	}
	return time.Time{}, invalidField(field, "the year 1 would read as absent")
}
