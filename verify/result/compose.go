package result

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// Inputs are what a verdict depends on beside what it holds itself.
type Inputs struct {
	// ArtifactSHA256 is [verify.Input.ArtifactSHA256] of the verification.
	ArtifactSHA256 string
	// TrustedRoot is [verify.Trust.Digest].
	TrustedRoot [sha256.Size]byte
	// VerifiedAt is the time that the verification judged at. It must be the
	// present: a verdict about the past or the future is not one to rely on.
	VerifiedAt time.Time
	// Lifetime is how long the verdict may be relied on, 1 s to [MaxLifetime]. A
	// statement that expires earlier shortens it.
	Lifetime time.Duration
	// VerifierID is the URI of who verified. It should change when the demands on
	// bundles change materially. [Sign] takes an empty one as [KeyVerifierID].
	VerifierID string
	// VerifierVersion is the version of the program that verified; may be empty.
	VerifierVersion string
}

// Statement is a verdict as the in-toto statement that is to be signed. Only
// [Compose] makes one.
type Statement struct {
	payload []byte
}

// Payload returns a copy of the exact bytes that are signed.
func (s *Statement) Payload() []byte { return slices.Clone(s.payload) }

// Compose writes a verdict as a statement. What the verdict holds itself (the
// statements it builds on, signers, log positions, policy, failures) is taken
// from it and nowhere else.
//
// The error is *Error with [CodeNotPassed] for a rejection in a form that
// cannot express one, or wraps [verify.ErrInput]: the inputs do not belong to
// the verdict, or the verdict contradicts itself.
func Compose(v *verify.Verdict, in Inputs, form Form) (*Statement, error) {
	if v == nil {
		return nil, fmt.Errorf("%w: no verdict to sign", verify.ErrInput)
	}
	if v.Outcome != verify.Accepted && form == SVR {
		return nil, refuse(CodeNotPassed, "ask for the form vsa, which can say FAILED",
			"the verdict is a rejection, and a simple verification result can only say what passed")
	}
	r := &Result{
		Form: form, Accepted: v.Outcome == verify.Accepted,
		ArtifactSHA256: in.ArtifactSHA256, TrustedRoot: in.TrustedRoot, VerifierID: in.VerifierID,
		VerifierVersion: in.VerifierVersion, VerifiedAt: in.VerifiedAt.UTC().Truncate(time.Second),
	}
	r.ValidUntil = r.VerifiedAt.Add(in.Lifetime.Truncate(time.Second))
	if err := r.take(v); err != nil {
		return nil, fmt.Errorf("%w: %w", verify.ErrInput, err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%w: signed verdict: %w", verify.ErrInput, err)
	}
	payload, err := r.payload()
	if err == nil {
		_, err = parse(payload) // what could not be read again is not signed
	}
	if err != nil {
		return nil, fmt.Errorf("%w: signed verdict: %w", verify.ErrInput, err)
	}
	return &Statement{payload: payload}, nil
}

// take copies what the verdict holds, and refuses one that contradicts itself:
// it is a plain struct, and what is signed here is believed elsewhere.
func (r *Result) take(v *verify.Verdict) error {
	for _, c := range v.Failures() {
		if !slices.Contains(r.FailedChecks, c.ID) {
			r.FailedChecks = append(r.FailedChecks, c.ID)
		}
	}
	if v.Policy != nil {
		r.Policy = &Policy{Name: v.Policy.Name, Version: v.Policy.Version, Digest: v.Policy.Digest}
		if len(v.Policy.Rules) == 0 && r.Accepted {
			return fmt.Errorf("accepted by policy %q, which has no rule", clip(v.Policy.Name))
		}
		for _, rule := range v.Policy.Denials() {
			r.FailedRules = append(r.FailedRules, rule.ID)
		}
	}
	for i := range v.Evidence {
		e := &v.Evidence[i]
		counts := func(b verify.BundleResult) bool { return b.Name == e.Bundle && b.Use == verify.UseCounts }
		if !slices.ContainsFunc(v.Bundles, counts) {
			continue
		}
		if err := r.rely(e); err != nil {
			return fmt.Errorf("bundle %q: %w", clip(e.Bundle), err)
		}
	}
	return nil
}

// rely pins one statement that counts.
func (r *Result) rely(e *verify.Evidence) error {
	about := func(s predicate.Subject) bool { return s.Digest["sha256"] == r.ArtifactSHA256 }
	if e.Statement == nil || !slices.ContainsFunc(e.Statement.Subjects, about) {
		return fmt.Errorf("its statement is not about sha256:%s", clip(r.ArtifactSHA256))
	}
	s := StatementPin{ID: e.StatementID, Type: e.Statement.Type, KeyID: e.KeyID, Identity: e.Signer.Identity,
		LogOrigin: e.LogOrigin, LogIndex: e.LogIndex, TreeSize: e.TreeSize}
	for _, t := range e.Timestamps {
		s.Timestamps = append(s.Timestamps, t.Time)
	}
	if copy(s.RootHash[:], e.RootHash) != sha256.Size {
		return fmt.Errorf("its root hash has %d bytes, want %d", len(e.RootHash), sha256.Size)
	}
	r.Statements = append(r.Statements, s)
	if r.ArtifactName == "" {
		r.ArtifactName = e.SubjectName
	}
	end, err := notAfter(e.Statement)
	if err != nil {
		return err
	}
	if !end.IsZero() && end.Before(r.ValidUntil) {
		r.ValidUntil = end
	}
	return nil
}

// notAfter is when a statement ends by its own words, zero if never.
func notAfter(s *predicate.Statement) (time.Time, error) {
	text := ""
	switch {
	case s.Common() != nil:
		text = s.Common().Validity.NotAfter
	case s.Assessment != nil:
		text = s.Assessment.Validity.NotAfter
	case s.Standing != nil:
		text = s.Standing.NotAfter
	default:
		return time.Time{}, nil // withdrawals and disputes do not end
	}
	return time.Parse(timeForm, text)
}
