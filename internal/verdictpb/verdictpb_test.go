package verdictpb

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// full returns a verdict in which every field is set.
func full(t *testing.T) *verify.Verdict {
	t.Helper()
	key, err := attest.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	id, err := attest.KeyID(key.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return &verify.Verdict{
		Outcome: verify.Accepted,
		Checks: []verify.Check{{ID: verify.CheckSignature, Status: verify.StatusPass, Bundle: "b", Expected: "e", Got: "g",
			Detail: "d",
			Hint:   "h"}},
		Bundles: []verify.BundleResult{{Name: "b", Outcome: verify.Accepted, Reason: "r",
			Use: verify.UseSuperseded, SupersededBy: "c"}},
		Policy: &verify.PolicyResult{Name: "n", Version: "1", Digest: [32]byte{3}, Rules: []verify.RuleResult{{ID: "i",
			Description: "d", Severity: verify.SeverityWarn, Passed: true, Message: "m", Failing: []string{"f"}, Error: "e"}}},
		Evidence: []verify.Evidence{{
			Bundle: "b", StatementID: "sha256:00", Statement: &predicate.Statement{Type: predicate.DataFlowsType},
			Warnings: predicate.Findings{{Code: "W01", Severity: predicate.SeverityWarning, Pointer: "/p", Found: "f",
				Message: "m", Hint: "h"}},
			Signer: verify.Signer{Name: "vendor", Key: &verify.Key{PublicKey: key.PublicKey()}}, KeyID: id, PAEDigest: [32]byte{1},
			LogOrigin: "log.example.test", LogID: []byte{1}, LogIndex: 7, TreeSize: 8, RootHash: []byte{2},
			Timestamps: []verify.Timestamp{{Time: now, Authority: "https://tsa.example.test"}}, SignedBy: now, SubjectName: "app",
			Cosignatures: []verify.Cosignature{{Name: "witness.example.test", KeyID: "sha256:01", Time: now}}, WitnessedBy: now,
			Standing: &verify.StandingResult{Standing: verify.StandingInForce, Reason: "NOTHING_SAID", Detail: "d", AsOf: now, Witnessed: true, TreeSize: 8,
				Items: []string{"F1"}, Said: []verify.SaidStatement{{StatementID: "sha256:01", Statement: &predicate.Statement{Type: predicate.DisputeType},
					LogIndex: 9, Signer: "sha256:02", Own: true, SignedBy: now}}},
		}},
	}
}

// TestNothingIsDropped: every field of a full verdict arrives. Statement bytes are empty because the statement was
// not parsed.
func TestNothingIsDropped(t *testing.T) {
	trust := &verify.Trust{}
	got := New(full(t), Question{ArtifactSHA256: "ab", Trust: trust, At: time.Unix(1, 0)})
	unset := map[string]bool{
		".evidence.statement":               true, // was not parsed
		".evidence.standing.said.statement": true,
		".evidence.signer.certificate":      true, // the signer is a key
	}
	var walk func(path string, m protoreflect.Message)
	walk = func(path string, m protoreflect.Message) {
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			name := path + "." + string(f.Name())
			if !m.Has(f) {
				if !unset[name] {
					t.Errorf("%s is not set", name)
				}
				continue
			}
			switch {
			case f.IsList() && f.Message() != nil:
				walk(name, m.Get(f).List().Get(0).Message())
			case f.Message() != nil && f.Message().ParentFile().Package() == "avow.v1":
				walk(name, m.Get(f).Message())
			}
		}
	}
	walk("", got.ProtoReflect())
}

// TestUnknownIsNeverGood: whatever the enumerations will hold one day, only the two good values become good ones.
func TestUnknownIsNeverGood(t *testing.T) {
	for i := -1; i < 10; i++ {
		if got := outcome(verify.Outcome(i)); (got == avowv1.Outcome_OUTCOME_ACCEPTED) != (verify.Outcome(i) == verify.Accepted) {
			t.Errorf("outcome %d becomes %v", i, got)
		}
		if got := status(verify.Status(i)); (got == avowv1.CheckStatus_CHECK_STATUS_PASS) != (verify.Status(i) == verify.StatusPass) {
			t.Errorf("status %d becomes %v", i, got)
		}
		if got := standing(verify.Standing(i)); (got == avowv1.Standing_STANDING_IN_FORCE) != (verify.Standing(i) == verify.StandingInForce) ||
			got.String() == avowv1.Standing_STANDING_UNSPECIFIED.String() {
			t.Errorf("standing %d becomes %v", i, got)
		}
	}
	if got := New(&verify.Verdict{}, Question{}); got.GetOutcome() != avowv1.Outcome_OUTCOME_REJECTED ||
		got.GetEvaluatedAt() != nil {
		t.Errorf("the zero verdict becomes %v", got)
	}
}

// TestFieldsOfVerify fails when verify gets a field that nobody thought of here.
func TestFieldsOfVerify(t *testing.T) {
	for _, c := range []struct {
		value any
		want  int
		msg   proto.Message
	}{
		// what it established besides: a message establishes nothing
		{verify.Verdict{}, 6, &avowv1.Verdict{}},
		{verify.Check{}, 7, &avowv1.Check{}},
		{verify.BundleResult{}, 5, &avowv1.BundleResult{}},
		{verify.PolicyResult{}, 4, &avowv1.PolicyResult{}},
		{verify.RuleResult{}, 7, &avowv1.RuleResult{}},
		{verify.Evidence{}, 18, &avowv1.Evidence{}},
		// besides those of the message: what NotAfter and OpenDisputes compute from it and the caller's options, and Cosignatures
		{verify.StandingResult{}, 11, &avowv1.StandingResult{}},
		// Identity besides
		{verify.SaidStatement{}, 7, &avowv1.SaidStatement{}},
		{verify.Timestamp{}, 2, &avowv1.SignedTimestamp{}},
		{verify.Cosignature{}, 3, &avowv1.Cosignature{}},
		{predicate.Finding{}, 6, &avowv1.Finding{}},
	} {
		if got := reflect.TypeOf(c.value).NumField(); got != c.want {
			t.Errorf("%T has %d fields, this package converts %d to %s", c.value, got, c.want,
				c.msg.ProtoReflect().Descriptor().Name())
		}
	}
}
