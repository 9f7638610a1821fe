package verify

import "slices"

// CheckID is the stable name of a check. The list is closed: see [CheckIDs].
// A name never changes its meaning, and none is reused.
type CheckID string

// The checks of one bundle, in the order in which they run. Up to and
// including CheckStatementFormat the first failure ends the bundle's checks and
// all later ones are skipped; the checks after it are independent of each other.
const (
	// CheckBundleSize: the bundle has at least one and at most MaxBundleBytes bytes.
	CheckBundleSize CheckID = "bundle-size"
	// CheckBundleJSON: strict JSON; valid UTF-8, no member twice, no null, one
	// value, within MaxBundleDepth and MaxBundleValues.
	CheckBundleJSON CheckID = "bundle-json"
	// CheckBundleMediaType: mediaType is exactly that of a Sigstore bundle v0.3.
	CheckBundleMediaType CheckID = "bundle-media-type"
	// CheckBundleForm: the members of a bundle v0.3 under their canonical names
	// and nothing else, canonical base64, 64-bit numbers as decimal strings, a DSSE
	// envelope, exactly one key hint or certificate.
	CheckBundleForm CheckID = "bundle-form"
	// CheckSignatureCount: exactly one signature, with an empty keyid.
	CheckSignatureCount CheckID = "signature-count"
	// CheckPayloadType: payloadType is exactly application/vnd.in-toto+json.
	CheckPayloadType CheckID = "payload-type"
	// CheckLogEntryCount: exactly one log entry.
	CheckLogEntryCount CheckID = "log-entry-count"
	// CheckTimestampCount: between Input.MinTimestamps and MaxTimestamps timestamps.
	CheckTimestampCount CheckID = "timestamp-count"
	// CheckStatementSize: the payload has at least one and at most
	// predicate.MaxStatementBytes bytes.
	CheckStatementSize CheckID = "statement-size"
	// CheckSigner: the bundle names a signer that the caller requires: the hint
	// of a pinned key, or a certificate with exactly the pinned SAN and issuer.
	CheckSigner CheckID = "signer"
	// CheckSignature: the DSSE signature over the payload is by that signer's P-256 key.
	CheckSignature CheckID = "signature"
	// CheckLogKey: the entry's log id is that of a log in the trusted root,
	// whose base URL gives the origin.
	CheckLogKey CheckID = "log-key"
	// CheckLogEntryKind: kindVersion is hashedrekord 0.0.2.
	CheckLogEntryKind CheckID = "log-entry-kind"
	// CheckLogEntryTime: no integratedTime and no inclusionPromise, which a
	// Rekor v2 log does not sign.
	CheckLogEntryTime CheckID = "log-entry-time"
	// CheckLogBody: canonicalizedBody is byte for byte the leaf that the
	// signature, signer and payload of this bundle make.
	CheckLogBody CheckID = "log-body"
	// CheckCheckpoint: a signed note of the log's origin with the log's signature
	// and at most MaxCheckpointSignatures signature lines.
	CheckCheckpoint CheckID = "checkpoint"
	// CheckLogProofFields: the proof's logIndex is the entry's, its treeSize and
	// rootHash are the checkpoint's.
	CheckLogProofFields CheckID = "log-proof-fields"
	// CheckLogInclusion: the RFC 6962 path leads from the leaf to the checkpoint's root.
	CheckLogInclusion CheckID = "log-inclusion"
	// CheckTimestamp: every timestamp given is a valid RFC 3161 response over the
	// signature by an authority of the trusted root, at a time when the authority was valid.
	CheckTimestamp CheckID = "timestamp"
	// CheckTimestampAuthorities: the timestamps are of different authorities, and
	// at least Input.MinTimestamps of them.
	CheckTimestampAuthorities CheckID = "timestamp-authorities"
	// CheckTimestampAgreement: the timestamps lie within the skew bound of each
	// other and none lies after the time of verification.
	CheckTimestampAgreement CheckID = "timestamp-agreement"
	// CheckLogKeyValidity: every timestamp lies in the log key's validity window.
	CheckLogKeyValidity CheckID = "log-key-validity"
	// CheckSignerValidity: at every timestamp the pinned key was within its
	// window, or the certificate chained to an authority of the trusted root
	// (with a certificate timestamp where the root lists CT logs).
	CheckSignerValidity CheckID = "signer-validity"
	// CheckStatementFormat: the signed bytes parse strictly as one of the
	// statement types (rules R01 to R03).
	CheckStatementFormat CheckID = "statement-format"
	// CheckSubject: the artifact's SHA-256 is the sha256 of one of the subjects.
	CheckSubject CheckID = "subject"
	// CheckSigstore: sigstore-go, given the same trust and policy and the same
	// bytes, accepts the bundle. Skipped if
	// the artifact is not a subject, which sigstore-go would only repeat.
	CheckSigstore CheckID = "sigstore"
	// CheckPredicateType: the statement is a declaration, or of a type that the
	// caller requires by name.
	CheckPredicateType CheckID = "predicate-type"
	// CheckStatementRules: no issuance rule is broken (rules R04 to R34); warnings are kept.
	CheckStatementRules CheckID = "statement-rules"
	// CheckValidity: the statement is in force at the time of verification.
	CheckValidity CheckID = "validity"
)

// The checks of a bundle's checkpoint against the buyer's witness policy, after all
// others of the bundle. Each is skipped where it was not asked for. What they say of
// time is about the quorum time: the earliest time at which the cosignatures that
// count, in the order of their times, met the quorum.
const (
	// CheckWitnessQuorum: the log is one that Input.Witnesses lists, if it lists
	// any, and so many of its witnesses cosigned exactly this checkpoint, not after
	// the time of verification, that the quorum is met. A key counts once,
	// at its earliest time, and the log's own key never.
	CheckWitnessQuorum CheckID = "witness-quorum"
	// CheckWitnessTime: no timestamp lies after the quorum time by more than the
	// skew bound, and the earliest not before it by more than
	// Input.MaxWitnessDelay, if that is set.
	CheckWitnessTime CheckID = "witness-time"
	// CheckWitnessAge: the quorum time lies at most Input.MaxCheckpointAge before
	// the time of verification.
	CheckWitnessAge CheckID = "witness-age"
)

// The checks of the whole input; they run last.
const (
	// CheckBundlesGiven: there is at least one bundle, and at least one passed.
	CheckBundlesGiven CheckID = "bundles-given"
	// CheckRequiredTypes: each required predicate type is stated by an accepted bundle.
	CheckRequiredTypes CheckID = "required-types"
	// CheckStatementsAgree: no two statements of one type that are in force
	// state different things about the same item. A warning where a statement is in
	// another log than its signer pledged to publish in ([LogPledge]).
	CheckStatementsAgree CheckID = "statements-agree"
	// CheckStanding: each declaration that counts is in force, or some of its items
	// are, by what Input.Standing answers; a warning where items were withdrawn or a
	// dispute is open. Skipped where no status is given, which shows nothing, and
	// where what it would be asked of was not accepted.
	CheckStanding CheckID = "standing"
	// CheckPolicy: every rule of the buyer's policy that denies is met. Skipped
	// where no policy is given, or where the evidence it would judge is not complete.
	CheckPolicy CheckID = "policy"
)

// issuerChecks are what a bundle must pass before the service hands it out:
// all that does not depend on an artifact, a buyer's policy or today's date.
var issuerChecks = []CheckID{
	CheckBundleSize, CheckBundleJSON, CheckBundleMediaType, CheckBundleForm,
	CheckSignatureCount, CheckPayloadType, CheckLogEntryCount, CheckTimestampCount, CheckStatementSize,
	CheckSigner, CheckSignature,
	CheckLogKey, CheckLogEntryKind, CheckLogEntryTime, CheckLogBody,
	CheckCheckpoint, CheckLogProofFields, CheckLogInclusion,
	CheckTimestamp, CheckTimestampAuthorities, CheckTimestampAgreement,
	CheckLogKeyValidity, CheckSignerValidity,
	CheckStatementFormat,
}

// buyerChecks are what each bundle must pass to be accepted; with a witness
// policy also those of witnessChecks that are asked for.
var buyerChecks = append(slices.Clone(issuerChecks),
	CheckSubject, CheckSigstore, CheckPredicateType, CheckStatementRules, CheckValidity)

// witnessChecks are those of the checkpoint against the witness policy.
var witnessChecks = []CheckID{CheckWitnessQuorum, CheckWitnessTime, CheckWitnessAge}

// inputChecks are what the input as a whole must pass; with a status also CheckStanding, with a policy also CheckPolicy.
var inputChecks = []CheckID{CheckBundlesGiven, CheckRequiredTypes, CheckStatementsAgree}

// CheckIDs returns all check ids in the order in which a verdict lists them.
func CheckIDs() []CheckID {
	return slices.Concat(buyerChecks, witnessChecks, inputChecks, []CheckID{CheckStanding, CheckPolicy})
}
