package result

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// now is the time of verification: after the timestamps of bundletest's bundles.
var now = bundletest.Epoch.Add(time.Minute)

const buyerID = "https://buyer.example/verifier/v1"

// buyer signs verdicts.
type buyer struct{ private *ecdsa.PrivateKey }

func newBuyer(tb testing.TB) buyer { return buyer{bundletest.NewKey(tb)} }

func (b buyer) PublicKey() *ecdsa.PublicKey { return &b.private.PublicKey }

func (b buyer) SignDigest(_ context.Context, digest [32]byte) ([]byte, error) {
	return ecdsa.SignASN1(rand.Reader, b.private, digest[:])
}

func (b buyer) pinned() []Pinned { return []Pinned{{Key: b.PublicKey(), ID: buyerID}} }

// rules is a policy of fixed answers.
type rules struct{ result verify.PolicyResult }

func (p rules) Judge(context.Context, verify.Facts) (*verify.PolicyResult, error) {
	return &p.result, nil
}

func policyOf(name string, passes bool) rules {
	return rules{verify.PolicyResult{Name: name, Version: "3", Digest: sha256.Sum256([]byte(name)),
		Rules: []verify.RuleResult{{ID: "no-exports", Passed: passes, Message: "data leaves the EU"}}}}
}

// world is a vendor's bundles with who judges them, and how.
type world struct {
	*bundletest.World
	tb     testing.TB
	buyer  buyer
	trust  *verify.Trust
	input  verify.Input
	inputs Inputs
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{World: bundletest.NewWorld(tb), tb: tb, buyer: newBuyer(tb)}
	var err error
	if w.trust, err = verify.ParseTrust(w.TrustedRoot()); err != nil {
		tb.Fatal(err)
	}
	w.input = verify.Input{ArtifactSHA256: bundletest.ArtifactSHA256,
		Signers: []verify.Signer{{Name: "vendor", Key: &verify.Key{PublicKey: &w.Vendor.PublicKey}}}}
	for _, name := range []string{"no-backdoor", "data-flows"} {
		w.input.Bundles = append(w.input.Bundles, verify.NamedBundle{Name: name,
			Data: w.IssueJSON(tb, bundletest.Spec{Payload: bundletest.Statement(tb, name)})})
	}
	w.inputs = Inputs{ArtifactSHA256: bundletest.ArtifactSHA256, TrustedRoot: w.trust.Digest(), VerifiedAt: now,
		Lifetime: 24 * time.Hour, VerifierID: buyerID, VerifierVersion: "1.2.3"}
	return w
}

// verdict judges the input at the time of the inputs.
func (w *world) verdict() *verify.Verdict {
	w.tb.Helper()
	v, err := verify.New(verify.Config{Trust: w.trust, Clock: func() time.Time { return w.inputs.VerifiedAt }})
	if err != nil {
		w.tb.Fatal(err)
	}
	verdict, err := v.Verify(w.tb.Context(), w.input)
	if err != nil {
		w.tb.Fatal(err)
	}
	return verdict
}

// sign judges the input and signs the answer.
func (w *world) sign(form Form) []byte {
	w.tb.Helper()
	bundle, err := Sign(w.tb.Context(), w.verdict(), w.inputs, form, w.buyer)
	if err != nil {
		w.tb.Fatal(err)
	}
	return bundle
}

// expect is what the buyer's other machine would judge by: the same.
func (w *world) expect() Expect {
	return Expect{ArtifactSHA256: bundletest.ArtifactSHA256, TrustedRoot: w.trust.Digest(), Signers: w.input.Signers}
}

// open returns "accepted" or the code of the refusal.
func (w *world) open(bundle []byte, expect Expect) string {
	w.tb.Helper()
	return outcome(w.tb, bundle, w.buyer.pinned(), now, expect)
}

func outcome(tb testing.TB, bundle []byte, pinned []Pinned, at time.Time, expect Expect) string {
	tb.Helper()
	r, err := Open(bundle, pinned, at, expect)
	var refusal *Error
	switch {
	case err == nil && r != nil && r.Accepted:
		return "accepted"
	case !errors.As(err, &refusal) || r != nil:
		tb.Fatalf("got result %v, error %v; want a result, or an *Error alone", r, err)
	case refusal.Detail == "" || refusal.Hint == "":
		tb.Errorf("%s without detail or hint: %+v", refusal.Code, refusal)
	}
	return string(refusal.Code)
}

// payload takes the statement out of a bundle.
func payload(tb testing.TB, bundle []byte) []byte {
	tb.Helper()
	b, err := parseBundle(bundle)
	if err != nil {
		tb.Fatal(err)
	}
	return b.Envelope.Payload
}

// resign makes a bundle with the pinned key over any payload: what is refused
// then is not refused for its signature.
func (b buyer) resign(tb testing.TB, payload []byte) []byte {
	tb.Helper()
	digest := paeDigest(payload)
	sig, err := b.SignDigest(tb.Context(), digest)
	if err != nil {
		tb.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `{"mediaType":"%s","verificationMaterial":{"publicKey":{"hint":"%s"}},"dsseEnvelope":{"payload":"%s",`+
		`"payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"%s"}]}}`,
		verify.BundleMediaType, bundletest.Hint(tb, b.PublicKey()), encode(payload), encode(sig))
}

// replace changes text that has to be there once.
func replace(tb testing.TB, data []byte, from, to string) []byte {
	tb.Helper()
	if n := bytes.Count(data, []byte(from)); n != 1 {
		tb.Fatalf("%q is there %d times in %s", from, n, data)
	}
	return bytes.Replace(data, []byte(from), []byte(to), 1)
}

// indented is the same JSON with other white space.
func indented(tb testing.TB, data []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}
