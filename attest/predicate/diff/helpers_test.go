package diff

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
)

const vectors = "../../../testdata/vectors/v1"

// vector returns a valid example, such as data-flows/minimal-data-flows.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	kind, file, _ := strings.Cut(name, "/")
	return readFile(t, filepath.Join(vectors, kind, "valid", file+".json"))
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// examples are all valid statements of the types that can be compared.
func examples(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, kind := range []string{"no-backdoor", "data-flows", "undertakings"} {
		files, err := filepath.Glob(filepath.Join(vectors, kind, "valid", "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no examples of %s: %v", kind, err)
		}
		for _, file := range files {
			all[kind+"/"+strings.TrimSuffix(filepath.Base(file), ".json")] = readFile(t, file)
		}
	}
	return all
}

func parse(t testing.TB, payload []byte) *predicate.Statement {
	t.Helper()
	st, err := predicate.Parse(payload, predicate.Consumption)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// compareBytes compares two payloads.
func compareBytes(t testing.TB, old, new []byte) *Report {
	t.Helper()
	r, err := Compare(parse(t, old), parse(t, new))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// edit is one edit of a document: the pointer below /predicate, and the JSON
// that is put there. "" deletes; a last token "-" appends to a list.
type edit struct{ pointer, value string }

// edited returns the document with the edits.
func edited(t testing.TB, payload []byte, edits ...edit) []byte {
	t.Helper()
	root := decodeJSON(t, payload)
	for _, e := range edits {
		tokens := strings.Split(strings.TrimPrefix(e.pointer, "/"), "/")
		var value any
		if e.value != "" {
			value = decodeAny(t, []byte(e.value))
		}
		root["predicate"] = put(t, root["predicate"], tokens, value)
	}
	return encodeJSON(t, root)
}

func put(t testing.TB, in any, tokens []string, value any) any {
	t.Helper()
	last := len(tokens) == 1
	switch in := in.(type) {
	case map[string]any:
		switch {
		case !last:
			in[tokens[0]] = put(t, in[tokens[0]], tokens[1:], value)
		case value == nil:
			delete(in, tokens[0])
		default:
			in[tokens[0]] = value
		}
		return in
	case []any:
		if tokens[0] == "-" {
			return append(in, value)
		}
		i, err := strconv.Atoi(tokens[0])
		if err != nil || i >= len(in) {
			t.Fatalf("no element %q", tokens[0])
		}
		switch {
		case !last:
			in[i] = put(t, in[i], tokens[1:], value)
		case value == nil:
			return append(in[:i:i], in[i+1:]...)
		default:
			in[i] = value
		}
		return in
	case nil:
		if last && tokens[0] == "-" {
			return []any{value}
		}
	}
	t.Fatalf("nothing at %v", tokens)
	return nil
}

func decodeJSON(t testing.TB, data []byte) map[string]any {
	t.Helper()
	return decodeAny(t, data).(map[string]any)
}

func decodeAny(t testing.TB, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}

func encodeJSON(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
