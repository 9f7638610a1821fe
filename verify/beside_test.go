package verify_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// evidence is a statement of in-toto's types about the artifact.
func evidence(predicateType, content string) []byte {
	return []byte(`{"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "example-tool", "digest": {"sha256": "` +
		bundletest.ArtifactSHA256 + `"}}], "predicateType": "` + predicateType + `", "predicate": ` + content + `}`)
}

func trace(event string) []byte {
	return evidence(predicate.RuntimeTraceType, `{"monitor": {"type": "`+predicate.FlowSummaryMonitor+`"}, "monitoredProcess": {"event": "`+event+
		`"}, "monitorLog": {"network": [{"bytesIn": 5000000000}]}}`)
}

// TestEvidenceBeside: evidence counts beside a declaration, each piece of it, and makes nothing acceptable.
func TestEvidenceBeside(t *testing.T) {
	result := evidence(predicate.TestResultType, `{"result": "FAILED", "configuration": [], "failedTests": ["x"]}`)
	first, second := trace("first"), trace("second")
	other := []byte(strings.Replace(string(first), predicate.FlowSummaryMonitor, "https://other.example/monitor", 1))
	for name, c := range map[string]struct {
		payloads [][]byte
		counts   int
		reason   verify.CheckID
	}{
		"a declaration and all of it": {[][]byte{flows(t, 1), first, second, result}, 4, ""},
		"in another order":            {[][]byte{result, first, flows(t, 1)}, 3, ""},
		"nothing else":                {[][]byte{first, result}, 2, verify.CheckRequiredTypes},
		"another monitor":             {[][]byte{flows(t, 1), other}, 1, verify.CheckStatementFormat},
	} {
		t.Run(name, func(t *testing.T) {
			w := bundletest.NewWorld(t)
			var bundles [][]byte
			for _, p := range c.payloads {
				bundles = append(bundles, w.IssueJSON(t, bundletest.Spec{Payload: p}))
			}
			in := input(w, bundles...)
			verdict := verdictOf(t, newVerifier(t, w.TrustedRoot()), in)
			var reason verify.CheckID
			if f := verdict.Failures(); len(f) > 0 {
				reason = f[0].ID
			}
			if reason != c.reason || len(verdict.Evidence) != c.counts || (verdict.Outcome == verify.Accepted) != (c.reason == "") {
				t.Errorf("%s for %q with %d that count, want %q with %d", verdict.Outcome, reason, len(verdict.Evidence), c.reason, c.counts)
			}
			for _, b := range bundles { // unmodified clients take every bundle
				if err := plainSigstore(b, sigstoreMaterial(t, w.TrustedRoot(), in.Signers[0].Key.PublicKey)); err != nil {
					t.Errorf("sigstore-go refuses: %v", err)
				}
			}
		})
	}
}

// TestEvidenceIsNotRequired: nobody can make a verdict depend on evidence alone, and who may sign other types only may not sign it.
func TestEvidenceIsNotRequired(t *testing.T) {
	w := bundletest.NewWorld(t)
	in := input(w, w.IssueJSON(t, bundletest.Spec{Payload: flows(t, 1)}), w.IssueJSON(t, bundletest.Spec{Payload: trace("first")}))
	v := newVerifier(t, w.TrustedRoot())
	in.RequiredTypes = []string{predicate.RuntimeTraceType}
	if _, err := v.Verify(t.Context(), in); !errors.Is(err, verify.ErrInput) || !strings.Contains(err.Error(), "required predicate type") {
		t.Errorf("got %v", err)
	}
	in.RequiredTypes = []string{predicate.NoBackdoorType}
	if f := verdictOf(t, v, in).Failures(); len(f) != 1 || f[0].ID != verify.CheckRequiredTypes {
		t.Errorf("got %v", f)
	}
	in.RequiredTypes = nil
	in.Signers[0].Types = []string{predicate.DataFlowsType}
	if f := verdictOf(t, v, in).Failures(); len(f) == 0 || f[0].ID != verify.CheckPredicateType {
		t.Errorf("got %v", f)
	}
}
