package verify

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/avow-dev/avow/attest/predicate"
)

// run is the verification of one bundle: what earlier checks established for
// the later ones. Fields below a check's name are set only if it passed.
type run struct {
	v     *Verifier
	req   *request
	data  []byte
	known []*predicate.Statement // parsed by the caller

	// CheckBundleMediaType, CheckBundleForm
	tree   node
	bundle *parsedBundle
	// CheckSigner
	candidates []pinnedSigner    // requirements that the bundle claims to meet
	cert       *x509.Certificate // nil for a key
	key        *ecdsa.PublicKey
	spki       []byte
	// CheckSignature
	pae [sha256.Size]byte
	// CheckLogKey, CheckLogBody, CheckCheckpoint
	log        *trustedLog
	leafHash   []byte
	checkpoint *checkpoint
	// CheckTimestamp, CheckSignerValidity
	stamps  []*stamp
	signers []*pinnedSigner // all requirements that are met
	signer  *pinnedSigner   // the one that the verdict names
	// CheckStatementFormat, CheckSubject, CheckStatementRules
	statement    *predicate.Statement
	subject      string
	subjectFound bool
	warnings     predicate.Findings
	// CheckWitnessQuorum
	cosignatures []Cosignature
	witnessedBy  time.Time
}

// checkFuncs maps each check of a bundle to its code. It is a table, written
// here and nowhere else.
var checkFuncs = map[CheckID]func(*run) Check{
	CheckBundleSize:           (*run).checkBundleSize,
	CheckBundleJSON:           (*run).checkBundleJSON,
	CheckBundleMediaType:      (*run).checkBundleMediaType,
	CheckBundleForm:           (*run).checkBundleForm,
	CheckSignatureCount:       (*run).checkSignatureCount,
	CheckPayloadType:          (*run).checkPayloadType,
	CheckLogEntryCount:        (*run).checkLogEntryCount,
	CheckTimestampCount:       (*run).checkTimestampCount,
	CheckStatementSize:        (*run).checkStatementSize,
	CheckSigner:               (*run).checkSigner,
	CheckSignature:            (*run).checkSignature,
	CheckLogKey:               (*run).checkLogKey,
	CheckLogEntryKind:         (*run).checkLogEntryKind,
	CheckLogEntryTime:         (*run).checkLogEntryTime,
	CheckLogBody:              (*run).checkLogBody,
	CheckCheckpoint:           (*run).checkCheckpoint,
	CheckLogProofFields:       (*run).checkLogProofFields,
	CheckLogInclusion:         (*run).checkLogInclusion,
	CheckTimestamp:            (*run).checkTimestamp,
	CheckTimestampAuthorities: (*run).checkTimestampAuthorities,
	CheckTimestampAgreement:   (*run).checkTimestampAgreement,
	CheckLogKeyValidity:       (*run).checkLogKeyValidity,
	CheckSignerValidity:       (*run).checkSignerValidity,
	CheckStatementFormat:      (*run).checkStatementFormat,
	CheckSigstore:             (*run).checkSigstore,
	CheckSubject:              (*run).checkSubject,
	CheckPredicateType:        (*run).checkPredicateType,
	CheckStatementRules:       (*run).checkStatementRules,
	CheckValidity:             (*run).checkValidity,
	CheckWitnessQuorum:        (*run).checkWitnessQuorum,
	CheckWitnessTime:          (*run).checkWitnessTime,
	CheckWitnessAge:           (*run).checkWitnessAge,
}

// walk runs the checks in order and returns one line for each. issuerChecks
// build on each other: after a failure among them everything later is skipped.
// The checks after them are independent and all run.
func (r *run) walk(name string, ids []CheckID) []Check {
	checks := make([]Check, 0, len(ids))
	stopped := false
	for _, id := range ids {
		c := Check{Status: StatusSkipped}
		if !stopped {
			c = checkFuncs[id](r)
			stopped = failed(c) && slices.Contains(issuerChecks, id)
		}
		c.ID, c.Bundle = id, name
		checks = append(checks, c)
	}
	return checks
}

// failed reports whether a check was run and did not pass.
func failed(c Check) bool { return c.Status == StatusFail }

// pass and fail are the results of a check that was run.
func pass(format string, args ...any) Check {
	return Check{Status: StatusPass, Detail: fmt.Sprintf(format, args...)}
}

// counted is a number with what it counts.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func fail(expected, got, detail, hint string) Check {
	return Check{Status: StatusFail, Expected: expected, Got: got, Detail: detail, Hint: hint}
}

// Hints that several checks share.
const (
	hintDamaged = "the bundle was damaged or made by something else than avow; fetch it again from the log's operator"
	hintForged  = "the bundle was changed after it was issued, or stitched together from several; fetch it again"
	hintUpdate  = "if the operator has a new log or authority, fetch the current trusted root (avow trust update); if not, the bundle is not the operator's"
	hintTrust   = "compare the trusted root with the operator's published one"
)

func (r *run) checkBundleSize() Check {
	if n := len(r.data); n == 0 || n > MaxBundleBytes {
		return fail(fmt.Sprintf("1 to %d bytes", MaxBundleBytes), fmt.Sprintf("%d bytes", n),
			"the bundle's size is out of bounds", hintDamaged)
	}
	return pass("%d bytes", len(r.data))
}

func (r *run) checkBundleJSON() Check {
	if err := scanBundle(r.data); err != nil {
		var j *predicate.JSONError
		got := ""
		if errors.As(err, &j) {
			got = j.Reason
		}
		return fail("strict JSON", got, err.Error(), hintDamaged)
	}
	tree, err := parseTree(r.data)
	if err != nil {
		return fail("strict JSON", "", err.Error(), hintDamaged)
	}
	r.tree = tree
	return pass("strict JSON")
}

func (r *run) checkBundleMediaType() Check {
	if got := bundleMediaType(r.tree); got != BundleMediaType {
		return fail(BundleMediaType, clip(got), "not a Sigstore bundle v0.3",
			"avow's bundles are v0.3; verify other Sigstore bundles with avow verify-bundle")
	}
	return pass(BundleMediaType)
}

func (r *run) checkBundleForm() Check {
	b, err := parseBundle(r.tree)
	if err != nil {
		var f *formError
		if errors.As(err, &f) {
			return fail(f.expected, f.got, "at "+f.pointer, hintDamaged)
		}
		return fail("a bundle v0.3", "", err.Error(), hintDamaged)
	}
	r.bundle = b
	return pass("canonical member names and encodings")
}

func (r *run) checkSignatureCount() Check {
	s := r.bundle.signatures
	// > A DSSE envelope in a Sigstore bundle MUST contain exactly one signature.
	if len(s) != 1 {
		return fail("exactly 1 signature", fmt.Sprintf("%d", len(s)), "the envelope does not carry exactly one signature",
			"a statement that two parties sign has two bundles")
	}
	if s[0].keyID != "" {
		return fail("an empty keyid", clip(s[0].keyID),
			"the keyid is signed by nobody and names a key beside the bundle's own", hintDamaged)
	}
	return pass("one signature, no keyid")
}

func (r *run) checkPayloadType() Check {
	if got := r.bundle.payloadType; got != predicate.PayloadType {
		return fail(predicate.PayloadType, clip(got), "the envelope does not hold an in-toto statement", hintDamaged)
	}
	return pass(predicate.PayloadType)
}

func (r *run) checkLogEntryCount() Check {
	if n := len(r.bundle.entries); n != 1 {
		return fail("exactly 1 log entry", fmt.Sprintf("%d", n), "the bundle does not carry exactly one log entry",
			hintDamaged)
	}
	return pass("one log entry")
}

func (r *run) checkTimestampCount() Check {
	n := len(r.bundle.timestamps)
	if n < r.req.minTimestamps || n > MaxTimestamps {
		return fail(fmt.Sprintf("%d to %d timestamps", r.req.minTimestamps, MaxTimestamps), fmt.Sprintf("%d", n),
			"nothing else says when the statement was signed: the log signs no time", hintDamaged)
	}
	return pass("%s", counted(n, "timestamp", "timestamps"))
}

func (r *run) checkStatementSize() Check {
	if n := len(r.bundle.payload); n == 0 || n > predicate.MaxStatementBytes {
		return fail(fmt.Sprintf("1 to %d bytes", predicate.MaxStatementBytes), fmt.Sprintf("%d bytes", n),
			"the statement's size is out of bounds", hintDamaged)
	}
	return pass("%d bytes", len(r.bundle.payload))
}

// checkSignature verifies the DSSE signature over the exact payload bytes,
// before everything else that a changed payload would also disturb.
func (r *run) checkSignature() Check {
	r.pae = sha256.Sum256(dsse.PAE(r.bundle.payloadType, r.bundle.payload))
	if !ecdsa.VerifyASN1(r.key, r.pae[:], r.bundle.signatures[0].sig) {
		return fail("a signature by "+r.keyID(), "a signature that does not verify",
			"the statement or its signature was changed after signing, or another key signed it", hintForged)
	}
	return pass("ECDSA P-256 by %s", r.keyID())
}

// keyID is the name of the key that the signature is checked with.
func (r *run) keyID() string {
	sum := sha256.Sum256(r.spki)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// evidence collects the facts. It is called only after every check passed.
func (r *run) evidence(name string) Evidence {
	e := Evidence{
		Bundle: name, StatementID: r.statement.ID(), Statement: r.statement, Warnings: r.warnings,
		Signer: r.signer.Signer, KeyID: r.keyID(), PAEDigest: r.pae,
		LogOrigin: r.checkpoint.origin, LogID: slices.Clone(r.log.id),
		LogIndex: uint64(r.bundle.entries[0].logIndex), // #nosec G115 -- parsed as not negative
		TreeSize: r.checkpoint.size, RootHash: slices.Clone(r.checkpoint.root),
		Cosignatures: r.cosignatures, WitnessedBy: r.witnessedBy, SubjectName: r.subject,
	}
	for i, s := range r.stamps {
		e.Timestamps = append(e.Timestamps, Timestamp{Time: s.time, Authority: s.uri})
		if i == 0 || s.time.Before(e.SignedBy) {
			e.SignedBy = s.time
		}
	}
	return e
}
