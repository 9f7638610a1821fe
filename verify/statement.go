package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

// declarations are the types that a vendor makes about a release. The other
// types speak about statements; a buyer who wants one judged has to name it, so
// that a withdrawal can never be what makes an input acceptable. Evidence
// (predicate.EvidenceTypes) may stand beside a declaration, cannot be required,
// and makes nothing acceptable either.
var declarations = []string{predicate.NoBackdoorType, predicate.DataFlowsType, predicate.UndertakingsType}

// checkStatementFormat parses the exact signed bytes, once and strictly. It runs
// before sigstore-go, which would parse them with two laxer parsers.
func (r *run) checkStatementFormat() Check {
	if r.statement = r.knownStatement(); r.statement != nil {
		return pass("%s", r.statement.Type)
	}
	s, err := predicate.Parse(r.bundle.payload, predicate.Consumption)
	if err != nil {
		return fail("a statement of avow's types", "", err.Error(),
			"the vendor's tool wrote a statement that two readers could take differently")
	}
	r.statement = s
	return pass("%s", s.Type)
}

// knownStatement returns the caller's parse of exactly the signed bytes, if it has one.
func (r *run) knownStatement() *predicate.Statement {
	if len(r.known) == 0 {
		return nil
	}
	sum := sha256.Sum256(r.bundle.payload)
	id := "sha256:" + hex.EncodeToString(sum[:])
	for _, s := range r.known {
		if s != nil && s.ID() == id {
			return s
		}
	}
	return nil
}

// checkSubject compares the artifact with the subjects by sha256 alone; names
// are for people.
func (r *run) checkSubject() Check {
	for _, s := range r.statement.Subjects {
		if s.Digest["sha256"] == r.req.artifact {
			r.subject, r.subjectFound = s.Name, true
			return pass("%s is subject %q", "sha256:"+r.req.artifact, s.Name)
		}
	}
	return fail("a subject with sha256:"+r.req.artifact, r.subjectList(),
		"the statement is about other files than this artifact",
		"the artifact was changed, or the bundle belongs to another release")
}

func (r *run) subjectList() string {
	const most = 3
	var list []string
	for i, s := range r.statement.Subjects {
		if i == most {
			list = append(list, fmt.Sprintf("%d more", len(r.statement.Subjects)-most))
			break
		}
		list = append(list, clip(s.Name)+" sha256:"+clip(s.Digest["sha256"]))
	}
	return strings.Join(list, ", ")
}

func (r *run) checkPredicateType() Check {
	named := false // by a signer that is there for this type
	for _, s := range r.signers {
		if len(s.Types) == 0 || slices.Contains(s.Types, r.statement.Type) {
			r.signer, named = s, len(s.Types) > 0
			break
		}
		r.signer = nil
	}
	if r.signer == nil {
		r.signer = r.signers[0]
		return fail("a statement of type "+strings.Join(r.signer.Types, " or "), r.statement.Type,
			"the signer may not make statements of this type", "get the statement from the party that may make it")
	}
	if !named && !slices.Contains(slices.Concat(declarations, predicate.EvidenceTypes(), r.req.required), r.statement.Type) {
		return fail("a declaration, evidence or a required type", r.statement.Type,
			"a statement of this type says nothing about the artifact by itself",
			"leave the bundle out, or require its type")
	}
	return pass("%s", r.statement.Type)
}

// checkStatementRules applies the issuance rules again. The log's operator is
// not trusted to have applied them.
func (r *run) checkStatementRules() Check {
	findings := r.statement.Check(r.v.tables)
	if err := findings.Err(); err != nil {
		return fail("no broken rule", strings.Join(findings.Errors().Codes(), ", "), err.Error(),
			"the vendor has to correct the statement and issue it again")
	}
	r.warnings = findings.Warnings()
	if len(r.warnings) > 0 {
		c := pass("%s: %s", counted(len(r.warnings), "warning", "warnings"), strings.Join(r.warnings.Codes(), ", "))
		c.Status = StatusWarning
		return c
	}
	return pass("no broken rule")
}

func (r *run) checkValidity() Check {
	if r.statement.IsEvidence() {
		return pass("evidence has no period of validity")
	}
	if ok, why := r.statement.InForce(r.req.at); !ok {
		return fail("a statement in force at "+r.req.at.UTC().Format(time.RFC3339), "", why,
			"ask the vendor for a current statement")
	}
	return pass("in force at %s", r.req.at.UTC().Format(time.RFC3339))
}

// checkInput runs the checks of the whole input over the evidence of the
// accepted bundles.
func checkInput(req *request, evidence []Evidence) []Check {
	given := pass("%d of %s accepted", len(evidence), counted(len(req.bundles), "bundle", "bundles"))
	if len(evidence) == 0 {
		given = fail("at least one accepted bundle", fmt.Sprintf("%d given, none accepted", len(req.bundles)),
			"nothing speaks for the artifact, and silence is not consent", "get the vendor's bundles for this artifact")
	}
	given.ID = CheckBundlesGiven
	return []Check{given, checkRequiredTypes(req, evidence)}
}

func checkRequiredTypes(req *request, evidence []Evidence) Check {
	stated := func(types ...string) bool {
		return slices.ContainsFunc(evidence, func(e Evidence) bool { return slices.Contains(types, e.Statement.Type) })
	}
	var missing []string
	for _, t := range req.required {
		if !stated(t) {
			missing = append(missing, t)
		}
	}
	if len(req.required) == 0 && !stated(declarations...) {
		missing = append(missing, "any declaration")
	}
	c := pass("%s", "every required type is stated")
	if len(missing) > 0 {
		expected := strings.Join(req.required, ", ")
		if expected == "" {
			expected = "at least one declaration"
		}
		c = fail(expected, "without "+strings.Join(missing, ", "),
			"no accepted bundle states what is required",
			"get the missing statements from the vendor")
	}
	c.ID = CheckRequiredTypes
	return c
}
