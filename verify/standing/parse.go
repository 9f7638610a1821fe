package standing

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
)

// Limits of a status bundle, checked before the work that they bound.
const (
	// MaxBytes is the largest status bundle: of an undisputed statement it has 4 KiB, and each statement about it adds its bundle.
	MaxBytes = 8 << 20
	// MaxEntries is the largest number of entries of a list.
	MaxEntries = 4096
	// MaxSigners is the largest number of withdrawers, and of arbiters.
	MaxSigners = 64
)

// Marshal is the one binary encoding of a status bundle.
func Marshal(b *statusv1.StatusBundle) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(b)
}

// Parse reads a status bundle in its binary form, or in its JSON form if it begins with a brace. The error is an [*Error] with
// [CodeMalformed].
func Parse(data []byte) (*statusv1.StatusBundle, error) {
	if len(data) == 0 || len(data) > MaxBytes {
		return nil, refuse(CodeMalformed, "got %d bytes, want 1 to %d", len(data), MaxBytes)
	}
	b := &statusv1.StatusBundle{}
	if data[0] == '{' {
		if err := (protojson.UnmarshalOptions{RecursionLimit: 8}).Unmarshal(data, b); err != nil {
			return nil, refuse(CodeMalformed, "not its JSON: %v", err)
		}
		if err := checkForm(b); err != nil {
			return nil, err
		}
		return b, nil
	}
	// Unknown fields are dropped, so that they are missing below.
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, b); err != nil {
		return nil, refuse(CodeMalformed, "not its protobuf: %v", err)
	}
	if err := checkForm(b); err != nil {
		return nil, err
	}
	// Protobuf has many encodings of one message. Two readers could take them differently.
	if again, err := Marshal(b); err != nil || !bytes.Equal(again, data) {
		return nil, refuse(CodeMalformed, "%d bytes are not the only encoding of what they say", len(data))
	}
	return b, nil
}

func checkForm(b *statusv1.StatusBundle) error {
	if n := len(b.GetIndexRootProof()); n > verify.MaxProofHashes {
		return refuse(CodeMalformed, "an inclusion proof of %d hashes, want at most %d", n, verify.MaxProofHashes)
	}
	for _, h := range b.GetIndexRootProof() {
		if len(h) != len(index.Hash{}) {
			return refuse(CodeMalformed, "a hash of %d bytes, want %d", len(h), len(index.Hash{}))
		}
	}
	for name, l := range map[string]*statusv1.ListProof{"about": b.GetAbout(), "unresolved": b.GetUnresolved()} {
		if l == nil || len(l.GetEntries()) > MaxEntries {
			return refuse(CodeMalformed, "%s has %d entries, want a list of at most %d", name, len(l.GetEntries()), MaxEntries)
		}
		for _, e := range l.GetEntries() {
			switch {
			case e.GetKind() > uint32(index.Unresolved):
				return refuse(CodeMalformed, "%s: entry %d is of kind %d", name, e.GetLogIndex(), e.GetKind())
			case len(e.GetBundle()) > verify.MaxBundleBytes:
				return refuse(CodeMalformed, "%s: entry %d has a bundle of %d bytes", name, e.GetLogIndex(), len(e.GetBundle()))
			case l == b.GetUnresolved() && len(e.GetBundle()) > 0:
				return refuse(CodeMalformed, "unresolved: entry %d has a bundle", e.GetLogIndex())
			}
		}
	}
	return nil
}
