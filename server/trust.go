package server

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/types/known/timestamppb"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/certauthority"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/avow-dev/avow/verify"
)

// trustService is avow.v1.TrustService.
type trustService struct {
	avowv1.UnsafeTrustServiceServer
	root       []byte
	rootHash   string
	verdictKey *VerdictKey
	registry   func() *vendors.Registry
	// signingConfig is nil if there is none.
	signingConfig []byte
	standing      *StandingConfig
}

// GetTrustedRoot implements avow.v1.TrustService.
func (t *trustService) GetTrustedRoot(
	context.Context, *avowv1.GetTrustedRootRequest,
) (*avowv1.GetTrustedRootResponse, error) {
	resp := &avowv1.GetTrustedRootResponse{TrustedRoot: t.root, Sha256: t.rootHash}
	if k := t.verdictKey; k != nil {
		resp.VerdictKeyPem, resp.VerifierId = string(k.PublicKeyPEM), k.VerifierID
	}
	if t.standing != nil {
		resp.IndexLogKey = t.standing.Key
	}
	return resp, nil
}

// vendorListFilter binds page tokens to this list.
const vendorListFilter = "vendors"

// ListVendors implements avow.v1.TrustService.
func (t *trustService) ListVendors(
	_ context.Context, req *avowv1.ListVendorsRequest,
) (*avowv1.ListVendorsResponse, error) {
	all := t.registry().All()
	from, err := readPageToken(req.GetPageToken(), []string{vendorListFilter})
	if err != nil {
		return nil, err
	}
	begin := int(min(from, uint64(len(all))))
	end := min(begin+pageSize(req.GetPageSize()), len(all))
	resp := &avowv1.ListVendorsResponse{}
	for _, v := range all[begin:end] {
		resp.Vendors = append(resp.Vendors, vendorMessage(v))
	}
	if end < len(all) {
		resp.NextPageToken = pageToken(uint64(end), []string{vendorListFilter})
	}
	return resp, nil
}

// GetVendor implements avow.v1.TrustService.
func (t *trustService) GetVendor(_ context.Context, req *avowv1.GetVendorRequest) (*avowv1.GetVendorResponse, error) {
	name := req.GetName()
	if name == "" {
		return nil, invalidField("name", "is empty")
	}
	v, ok := t.registry().ByName(name)
	if !ok {
		return nil, refuse(reasonVendorNotFound, "no vendor is registered as %q", clip(name, 80))
	}
	return &avowv1.GetVendorResponse{Vendor: vendorMessage(v)}, nil
}

// vendorMessage is what is public about a vendor: not its tokens, client certificates and held key.
func vendorMessage(v *vendors.Vendor) *avowv1.Vendor {
	m := &avowv1.Vendor{
		Name: v.Name, Declarant: v.Declarant, Country: v.Country, Contact: v.Contact,
		ProductPrefixes: slices.Clone(v.Products),
	}
	for n := range v.Keys {
		k := &v.Keys[n]
		m.Keys = append(m.Keys, &avowv1.VendorKey{
			KeyId: k.ID, PublicKeyPem: string(k.PEM),
			NotBefore: timeMessage(k.NotBefore), NotAfter: timeMessage(k.NotAfter),
		})
	}
	for _, i := range v.Identities {
		m.Identities = append(m.Identities, &avowv1.VendorIdentity{
			SignerId: attest.Identity{Issuer: i.Issuer, Subject: i.SAN}.ID(), Issuer: i.Issuer, Subject: i.SAN,
			NotBefore: timeMessage(i.NotBefore), NotAfter: timeMessage(i.NotAfter),
		})
	}
	return m
}

// timeMessage leaves the zero time out.
func timeMessage(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// TrustedRootConfig is what a trusted root is made of: the service's own log, and its timestamp authorities.
type TrustedRootConfig struct {
	// Origin, LogID and LogKey are those of the log: (*tlog.Log).Origin, LogID and PublicKey.
	Origin string
	LogID  []byte
	LogKey ed25519.PublicKey
	// LogStart is when the log began; timestamps before it are not accepted with its entries.
	LogStart time.Time
	// Authorities are the timestamp authorities, the service's own and foreign ones.
	Authorities []TrustedAuthority
	// Certificates is the service's own certificate authority, and CertificateLog the log of its certificates: both or
	// neither.
	Certificates   *TrustedCertificates
	CertificateLog *TrustedCertificateLog
}

// TrustedCertificates is a certificate authority of a trusted root.
type TrustedCertificates struct {
	// URI names the authority: where its API is.
	URI string
	// Chain is the certificate chain, the certificate that signs first, root last; at least two certificates.
	Chain []*x509.Certificate
	// Start is from when on its certificates are accepted; zero means the first certificate's NotBefore.
	Start time.Time
}

// TrustedCertificateLog is a certificate log of a trusted root.
type TrustedCertificateLog struct {
	// Origin is the log's name, and Key the ECDSA P-256 key of its certificate timestamps.
	Origin string
	Key    *ecdsa.PublicKey
	// Start is from when on its timestamps are accepted. Required.
	Start time.Time
}

// TrustedAuthority is a timestamp authority of a trusted root.
type TrustedAuthority struct {
	// URI names the authority. Verifiers count distinct authorities by it, so no two may share one.
	URI string
	// Chain is the certificate chain, leaf first, root last; at least two certificates.
	Chain []*x509.Certificate
	// Start is from when on its tokens are accepted; zero means the leaf certificate's NotBefore.
	Start time.Time
	// End is until when; zero means no end.
	End time.Time
}

// TrustedRoot makes the trusted_root.json that buyers verify with, without whitespace: the same input gives the same
// bytes.
//
// The form is the one that cosign, sigstore-go and sigstore-js accept for a Rekor v2 log: the host of baseUrl is the
// checkpoint's origin, the log id is all 32 bytes, every validity has a start, and there is no checkpointKeyId, which
// @sigstore/verify 4.1.3 takes for the wrong thing.
func TrustedRoot(c TrustedRootConfig) ([]byte, error) {
	switch {
	case c.Origin == "":
		return nil, errors.New("trusted root: the log's origin is not set")
	case len(c.LogID) != 32:
		return nil, fmt.Errorf("trusted root: log id: got %d bytes, want 32", len(c.LogID))
	case len(c.LogKey) != ed25519.PublicKeySize:
		return nil, fmt.Errorf("trusted root: log key: got %d bytes, want %d", len(c.LogKey), ed25519.PublicKeySize)
	case c.LogStart.IsZero():
		return nil, errors.New("trusted root: the log's start is not set")
	case len(c.Authorities) == 0:
		return nil, errors.New("trusted root: there is no timestamp authority")
	}
	authorities, err := trustedAuthorities(c.Authorities)
	if err != nil {
		return nil, err
	}
	logs := map[string]*root.TransparencyLog{hex.EncodeToString(c.LogID): {
		BaseURL: "https://" + c.Origin, ID: c.LogID, ValidityPeriodStart: c.LogStart.UTC(),
		HashFunc: crypto.SHA256, PublicKey: c.LogKey, SignatureHashFunc: crypto.SHA512,
	}}
	cas, ctLogs, err := c.trustedCertificates()
	if err != nil {
		return nil, err
	}
	tr, err := root.NewTrustedRoot(root.TrustedRootMediaType01, cas, ctLogs, authorities, logs)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	loose, err := tr.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, loose); err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	// What buyers will parse is parsed here first.
	if _, err := verify.ParseTrust(out.Bytes()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// trustedCertificates describes the certificate authority and its log.
//
// > "logId [...] for CT logs: SHA-256 over the key's SubjectPublicKeyInfo" (RFC 6962, section 3.2)
func (c *TrustedRootConfig) trustedCertificates() ([]root.CertificateAuthority, map[string]*root.TransparencyLog, error) {
	ca, log := c.Certificates, c.CertificateLog
	switch {
	case (ca == nil) != (log == nil):
		return nil, nil, errors.New("trusted root: a certificate authority and its log go together")
	case ca == nil:
		return nil, nil, nil
	case ca.URI == "" || len(ca.Chain) < 2:
		return nil, nil, fmt.Errorf("trusted root: certificate authority %q: got %d certificates, want a URI, intermediate and root",
			ca.URI, len(ca.Chain))
	case log.Origin == "" || log.Key == nil || log.Start.IsZero():
		return nil, nil, errors.New("trusted root: the certificate log needs an origin, a key and a start")
	}
	id, err := certauthority.LogID(log.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("trusted root: %w", err)
	}
	start := ca.Start
	if start.IsZero() {
		start = ca.Chain[0].NotBefore
	}
	last := len(ca.Chain) - 1
	cas := []root.CertificateAuthority{&root.FulcioCertificateAuthority{
		URI: ca.URI, Intermediates: ca.Chain[:last], Root: ca.Chain[last], ValidityPeriodStart: start.UTC(),
	}}
	return cas, map[string]*root.TransparencyLog{hex.EncodeToString(id[:]): {
		BaseURL: "https://" + log.Origin, ID: id[:], ValidityPeriodStart: log.Start.UTC(),
		HashFunc: crypto.SHA256, PublicKey: log.Key, SignatureHashFunc: crypto.SHA256,
	}}, nil
}

func trustedAuthorities(list []TrustedAuthority) ([]root.TimestampingAuthority, error) {
	seen := make(map[string]bool, len(list))
	out := make([]root.TimestampingAuthority, len(list))
	for n, a := range list {
		switch {
		case a.URI == "" || seen[a.URI]:
			return nil, fmt.Errorf("trusted root: timestamp authority %d: URI %q is empty or used twice", n, a.URI)
		case len(a.Chain) < 2:
			return nil, fmt.Errorf("trusted root: timestamp authority %q: got %d certificates, want leaf and root",
				a.URI, len(a.Chain))
		}
		seen[a.URI] = true
		start := a.Start
		if start.IsZero() {
			start = a.Chain[0].NotBefore
		}
		last := len(a.Chain) - 1
		out[n] = &root.SigstoreTimestampingAuthority{
			URI: a.URI, Leaf: a.Chain[0], Intermediates: a.Chain[1:last], Root: a.Chain[last],
			ValidityPeriodStart: start.UTC(), ValidityPeriodEnd: a.End,
		}
	}
	return out, nil
}
