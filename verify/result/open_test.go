package result

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

func TestOpenAccepts(t *testing.T) {
	for _, form := range []Form{SVR, VSA} {
		t.Run(string(form), func(t *testing.T) {
			w := newWorld(t)
			w.input.Policy = policyOf("strict", true)
			digest := sha256.Sum256([]byte("strict"))
			expect := w.expect()
			expect.Policy = &digest
			bundle := w.sign(form)
			r, err := Open(indented(t, bundle), w.buyer.pinned(), now, expect)
			if err != nil {
				t.Fatal(err)
			}
			evidence := w.verdict().Evidence
			if r.Form != form || r.VerifierID != buyerID || r.VerifierVersion != "1.2.3" || r.ArtifactName != "example-tool-1.2.3.tar.gz" ||
				!r.VerifiedAt.Equal(now) || !r.ValidUntil.Equal(now.Add(24*time.Hour)) ||
				*r.Policy != (Policy{"strict", "3", digest}) || len(r.Statements) != len(evidence) {
				t.Errorf("got %+v", r)
			}
			for i, s := range r.Statements {
				e := evidence[i]
				if s.ID != e.StatementID || s.Type != e.Statement.Type || s.KeyID != e.KeyID || s.Identity != nil ||
					len(s.Timestamps) != 1 || !s.Timestamps[0].Equal(e.SignedBy) || s.LogOrigin != e.LogOrigin ||
					s.LogIndex != e.LogIndex || s.TreeSize != e.TreeSize || string(s.RootHash[:]) != string(e.RootHash) {
					t.Errorf("statement %d: got %+v, want what the evidence says: %+v", i, s, e)
				}
			}
		})
	}
}

// TestOpenJudges: each thing that a caller expects, and the time, is compared.
func TestOpenJudges(t *testing.T) {
	w := newWorld(t)
	stranger := bundletest.NewKey(t)
	other := sha256.Sum256([]byte("other"))
	identity := &verify.Identity{SAN: "a@example.test", Issuer: "https://issuer.example.test"}
	for name, c := range map[string]struct {
		change func(e *Expect)
		after  time.Duration
		want   string
	}{
		"as it was":           {want: "accepted"},
		"another artifact":    {change: func(e *Expect) { e.ArtifactSHA256 = bundletest.OtherSHA256 }, want: "VERDICT_ARTIFACT_DIFFERS"},
		"another root":        {change: func(e *Expect) { e.TrustedRoot = other }, want: "VERDICT_TRUST_DIFFERS"},
		"a policy":            {change: func(e *Expect) { e.Policy = &other }, want: "VERDICT_POLICY_DIFFERS"},
		"a type it has":       {change: func(e *Expect) { e.RequiredTypes = []string{predicate.DataFlowsType} }, want: "accepted"},
		"a type it has not":   {change: func(e *Expect) { e.RequiredTypes = []string{predicate.UndertakingsType} }, want: "VERDICT_TYPES_DIFFER"},
		"any signer":          {change: func(e *Expect) { e.Signers = nil }, want: "accepted"},
		"another signer":      {change: signedBy(verify.Signer{Key: &verify.Key{PublicKey: &stranger.PublicKey}}), want: "VERDICT_SIGNER_DIFFERS"},
		"an identity":         {change: signedBy(verify.Signer{Identity: identity}), want: "VERDICT_SIGNER_DIFFERS"},
		"signer of a type":    {change: func(e *Expect) { e.Signers[0].Types = []string{predicate.DataFlowsType} }, want: "VERDICT_SIGNER_DIFFERS"},
		"key valid later":     {change: func(e *Expect) { e.Signers[0].Key.NotBefore = bundletest.Epoch.Add(1) }, want: "VERDICT_SIGNER_DIFFERS"},
		"key retired before":  {change: func(e *Expect) { e.Signers[0].Key.NotAfter = bundletest.Epoch.Add(-1) }, want: "VERDICT_SIGNER_DIFFERS"},
		"key valid then":      {change: func(e *Expect) { e.Signers[0].Key.NotBefore = bundletest.Epoch }, want: "accepted"},
		"two timestamps":      {change: func(e *Expect) { e.MinTimestamps = 2 }, want: "VERDICT_TIMESTAMPS_DIFFER"},
		"one second left":     {after: 24*time.Hour - time.Second, want: "accepted"},
		"at its end":          {after: 24 * time.Hour, want: "VERDICT_EXPIRED"},
		"a year later":        {after: 365 * 24 * time.Hour, want: "VERDICT_EXPIRED"},
		"clocks apart":        {after: -verify.DefaultTimestampSkew, want: "accepted"},
		"before it was made":  {after: -verify.DefaultTimestampSkew - time.Second, want: "VERDICT_NOT_YET_VALID"},
		"an artifact, late":   {change: func(e *Expect) { e.ArtifactSHA256 = bundletest.OtherSHA256 }, after: 48 * time.Hour, want: "VERDICT_ARTIFACT_DIFFERS"},
		"everything is wrong": {change: func(e *Expect) { *e = Expect{ArtifactSHA256: bundletest.OtherSHA256, TrustedRoot: other} }, want: "VERDICT_ARTIFACT_DIFFERS"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, form := range []Form{SVR, VSA} {
				expect := w.expect()
				expect.Signers = []verify.Signer{{Key: &verify.Key{PublicKey: &w.Vendor.PublicKey}}}
				if c.change != nil {
					c.change(&expect)
				}
				if got := outcome(t, w.sign(form), w.buyer.pinned(), now.Add(c.after), expect); got != c.want {
					t.Errorf("%s: got %s, want %s", form, got, c.want)
				}
			}
		})
	}
}

func signedBy(s verify.Signer) func(*Expect) {
	return func(e *Expect) { e.Signers = []verify.Signer{s} }
}

// TestPolicies: with, without and with another policy are three different things.
func TestPolicies(t *testing.T) {
	w := newWorld(t)
	strict, other := sha256.Sum256([]byte("strict")), sha256.Sum256([]byte("other"))
	for _, form := range []Form{SVR, VSA} {
		for name, c := range map[string]struct {
			policy verify.Policy
			expect *[32]byte
			want   string
		}{
			"none, none":    {nil, nil, "accepted"},
			"none, one":     {nil, &strict, "VERDICT_POLICY_DIFFERS"},
			"one, none":     {policyOf("strict", true), nil, "VERDICT_POLICY_DIFFERS"},
			"one, the same": {policyOf("strict", true), &strict, "accepted"},
			"one, another":  {policyOf("strict", true), &other, "VERDICT_POLICY_DIFFERS"},
		} {
			w.input.Policy = c.policy
			expect := w.expect()
			expect.Policy = c.expect
			if got := w.open(w.sign(form), expect); got != c.want {
				t.Errorf("%s, %s: got %s, want %s", form, name, got, c.want)
			}
		}
	}
}

// TestNotPassed: a rejection is signed as what it is, and never opens.
func TestNotPassed(t *testing.T) {
	for name, reject := range map[string]func(w *world){
		"policy":  func(w *world) { w.input.Policy = policyOf("strict", false) },
		"bundle":  func(w *world) { w.input.Bundles[0].Data = []byte("{}") },
		"nothing": func(w *world) { w.input.Bundles = nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			reject(w)
			_, err := Sign(t.Context(), w.verdict(), w.inputs, SVR, w.buyer)
			var refusal *Error
			if !errors.As(err, &refusal) || refusal.Code != CodeNotPassed || !strings.Contains(refusal.Hint, "vsa") {
				t.Errorf("svr: got %v, want a refusal with the hint to use vsa", err)
			}
			bundle := w.sign(VSA)
			if got := w.open(bundle, w.expect()); got != "VERDICT_NOT_PASSED" {
				t.Errorf("vsa: got %s, want VERDICT_NOT_PASSED", got)
			}
			if text := string(payload(t, bundle)); strings.Contains(text, "PASSED") || strings.Contains(text, "AVOW_") {
				t.Errorf("the statement of a rejection says that something passed: %s", text)
			}
			// A rejection that is made to look like a pass contradicts what else is in it.
			changed := replace(t, payload(t, bundle), `"verificationResult":"FAILED"`, `"verificationResult":"PASSED"`)
			if got := w.open(w.buyer.resign(t, changed), w.expect()); got != "VERDICT_FORM" {
				t.Errorf("FAILED made PASSED: got %s, want VERDICT_FORM", got)
			}
		})
	}
}

// TestForeign: a key alone, or a verifier id alone, is not a pinned verifier.
func TestForeign(t *testing.T) {
	w := newWorld(t)
	bundle, stranger := w.sign(SVR), newBuyer(t)
	w.inputs.VerifierID = ""
	byKey := w.sign(SVR)
	id, err := KeyVerifierID(w.buyer.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		bundle []byte
		pinned []Pinned
		want   string
	}{
		"pair":                   {bundle, w.buyer.pinned(), "accepted"},
		"second of two":          {bundle, append(stranger.pinned(), w.buyer.pinned()...), "accepted"},
		"key under two ids":      {bundle, []Pinned{{Key: w.buyer.PublicKey(), ID: "https://other.example"}, w.buyer.pinned()[0]}, "accepted"},
		"another key":            {bundle, stranger.pinned(), "VERDICT_FOREIGN"},
		"another id":             {bundle, []Pinned{{Key: w.buyer.PublicKey(), ID: buyerID + "/"}}, "VERDICT_FOREIGN"},
		"no id pinned":           {bundle, []Pinned{{Key: w.buyer.PublicKey()}}, "VERDICT_FOREIGN"},
		"id of another key":      {bundle, []Pinned{{Key: w.buyer.PublicKey(), ID: "https://other.example"}, {Key: stranger.PublicKey(), ID: buyerID}}, "VERDICT_FOREIGN"},
		"by key":                 {byKey, []Pinned{{Key: w.buyer.PublicKey()}}, "accepted"},
		"by key, written out":    {byKey, []Pinned{{Key: w.buyer.PublicKey(), ID: id}}, "accepted"},
		"by key, id pinned":      {byKey, w.buyer.pinned(), "VERDICT_FOREIGN"},
		"stranger under the id":  {stranger.resign(t, payload(t, bundle)), w.buyer.pinned(), "VERDICT_FOREIGN"},
		"stranger with our hint": {withHint(t, stranger.resign(t, payload(t, bundle)), w.buyer), w.buyer.pinned(), "VERDICT_SIGNATURE"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := outcome(t, c.bundle, c.pinned, now, w.expect()); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func withHint(t *testing.T, bundle []byte, b buyer) []byte {
	t.Helper()
	parsed, err := parseBundle(bundle)
	if err != nil {
		t.Fatal(err)
	}
	return replace(t, bundle, parsed.Material.PublicKey.Hint, bundletest.Hint(t, b.PublicKey()))
}

// TestOpenInput: what the caller leaves out is not taken as "anything".
func TestOpenInput(t *testing.T) {
	w := newWorld(t)
	bundle := w.sign(SVR)
	for name, c := range map[string]struct {
		change func(pinned *[]Pinned, at *time.Time, e *Expect)
	}{
		"no verifier":     {func(p *[]Pinned, _ *time.Time, _ *Expect) { *p = nil }},
		"no key":          {func(p *[]Pinned, _ *time.Time, _ *Expect) { *p = []Pinned{{ID: buyerID}} }},
		"no artifact":     {func(_ *[]Pinned, _ *time.Time, e *Expect) { e.ArtifactSHA256 = "" }},
		"upper case":      {func(_ *[]Pinned, _ *time.Time, e *Expect) { e.ArtifactSHA256 = strings.ToUpper(e.ArtifactSHA256) }},
		"no trusted root": {func(_ *[]Pinned, _ *time.Time, e *Expect) { e.TrustedRoot = [32]byte{} }},
		"empty policy":    {func(_ *[]Pinned, _ *time.Time, e *Expect) { e.Policy = &[32]byte{} }},
		"no time":         {func(_ *[]Pinned, at *time.Time, _ *Expect) { *at = time.Time{} }},
		"timestamps":      {func(_ *[]Pinned, _ *time.Time, e *Expect) { e.MinTimestamps = -1 }},
	} {
		pinned, at, expect := w.buyer.pinned(), now, w.expect()
		c.change(&pinned, &at, &expect)
		if r, err := Open(bundle, pinned, at, expect); r != nil || !errors.Is(err, verify.ErrInput) {
			t.Errorf("%s: got %v, %v; want an error that wraps ErrInput", name, r, err)
		}
	}
}
