package verify

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"time"

	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"
	sumdbnote "golang.org/x/mod/sumdb/note"
)

// Trust is a parsed trusted root: the logs, timestamp authorities, certificate
// authorities and CT logs that the caller believes. It is immutable and safe for
// concurrent use. Where it comes from is the caller's affair: whoever can
// replace it decides what is believed.
type Trust struct {
	digest      [32]byte
	material    *root.TrustedRoot
	logs        map[string]*trustedLog
	authorities []*authority
	issuers     [][]byte // subject key ids of all certificates of the certificate authorities
}

// trustedLog is one transparency log of the root.
type trustedLog struct {
	id         []byte
	origin     string
	public     crypto.PublicKey
	verifier   sumdbnote.Verifier
	start, end time.Time
	// problem says why entries of this log cannot be verified here; nil if they can.
	problem error
}

// ErrTrust is wrapped by every error of [ParseTrust].
var ErrTrust = errors.New("trusted root")

// ParseTrust parses a Sigstore trusted_root.json, media type
// application/vnd.dev.sigstore.trustedroot+json;version=0.1, of at most
// MaxTrustBytes bytes. Beyond sigstore-go's rules (no unknown and no repeated
// member, a start of validity for every log) it refuses a log id that is listed
// twice, of which the second would silently replace the first, and an authority
// without the start of its validity. Errors wrap [ErrTrust].
func ParseTrust(trustedRootJSON []byte) (*Trust, error) {
	if n := len(trustedRootJSON); n == 0 || n > MaxTrustBytes {
		return nil, fmt.Errorf("%w: got %d bytes, want 1 to %d", ErrTrust, n, MaxTrustBytes)
	}
	pb, err := root.NewTrustedRootProtobuf(trustedRootJSON)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTrust, err)
	}
	if err := checkTrustedRoot(pb); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTrust, err)
	}
	material, err := root.NewTrustedRootFromProtobuf(pb)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTrust, err)
	}
	t := &Trust{
		digest:   sha256.Sum256(trustedRootJSON),
		material: material,
		logs:     make(map[string]*trustedLog, len(material.RekorLogs())),
	}
	for id, l := range material.RekorLogs() {
		t.logs[id] = newTrustedLog(l)
	}
	for _, a := range material.TimestampingAuthorities() {
		t.authorities = append(t.authorities, newAuthority(a))
	}
	for _, a := range pb.GetCertificateAuthorities() {
		for _, raw := range a.GetCertChain().GetCertificates() {
			if cert, err := x509.ParseCertificate(raw.GetRawBytes()); err == nil {
				t.issuers = append(t.issuers, cert.SubjectKeyId)
			}
		}
	}
	return t, nil
}

// Digest is the SHA-256 of the bytes that were parsed: what to record beside a
// verdict to say under which trust it was reached.
func (t *Trust) Digest() [32]byte { return t.digest }

// LogKey is the key of a log of the trusted root, by the log's id, for what is outside of a bundle. It is nil for a log
// that the root does not list or that cannot be used.
func (t *Trust) LogKey(id []byte) *LogKey {
	for _, l := range t.logs {
		if l.problem == nil && l.verifier != nil && bytes.Equal(l.id, id) {
			return &LogKey{log: *l}
		}
	}
	return nil
}

// checkTrustedRoot refuses what sigstore-go's parser lets through and would
// make the root mean something else than it says.
func checkTrustedRoot(pb *prototrustroot.TrustedRoot) error {
	for what, logs := range map[string][]*prototrustroot.TransparencyLogInstance{
		"tlogs": pb.GetTlogs(), "ctlogs": pb.GetCtlogs(),
	} {
		seen := make(map[string]bool, len(logs))
		for _, l := range logs {
			id := hex.EncodeToString(l.GetLogId().GetKeyId())
			if seen[id] {
				return fmt.Errorf("%s: log id %s is listed twice", what, id)
			}
			seen[id] = true
		}
	}
	for what, authorities := range map[string][]*prototrustroot.CertificateAuthority{
		"certificateAuthorities": pb.GetCertificateAuthorities(), "timestampAuthorities": pb.GetTimestampAuthorities(),
	} {
		for i, a := range authorities {
			if a.GetValidFor().GetStart() == nil {
				return fmt.Errorf("%s[%d] %s: validFor.start is missing", what, i, a.GetUri())
			}
		}
	}
	return nil
}

// newTrustedLog prepares a log's checkpoint verifier. A log that cannot be used
// (no base URL, say) keeps its problem, so that a root with one such log still
// serves for the others.
func newTrustedLog(l *root.TransparencyLog) *trustedLog {
	t := &trustedLog{id: l.ID, public: l.PublicKey, start: l.ValidityPeriodStart, end: l.ValidityPeriodEnd}
	u, err := url.Parse(l.BaseURL)
	if err != nil {
		t.problem = fmt.Errorf("base URL %q: %w", l.BaseURL, err)
		return t
	}
	// Sigstore clients derive the origin of a log from the host name alone.
	if t.origin = u.Hostname(); t.origin == "" {
		t.problem = fmt.Errorf("base URL %q has no host name to take the origin from", l.BaseURL)
		return t
	}
	v, err := signature.LoadVerifier(l.PublicKey, l.SignatureHashFunc)
	if err != nil {
		t.problem = fmt.Errorf("key of log %s: %w", t.origin, err)
		return t
	}
	if t.verifier, err = note.NewNoteVerifier(t.origin, v); err != nil {
		t.problem = fmt.Errorf("key of log %s: %w", t.origin, err)
	}
	return t
}

// validAt reports whether the log's key was in its window at the time, both ends included.
func (l *trustedLog) validAt(at time.Time) bool {
	return within(at, l.start, l.end)
}

// within reports start <= at <= end; a zero start or end leaves that side open.
func within(at, start, end time.Time) bool {
	return (start.IsZero() || !at.Before(start)) && (end.IsZero() || !at.After(end))
}
