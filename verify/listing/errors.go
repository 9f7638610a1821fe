package listing

import "fmt"

// Codes of [Error]: a closed list, see [Codes].
const (
	// CodeMalformed: not a listing proof in its form, or beyond a limit.
	CodeMalformed = "LISTING_MALFORMED"
	// CodeKeys: the lists are not those of the keys that were asked for.
	CodeKeys = "LISTING_KEYS"
	// CodeCheckpoint: a checkpoint is not signed by the log that the caller trusts.
	CodeCheckpoint = "LISTING_CHECKPOINT"
	// CodeQuorum: too few witnesses cosigned a checkpoint.
	CodeQuorum = "LISTING_QUORUM"
	// CodeRoot: the index root is not the last leaf of the index log under its checkpoint, or not in its form.
	CodeRoot = "LISTING_ROOT"
	// CodeTree: the index root is about another tree than that of the statement log's checkpoint.
	CodeTree = "LISTING_TREE"
	// CodeProof: a proof does not hold under the index root.
	CodeProof = "LISTING_PROOF"
	// CodeList: a list is not the one that is proved.
	CodeList = "LISTING_LIST"
	// CodeIncomplete: what was listed is not what is proved; only [Result.Matches] says so.
	CodeIncomplete = "LISTING_INCOMPLETE"
)

// Codes returns the closed list of codes.
func Codes() []string {
	return []string{CodeMalformed, CodeKeys, CodeCheckpoint, CodeQuorum, CodeRoot, CodeTree, CodeProof, CodeList, CodeIncomplete}
}

// Error says why a listing is refused.
type Error struct {
	// Code is one of [Codes].
	Code string
	// Detail says what was found and what was wanted.
	Detail string
}

// Error implements error.
func (e *Error) Error() string { return "listing: " + e.Code + ": " + e.Detail }

func refuse(code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}
