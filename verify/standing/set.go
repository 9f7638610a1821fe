package standing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/verify"
)

// Limits of a status file, checked before the work that they bound.
const (
	// MaxSetBytes is the largest status file.
	MaxSetBytes = 64 << 20
	// MaxSetEntries is the largest number of status bundles in one.
	MaxSetEntries = 65_536
	// MaxSetSame is the largest number of them about one statement: one for each of its signers.
	MaxSetSame = 16
)

// Set is a status file that was read: the status bundles of many statements. None of it is verified before [Set.Check]. It is safe
// for concurrent use.
type Set struct {
	count    int
	byTarget map[string][]*statusv1.StatusEntry
}

// Len is the number of status bundles.
func (s *Set) Len() int { return s.count }

// All yields the status bundles, in no particular order. Nothing of them is verified.
func (s *Set) All() iter.Seq[*statusv1.StatusBundle] {
	return func(yield func(*statusv1.StatusBundle) bool) {
		for _, entries := range s.byTarget {
			for _, e := range entries {
				if !yield(e.GetStatus()) {
					return
				}
			}
		}
	}
}

// MarshalSet is the one binary encoding of a file with many status bundles.
func MarshalSet(s *statusv1.StatusSet) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(s)
}

// MarshalSetJSON is the JSON form of a file with many status bundles, without white space: the same bytes for the same set.
func MarshalSetJSON(s *statusv1.StatusSet) ([]byte, error) {
	text, err := protojson.Marshal(s)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Compact(&b, text) // protojson varies its white space on purpose
	return b.Bytes(), err
}

// ParseSet reads a status file: a status bundle (see [Parse]), or a set of them in either form. The error is an [*Error] with
// [CodeMalformed].
func ParseSet(data []byte) (*Set, error) {
	if len(data) == 0 || len(data) > MaxSetBytes {
		return nil, refuse(CodeMalformed, "got %d bytes, want 1 to %d", len(data), MaxSetBytes)
	}
	s := &Set{byTarget: map[string][]*statusv1.StatusEntry{}}
	var err error
	switch {
	case data[0] == '{' && firstMember(data) == "entries":
		err = s.readJSON(data)
	case data[0] != '{' && !startsBundle(data):
		err = s.readBinary(data)
	default:
		var b *statusv1.StatusBundle
		if b, err = Parse(data); err == nil {
			err = s.add(&statusv1.StatusEntry{Status: b})
		}
	}
	if err == nil && s.count == 0 {
		err = refuse(CodeMalformed, "no status bundle in it")
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// firstMember is the name of the first member of a JSON object. A set has one member, and a status bundle none of that name.
func firstMember(data []byte) string {
	d := json.NewDecoder(bytes.NewReader(data))
	_, _ = d.Token() // the brace
	name, _ := d.Token()
	text, _ := name.(string)
	return text
}

// startsBundle reports whether the first field of a binary message is the target of a status bundle. That of a set has the same
// number and is a message, which cannot begin with these letters.
func startsBundle(data []byte) bool {
	_, _, n := protowire.ConsumeTag(data)
	if n < 0 {
		return false
	}
	value, n := protowire.ConsumeBytes(data[n:])
	return n >= 0 && bytes.HasPrefix(value, []byte("sha256:"))
}

// readJSON reads one entry after the other, so that their number is bounded before they are made.
func (s *Set) readJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	for range 2 { // the brace and the name
		if _, err := d.Token(); err != nil {
			return refuse(CodeMalformed, "not JSON: %v", err)
		}
	}
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return refuse(CodeMalformed, "entries is not a list")
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return refuse(CodeMalformed, "entry %d is not JSON: %v", s.count, err)
		}
		if len(raw) > MaxBytes {
			return refuse(CodeMalformed, "entry %d has %d bytes, want at most %d", s.count, len(raw), MaxBytes)
		}
		e := &statusv1.StatusEntry{}
		if err := (protojson.UnmarshalOptions{RecursionLimit: 8}).Unmarshal(raw, e); err != nil {
			return refuse(CodeMalformed, "entry %d is not its JSON: %v", s.count, err)
		}
		if err := s.add(e); err != nil {
			return err
		}
	}
	for _, want := range []json.Delim{']', '}'} {
		if t, err := d.Token(); err != nil || t != want {
			return refuse(CodeMalformed, "entries is not all that there is")
		}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return refuse(CodeMalformed, "something follows the set")
	}
	return nil
}

// readBinary reads one entry after the other. What is not in the one encoding is refused.
func (s *Set) readBinary(data []byte) error {
	for rest := data; len(rest) > 0; {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 || number != 1 || kind != protowire.BytesType || n != protowire.SizeTag(1) {
			return refuse(CodeMalformed, "entry %d: not the protobuf of a set", s.count)
		}
		value, m := protowire.ConsumeBytes(rest[n:])
		if m < 0 || m != protowire.SizeBytes(len(value)) || len(value) > MaxBytes {
			return refuse(CodeMalformed, "entry %d: its length is wrong, or above %d bytes", s.count, MaxBytes)
		}
		rest = rest[n+m:]
		e := &statusv1.StatusEntry{}
		if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(value, e); err != nil {
			return refuse(CodeMalformed, "entry %d: not its protobuf: %v", s.count, err)
		}
		if again, err := (proto.MarshalOptions{Deterministic: true}).Marshal(e); err != nil || !bytes.Equal(again, value) {
			return refuse(CodeMalformed, "entry %d: %d bytes are not the only encoding of what they say", s.count, len(value))
		}
		if err := s.add(e); err != nil {
			return err
		}
	}
	return nil
}

// add takes an entry over.
func (s *Set) add(e *statusv1.StatusEntry) error {
	if err := checkForm(e.GetStatus()); err != nil {
		return err
	}
	target := e.GetStatus().GetTarget()
	if s.count == MaxSetEntries || len(s.byTarget[target]) == MaxSetSame {
		return refuse(CodeMalformed, "more than %d status bundles, or more than %d about %.80q", MaxSetEntries, MaxSetSame, target)
	}
	s.count++
	s.byTarget[target] = append(s.byTarget[target], e)
	return nil
}

// Check finds the status of a statement whose own bundle was verified, and checks it as [Check] does. Of several, only those that
// verify for the statement's signer count, and of these the one over the largest tree: nothing that was said is ever unsaid. The ids of
// signers in the file say which to try first, and decide nothing. Where none is about the statement the error has [CodeAbsent].
func (s *Set) Check(ctx context.Context, target *verify.Evidence, o Options) (*Result, error) {
	entries := slices.Clone(s.byTarget[target.StatementID])
	if len(entries) == 0 {
		return nil, refuse(CodeAbsent, "none of %d status bundles is about %s", s.count, target.StatementID)
	}
	signer := string(SignerOf(target))
	slices.SortStableFunc(entries, func(a, b *statusv1.StatusEntry) int {
		return first(b.GetKeyId() == signer) - first(a.GetKeyId() == signer)
	})
	var found *Result
	var problem error
	for _, e := range entries {
		r, err := Check(ctx, e.GetStatus(), target, o)
		var refused *Error
		switch {
		case err != nil && !errors.As(err, &refused):
			return nil, err
		case err != nil && problem == nil:
			problem = err // of the one that is most likely meant
		case err == nil && (found == nil || r.TreeSize > found.TreeSize || r.TreeSize == found.TreeSize && r.AsOf.After(found.AsOf)):
			found = r
		}
	}
	if found == nil {
		return nil, problem
	}
	return found, nil
}

func first(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// Func returns what [verify.Input] asks for standings with. Options.Log may be nil: then it is the log of the trusted root that the
// statement is in. A status that is refused, or not there, is an answer: unknown, with the code as its reason.
func (s *Set) Func(o Options, trust *verify.Trust) verify.StandingFunc {
	return func(ctx context.Context, e *verify.Evidence) (*Result, error) {
		at := o
		if at.Log == nil && trust != nil {
			at.Log = trust.LogKey(e.LogID)
		}
		r, err := s.Check(ctx, e, at)
		var refused *Error
		if errors.As(err, &refused) {
			return &Result{Reason: Reason(refused.Code), Detail: refused.Detail}, nil
		}
		return r, err
	}
}
