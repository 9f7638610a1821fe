package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/avow-dev/avow/attest/predicate"
)

// Kinds of evidence that the packages beside this one and attest/observe produce (specification, section 4).
const (
	KindCapabilities = "capabilityAnalysis"
	KindStatic       = "staticAnalysis"
	KindRebuild      = "rebuild"
	KindDocument     = "document"
	KindFlowCapture  = "flowCapture"
)

// Entry returns the evidence entry for a document: what a statement's evidence list holds.
func Entry(id, kind, name, mediaType string, document []byte) predicate.Evidence {
	sum := sha256.Sum256(document)
	return predicate.Evidence{ID: id, Kind: kind, Resource: &predicate.ResourceDescriptor{Name: name, MediaType: mediaType,
		Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}}}
}

// Into returns the draft with the entry at the end of its evidence. A draft that names the same document as the same kind already
// is returned as it is (changed is false); an id that is taken gets a number. The draft need not be finished: of its content only
// the place of the list is looked at, and everything else keeps its text but for the white space, which becomes that of drafts.
func Into(draft []byte, e predicate.Evidence) (out []byte, changed bool, err error) {
	limits := predicate.JSONLimits{MaxBytes: predicate.MaxStatementBytes, AllowNull: true, AnyNumber: true}
	if err := predicate.StrictJSON(draft, limits); err != nil {
		return nil, false, fmt.Errorf("draft: %w", err)
	}
	var frame struct {
		Predicate *struct {
			Evidence []predicate.Evidence `json:"evidence"`
		} `json:"predicate"`
	}
	if err := json.Unmarshal(draft, &frame); err != nil {
		return nil, false, fmt.Errorf("draft: %w", err)
	}
	if frame.Predicate == nil {
		return nil, false, fmt.Errorf("draft: there is no predicate")
	}
	ids := map[string]bool{}
	for _, other := range frame.Predicate.Evidence {
		if other.Kind == e.Kind && other.Resource != nil && other.Resource.Digest["sha256"] == e.Resource.Digest["sha256"] {
			return draft, false, nil
		}
		ids[other.ID] = true
	}
	base := e.ID
	for n := 2; ids[e.ID]; n++ {
		e.ID = fmt.Sprintf("%s-%d", base, n)
	}
	entry, err := json.Marshal(e)
	if err != nil {
		return nil, false, fmt.Errorf("evidence: %w", err)
	}
	out, err = inObject(draft, "predicate", func(p json.RawMessage) (json.RawMessage, error) {
		return inObject(p, "evidence", func(list json.RawMessage) (json.RawMessage, error) { return appended(list, entry) })
	})
	if err != nil {
		return nil, false, fmt.Errorf("draft: %w", err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, out, "", "  "); err != nil {
		return nil, false, fmt.Errorf("draft: %w", err)
	}
	indented.WriteByte('\n')
	return indented.Bytes(), true, nil
}

// appended adds an element to a list, or begins one.
func appended(list, element json.RawMessage) (json.RawMessage, error) {
	var elements []json.RawMessage
	if len(list) > 0 {
		if err := json.Unmarshal(list, &elements); err != nil {
			return nil, err
		}
	}
	parts := make([][]byte, 0, len(elements)+1)
	for _, e := range append(elements, element) {
		parts = append(parts, e)
	}
	return slices.Concat([]byte("["), bytes.Join(parts, []byte(",")), []byte("]")), nil
}

// inObject changes one member of an object and keeps the order and the text of the others. A member that is not there is nil to
// change, and is added at the end. The object was scanned: no member is there twice.
func inObject(object []byte, member string, change func(json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("%s is to stand in an object, not in %v", member, token)
	}
	var parts [][]byte
	found := false
	add := func(key string, value json.RawMessage) error {
		name, err := json.Marshal(key)
		parts = append(parts, slices.Concat(name, []byte(":"), value))
		return err
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		key, _ := token.(string)
		if key == member {
			found = true
			if value, err = change(value); err != nil {
				return nil, err
			}
		}
		if err := add(key, value); err != nil {
			return nil, err
		}
	}
	if !found {
		value, err := change(nil)
		if err != nil {
			return nil, err
		}
		if err := add(member, value); err != nil {
			return nil, err
		}
	}
	return slices.Concat([]byte("{"), bytes.Join(parts, []byte(",")), []byte("}")), nil
}

// FileDigest returns the SHA-256 of a file in lower-case hexadecimal digits, as evidence is named by it.
func FileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
