package trustroot

import (
	"fmt"
	"strconv"
	"time"

	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trustrootv1 "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/proto"
)

// Action is what happened to an entry from one root to another.
type Action string

// The actions.
const (
	Added   Action = "added"
	Removed Action = "removed"
	// Moved: the window has another start or end.
	Moved Action = "window changed"
	// Replaced: key, chain or address differ under the same id.
	Replaced Action = "replaced"
)

// Change is one difference between two roots.
type Change struct {
	Action Action
	// Old is the entry before; unset for Added. New is the entry after; unset for Removed.
	Old, New *Entry
}

// String is the change as one line that is safe to print.
func (c Change) String() string {
	switch c.Action {
	case Added:
		return fmt.Sprintf("+ %s added, valid %s (%s)", c.New.Label(), c.New.Window(), c.New.Ref())
	case Removed:
		return fmt.Sprintf("- %s removed: nothing that it signed verifies any more (%s)", c.Old.Label(), c.Old.Ref())
	case Moved:
		return fmt.Sprintf("~ %s: valid %s, before: %s (%s)", c.New.Label(), c.New.Window(), c.Old.Window(), c.New.Ref())
	}
	return fmt.Sprintf("! %s replaced by %s with other content under the same id (%s)", c.Old.Label(), c.New.Label(), c.New.Ref())
}

// Diff lists what turns one root into the other, first what is gone or changed. It is empty exactly if both trust the
// same entries in the same windows; their order says nothing.
func Diff(from, to *Root) []Change {
	after := map[string]Entry{}
	for _, e := range to.Entries() {
		after[e.Ref()] = e
	}
	before := map[string]bool{}
	var changes []Change
	for _, e := range from.Entries() {
		before[e.Ref()] = true
		n, ok := after[e.Ref()]
		switch {
		case !ok:
			changes = append(changes, Change{Action: Removed, Old: &e})
		case !sameButWindow(e, n):
			changes = append(changes, Change{Action: Replaced, Old: &e, New: &n})
		case !e.Start.Equal(n.Start) || !e.End.Equal(n.End):
			changes = append(changes, Change{Action: Moved, Old: &e, New: &n})
		}
	}
	for _, e := range to.Entries() {
		if !before[e.Ref()] {
			changes = append(changes, Change{Action: Added, New: &e})
		}
	}
	return changes
}

// sameButWindow compares two entries without their windows.
func sameButWindow(a, b Entry) bool { return proto.Equal(windowless(a.message), windowless(b.message)) }

// sameKey is sameButWindow that overlooks the address of an authority.
func sameKey(a, b Entry) bool {
	x, y := windowless(a.message), windowless(b.message)
	for _, m := range []proto.Message{x, y} {
		if a, ok := m.(*trustrootv1.CertificateAuthority); ok {
			a.Uri = ""
		}
	}
	return proto.Equal(x, y)
}

func windowless(m proto.Message) proto.Message {
	m = proto.Clone(m)
	switch m := m.(type) {
	case *trustrootv1.TransparencyLogInstance:
		if m.GetPublicKey() != nil {
			m.PublicKey.ValidFor = &commonv1.TimeRange{}
		}
	case *trustrootv1.CertificateAuthority:
		m.ValidFor = &commonv1.TimeRange{}
	}
	return m
}

// maxName bounds the foreign text of a line.
const maxName = 100

// safe quotes what is not plain ASCII and cuts what is long.
func safe(s string) string {
	cut := len(s) > maxName
	if cut {
		s = s[:maxName]
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || c == '"' {
			s = strconv.QuoteToASCII(s)
			break
		}
	}
	if cut {
		s += "..."
	}
	if s == "" {
		return "without a name"
	}
	return s
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
