package monitor

import (
	"slices"
	"strings"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
)

// Watch says whose entries are reported. The zero value watches nobody: the log itself is checked all the same.
type Watch struct {
	// KeyIDs are ids of keys, as in [follow.Entry].
	KeyIDs []string
	// Identities are compared exactly.
	Identities []follow.Identity
	// Products are prefixes of product identifiers. "pkg:generic/app" is also one of "pkg:generic/app2".
	Products []string
	// Expected are the statements that may appear; nil if nothing was said. A watched entry with another statement is
	// CodeUnexpected.
	Expected map[string]bool
}

// signer reports whether the entry's signer is watched.
func (w *Watch) signer(e *follow.Entry) bool {
	return slices.Contains(w.KeyIDs, e.KeyID) || e.Identity != nil && slices.Contains(w.Identities, *e.Identity)
}

// product reports whether one of the entry's products is watched.
func (w *Watch) product(e *follow.Entry) bool {
	return slices.ContainsFunc(e.Products, func(product string) bool {
		return slices.ContainsFunc(w.Products, func(prefix string) bool { return strings.HasPrefix(product, prefix) })
	})
}

// judge returns the finding about a watched entry, with an empty code for one that nobody watches. An entry whose
// statement is unknown is never expected.
func (w *Watch) judge(e *follow.Entry) (follow.Code, follow.Class) {
	switch {
	case !w.signer(e) && !w.product(e):
		return "", ""
	case w.Expected == nil:
		return follow.CodeEntry, follow.Unexpected
	case w.Expected[e.StatementID]:
		return follow.CodeExpected, follow.Notice
	}
	return follow.CodeUnexpected, follow.Unexpected
}
