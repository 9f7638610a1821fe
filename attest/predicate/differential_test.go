package predicate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	attestation "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// TestDifferential is the table of the specification, section 3: what two other
// readers make of an input, and the rule with which this package refuses it.
// The other readers run, so that the table says what is so with the versions
// of go.mod.
func TestDifferential(t *testing.T) {
	base := string(readVector(t, "v1/data-flows/valid/minimal-data-flows.json"))
	replace := func(old, by string) string {
		if !strings.Contains(base, old) {
			t.Fatalf("%q is not in the base", old)
		}
		return strings.Replace(base, old, by, 1)
	}
	nested := func(n int) string {
		return replace(`"networkUse"`, `"extensions": {"x": `+strings.Repeat("[", n)+strings.Repeat("]", n)+`}, "networkUse"`)
	}
	const accepted, refused = true, false
	for _, test := range []struct {
		name, in        string
		protojson, json bool
		code            string
	}{
		{"valid", base, accepted, accepted, ""},
		{"type for _type", replace(`"_type"`, `"type"`), accepted, refused, "R01"},
		{"predicate_type for predicateType", replace(`"predicateType"`, `"predicate_type"`), accepted, refused, "R01"},
		{"SUBJECT for subject", replace(`"subject"`, `"SUBJECT"`), refused, accepted, "R01"},
		{"key twice", replace(`"networkUse"`, `"networkUse": "none", "networkUse"`), refused, accepted, "R01"},
		{"key twice, one escaped", replace(`"networkUse"`, `"network\u0055se": "none", "networkUse"`), refused, accepted, "R01"},
		{"data after the statement", base + "{}", refused, accepted, "R01"},
		{"lone surrogate", replace("Update check", `\ud800`), refused, accepted, "R01"},
		{"null", replace(`"some"`, `null`), accepted, accepted, "R01"},
		{"large number", replace("86400", "9007199254740993"), accepted, accepted, "R01"},
		{"nested 9000 deep", nested(9000), accepted, accepted, "R01"},
		{"nested 10100 deep", nested(10100), refused, refused, "R01"},
		{"number in a string", replace(" 443\n", " \"443\"\n"), accepted, accepted, "R02"},
		{"number with fraction", replace(" 443\n", " 443.0\n"), accepted, accepted, "R01"},
		{"unknown member of the statement", replace(`"subject"`, `"note": "x", "subject"`), refused, refused, "R02"},
		{"unknown member of a subject", replace(`"name"`, `"note": "x", "name"`), refused, refused, "R02"},
		{"Statement v0.1", replace("Statement/v1", "Statement/v0.1"), accepted, accepted, "R02"},
		{"upper-case digest", replace("13f3353567ce", "13F3353567CE"), accepted, accepted, "R04"},
		{"name that climbs", replace("example-gateway-1.2.3.img", "../x"), accepted, accepted, "R04"},
		{"no sha256", replace(`"sha256"`, `"sha512"`), accepted, accepted, "R04"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := protojson.Unmarshal([]byte(test.in), &attestation.Statement{}) == nil; got != test.protojson {
				t.Errorf("protojson: accepted %v, want %v", got, test.protojson)
			}
			if got := decodeStrictly(test.in) == nil; got != test.json {
				t.Errorf("encoding/json: accepted %v, want %v", got, test.json)
			}
			codes := Lint([]byte(test.in), nil).Errors().Codes()
			if got := strings.Join(codes, " "); got != test.code {
				t.Errorf("avow: got %q, want %q", got, test.code)
			}
		})
	}
}

// decodeStrictly is encoding/json at its strictest, the predicate left free.
func decodeStrictly(in string) error {
	var statement struct {
		Type          string         `json:"_type"`
		Subject       []Subject      `json:"subject"`
		PredicateType string         `json:"predicateType"`
		Predicate     map[string]any `json:"predicate"`
	}
	d := json.NewDecoder(strings.NewReader(in))
	d.DisallowUnknownFields()
	d.UseNumber()
	return d.Decode(&statement)
}

// TestParseAgreesWithEncodingJSON: for the valid vectors the typed members,
// written again by encoding/json, are the predicate.
func TestParseAgreesWithEncodingJSON(t *testing.T) {
	for _, v := range loadVectors(t) {
		if len(v.Errors) > 0 {
			continue
		}
		s, err := Parse(v.data, Issuance)
		if err != nil {
			t.Fatalf("%s: %v", v.File, err)
		}
		if problem := disagreement(s, v.data); problem != "" {
			t.Errorf("%s: %s", v.File, problem)
		}
	}
}

// disagreement compares a parsed statement with what encoding/json reads from
// the same bytes, or returns "".
func disagreement(s *Statement, payload []byte) string {
	typed, err := json.Marshal(s.predicate())
	if err != nil {
		return err.Error()
	}
	if s.IsEvidence() {
		return otherTests(s, payload)
	}
	var frame struct {
		Subject   []Subject       `json:"subject"`
		Predicate json.RawMessage `json:"predicate"`
	}
	if err := json.Unmarshal(payload, &frame); err != nil {
		return err.Error()
	}
	got, want := generic(typed), generic(frame.Predicate)
	if !bytes.Equal(got, want) {
		return "predicate: got " + string(got) + ", want " + string(want)
	}
	a, _ := json.Marshal(s.Subjects)
	b, _ := json.Marshal(frame.Subject)
	if !bytes.Equal(a, b) {
		return "subjects: got " + string(a) + ", want " + string(b)
	}
	return ""
}

// otherTests compares what is read of a reused predicate.
func otherTests(s *Statement, payload []byte) string {
	var frame struct {
		Predicate struct {
			Result  string                       `json:"result"`
			Passed  []string                     `json:"passedTests"`
			Warned  []string                     `json:"warnedTests"`
			Failed  []string                     `json:"failedTests"`
			Monitor struct{ Type string }        `json:"monitor"`
			Log     struct{ Network []struct{} } `json:"monitorLog"`
		} `json:"predicate"`
	}
	if err := json.Unmarshal(payload, &frame); err != nil {
		return err.Error()
	}
	if s.TestResult == nil {
		if frame.Predicate.Monitor.Type != FlowSummaryMonitor {
			return "monitor: " + frame.Predicate.Monitor.Type
		}
		return ""
	}
	want := TestResult{frame.Predicate.Result, frame.Predicate.Passed, frame.Predicate.Warned, frame.Predicate.Failed}
	if !reflect.DeepEqual(*s.TestResult, want) {
		return fmt.Sprintf("test result: got %+v, want %+v", *s.TestResult, want)
	}
	return ""
}

// generic returns JSON with sorted keys and without empty strings, which a
// typed optional string cannot tell from an absent one.
func generic(data []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return []byte(err.Error())
	}
	if _, err := d.Token(); err != io.EOF {
		return []byte("trailing data")
	}
	out, _ := json.Marshal(withoutEmpty(v))
	return out
}

func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if e == "" {
				delete(v, k)
			} else {
				v[k] = withoutEmpty(e)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutEmpty(v[i])
		}
	}
	return v
}

// predicate returns the typed predicate.
func (s *Statement) predicate() any {
	if s.IsEvidence() {
		return s.TestResult
	}
	return s.value().Interface()
}
