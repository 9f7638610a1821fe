package verdictpb

import (
	"encoding/hex"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// Question is what was asked, as far as the answer repeats it.
type Question struct {
	// ArtifactSHA256 is verify.Input.ArtifactSHA256.
	ArtifactSHA256 string
	// Trust is the trusted root that the verifier was made with.
	Trust *verify.Trust
	// At is the time that validity was judged at.
	At time.Time
}

// New returns the message. v must not be nil.
func New(v *verify.Verdict, q Question) *avowv1.Verdict {
	out := &avowv1.Verdict{Outcome: outcome(v.Outcome), ArtifactSha256: q.ArtifactSHA256, EvaluatedAt: timestamp(q.At)}
	if q.Trust != nil {
		digest := q.Trust.Digest()
		out.TrustedRootSha256 = hex.EncodeToString(digest[:])
	}
	for _, c := range v.Checks {
		out.Checks = append(out.Checks, &avowv1.Check{Id: string(c.ID), Status: status(c.Status), Bundle: c.Bundle,
			Expected: c.Expected, Got: c.Got, Detail: c.Detail, Hint: c.Hint})
	}
	for _, b := range v.Bundles {
		out.Bundles = append(out.Bundles, &avowv1.BundleResult{Name: b.Name, Outcome: outcome(b.Outcome),
			Reason: string(b.Reason), Use: use(b.Use), SupersededBy: b.SupersededBy})
	}
	for i := range v.Evidence {
		out.Evidence = append(out.Evidence, evidence(&v.Evidence[i]))
	}
	if v.Policy != nil {
		out.Policy = policy(v.Policy)
	}
	return out
}

func policy(p *verify.PolicyResult) *avowv1.PolicyResult {
	out := &avowv1.PolicyResult{Name: p.Name, Version: p.Version, DigestSha256: hex.EncodeToString(p.Digest[:])}
	for i := range p.Rules {
		r := &p.Rules[i]
		severity := avowv1.RuleSeverity_RULE_SEVERITY_DENY // also for a severity that is not known here
		if r.Severity == verify.SeverityWarn {
			severity = avowv1.RuleSeverity_RULE_SEVERITY_WARN
		}
		out.Rules = append(out.Rules, &avowv1.RuleResult{Id: r.ID, Description: r.Description, Severity: severity,
			Passed: r.Passed, Message: r.Message, Failing: r.Failing, Error: r.Error})
	}
	return out
}

func evidence(e *verify.Evidence) *avowv1.Evidence {
	out := &avowv1.Evidence{
		Bundle: e.Bundle, StatementId: e.StatementID, KeyId: e.KeyID, PaeDigest: e.PAEDigest[:],
		LogOrigin: e.LogOrigin, LogId: e.LogID, LogIndex: e.LogIndex, TreeSize: e.TreeSize, RootHash: e.RootHash,
		SignedBy: timestamp(e.SignedBy), SubjectName: e.SubjectName, Signer: signer(&e.Signer,
			e.KeyID), Warnings: Findings(e.Warnings),
		WitnessedBy: timestamp(e.WitnessedBy),
	}
	if e.Standing != nil {
		out.Standing = Standing(e.Standing)
	}
	if p := e.LogPledge; p != nil {
		out.LogPledge = &avowv1.LogPledge{StatementId: p.StatementID, Logs: p.Logs, Kept: p.Kept}
	}
	if e.Statement != nil {
		out.PredicateType, out.Statement = e.Statement.Type, e.Statement.Payload()
	}
	for _, t := range e.Timestamps {
		out.Timestamps = append(out.Timestamps, &avowv1.SignedTimestamp{Time: timestamp(t.Time), Authority: t.Authority})
	}
	for _, c := range e.Cosignatures {
		out.Cosignatures = append(out.Cosignatures, &avowv1.Cosignature{Name: c.Name, KeyId: c.KeyID, Time: timestamp(c.Time)})
	}
	return out
}

// Standing returns the message for how a statement stands. r must not be nil.
func Standing(r *verify.StandingResult) *avowv1.StandingResult {
	out := &avowv1.StandingResult{Standing: standing(r.Standing), Reason: string(r.Reason), Detail: r.Detail, AsOf: timestamp(r.AsOf),
		Witnessed: r.Witnessed, TreeSize: r.TreeSize, WithdrawnItems: r.Items}
	for i := range r.Said {
		s := &r.Said[i]
		said := &avowv1.SaidStatement{StatementId: s.StatementID, LogIndex: s.LogIndex, KeyId: s.Signer, Own: s.Own, SignedBy: timestamp(s.SignedBy)}
		if s.Statement != nil {
			said.PredicateType, said.Statement = s.Statement.Type, s.Statement.Payload()
		}
		out.Said = append(out.Said, said)
	}
	return out
}

func standing(s verify.Standing) avowv1.Standing {
	switch s {
	case verify.StandingInForce:
		return avowv1.Standing_STANDING_IN_FORCE
	case verify.StandingWithdrawn:
		return avowv1.Standing_STANDING_WITHDRAWN
	case verify.StandingPartlyWithdrawn:
		return avowv1.Standing_STANDING_PARTLY_WITHDRAWN
	case verify.StandingSuperseded:
		return avowv1.Standing_STANDING_SUPERSEDED
	case verify.StandingExpired:
		return avowv1.Standing_STANDING_EXPIRED
	case verify.StandingStale:
		return avowv1.Standing_STANDING_STALE
	default:
		return avowv1.Standing_STANDING_UNKNOWN // also for one that is not known here
	}
}

func signer(s *verify.Signer, keyID string) *avowv1.Signer {
	out := &avowv1.Signer{Name: s.Name}
	switch {
	case s.Key != nil:
		if id, err := attest.KeyID(s.Key.PublicKey); err == nil {
			keyID = id
		}
		out.Identity = &avowv1.Signer_KeyId{KeyId: keyID}
	case s.Identity != nil:
		out.Identity = &avowv1.Signer_Certificate{Certificate: &avowv1.CertificateIdentity{
			SubjectAlternativeName: s.Identity.SAN, Issuer: s.Identity.Issuer}}
	}
	return out
}

// Findings returns the messages for findings of the issuance rules.
func Findings(findings predicate.Findings) []*avowv1.Finding {
	var out []*avowv1.Finding
	for _, f := range findings {
		severity := avowv1.Severity_SEVERITY_ERROR // also for a severity that is not known here
		if f.Severity == predicate.SeverityWarning {
			severity = avowv1.Severity_SEVERITY_WARNING
		}
		out = append(out, &avowv1.Finding{Code: f.Code, Severity: severity, Pointer: f.Pointer, Found: f.Found,
			Message: f.Message,
			Hint:    f.Hint})
	}
	return out
}

func outcome(o verify.Outcome) avowv1.Outcome {
	switch o {
	case verify.Accepted:
		return avowv1.Outcome_OUTCOME_ACCEPTED
	case verify.Rejected:
		return avowv1.Outcome_OUTCOME_REJECTED
	default:
		return avowv1.Outcome_OUTCOME_UNSPECIFIED
	}
}

func use(u verify.Use) avowv1.BundleUse {
	switch u {
	case verify.UseCounts:
		return avowv1.BundleUse_BUNDLE_USE_COUNTS
	case verify.UseSuperseded:
		return avowv1.BundleUse_BUNDLE_USE_SUPERSEDED
	case verify.UseNotInForce:
		return avowv1.BundleUse_BUNDLE_USE_NOT_IN_FORCE
	default:
		return avowv1.BundleUse_BUNDLE_USE_UNSPECIFIED
	}
}

func status(s verify.Status) avowv1.CheckStatus {
	switch s {
	case verify.StatusPass:
		return avowv1.CheckStatus_CHECK_STATUS_PASS
	case verify.StatusFail:
		return avowv1.CheckStatus_CHECK_STATUS_FAIL
	case verify.StatusWarning:
		return avowv1.CheckStatus_CHECK_STATUS_WARNING
	case verify.StatusSkipped:
		return avowv1.CheckStatus_CHECK_STATUS_SKIPPED
	default:
		return avowv1.CheckStatus_CHECK_STATUS_UNSPECIFIED
	}
}

// timestamp returns nil for the zero time: absent, and not the year 1.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
