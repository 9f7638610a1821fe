package trustroot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trustrootv1 "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/avow-dev/avow/verify"
)

// Kind is what an entry of a trusted root is.
type Kind string

// The kinds of entries, as they are written before the colon of a reference.
const (
	KindLog   Kind = "log"
	KindTSA   Kind = "tsa"
	KindCA    Kind = "ca"
	KindCTLog Kind = "ctlog"
)

// kindNames are the kinds in words.
var kindNames = map[Kind]string{
	KindLog: "log", KindTSA: "timestamp authority", KindCA: "certificate authority", KindCTLog: "certificate transparency log",
}

// State is where a time lies in relation to an entry's window.
type State string

// The states of an entry.
const (
	Announced State = "announced"
	InUse     State = "in use"
	Ended     State = "ended"
)

// Root is a parsed trusted root. It is not safe for concurrent editing. The zero Root trusts nothing.
type Root struct {
	pb *trustrootv1.TrustedRoot
}

// Parse reads a trusted_root.json by the rules of [verify.ParseTrust], and refuses one in which two entries have the
// same identity. Errors of the former wrap [verify.ErrTrust].
func Parse(data []byte) (*Root, error) {
	if _, err := verify.ParseTrust(data); err != nil {
		return nil, err
	}
	r := &Root{pb: &trustrootv1.TrustedRoot{}}
	if err := protojson.Unmarshal(data, r.pb); err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	seen := map[string]bool{}
	for _, e := range r.Entries() {
		if seen[e.Ref()] {
			return nil, fmt.Errorf("trusted root: %s is listed twice", e.Ref())
		}
		seen[e.Ref()] = true
	}
	return r, nil
}

// JSON writes the root without white space: the same root gives the same bytes. What it writes was parsed again.
func (r *Root) JSON() ([]byte, error) {
	loose, err := protojson.Marshal(r.pb)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, loose); err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	if _, err := Parse(out.Bytes()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Clone returns a copy that can be edited by itself.
func (r *Root) Clone() *Root {
	return &Root{pb: proto.CloneOf(r.pb)}
}

// Entry is one log or authority of a root.
type Entry struct {
	Kind Kind
	// ID is the log's id, or the SHA-256 of the first certificate of an authority's chain: 64 hexadecimal digits.
	ID string
	// Name is the host name of a log, which is its origin, or the address of an authority: foreign text.
	Name string
	// Start and End are the window, both ends included; a zero End is no end.
	Start, End time.Time

	message  proto.Message
	validFor *commonv1.TimeRange
}

// Ref names the entry: kind, colon, id.
func (e *Entry) Ref() string { return string(e.Kind) + ":" + e.ID }

// Label is the entry in words: kind and name, one line that is safe to print.
func (e *Entry) Label() string { return kindNames[e.Kind] + " " + safe(e.Name) }

// Window is the entry's window in words.
func (e *Entry) Window() string {
	w := "from " + stamp(e.Start)
	if !e.End.IsZero() {
		w += " until " + stamp(e.End)
	}
	return w
}

// State says where now lies: a window includes both its ends.
func (e *Entry) State(now time.Time) State {
	switch {
	case now.Before(e.Start):
		return Announced
	case !e.End.IsZero() && now.After(e.End):
		return Ended
	}
	return InUse
}

// Entries lists everything that the root trusts, kind by kind in the order of the file.
func (r *Root) Entries() []Entry {
	var all []Entry
	for _, l := range r.pb.GetTlogs() {
		all = append(all, logEntry(KindLog, l))
	}
	for _, a := range r.pb.GetTimestampAuthorities() {
		all = append(all, authorityEntry(KindTSA, a))
	}
	for _, a := range r.pb.GetCertificateAuthorities() {
		all = append(all, authorityEntry(KindCA, a))
	}
	for _, l := range r.pb.GetCtlogs() {
		all = append(all, logEntry(KindCTLog, l))
	}
	return all
}

func logEntry(kind Kind, l *trustrootv1.TransparencyLogInstance) Entry {
	e := Entry{Kind: kind, ID: hex.EncodeToString(l.GetLogId().GetKeyId()), Name: l.GetBaseUrl(), message: l,
		validFor: l.GetPublicKey().GetValidFor()}
	if u, err := url.Parse(l.GetBaseUrl()); err == nil && u.Hostname() != "" {
		e.Name = u.Hostname()
	}
	e.window()
	return e
}

func authorityEntry(kind Kind, a *trustrootv1.CertificateAuthority) Entry {
	e := Entry{Kind: kind, Name: a.GetUri(), message: a, validFor: a.GetValidFor()}
	var first []byte
	if certs := a.GetCertChain().GetCertificates(); len(certs) > 0 {
		first = certs[0].GetRawBytes()
	}
	sum := sha256.Sum256(first)
	e.ID = hex.EncodeToString(sum[:])
	e.window()
	return e
}

func (e *Entry) window() {
	if s := e.validFor.GetStart(); s != nil {
		e.Start = s.AsTime()
	}
	if s := e.validFor.GetEnd(); s != nil {
		e.End = s.AsTime()
	}
}

// Log returns the entry of a log id.
func (r *Root) Log(id []byte) (Entry, bool) {
	for _, e := range r.Entries() {
		if e.Kind == KindLog && e.ID == hex.EncodeToString(id) {
			return e, true
		}
	}
	return Entry{}, false
}

// Successor returns the log whose window begins next after that of e.
func (r *Root) Successor(e Entry) (next Entry, ok bool) {
	for _, o := range r.Entries() {
		if o.Kind == KindLog && o.Start.After(e.Start) && (!ok || o.Start.Before(next.Start)) {
			next, ok = o, true
		}
	}
	return next, ok
}

func (e *Entry) setEnd(end time.Time) { e.validFor.End = timestamppb.New(end.UTC()) }
