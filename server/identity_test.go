package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/server/authority"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/verify"
)

// The identities of acme: one that may sign, one that may no longer, and one that may until a little later.
const (
	ciIssuer   = "https://issuer.example.test"
	ciSAN      = "https://ci.example.test/acme/release@refs/heads/main"
	retiredSAN = "https://ci.example.test/acme/old@refs/heads/main"
	leavingSAN = "https://ci.example.test/acme/leaving@refs/heads/main"
)

var ciIdentity = attest.Identity{Issuer: ciIssuer, Subject: ciSAN}

// withCA gives the world a certificate authority with a CT log, both in its trusted root.
func withCA(w *world) {
	w.ca = bundletest.NewCA(w.t, "https://ca.example.test", issuedAt.AddDate(0, -1, 0))
	w.ct = bundletest.NewECDSALog(w.t, "ct.example.test", issuedAt.AddDate(0, -1, 0))
}

func onIdentities(f func(*world) error) func(*testing.T) error {
	return func(t *testing.T) error { return f(newWorld(t, withCA)) }
}

// certificate says in which way a certificate differs from that of acme's identity, made now for ten minutes.
type certificate struct {
	san, issuer string
	key         *ecdsa.PrivateKey
	ca          *bundletest.CA
	noSCT       bool
	change      func(*x509.Certificate) // leaves the certificate without an SCT
}

// certify makes a key and its certificate.
func (w *world) certify(c certificate) (*ecdsa.PrivateKey, []byte) {
	w.t.Helper()
	if c.key == nil {
		c.key = bundletest.NewKey(w.t)
	}
	if c.ca == nil {
		c.ca = w.ca
	}
	san, issuer, now := orElse(c.san, ciSAN), orElse(c.issuer, ciIssuer), w.clock.Now()
	if c.change != nil {
		return c.key, c.ca.Certify(w.t, c.key.Public(), san, issuer, now, now.Add(10*time.Minute), c.change).Raw
	}
	logs := []*bundletest.Log{w.ct}
	if c.noSCT {
		logs = nil
	}
	return c.key, c.ca.CertifyLogged(w.t, c.key.Public(), san, issuer, now, now.Add(10*time.Minute), now, logs...).Raw
}

// certified signs bytes with a new key that the world's authority certifies.
func (w *world) certified(payload []byte, c certificate) (env, cert []byte) {
	w.t.Helper()
	key, cert := w.certify(c)
	pae := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 28 application/vnd.in-toto+json %d %s", len(payload), payload))
	return envelopeOf(w.t, payload, must(ecdsa.SignASN1(rand.Reader, key, pae[:]))(w.t)), cert
}

func envelopeOf(t testing.TB, payload, sig []byte) []byte {
	t.Helper()
	return fmt.Appendf(nil, `{"payload":%q,"payloadType":"application/vnd.in-toto+json","signatures":[{"sig":%q}]}`,
		b64(payload), b64(sig))
}

func certifiedRequest(env, cert []byte) *avowv1.IssueRequest {
	return &avowv1.IssueRequest{Content: &avowv1.IssueRequest_SignedEnvelope{
		SignedEnvelope: &avowv1.SignedEnvelope{Envelope: env, Certificate: cert},
	}}
}

func bundleRequest(b []byte) *avowv1.IssueRequest {
	return &avowv1.IssueRequest{Content: &avowv1.IssueRequest_SignedBundle{SignedBundle: &avowv1.SignedBundle{Bundle: b}}}
}

// byIdentity issues a payload as acme's identity.
func (w *world) byIdentity(payload []byte) (*avowv1.IssueResponse, error) {
	w.t.Helper()
	return w.attestation().Issue(w.t.Context(), certifiedRequest(w.certified(payload, certificate{})))
}

// buys verifies a bundle as a buyer who pins an identity, and by sigstore-go alone.
func (w *world) buys(payload, raw []byte, id attest.Identity) {
	w.t.Helper()
	trust := must(verify.ParseTrust(w.trustedRoot()))(w.t)
	v := must(verify.New(verify.Config{Trust: trust, Clock: w.clock.Now}))(w.t)
	verdict := must(v.Verify(w.t.Context(), verify.Input{
		ArtifactSHA256: subjectOf(w.t, payload), Bundles: []verify.NamedBundle{{Data: raw}},
		Signers: []verify.Signer{{Identity: &verify.Identity{SAN: id.Subject, Issuer: id.Issuer}}},
	}))(w.t)
	if verdict.Outcome != verify.Accepted {
		w.t.Fatalf("a buyer rejects: %v", verdict.Failures())
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(raw); err != nil {
		w.t.Fatal(err)
	}
	material := must(root.NewTrustedRootFromJSON(w.trustedRoot()))(w.t)
	sg := must(sgverify.NewVerifier(material, sgverify.WithTransparencyLog(1), sgverify.WithSignedTimestamps(1),
		sgverify.WithSignedCertificateTimestamps(1)))(w.t)
	identity := must(sgverify.NewShortCertificateIdentity(id.Issuer, "", id.Subject, ""))(w.t)
	if _, err := sg.Verify(&b, sgverify.NewPolicy(sgverify.WithoutArtifactUnsafe(), sgverify.WithCertificateIdentity(identity))); err != nil {
		w.t.Errorf("sigstore-go rejects: %v", err)
	}
}

// TestIssueByIdentity: one identity, however many certificates, is one signer; what it issued is found by its id.
func TestIssueByIdentity(t *testing.T) {
	w := newWorld(t, withCA)
	flows := dataFlows(t)
	first := must(w.byIdentity(flows))(t)
	if first.GetKeyId() != ciIdentity.ID() || first.GetIdentity().GetSubject() != ciSAN || first.GetIdentity().GetIssuer() != ciIssuer {
		t.Errorf("got signer %s, %v", first.GetKeyId(), first.GetIdentity())
	}
	w.buys(flows, first.GetBundle(), ciIdentity)
	again := func(when string) {
		t.Helper()
		got, err := w.byIdentity(flows) // another key, another certificate
		if err != nil || !got.GetAlreadyIssued() || !bytes.Equal(got.GetBundle(), first.GetBundle()) || w.log.Size() != 1 {
			t.Errorf("%s: already issued %v, %v, %d leaves", when, got.GetAlreadyIssued(), err, w.log.Size())
		}
	}
	again("at once")
	w.restart()
	again("after a restart")
	w.clock.add(30 * time.Hour)
	again("when it is too old to be received")
	w.buys(flows, first.GetBundle(), ciIdentity)

	got := must(w.fetch(first.GetStatementId(), ciIdentity.ID()))(t)
	if len(got.GetBundles()) != 1 || !bytes.Equal(got.GetBundles()[0].GetBundle(), first.GetBundle()) ||
		got.GetBundles()[0].GetIdentity().GetSubject() != ciSAN {
		t.Errorf("fetched %v", got.GetBundles())
	}
	wantOK(t, w.store.Reindex(t.Context(), Facts, nil))
	list := must(w.attestation().ListStatements(t.Context(), &avowv1.ListStatementsRequest{Vendor: "acme"}))(t)
	if len(list.GetStatements()) != 1 || list.GetStatements()[0].GetKeyId() != ciIdentity.ID() ||
		list.GetStatements()[0].GetIdentity().GetIssuer() != ciIssuer {
		t.Errorf("listed %v", list.GetStatements())
	}
	vendor := must(w.trust().GetVendor(t.Context(), &avowv1.GetVendorRequest{Name: "acme"}))(t).GetVendor()
	if len(vendor.GetIdentities()) != 3 || vendor.GetIdentities()[0].GetSignerId() != ciIdentity.ID() ||
		vendor.GetIdentities()[0].GetSubject() != ciSAN || vendor.GetIdentities()[1].GetNotAfter() == nil {
		t.Errorf("got identities %v", vendor.GetIdentities())
	}
}

// TestRepeatedAfterExpiry: the very request of the first time is answered after its certificate has expired; another that
// was signed with it, or the same statement with another expired certificate, is not.
func TestRepeatedAfterExpiry(t *testing.T) {
	for _, by := range []string{"committed", "pending"} {
		w := newWorld(t, withCA)
		flows := dataFlows(t)
		env, cert := w.certified(flows, certificate{})
		other, otherCert := w.certified(flows, certificate{})
		unsent, unsentCert := w.certified(dataFlows(t), certificate{})
		if by == "committed" {
			must(w.attestation().Issue(t.Context(), certifiedRequest(env, cert)))(t)
		} else {
			sub := must(w.server.issuer.open(t.Context(), certifiedRequest(env, cert), w.clock.Now()))(t)
			wantOK(t, w.server.issuer.stampEarly(t.Context(), []*submission{sub}))
			if _, _, err := w.store.PutPending(t.Context(), []statements.Pending{pendingRow(sub, 0, w.clock.Now(), "")}); err != nil {
				t.Fatal(err)
			}
		}
		w.clock.add(72 * time.Hour)
		got := must(w.attestation().Issue(t.Context(), certifiedRequest(env, cert)))(t)
		if got.GetAlreadyIssued() != (by == "committed") || w.log.Size() != 1 {
			t.Errorf("%s: already issued %v, %d leaves", by, got.GetAlreadyIssued(), w.log.Size())
		}
		w.buys(flows, got.GetBundle(), ciIdentity)
		wantReason(t, w.refused(certifiedRequest(other, otherCert)), reasonCertificateNotValid)
		wantReason(t, w.refused(certifiedRequest(unsent, unsentCert)), reasonCertificateNotValid)
		wantReason(t, w.refused(certifiedRequest(unsent, cert)), reasonSignatureInvalid)
	}
}

// TestIdentityAndKey: a key and an identity that sign one statement are two signers, and a batch may mix them.
func TestIdentityAndKey(t *testing.T) {
	w := newWorld(t, withCA)
	flows := dataFlows(t)
	claims := noBackdoor(t, flows)
	batch := &avowv1.IssueBatchRequest{Requests: []*avowv1.IssueRequest{
		signed(t, claims, w.acme), certifiedRequest(w.certified(flows, certificate{}))}}
	got := must(w.attestation().IssueBatch(t.Context(), batch))(t)
	w.buys(flows, got.GetResponses()[1].GetBundle(), ciIdentity)
	if got.GetResponses()[0].GetIdentity() != nil {
		t.Error("a key is shown as an identity")
	}
	second := w.issue(flows, w.acme)
	if second.GetAlreadyIssued() || second.GetLogIndex() != 2 {
		t.Errorf("by the key: index %d", second.GetLogIndex())
	}
	all := must(w.fetch(second.GetStatementId(), ""))(t)
	if all.GetSignerCount() != 2 {
		t.Errorf("%d signers", all.GetSignerCount())
	}
	list := must(w.attestation().ListStatements(t.Context(), &avowv1.ListStatementsRequest{}))(t)
	for _, s := range list.GetStatements() {
		if (s.GetIdentity() != nil) != (s.GetKeyId() == ciIdentity.ID()) {
			t.Errorf("listed %v", s)
		}
	}
	// A reference to a statement that an identity issued is followed.
	must(w.byIdentity(noBackdoor(t, flows)))(t)
}

// TestIdentityRefusals: what is not exactly a registered identity with a certificate of the trusted root is refused with
// its reason, and nothing is stored.
func TestIdentityRefusals(t *testing.T) {
	w := newWorld(t, withCA)
	stranger := bundletest.NewCA(t, w.ca.URI, issuedAt.AddDate(0, -1, 0))
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)
	rawSAN := func(tag int, text string) certificate {
		value := must(asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(text)}}))(t)
		return certificate{change: func(c *x509.Certificate) {
			c.URIs = nil
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value})
		}}
	}
	lookAlike := func(change func(*url.URL)) certificate {
		return certificate{change: func(c *x509.Certificate) { change(c.URIs[0]) }}
	}
	for name, c := range map[string]struct {
		certificate
		want avowv1.ErrorReason
	}{
		"unregistered":      {certificate{san: "https://ci.example.test/other"}, reasonIdentityUnknown},
		"another issuer":    {certificate{issuer: "https://issuer.evil.test"}, reasonIdentityUnknown},
		"issuer with slash": {certificate{issuer: ciIssuer + "/"}, reasonIdentityUnknown},
		"upper case":        {certificate{san: strings.Replace(ciSAN, "ci.example", "CI.example", 1)}, reasonIdentityUnknown},
		"path in capitals":  {certificate{san: strings.Replace(ciSAN, "acme", "Acme", 1)}, reasonIdentityUnknown},
		"trailing dot":      {certificate{san: ciSAN + "."}, reasonIdentityUnknown},
		"homoglyph":         {lookAlike(func(u *url.URL) { u.Path = strings.Replace(u.Path, "acme", "\u0430cme", 1) }), reasonIdentityUnknown},
		"NUL":               {rawSAN(1, "jane@example.test\x00.evil.test"), reasonCertificateInvalid},
		"DNS":               {rawSAN(2, "ci.example.test"), reasonCertificateInvalid},
		"two names":         {certificate{change: func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.test"} }}, reasonCertificateInvalid},
		"issuer v1 alone": {certificate{change: func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(ciIssuer)}}
		}}, reasonCertificateInvalid},
		"no SCT":     {certificate{noSCT: true}, reasonCertificateInvalid},
		"another CA": {certificate{ca: stranger}, reasonCertificateInvalid},
		"TLS server": {certificate{change: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }}, reasonCertificateInvalid},
		"P-384":      {certificate{key: p384}, reasonKeyUnsupported},
		"window":     {certificate{san: retiredSAN}, reasonIdentityNotValid},
	} {
		env, cert := w.certified(dataFlows(t), c.certificate)
		t.Run(name, func(t *testing.T) { wantReason(t, w.refused(certifiedRequest(env, cert)), c.want) })
	}
	env, cert := w.certified(dataFlows(t), certificate{})
	_, other := w.certify(certificate{})
	wantReason(t, w.refused(certifiedRequest(env, other)), reasonSignatureInvalid) // another key of the same identity
	wantReason(t, w.refused(certifiedRequest(env, make([]byte, attest.MaxCertificateBytes+1))), reasonCertificateInvalid)
	both := certifiedRequest(env, cert)
	both.GetSignedEnvelope().KeyId = idOf(t, w.acme)
	wantReason(t, w.refused(both), reasonRequestInvalid)
	neither := certifiedRequest(env, nil)
	wantReason(t, w.refused(neither), reasonRequestInvalid)
	_, err := w.attestation().Issue(withToken(t.Context(), w.heldToken), certifiedRequest(env, cert))
	wantReason(t, err, reasonCredentialsInvalid)
	wantReason(t, w.refused(certifiedRequest(w.certified(heldFlows(t), certificate{}))), reasonDeclarantMismatch)
	w.clock.add(-time.Second)
	wantReason(t, w.refused(certifiedRequest(env, cert)), reasonCertificateNotValid)
	w.clock.add(10*time.Minute + 2*time.Second)
	wantReason(t, w.refused(certifiedRequest(env, cert)), reasonCertificateNotValid)
	if rows := must(w.store.PendingRows(t.Context(), 0, 0))(t); len(rows) != 0 || w.log.Size() != 0 {
		t.Errorf("%d pending rows and %d leaves, want none", len(rows), w.log.Size())
	}
	// Where the trusted root names no CT log, no certificate passes: not even a good one.
	bare := newWorld(t)
	bare.ca, bare.ct = w.ca, w.ct
	bareEnv, bareCert := bare.certified(dataFlows(t), certificate{})
	wantReason(t, bare.refused(certifiedRequest(bareEnv, bareCert)), reasonCertificateInvalid)
}

// TestTimestampOutsideCertificate: a timestamp at which the certificate is not valid does not count, before anything is
// stored.
func TestTimestampOutsideCertificate(t *testing.T) {
	late := new(clock)
	w := newWorld(t, withCA, func(w *world) { w.stamps = []Timestamper{w.authorityAt(late)} })
	late.set(w.clock.Now().Add(time.Hour))
	_, err := w.byIdentity(dataFlows(t))
	wantReason(t, err, reasonTimestampUnavailable)
	if rows := must(w.store.PendingRows(t.Context(), 0, 0))(t); len(rows) != 0 || w.log.Size() != 0 {
		t.Errorf("%d rows, %d leaves", len(rows), w.log.Size())
	}
}

// TestReconcileIdentity: a process that died at any step after the row was stored completes it days later, long after the
// certificate has expired, with the timestamps of the first time; and so does the vendor that asks again.
func TestReconcileIdentity(t *testing.T) {
	for name, step := range map[string]func(w *world, sub *submission){
		"after the row was stored": func(*world, *submission) {},
		"after the leaf was appended": func(w *world, sub *submission) {
			must(w.log.Append(w.t.Context(), must(sub.envelope.Leaf())(w.t)))(w.t)
		},
	} {
		for _, by := range []string{"restart", "repeated call"} {
			t.Run(name+"/"+by, func(t *testing.T) {
				w := newWorld(t, withCA)
				w.issue(dataFlows(t), w.acme)
				flows := dataFlows(t)
				sub := must(w.server.issuer.open(t.Context(), certifiedRequest(w.certified(flows, certificate{})), w.clock.Now()))(t)
				wantOK(t, w.server.issuer.stampEarly(t.Context(), []*submission{sub}))
				row := pendingRow(sub, w.log.Size(), w.clock.Now(), "")
				if _, _, err := w.store.PutPending(t.Context(), []statements.Pending{row}); err != nil {
					t.Fatal(err)
				}
				step(w, sub)
				w.stop()
				if by == "restart" {
					w.clock.add(72 * time.Hour)
				}
				w.start()
				if by == "restart" {
					wantOK(t, w.server.Reconcile(t.Context()))
				} else {
					must(w.byIdentity(flows))(t) // with another certificate
				}
				rec := must(w.store.GetBy(t.Context(), sub.row().statementID, sub.row().keyID))(t)
				if rec.State != statements.StateCommitted || !bytes.Equal(rec.Certificate, row.Certificate) || w.log.Size() != 2 ||
					len(rec.Tokens) != 1 || !bytes.Equal(rec.Tokens[0], row.ReceiptTokens[0]) {
					t.Fatalf("%v, %d leaves", rec.State, w.log.Size())
				}
				got := must(w.fetch(sub.row().statementID, ""))(t)
				w.buys(flows, got.GetBundles()[0].GetBundle(), ciIdentity)
			})
		}
	}
}

// TestNoTimestampNoRow: while no authority answers nothing of an identity is stored, and the next call makes it whole.
func TestNoTimestampNoRow(t *testing.T) {
	w := newWorld(t, withCA, func(w *world) { w.stamps = []Timestamper{downAuthority{}} })
	flows := dataFlows(t)
	_, err := w.byIdentity(flows)
	wantReason(t, err, reasonTimestampUnavailable)
	if rows := must(w.store.PendingRows(t.Context(), 0, 0))(t); len(rows) != 0 {
		t.Errorf("%d rows", len(rows))
	}
	w.stamps = []Timestamper{w.authority}
	w.restart()
	w.buys(flows, must(w.byIdentity(flows))(t).GetBundle(), ciIdentity)
}

// TestDamagedCertificate: a stored certificate of another identity is never served as this one's.
func TestDamagedCertificate(t *testing.T) {
	w := newWorld(t, withCA)
	first := must(w.byIdentity(dataFlows(t)))(t)
	rec := must(w.store.GetBy(t.Context(), first.GetStatementId(), first.GetKeyId()))(t)
	must(Reopen(rec))(t)
	_, other := w.certify(certificate{san: retiredSAN})
	_, same := w.certify(certificate{})
	for _, cert := range [][]byte{other, same, []byte("x")} {
		rec.Certificate = cert
		if _, err := Reopen(rec); err == nil {
			t.Error("a record with another certificate is read")
		}
	}
}

// entryWithCertificate is what cosign sends for a statement that it signed with a certificate.
func entryWithCertificate(t testing.TB, env, cert []byte) *rekorpb.CreateEntryRequest {
	t.Helper()
	opened := must(attest.ReopenCertified(env, must(attest.ParseCertificate(cert))(t)))(t)
	pae := opened.PAEDigest()
	req := entryOf(t, opened.PublicKey(), pae[:], opened.Signature(), commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256)
	req.GetHashedRekordRequestV002().Signature.Verifier.Verifier = &rekorpb.Verifier_X509Certificate{
		X509Certificate: &commonv1.X509Certificate{RawBytes: cert}}
	return req
}

// TestRekorAdmitsIdentities: on a log that is not open, a certificate of a registered identity writes as a registered key
// does.
func TestRekorAdmitsIdentities(t *testing.T) {
	w := newWorld(t, withCA, withRekor(false))
	for name, c := range map[string]struct {
		certificate
		ctx  context.Context
		want avowv1.ErrorReason
	}{
		"registered":     {certificate{}, t.Context(), 0},
		"unregistered":   {certificate{san: ciSAN + "2"}, t.Context(), reasonIdentityUnknown},
		"window":         {certificate{san: retiredSAN}, t.Context(), reasonIdentityNotValid},
		"no SCT":         {certificate{noSCT: true}, t.Context(), reasonCertificateInvalid},
		"another vendor": {certificate{}, withToken(t.Context(), w.heldToken), reasonCredentialsInvalid},
	} {
		env, cert := w.certified(dataFlows(t), c.certificate)
		e, err := w.rekor().CreateEntry(c.ctx, entryWithCertificate(t, env, cert))
		if c.want != 0 {
			wantReason(t, err, c.want)
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.checkProof(e)
	}
	env, cert := w.certified(dataFlows(t), certificate{})
	w.clock.add(time.Hour)
	_, err := w.rekor().CreateEntry(t.Context(), entryWithCertificate(t, env, cert))
	wantReason(t, err, reasonCertificateNotValid)
}

// authorityAt is the world's authority with another clock.
func (w *world) authorityAt(c *clock) Timestamper {
	w.t.Helper()
	credentials := must(authority.Generate(origin, issuedAt.Add(-time.Hour)))(w.t)
	c.set(issuedAt)
	w.authority = must(authority.New(authority.Config{CertChain: credentials.Chain, Key: credentials.Key, Clock: c.Now}))(w.t)
	return w.authority
}

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
