package result

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// TestSignObservation: what is signed is the observation's own statement, and it
// passes for no verdict.
func TestSignObservation(t *testing.T) {
	w := newWorld(t)
	o := &observation.Observation{Vantage: observation.VantageHost, Start: now, End: now,
		Subjects: []predicate.Subject{{Name: "agent", Digest: map[string]string{"sha256": strings.Repeat("ab", 32)}}}}
	signed, err := SignObservation(t.Context(), o, w.buyer)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := signed.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	b, err := parseBundle(bundle)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := o.Payload()
	if err != nil {
		t.Fatal(err)
	}
	digest := paeDigest(payload)
	if !bytes.Equal(b.Envelope.Payload, payload) || !ecdsa.VerifyASN1(w.buyer.PublicKey(), digest[:], b.Envelope.Signatures[0].Sig) {
		t.Errorf("signed is %s", b.Envelope.Payload)
	}
	var refusal *Error
	if _, err := Open(bundle, w.buyer.pinned(), now, w.expect()); !errors.As(err, &refusal) || refusal.Code != CodeKind {
		t.Errorf("as a verdict: got %v, want %s", err, CodeKind)
	}
	o.Subjects = nil
	if _, err := SignObservation(t.Context(), o, w.buyer); err == nil || !strings.Contains(err.Error(), "0 subjects") {
		t.Errorf("without subjects: got %v", err)
	}
}
