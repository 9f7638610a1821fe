package server

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"

	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	"google.golang.org/grpc/metadata"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/server/certauthority"
	"github.com/avow-dev/avow/server/identity"
	"github.com/avow-dev/avow/server/tlog"
)

// CertificatesConfig is the certificate authority inside the service. All members are required.
type CertificatesConfig struct {
	// Identities verifies identity tokens.
	Identities *identity.Verifier
	// Authority issues the certificates. It appends to Log.
	Authority *certauthority.Authority
	// Log is the certificate log, for its health and its static files.
	Log *tlog.Log
}

// gatewayTokenKey is where the REST gateway puts an identity token that came in a header, like the keys of auth.go.
const gatewayTokenKey = "avow-gateway-identity-token"

// certificateService is dev.sigstore.fulcio.v2.CA.
type certificateService struct {
	fulciopb.UnsafeCAServer
	cfg     Config
	metrics *metrics
}

func newCertificateService(s *Server) *certificateService {
	return &certificateService{cfg: s.cfg, metrics: s.metrics}
}

// authority is the configured one.
func (s *certificateService) authority() (*CertificatesConfig, error) {
	if s.cfg.Certificates == nil {
		return nil, refuse(reasonCertificatesNotConfigured, "the operator has not set up a certificate authority")
	}
	return s.cfg.Certificates, nil
}

// health reports why no certificates can be issued now; nil if they can.
func (s *certificateService) health() error {
	ca, err := s.authority()
	if err != nil {
		return err
	}
	return ca.Log.Health()
}

// CreateSigningCertificate implements dev.sigstore.fulcio.v2.CA.
func (s *certificateService) CreateSigningCertificate(
	ctx context.Context, req *fulciopb.CreateSigningCertificateRequest,
) (*fulciopb.SigningCertificate, error) {
	ca, err := s.authority()
	if err != nil {
		return nil, err
	}
	id, err := ca.Identities.Identify(ctx, tokenOf(ctx, req))
	if err != nil {
		return nil, err
	}
	key, err := provenKey(req, id.Challenge)
	if err != nil {
		return nil, err
	}
	issued, err := ca.Authority.Issue(ctx, key, certauthority.Name{Email: id.Email, URI: id.URI, Extensions: id.Extensions})
	if err != nil {
		return nil, err
	}
	s.metrics.certificates.Inc()
	fingerprint := sha256.Sum256(issued.Certificate.Raw)
	s.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "certificate issued", slog.String("issuer", id.Issuer),
		slog.String("name", id.Name()), slog.String("sha256", hex.EncodeToString(fingerprint[:])),
		slog.String("caller", callerOf(ctx).limitKey()))
	return &fulciopb.SigningCertificate{Certificate: &fulciopb.SigningCertificate_SignedCertificateEmbeddedSct{
		SignedCertificateEmbeddedSct: &fulciopb.SigningCertificateEmbeddedSCT{
			Chain: &fulciopb.CertificateChain{Certificates: ca.Authority.ChainPEM(issued.Certificate)},
		},
	}}, nil
}

// provenKey returns the key to certify, after the caller has shown to hold it.
func provenKey(req *fulciopb.CreateSigningCertificateRequest, challenge string) (crypto.PublicKey, error) {
	switch req.GetKey().(type) {
	case *fulciopb.CreateSigningCertificateRequest_CertificateSigningRequest:
		return certauthority.KeyFromRequest(req.GetCertificateSigningRequest())
	case *fulciopb.CreateSigningCertificateRequest_PublicKeyRequest:
		r := req.GetPublicKeyRequest()
		return certauthority.KeyFromProof(r.GetPublicKey().GetContent(), r.GetProofOfPossession(), challenge)
	}
	return nil, invalidField("key", "neither publicKeyRequest nor certificateSigningRequest is given")
}

// tokenOf takes the identity token out of the request, or, as Fulcio does, out of the header of a REST call.
func tokenOf(ctx context.Context, req *fulciopb.CreateSigningCertificateRequest) string {
	if token := req.GetCredentials().GetOidcIdentityToken(); token != "" {
		return token
	}
	md, _ := metadata.FromIncomingContext(ctx)
	return only(md.Get(gatewayTokenKey))
}

// GetTrustBundle implements dev.sigstore.fulcio.v2.CA.
func (s *certificateService) GetTrustBundle(
	context.Context, *fulciopb.GetTrustBundleRequest,
) (*fulciopb.TrustBundle, error) {
	ca, err := s.authority()
	if err != nil {
		return nil, err
	}
	return &fulciopb.TrustBundle{Chains: []*fulciopb.CertificateChain{{Certificates: ca.Authority.ChainPEM(nil)}}}, nil
}

// GetConfiguration implements dev.sigstore.fulcio.v2.CA.
func (s *certificateService) GetConfiguration(
	context.Context, *fulciopb.GetConfigurationRequest,
) (*fulciopb.Configuration, error) {
	ca, err := s.authority()
	if err != nil {
		return nil, err
	}
	out := &fulciopb.Configuration{}
	for _, issuer := range ca.Identities.Issuers() {
		out.Issuers = append(out.Issuers, &fulciopb.OIDCIssuer{
			Issuer:   &fulciopb.OIDCIssuer_IssuerUrl{IssuerUrl: issuer.URL},
			Audience: issuer.Audience, ChallengeClaim: issuer.ChallengeClaim(), IssuerType: string(issuer.Kind),
			SubjectDomain: issuer.SubjectDomain,
		})
	}
	return out, nil
}

type headerTokenKey struct{}

// headerToken takes the Authorization header of a request for a certificate away: Sigstore clients send the identity
// token in it, which is no vendor's token. The token goes on as what it is.
func headerToken(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if values := r.Header.Values("Authorization"); len(values) > 0 {
			scheme, token, _ := strings.Cut(only(values), " ")
			r = r.Clone(r.Context())
			r.Header.Del("Authorization")
			if strings.EqualFold(scheme, "bearer") {
				r = r.WithContext(context.WithValue(r.Context(), headerTokenKey{}, token))
			}
		}
		next.ServeHTTP(w, r)
	})
}

// tokenReasons are the codes of package identity that are the caller's business.
var tokenReasons = map[string]avowv1.ErrorReason{
	identity.Malformed:         reasonTokenMalformed,
	identity.IssuerUnknown:     reasonTokenIssuerUnknown,
	identity.BadSignature:      reasonTokenSignature,
	identity.WrongTime:         reasonTokenTime,
	identity.WrongAudience:     reasonTokenAudience,
	identity.BadIdentity:       reasonTokenIdentity,
	identity.IssuerUnavailable: reasonIssuerUnavailable,
}

func tokenRefusal(err *identity.Error) *refusal {
	return coded(tokenReasons, err.Code, err.Message, err, err.Err)
}

// certificateReasons are the codes of package certauthority that are the caller's business, and one that is the
// operator's.
var certificateReasons = map[string]avowv1.ErrorReason{
	certauthority.BadRequest:     reasonRequestInvalid,
	certauthority.UnsupportedKey: reasonKeyUnsupported,
	certauthority.Unproven:       reasonPossessionUnproven,
	certauthority.Expired:        reasonAuthorityExpired,
}

func certificateRefusal(err *certauthority.Error) *refusal {
	return coded(certificateReasons, err.Code, err.Message, err, err.Err)
}
