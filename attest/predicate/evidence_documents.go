package predicate

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// MaxEvidenceBytes is the largest evidence document that
// [Statement.CheckEvidence] reads; larger ones are not judged.
const MaxEvidenceBytes = 8 << 20

// CheckEvidence applies the half of R16 that needs the evidence itself:
// provenance or a rebuild that NB-SOURCE relies on is over a subject's digest.
// Documents are the files at hand, in any order: in-toto statements as they
// are, or in a DSSE envelope. They are matched by SHA-256; one that the
// statement does not name is ignored, evidence that is not at hand is not
// judged. Signatures of documents are not verified here.
func (s *Statement) CheckEvidence(documents [][]byte) Findings {
	nb := s.NoBackdoor
	if nb == nil {
		return nil
	}
	atHand := make(map[string][]byte, len(documents))
	for _, d := range documents {
		sum := sha256.Sum256(d)
		atHand[hex.EncodeToString(sum[:])] = d
	}
	var findings Findings
	for _, claim := range nb.Claims {
		if claim.ID != ClaimSource {
			continue
		}
		for _, i := range nb.sourceEvidence(claim) {
			resource := nb.Evidence[i].Resource
			if resource == nil {
				continue // R32
			}
			document, ok := atHand[resource.Digest["sha256"]]
			if !ok {
				continue
			}
			if problem := s.notOver(document); problem != "" {
				findings = append(findings, Finding{Code: "R16", Severity: SeverityError,
					Pointer: pointer("predicate", "evidence", i), Found: printable(nb.Evidence[i].ID), Message: problem,
					Hint: "name the provenance, or the rebuild, of the files in subject"})
			}
		}
	}
	return findings.sort()
}

// notOver says why a document is not an in-toto statement over a subject, or "".
func (s *Statement) notOver(document []byte) string {
	// Provenance is somebody else's document: any number and null may be in it.
	limits := JSONLimits{MaxBytes: MaxEvidenceBytes, MaxDepth: MaxBundleDepth, MaxValues: 50 * MaxValues,
		AnyNumber: true, AllowNull: true}
	root, _, err := parseJSON(document, limits)
	if err != nil {
		return "evidence is not strict JSON: " + err.Message
	}
	if payload := root.member("payload"); payload != nil && payload.kind == kindString {
		inner, decodeErr := base64.StdEncoding.DecodeString(payload.text)
		if decodeErr != nil {
			return "payload of the evidence's envelope is not base64"
		}
		if root, _, err = parseJSON(inner, limits); err != nil {
			return "payload of the evidence's envelope is not strict JSON: " + err.Message
		}
	}
	subjects := root.member("subject")
	if subjects == nil || subjects.kind != kindArray {
		return "evidence is not an in-toto statement"
	}
	for i := range subjects.children {
		digest := subjects.children[i].member("digest")
		if digest == nil {
			continue
		}
		if sum := digest.member("sha256"); sum != nil && sum.text != "" && subjectDigests(s)[sum.text] {
			return ""
		}
	}
	return "evidence is not over a subject of the statement"
}
