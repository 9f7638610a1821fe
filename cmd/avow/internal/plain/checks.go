package plain

import (
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// checkSentences say what each check establishes, for people who do not know the formats. verify.CheckID has the exact
// words.
var checkSentences = map[verify.CheckID]string{
	verify.CheckBundleSize:           "The bundle is neither empty nor larger than any bundle has to be.",
	verify.CheckBundleJSON:           "The bundle is strict JSON that every program reads alike.",
	verify.CheckBundleMediaType:      "The bundle says that it is a Sigstore bundle, version 0.3.",
	verify.CheckBundleForm:           "The bundle has the parts of such a bundle, written in the one canonical way, and no others.",
	verify.CheckSignatureCount:       "There is exactly one signature.",
	verify.CheckPayloadType:          "What was signed is an in-toto statement.",
	verify.CheckLogEntryCount:        "There is exactly one entry of a transparency log.",
	verify.CheckTimestampCount:       "There are as many timestamps as demanded.",
	verify.CheckStatementSize:        "The statement is neither empty nor too large.",
	verify.CheckSigner:               "The bundle names a signer who was named for this verification.",
	verify.CheckSignature:            "The signature over the statement is by that signer's key.",
	verify.CheckLogKey:               "The log is one of those that the trusted root names.",
	verify.CheckLogEntryKind:         "The log entry is of the kind that records signatures.",
	verify.CheckLogEntryTime:         "The log entry carries no time or promise that nobody signed.",
	verify.CheckLogBody:              "The log recorded this signature over this statement by this signer.",
	verify.CheckCheckpoint:           "The log signed a summary of everything that it holds.",
	verify.CheckLogProofFields:       "The proof of inclusion is about that entry and that summary.",
	verify.CheckLogInclusion:         "The entry is in the log that was summarised.",
	verify.CheckTimestamp:            "Each timestamp is over this signature, by an authority that the trusted root names.",
	verify.CheckTimestampAuthorities: "The timestamps are by as many different authorities as demanded.",
	verify.CheckTimestampAgreement:   "The timestamps agree with each other, and none is in the future.",
	verify.CheckLogKeyValidity:       "The log's key was valid when the statement was signed.",
	verify.CheckSignerValidity:       "The signer's key or certificate was valid when the statement was signed.",
	verify.CheckStatementFormat:      "The statement can be read in one way only, and is of a known type.",
	verify.CheckSubject:              "The statement is about this very artifact, byte for byte.",
	verify.CheckSigstore:             "A second, independent verifier (sigstore-go) accepts the bundle.",
	verify.CheckPredicateType:        "The statement is a declaration, or of a type that was asked for.",
	verify.CheckStatementRules:       "The statement breaks none of the rules for such statements.",
	verify.CheckValidity:             "The statement is in force at the time of verification.",
	verify.CheckWitnessQuorum:        "As many witnesses as demanded saw the log as it is shown here.",
	verify.CheckWitnessTime:          "The timestamps agree with when the witnesses saw the statement in the log.",
	verify.CheckWitnessAge:           "The witnesses saw the log recently enough.",
	verify.CheckBundlesGiven:         "There is at least one bundle that passed.",
	verify.CheckRequiredTypes:        "Every type of statement that was asked for is there.",
	verify.CheckStatementsAgree:      "No two statements in force say different things about the same item.",
	verify.CheckStanding:             "Everything declared still stands: nothing that was logged since takes it back.",
	verify.CheckPolicy:               "Every rule of the policy that can reject is met.",
}

// The checks that an entry of a list has to pass before its bundles are judged. A verdict about an entry that fails one
// of them holds that check alone. Like those of package verify, they never change their meaning.
const (
	// CheckManifestDigest: the list gives a SHA-256, or a file to take it from.
	CheckManifestDigest verify.CheckID = "manifest-digest"
	// CheckArtifactFound: the file that the list names is there, or --digests-only was given.
	CheckArtifactFound verify.CheckID = "artifact-found"
	// CheckArtifactDigest: the file has the SHA-256 of the list.
	CheckArtifactDigest verify.CheckID = "artifact-digest"
)

var listSentences = map[verify.CheckID]string{
	CheckManifestDigest: "The list gives a SHA-256, or a file to take it from.",
	CheckArtifactFound:  "The file that the list names is there.",
	CheckArtifactDigest: "The file has the SHA-256 of the list.",
}

// CheckSentence says in plain words what a check establishes when it passes. A check that is not known here is named by
// its id.
func CheckSentence(id verify.CheckID) string {
	if s := checkSentences[id] + listSentences[id]; s != "" {
		return s
	}
	return "Check " + text.Safe(string(id)) + "."
}
