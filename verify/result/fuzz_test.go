package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// FuzzOpen: whatever the bytes are, the answer is a refusal with a code of the
// list, or it is a verdict that says what was signed.
func FuzzOpen(f *testing.F) {
	w := newWorld(f)
	good := [][]byte{w.sign(SVR), w.sign(VSA)}
	w.input.Policy = policyOf("strict", false)
	for _, seed := range append(slices.Clone(good), w.sign(VSA), indented(f, good[0]), []byte("{}")) {
		f.Add(seed)
	}
	pinned, expect := w.buyer.pinned(), w.expect()
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Open(data, pinned, now, expect)
		if err != nil {
			var refusal *Error
			if r != nil || !errors.As(err, &refusal) || !slices.Contains(Codes(), refusal.Code) {
				t.Fatalf("got %v, %v", r, err)
			}
			return
		}
		if !slices.ContainsFunc(good, func(b []byte) bool { return sameJSON(b, data) }) {
			t.Fatalf("accepted what was never signed: %s", data)
		}
	})
}

// FuzzParse: a statement by a pinned key is foreign bytes too. What is taken
// from it is everything that is in it.
func FuzzParse(f *testing.F) {
	w := newWorld(f)
	f.Add(payload(f, w.sign(SVR)))
	f.Add(payload(f, w.sign(VSA)))
	w.input.Policy = policyOf("strict", false)
	f.Add(payload(f, w.sign(VSA)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parse(data)
		if err != nil {
			return
		}
		again, err := r.payload()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("read %s, writes %s, %v", data, again, err)
		}
		if r.Accepted == bytes.Contains(data, []byte(`"verificationResult":"FAILED"`)) || r.Accepted && len(r.Statements) == 0 {
			t.Fatalf("accepted %t: %s", r.Accepted, data)
		}
	})
}

// TestRoundTrip: what can be composed can be read, and is the same.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawResult(t)
		data, err := r.payload()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.check(); err != nil {
			t.Fatalf("drawn: %v", err)
		}
		again, err := parse(data)
		if err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		a, _ := json.Marshal(r)
		b, _ := json.Marshal(again)
		if !bytes.Equal(a, b) {
			t.Fatalf("wrote %s, read %s", a, b)
		}
	})
}

func drawResult(t *rapid.T) *Result {
	text := rapid.StringN(-1, 64, 256)
	digest := rapid.StringMatching(`[0-9a-f]{64}`)
	sum := rapid.Custom(func(t *rapid.T) (d [32]byte) {
		copy(d[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
		d[0] |= 1
		return d
	})
	stamp := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "fraction")).UTC()
	})
	pin := rapid.Custom(func(t *rapid.T) StatementPin {
		s := StatementPin{ID: "sha256:" + digest.Draw(t, "id"), KeyID: "sha256:" + digest.Draw(t, "key"),
			Type:       rapid.SampledFrom(append(predicate.Types(), "")).Draw(t, "type"),
			Timestamps: rapid.SliceOfN(stamp, 1, verify.MaxTimestamps).Draw(t, "stamps"), LogOrigin: text.Draw(t, "origin"),
			LogIndex: rapid.Uint64().Draw(t, "index"), TreeSize: rapid.Uint64().Draw(t, "size"), RootHash: sum.Draw(t, "root")}
		if rapid.Bool().Draw(t, "certified") {
			s.Identity = &verify.Identity{SAN: text.Draw(t, "san"), Issuer: text.Draw(t, "issuer") + "i"}
		}
		return s
	})
	at := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "at"), 0).UTC()
	r := &Result{Form: rapid.SampledFrom([]Form{SVR, VSA}).Draw(t, "form"), Accepted: true,
		ArtifactName: text.Draw(t, "name"), ArtifactSHA256: digest.Draw(t, "artifact"), VerifierID: buyerID,
		VerifierVersion: text.Draw(t, "version"), VerifiedAt: at,
		ValidUntil:  at.Add(time.Duration(rapid.Int64Range(1, int64(MaxLifetime/time.Second)).Draw(t, "life")) * time.Second),
		TrustedRoot: sum.Draw(t, "trust"), Statements: rapid.SliceOfN(pin, 1, 4).Draw(t, "statements")}
	if rapid.Bool().Draw(t, "policy") {
		r.Policy = &Policy{Name: text.Draw(t, "policy name"), Version: text.Draw(t, "policy version"), Digest: sum.Draw(t, "policy digest")}
	}
	if r.Form == VSA && rapid.Bool().Draw(t, "rejected") {
		r.Accepted = false
		if rapid.Bool().Draw(t, "nothing counts") {
			r.Statements = nil
		}
		r.FailedChecks = rapid.SliceOfN(rapid.SampledFrom(verify.CheckIDs()), 1, 3).Draw(t, "checks")
		r.FailedRules = append(r.FailedRules, rapid.SliceOfN(text, 0, 3).Draw(t, "rules")...)
	}
	return r
}
