package command

import (
	"encoding/hex"
	"time"

	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/result"
)

// verdictUse is the JSON of an answer by a signed verdict. It is not the API's Verdict message: that lists checks
// that were run, and here none of them was. A reader that knows only that message finds no OUTCOME_ACCEPTED.
type verdictUse struct {
	Basis             string       `json:"basis"`   // signed-verdict
	Outcome           string       `json:"outcome"` // accepted or rejected
	Reason            result.Code  `json:"reason,omitempty"`
	Detail            string       `json:"detail,omitempty"`
	Hint              string       `json:"hint,omitempty"`
	ArtifactSHA256    string       `json:"artifactSha256"`
	TrustedRootSHA256 string       `json:"trustedRootSha256"`
	EvaluatedAt       time.Time    `json:"evaluatedAt"`
	Verdict           *verdictJSON `json:"verdict,omitempty"` // only if accepted
}

type verdictJSON struct {
	ID              string                 `json:"id"`
	PredicateType   string                 `json:"predicateType"`
	VerifierID      string                 `json:"verifierId"`
	VerifierVersion string                 `json:"verifierVersion,omitempty"`
	KeyID           string                 `json:"keyId"`
	VerifiedAt      time.Time              `json:"verifiedAt"`
	ValidUntil      time.Time              `json:"validUntil"`
	Policy          *verdictPolicyJSON     `json:"policy,omitempty"`
	Statements      []verdictStatementJSON `json:"statements"`
}

type verdictPolicyJSON struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	DigestSHA256 string `json:"digestSha256"`
}

type verdictStatementJSON struct {
	StatementID   string `json:"statementId"`
	PredicateType string `json:"predicateType"`
	KeyID         string `json:"keyId"`
	// SubjectAlternativeName and Issuer are set where a certificate vouched for the key.
	SubjectAlternativeName string `json:"subjectAlternativeName,omitempty"`
	Issuer                 string `json:"issuer,omitempty"`
	LogOrigin              string `json:"logOrigin"`
	LogIndex               uint64 `json:"logIndex"`
	TreeSize               uint64 `json:"treeSize"`
}

func newVerdictUse(e result.Expect, now time.Time) verdictUse {
	return verdictUse{Basis: "signed-verdict", Outcome: verify.Rejected.String(), ArtifactSHA256: e.ArtifactSHA256,
		TrustedRootSHA256: hex.EncodeToString(e.TrustedRoot[:]), EvaluatedAt: now.UTC()}
}

func (u verdictUse) refused(e *result.Error) verdictUse {
	u.Reason, u.Detail, u.Hint = e.Code, e.Detail, e.Hint
	return u
}

func (u verdictUse) accepted(r *result.Result) verdictUse {
	u.Outcome = verify.Accepted.String()
	u.Verdict = &verdictJSON{ID: r.ID, PredicateType: r.Form.PredicateType(), VerifierID: r.VerifierID,
		VerifierVersion: r.VerifierVersion, KeyID: r.KeyID, VerifiedAt: r.VerifiedAt, ValidUntil: r.ValidUntil}
	if p := r.Policy; p != nil {
		u.Verdict.Policy = &verdictPolicyJSON{Name: p.Name, Version: p.Version, DigestSHA256: hex.EncodeToString(p.Digest[:])}
	}
	for _, s := range r.Statements {
		statement := verdictStatementJSON{StatementID: s.ID, PredicateType: s.Type, KeyID: s.KeyID,
			LogOrigin: s.LogOrigin, LogIndex: s.LogIndex, TreeSize: s.TreeSize}
		if s.Identity != nil {
			statement.SubjectAlternativeName, statement.Issuer = s.Identity.SAN, s.Identity.Issuer
		}
		u.Verdict.Statements = append(u.Verdict.Statements, statement)
	}
	return u
}
