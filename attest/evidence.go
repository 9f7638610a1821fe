package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/in-toto/in-toto-golang/in_toto"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/avow-dev/avow/attest/predicate"
)

// Media types of in-toto links and layouts in a file.
const (
	// MediaTypeInToto is that of a link or layout in in-toto's own wrapping (members signed and signatures).
	MediaTypeInToto = "application/vnd.in-toto+json"
	// MediaTypeDSSE is that of a link or layout in a DSSE envelope.
	MediaTypeDSSE = "application/vnd.dsse.envelope.v1+json"
)

// InTotoFile is an in-toto link or layout that evidence can name. It says what the file holds, not that its
// signatures verify: the verifier of the statement decides which functionaries it trusts.
type InTotoFile struct {
	// Kind is "link" or "layout".
	Kind string
	// Step is the name of a link's step; empty for a layout.
	Step string
	// Name is the file's base name.
	Name string
	// MediaType is MediaTypeInToto or MediaTypeDSSE.
	MediaType string
	// SHA256 is the lower-case hex digest of the file.
	SHA256 string
}

// Resource returns the descriptor for the resource member of a statement's evidence. The kind of such evidence is
// "document": "provenance" means SLSA provenance (specification, section 4).
func (f *InTotoFile) Resource() *predicate.ResourceDescriptor {
	return &predicate.ResourceDescriptor{Name: f.Name, MediaType: f.MediaType, Digest: map[string]string{"sha256": f.SHA256}}
}

// ReadInToto reads a link or layout, checks its structure with in-toto-golang's own rules, and returns what names it
// by digest.
//
// A layout with inspections is refused: in-toto verifies such a layout by running the commands that it names, on the
// verifier's machine, and evidence must not ask a buyer to do that. Files over MaxInTotoBytes are refused before they
// are parsed. The error is *Error with CodeEvidence, or the file system's.
func ReadInToto(path string) (*InTotoFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxInTotoBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	found, err := parseInToto(data)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(data)
	found.Name, found.SHA256 = filepath.Base(path), hex.EncodeToString(digest[:])
	return found, nil
}

// parseInToto reads either wrapping. The file is read once, by the caller, so the digest is that of the bytes parsed
// here; in_toto.LoadMetadata would open the path a second time.
func parseInToto(data []byte) (*InTotoFile, error) {
	if len(data) > MaxInTotoBytes {
		return nil, evidenceError(fmt.Sprintf("the file has more than %d bytes", MaxInTotoBytes), nil)
	}
	var wrapping struct {
		PayloadType *string           `json:"payloadType"`
		Payload     *string           `json:"payload"`
		Signed      *json.RawMessage  `json:"signed"`
		Signatures  []json.RawMessage `json:"signatures"`
	}
	if err := strictInToto(data, &wrapping); err != nil {
		return nil, err
	}
	switch {
	case wrapping.PayloadType != nil && wrapping.Payload != nil && wrapping.Signed == nil:
		return parseInTotoDSSE(data)
	case wrapping.Signed != nil && wrapping.PayloadType == nil:
		var signatures struct {
			Signatures []in_toto.Signature `json:"signatures"`
		}
		if err := json.Unmarshal(data, &signatures); err != nil {
			return nil, evidenceError("the signatures do not parse", err)
		}
		return describeInToto(*wrapping.Signed, signatures.Signatures, MediaTypeInToto)
	}
	return nil, evidenceError("the file is neither in-toto metadata (signed, signatures) nor a DSSE envelope", nil)
}

// parseInTotoDSSE reads a link or layout in a DSSE envelope.
func parseInTotoDSSE(data []byte) (*InTotoFile, error) {
	var envelope dsse.Envelope
	if err := json.Unmarshal(data, &envelope); err != nil {
		return nil, evidenceError("the envelope does not parse", err)
	}
	if envelope.PayloadType != in_toto.PayloadType {
		return nil, evidenceError(fmt.Sprintf("payloadType is %.100q, want %q", envelope.PayloadType, in_toto.PayloadType), nil)
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(envelope.Payload)
	if err != nil {
		return nil, evidenceError("the payload is not standard base64", err)
	}
	signatures := make([]in_toto.Signature, 0, len(envelope.Signatures))
	for _, s := range envelope.Signatures {
		raw, err := base64.StdEncoding.DecodeString(s.Sig)
		if err != nil {
			return nil, evidenceError("a signature is not standard base64", err)
		}
		signatures = append(signatures, in_toto.Signature{KeyID: s.KeyID, Sig: hex.EncodeToString(raw)})
	}
	return describeInToto(payload, signatures, MediaTypeDSSE)
}

// describeInToto decodes the signed part by its type and lets in-toto-golang validate it.
func describeInToto(signed []byte, signatures []in_toto.Signature, mediaType string) (*InTotoFile, error) {
	var kind struct {
		Type string `json:"_type"`
	}
	if err := strictInToto(signed, &kind); err != nil {
		return nil, err
	}
	found := &InTotoFile{Kind: kind.Type, MediaType: mediaType}
	block := in_toto.Metablock{Signatures: signatures}
	switch kind.Type {
	case "link":
		var link in_toto.Link
		if err := decodeKnown(signed, &link); err != nil {
			return nil, err
		}
		block.Signed, found.Step = link, link.Name
	case "layout":
		var layout in_toto.Layout
		if err := decodeKnown(signed, &layout); err != nil {
			return nil, err
		}
		if n := len(layout.Inspect); n > 0 {
			return nil, evidenceError(fmt.Sprintf("the layout has %d inspections (first: %.60q): verifying it would run their commands on "+
				"the buyer's machine", n, layout.Inspect[0].Name), nil)
		}
		block.Signed = layout
	default:
		return nil, evidenceError(fmt.Sprintf("_type is %.60q, want \"link\" or \"layout\"", kind.Type), nil)
	}
	if len(signatures) == 0 {
		return nil, evidenceError("the "+kind.Type+" is not signed", nil)
	}
	if err := in_toto.ValidateMetablock(block); err != nil {
		return nil, evidenceError("the "+kind.Type+" is not valid", err)
	}
	return found, nil
}

// strictInToto applies the pre-scan and decodes into v, ignoring members that v does not have.
func strictInToto(data []byte, v any) error {
	if err := scanInToto(data); err != nil {
		return evidenceError("the file is not strict JSON", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return evidenceError("the file is not in-toto metadata", err)
	}
	return nil
}

// scanInToto refuses a member that appears twice, so that two readers cannot see two layouts, and bounds depth and
// size. It is laxer than predicate.StrictJSON because in-toto-golang itself writes null for empty lists.
func scanInToto(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	type level struct {
		members map[string]bool // nil in a list
		key     bool            // the next token is a member name
	}
	var open []level
	for values := 0; ; values++ {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if values > maxInTotoValues || len(open) > maxInTotoDepth {
			return fmt.Errorf("more than %d values or %d levels", maxInTotoValues, maxInTotoDepth)
		}
		if n := len(open); n > 0 && open[n-1].members != nil {
			if name, ok := token.(string); ok && open[n-1].key {
				if open[n-1].members[name] {
					return fmt.Errorf("member %.60q appears twice", name)
				}
				open[n-1].members[name], open[n-1].key = true, false
				continue
			}
			open[n-1].key = true
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{members: map[string]bool{}, key: true})
		case json.Delim('['):
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
	}
}

// decodeKnown decodes and refuses members that in-toto-golang does not know, as its own loader does.
func decodeKnown(data []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return evidenceError("the signed part does not parse", err)
	}
	return nil
}

func evidenceError(detail string, err error) *Error {
	return &Error{Code: CodeEvidence, Detail: detail, Err: err,
		Hint: "name a link or layout as in-toto writes it (NAME.KEYID.link, root.layout)"}
}
