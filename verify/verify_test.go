package verify_test

import (
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// clock is the time of verification: a day after the statements were issued.
func clock() time.Time { return bundletest.Epoch.Add(24 * time.Hour) }

// newVerifier makes a verifier over a trusted root with the test clock.
func newVerifier(tb testing.TB, trustedRoot []byte) *verify.Verifier {
	tb.Helper()
	trust, err := verify.ParseTrust(trustedRoot)
	if err != nil {
		tb.Fatal(err)
	}
	v, err := verify.New(verify.Config{Trust: trust, Clock: clock})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// pinned requires the world's vendor key.
func pinned(w *bundletest.World) []verify.Signer {
	return []verify.Signer{{Name: "vendor", Key: &verify.Key{PublicKey: &w.Vendor.PublicKey}}}
}

// input asks about the artifact of bundletest.
func input(w *bundletest.World, bundles ...[]byte) verify.Input {
	in := verify.Input{ArtifactSHA256: bundletest.ArtifactSHA256, Signers: pinned(w)}
	for _, b := range bundles {
		in.Bundles = append(in.Bundles, verify.NamedBundle{Data: b})
	}
	return in
}

func verdictOf(tb testing.TB, v *verify.Verifier, in verify.Input) *verify.Verdict {
	tb.Helper()
	verdict, err := v.Verify(tb.Context(), in)
	if err != nil {
		tb.Fatal(err)
	}
	return verdict
}

func TestAccepted(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := newVerifier(t, w.TrustedRoot())
	in := input(w,
		w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor"), After: 3}),
		w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")}),
	)
	in.RequiredTypes = []string{predicate.NoBackdoorType, predicate.DataFlowsType}
	verdict := verdictOf(t, v, in)
	if verdict.Outcome != verify.Accepted {
		t.Fatalf("outcome %s, want accepted; failures: %v", verdict.Outcome, verdict.Failures())
	}
}
