package server

import (
	"bytes"
	"context"
	"testing"
	"time"

	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/avow-dev/avow/verify"
)

// foreignBundle is what cosign makes with this service: a timestamp, an entry by the Rekor API, and a bundle of both.
func (w *world) foreignBundle(env *attest.Envelope, req *rekorpb.CreateEntryRequest, stamps ...Timestamper) []byte {
	w.t.Helper()
	if len(stamps) == 0 {
		stamps = []Timestamper{w.authority}
	}
	var tokens [][]byte
	for _, s := range stamps {
		tokens = append(tokens, must(s.Timestamp(w.t.Context(), env.Signature()))(w.t))
	}
	entry := must(w.rekor().CreateEntry(w.t.Context(), req))(w.t)
	return must(attest.NewBundle(env, entry, tokens))(w.t)
}

// cosignedByIdentity is a statement that a certificate signed, and its bundle.
func (w *world) cosignedByIdentity(payload []byte, c certificate) []byte {
	w.t.Helper()
	env, cert := w.certified(payload, c)
	opened := must(attest.ReopenCertified(env, must(attest.ParseCertificate(cert))(w.t)))(w.t)
	return w.foreignBundle(opened, entryWithCertificate(w.t, env, cert))
}

func (w *world) submit(b []byte) (*avowv1.IssueResponse, error) {
	w.t.Helper()
	return w.attestation().Issue(w.t.Context(), bundleRequest(b))
}

// TestSubmitExpired: a statement that another client signed and logged becomes a full one at its place in the log, after
// its certificate has expired and after a crash days later.
func TestSubmitExpired(t *testing.T) {
	for _, crash := range []bool{false, true} {
		w := newWorld(t, withCA, withRekor(false))
		w.issue(dataFlows(t), w.acme)
		flows := dataFlows(t)
		b := w.cosignedByIdentity(flows, certificate{})
		w.issue(dataFlows(t), w.acme)
		w.clock.add(2 * time.Hour)
		if crash {
			sub := must(w.server.issuer.open(t.Context(), bundleRequest(b), w.clock.Now()))(t)
			wantOK(t, w.server.issuer.stampEarly(t.Context(), []*submission{sub}))
			row := pendingRow(sub, 1, w.clock.Now(), "")
			if _, _, err := w.store.PutPending(t.Context(), []statements.Pending{row}); err != nil {
				t.Fatal(err)
			}
			w.stop()
			w.clock.add(72 * time.Hour)
			w.start()
			wantOK(t, w.server.Reconcile(t.Context()))
			w.clock.add(-72 * time.Hour)
		}
		got := must(w.submit(b))(t)
		if got.GetLogIndex() != 1 || got.GetAlreadyIssued() != crash || w.log.Size() != 3 || got.GetKeyId() != ciIdentity.ID() {
			t.Errorf("crash %v: index %d, already issued %v, %d leaves", crash, got.GetLogIndex(), got.GetAlreadyIssued(), w.log.Size())
		}
		w.buys(flows, got.GetBundle(), ciIdentity)
		// Now that it is issued, the identity's own way answers with it.
		if again := must(w.byIdentity(flows))(t); !again.GetAlreadyIssued() || !bytes.Equal(again.GetBundle(), got.GetBundle()) {
			t.Errorf("crash %v: issued again", crash)
		}
	}
}

// TestSubmitKey: the same for a registered key; and the timestamps are the bundle's.
func TestSubmitKey(t *testing.T) {
	w := newWorld(t, withRekor(false))
	flows := dataFlows(t)
	env := envelope(t, flows, w.acme)
	b := w.foreignBundle(must(attest.Reopen(env, w.acme.PublicKey()))(t), entryOfEnvelope(t, env, w.acme))
	w.clock.add(time.Hour)
	got := must(w.submit(b))(t)
	rec := must(w.store.GetBy(t.Context(), got.GetStatementId(), got.GetKeyId()))(t)
	parts := must(verify.ReadParts(b))(t)
	if got.GetKeyId() != idOf(t, w.acme) || w.log.Size() != 1 || len(rec.Tokens) != 1 || !bytes.Equal(rec.Tokens[0], parts.Timestamps[0]) {
		t.Errorf("signer %s, %d leaves, %d timestamps", got.GetKeyId(), w.log.Size(), len(rec.Tokens))
	}
	if v := w.buyer(flows, w.acme, got.GetBundle()); v.Outcome != verify.Accepted {
		t.Fatalf("a buyer rejects: %v", v.Failures())
	}
}

// TestSubmitAddsTimestamps: at once, the service's other authorities add theirs; a day later theirs would not fit.
func TestSubmitAddsTimestamps(t *testing.T) {
	for later, want := range map[time.Duration]int{0: 2, time.Hour: 1} {
		foreign := bundletest.NewTSA(t, "https://tsa.foreign.test", issuedAt.AddDate(0, -1, 0))
		w := newWorld(t, withCA, func(w *world) {
			w.change = func(c *Config) {
				c.Rekor = &RekorConfig{}
				c.Timestampers = append(c.Timestampers, foreignAuthority{w, foreign})
				c.TrustedRoot = w.trustedRoot()
			}
			w.foreign = foreign
		})
		flows := dataFlows(t)
		b := w.cosignedByIdentity(flows, certificate{})
		w.clock.add(later)
		got := must(w.submit(b))(t)
		if parts := must(verify.ReadParts(got.GetBundle()))(t); len(parts.Timestamps) != want {
			t.Errorf("after %v: %d timestamps, want %d", later, len(parts.Timestamps), want)
		}
		w.buys(flows, got.GetBundle(), ciIdentity)
	}
}

func TestSubmitRefusals(t *testing.T) {
	w := newWorld(t, withCA, withRekor(true))
	flows := dataFlows(t)
	good := w.cosignedByIdentity(flows, certificate{})
	stranger := must(attest.GenerateKey())(t)
	byKey := func(key *attest.KeyFile, stamps ...Timestamper) []byte {
		env := envelope(t, dataFlows(t), key)
		return w.foreignBundle(must(attest.Reopen(env, key.PublicKey()))(t), entryOfEnvelope(t, env, key), stamps...)
	}
	for name, c := range map[string]struct {
		bundle []byte
		want   avowv1.ErrorReason
	}{
		"nothing":           {nil, reasonRequestInvalid},
		"too large":         {make([]byte, verify.MaxBundleBytes+1), reasonRequestInvalid},
		"no bundle":         {flows, reasonBundleInvalid},
		"changed signature": {changedSignature(good), reasonBundleInvalid},
		"changed log":       {bytes.Replace(good, []byte(`"treeSize":"1"`), []byte(`"treeSize":"2"`), 1), reasonBundleInvalid},
		"key hint":          {bytes.Replace(byKey(w.acme), []byte(`"hint":"`), []byte(`"hint":"x`), 1), reasonBundleInvalid},
		"unknown key":       {byKey(stranger), reasonKeyUnknown},
		"expired key":       {byKey(w.expired), reasonKeyNotValid},
		"foreign time":      {byKey(w.acme, strangerAuthority(w)), reasonBundleInvalid},
		"unregistered":      {w.cosignedByIdentity(flows, certificate{san: ciSAN + "2"}), reasonIdentityUnknown},
		"retired":           {w.cosignedByIdentity(flows, certificate{san: retiredSAN}), reasonIdentityNotValid},
		"no SCT":            {w.cosignedByIdentity(flows, certificate{noSCT: true}), reasonBundleInvalid},
		"not permitted":     {w.cosignedByIdentity(heldFlows(t), certificate{}), reasonDeclarantMismatch},
		"breaks a rule":     {w.cosignedByIdentity(statement(t, "data-flows", noCountry), certificate{}), reasonStatementInvalid},
	} {
		t.Run(name, func(t *testing.T) { wantReason(t, w.refused(bundleRequest(c.bundle)), c.want) })
	}
	// An identity that left: what it signed before is not taken any more, though the bundle is good.
	left := w.cosignedByIdentity(dataFlows(t), certificate{san: leavingSAN})
	w.clock.set(time.Date(2026, 9, 1, 12, 0, 1, 0, time.UTC))
	wantReason(t, w.refused(bundleRequest(left)), reasonIdentityNotValid)
	// And a key that was not valid yet when it signed is none that is valid now.
	key := vendors.Key{ID: "x", NotBefore: issuedAt}
	wantReason(t, toStatus(toRefusal(checkKeyWindow(&vendors.Vendor{}, &key, issuedAt.Add(-1)))).Err(), reasonKeyNotValid)
}

// changedSignature changes a digit in the middle of the signature.
func changedSignature(bundle []byte) []byte {
	b := bytes.Clone(bundle)
	at := bytes.Index(b, []byte(`"sig":"`)) + 40
	b[at] = map[bool]byte{true: 'B', false: 'A'}[b[at] == 'A']
	return b
}

// foreignAuthority is another organisation's authority.
type foreignAuthority struct {
	w   *world
	tsa *bundletest.TSA
}

// Timestamp implements Timestamper.
func (f foreignAuthority) Timestamp(_ context.Context, signature []byte) ([]byte, error) {
	return f.tsa.Stamp(f.w.t, signature, f.w.clock.Now(), bundletest.StampOptions{}), nil
}
