package standing

import "fmt"

// Codes of [Error]: a closed list, see [Codes].
const (
	// CodeMalformed: not a status bundle in its form, or larger than [MaxBytes].
	CodeMalformed = "STATUS_MALFORMED"
	// CodeTarget: the status bundle is about another statement.
	CodeTarget = "STATUS_TARGET"
	// CodeAbsent: a status file has no status bundle about the statement.
	CodeAbsent = "STATUS_ABSENT"
	// CodeCheckpoint: a checkpoint is not signed by the log that the caller trusts.
	CodeCheckpoint = "STATUS_CHECKPOINT"
	// CodeQuorum: too few witnesses cosigned a checkpoint.
	CodeQuorum = "STATUS_QUORUM"
	// CodeRoot: the index root is not the last leaf of the index log under its checkpoint, or not in its form.
	CodeRoot = "STATUS_ROOT"
	// CodeTree: the index root is about another tree than that of the statement log's checkpoint.
	CodeTree = "STATUS_TREE"
	// CodeProof: a proof does not hold under the index root.
	CodeProof = "STATUS_PROOF"
	// CodeList: a list is not the one that is proved.
	CodeList = "STATUS_LIST"
	// CodeRolledBack: a checkpoint is of a smaller tree than the caller has seen of that log.
	CodeRolledBack = "STATUS_ROLLED_BACK"
	// CodeFork: a checkpoint has another root than the one of the same size that the caller has seen of that log.
	CodeFork = "STATUS_FORK"
)

// Codes returns the closed list of codes.
func Codes() []string {
	return []string{CodeMalformed, CodeTarget, CodeAbsent, CodeCheckpoint, CodeQuorum, CodeRoot, CodeTree, CodeProof, CodeList,
		CodeRolledBack, CodeFork}
}

// Error says why a status bundle is refused.
type Error struct {
	// Code is one of [Codes].
	Code string
	// Detail says what was found and what was wanted.
	Detail string
}

// Error implements error.
func (e *Error) Error() string { return "status bundle: " + e.Code + ": " + e.Detail }

func refuse(code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}
