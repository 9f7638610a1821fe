package main

import (
	"context"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/avow-dev/avow/verify"
)

// TestKillNineWithIdentities kills the real service while an identity issues, and starts it again: what was acknowledged is
// there under the identity, what was not is completed once, and fsck and reindex understand the rows.
func TestKillNineWithIdentities(t *testing.T) {
	const issuer, san = "https://issuer.example.test", "https://ci.example.test/acme/release"
	w := newWorld(t, t.TempDir())
	since := time.Now().Add(-time.Hour)
	ca, ct := bundletest.NewCA(t, "https://ca.example.test", since), bundletest.NewECDSALog(t, "ct.example.test", since)
	path := w.config.path(w.config.TrustedRoot)
	root, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, bundletest.WithIdentities(t, root, ca, ct), 0o600))
	must(t, addVendor(w.config, vendorFlags{identities: []string{san}, issuer: issuer, vendor: vendors.Vendor{
		Name: "ci", Declarant: quickstartDeclarant, Country: quickstartCountry, Products: []string{quickstartPackage},
	}}))
	w.load()
	request := func() *avowv1.IssueRequest {
		key, err := attest.GenerateKey()
		must(t, err)
		cert, err := attest.ParseCertificate(ca.CertifyLogged(t, key.PublicKey(), san, issuer, time.Now().Add(-time.Minute),
			time.Now().Add(9*time.Minute), time.Now(), ct).Raw)
		must(t, err)
		p, err := attest.Prepare(w.envelope().Statement().Payload(), attest.PrepareOptions{})
		must(t, err)
		signer, err := attest.Certify(key, cert)
		must(t, err)
		e, err := p.SignCertified(t.Context(), signer)
		must(t, err)
		return &avowv1.IssueRequest{Content: &avowv1.IssueRequest_SignedEnvelope{
			SignedEnvelope: &avowv1.SignedEnvelope{Envelope: e.JSON(), Certificate: cert.DER()}}}
	}
	signer := []verify.Signer{{Identity: &verify.Identity{SAN: san, Issuer: issuer}}}
	sent := make(map[*avowv1.IssueRequest]*avowv1.IssueResponse)
	for range 3 {
		p := w.start()
		var wg sync.WaitGroup
		var mu sync.Mutex
		for range 8 {
			requests := make([]*avowv1.IssueRequest, 40)
			for n := range requests {
				requests[n] = request()
			}
			wg.Go(func() {
				for _, r := range requests {
					answer, err := p.issuing.Issue(context.Background(), r)
					mu.Lock()
					sent[r] = answer
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		time.Sleep(250 * time.Millisecond)
		p.kill9()
		wg.Wait()
	}
	p := w.start()
	acknowledged := 0
	for r, before := range sent {
		answer, err := p.issuing.Issue(t.Context(), r)
		must(t, err)
		if before == nil {
			continue
		}
		acknowledged++
		if !answer.GetAlreadyIssued() || answer.GetLogIndex() != before.GetLogIndex() || answer.GetKeyId() != before.GetKeyId() {
			t.Errorf("acknowledged at index %d, now %v at %d", before.GetLogIndex(), answer.GetAlreadyIssued(), answer.GetLogIndex())
		}
		v, err := w.verifier.Verify(t.Context(), verify.Input{ArtifactSHA256: subjectOf(t, answer.GetBundle()),
			Bundles: []verify.NamedBundle{{Data: answer.GetBundle()}}, Signers: signer})
		must(t, err)
		if v.Outcome != verify.Accepted {
			t.Fatalf("the bundle is rejected: %v", v.Failures())
		}
	}
	p.kill9()
	t.Logf("%d statements sent, %d acknowledged before a kill", len(sent), acknowledged)
	must(t, fsck(t.Context(), w.config, io.Discard))
	must(t, reindex(t.Context(), w.config, io.Discard))
	must(t, fsck(t.Context(), w.config, io.Discard))
}
