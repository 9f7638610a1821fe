package trustroot

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	trustrootv1 "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/proto"
)

// ErrNoEntry is wrapped where a reference names nothing, or more than one thing, in the root.
var ErrNoEntry = errors.New("no such entry")

// minPrefix is how many digits of an id must be written at least.
const minPrefix = 8

// Merge adds the entries of from that r does not have. An entry that is there keeps its window: what was signed since its
// start must go on verifying. The same id with another key, chain or log name is refused: one of the two is not what it
// says. An authority under a second address is the same authority, and keeps the first.
func (r *Root) Merge(from *Root) error {
	mine := map[string]Entry{}
	for _, e := range r.Entries() {
		mine[e.Ref()] = e
	}
	for _, e := range from.Entries() {
		old, ok := mine[e.Ref()]
		if ok {
			if !sameKey(old, e) {
				return fmt.Errorf("%s (%s) is in the root with another key, chain or address", e.Label(), e.Ref())
			}
			continue
		}
		r.add(e)
	}
	return nil
}

// Only is a root with the entries of some kinds alone.
func (r *Root) Only(kinds ...Kind) *Root {
	only := &Root{pb: &trustrootv1.TrustedRoot{MediaType: r.pb.GetMediaType()}}
	for _, e := range r.Entries() {
		if slices.Contains(kinds, e.Kind) {
			only.add(e)
		}
	}
	return only
}

// Has reports whether there is an entry of the kind.
func (r *Root) Has(kind Kind) bool {
	return slices.ContainsFunc(r.Entries(), func(e Entry) bool { return e.Kind == kind })
}

// add appends a copy of an entry.
func (r *Root) add(e Entry) {
	switch m := proto.Clone(e.message).(type) {
	case *trustrootv1.TransparencyLogInstance:
		if e.Kind == KindLog {
			r.pb.Tlogs = append(r.pb.Tlogs, m)
		} else {
			r.pb.Ctlogs = append(r.pb.Ctlogs, m)
		}
	case *trustrootv1.CertificateAuthority:
		if e.Kind == KindTSA {
			r.pb.TimestampAuthorities = append(r.pb.TimestampAuthorities, m)
		} else {
			r.pb.CertificateAuthorities = append(r.pb.CertificateAuthorities, m)
		}
	}
}

// Find returns the entry that a reference names: a kind, a colon, and the id, the first digits of it (8 or more), or the
// name. An error wraps [ErrNoEntry].
func (r *Root) Find(ref string) (Entry, error) {
	kind, which, ok := strings.Cut(ref, ":")
	if _, known := kindNames[Kind(kind)]; !ok || !known || which == "" {
		return Entry{}, fmt.Errorf("%w: got %s, want log:, tsa:, ca: or ctlog: and an id or a name", ErrNoEntry, safe(ref))
	}
	which = strings.TrimPrefix(which, "sha256:")
	var found []Entry
	for _, e := range r.Entries() {
		if e.Kind == Kind(kind) && (e.Name == which || len(which) >= minPrefix && isHex(which) && strings.HasPrefix(e.ID, which)) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 0:
		return Entry{}, fmt.Errorf("%w: the trusted root has no %s %s", ErrNoEntry, kindNames[Kind(kind)], safe(which))
	case 1:
		return found[0], nil
	}
	return Entry{}, fmt.Errorf("%w: %s names %d entries of the trusted root; give the id", ErrNoEntry, safe(ref), len(found))
}

// Retire closes an entry's window: what it signed until the end goes on verifying, what it signs later does not. The
// end may be drawn in, and not moved out: a window that was closed stays closed.
func (r *Root) Retire(ref string, end time.Time) error {
	e, err := r.Find(ref)
	switch {
	case err != nil:
		return err
	case end.Before(e.Start):
		return fmt.Errorf("%s begins at %s, after the end %s; remove it instead", e.Label(), stamp(e.Start), stamp(end))
	case !e.End.IsZero() && end.After(e.End):
		return fmt.Errorf("%s ended at %s already, which is before %s", e.Label(), stamp(e.End), stamp(end))
	}
	e.setEnd(end)
	return nil
}

// Remove takes an entry out: nothing that it ever signed verifies any more.
func (r *Root) Remove(ref string) error {
	e, err := r.Find(ref)
	if err != nil {
		return err
	}
	isLog := func(l *trustrootv1.TransparencyLogInstance) bool { return proto.Message(l) == e.message }
	isAuthority := func(a *trustrootv1.CertificateAuthority) bool { return proto.Message(a) == e.message }
	r.pb.Tlogs = slices.DeleteFunc(r.pb.Tlogs, isLog)
	r.pb.Ctlogs = slices.DeleteFunc(r.pb.Ctlogs, isLog)
	r.pb.TimestampAuthorities = slices.DeleteFunc(r.pb.TimestampAuthorities, isAuthority)
	r.pb.CertificateAuthorities = slices.DeleteFunc(r.pb.CertificateAuthorities, isAuthority)
	return nil
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s + s)
	return err == nil && strings.ToLower(s) == s
}
