package policy

import (
	"slices"
	"strconv"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// UnverifiedFacts are facts for tests and [Lint], as if the statements had been
// verified and everything around them met the policy: each is signed by whom the
// policy pins for it, when it says it was issued, with as many timestamps and
// witnesses as are asked for. Of two declarations of one type, and of nothing else, the last counts.
//
// Nothing is verified: no verdict may be built on them.
func (p *Policy) UnverifiedFacts(at time.Time, statements ...*predicate.Statement) verify.Facts {
	f := verify.Facts{At: at}
	for i, s := range statements {
		e := verify.Evidence{Bundle: "unverified", Statement: s, StatementID: s.ID(), LogIndex: uint64(i), TreeSize: uint64(len(statements)),
			SignedBy: issued(s, at)}
		for j := range max(p.timestamps, 1) {
			e.Timestamps = append(e.Timestamps, verify.Timestamp{Time: e.SignedBy, Authority: "unverified:" + strconv.Itoa(j+1)})
		}
		for j := range p.witnesses {
			name := "unverified:" + strconv.Itoa(j+1)
			e.Cosignatures, e.WitnessedBy = append(e.Cosignatures, verify.Cosignature{Name: name, KeyID: name, Time: e.SignedBy}), e.SignedBy
		}
		e.Signer, e.KeyID = p.signerOf(s)
		if len(s.Subjects) > 0 {
			e.SubjectName = s.Subjects[0].Name
			f.ArtifactSHA256 = s.Subjects[0].Digest["sha256"]
		}
		if slices.Contains(declarationTypes(), s.Type) {
			f.Evidence = slices.DeleteFunc(f.Evidence, func(o verify.Evidence) bool { return o.Statement.Type == s.Type })
		}
		f.Evidence = append(f.Evidence, e)
	}
	return f
}

// signerOf is whom the policy pins for a statement, or somebody whom nobody pins.
func (p *Policy) signerOf(s *predicate.Statement) (verify.Signer, string) {
	candidates, types := p.vendors, vendorTypes()
	switch {
	case s.Standing != nil:
		candidates, types = p.standing, []string{standingType}
	case s.Assessment != nil:
		candidates, types = p.assessors, []string{assessmentType}
	}
	common := s.Common()
	for _, v := range candidates {
		if common != nil && !v.makes(common.Product) {
			continue
		}
		if len(v.keys) > 0 {
			return v.signers(types)[0], v.keys[0].id
		}
		return v.signers(types)[0], ""
	}
	name := "unverified"
	if common != nil {
		name = common.Declarant.Party.Name
	}
	return verify.Signer{Name: name, Key: &verify.Key{}, Types: types}, "unverified"
}

// issued is when a statement says that it was made.
func issued(s *predicate.Statement, otherwise time.Time) time.Time {
	text := ""
	switch {
	case s.Common() != nil:
		text = s.Common().Validity.IssuedAt
	case s.Assessment != nil:
		text = s.Assessment.Validity.IssuedAt
	case s.Standing != nil:
		text = s.Standing.CheckedAt
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t
	}
	return otherwise
}
