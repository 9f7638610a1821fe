package predicate

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// TestCheckEvidence is the half of R16 that needs the evidence.
func TestCheckEvidence(t *testing.T) {
	const subject = "13f3353567ce3b66c7435388c1650469488611255c0fddf6128ca3a0deda8fe9"
	document := func(sum string) string {
		return `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x"},{"name":"y","digest":{"sha256":"` + sum +
			`"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{"a":null,"b":1.5}}`
	}
	envelope := func(payload string) string {
		return `{"payloadType":"application/vnd.in-toto+json","payload":"` + base64.StdEncoding.EncodeToString([]byte(payload)) + `","signatures":[]}`
	}
	other := strings.Repeat("0", 64)
	for _, test := range []struct {
		name, document string
		refused        bool
	}{
		{"over the subject", document(subject), false},
		{"over another file", document(other), true},
		{"in an envelope", envelope(document(subject)), false},
		{"over another file, in an envelope", envelope(document(other)), true},
		{"envelope that is not base64", `{"payload":"%"}`, true},
		{"envelope of something else", envelope("[]"), true},
		{"two readings", strings.Replace(document(subject), `"predicateType"`, `"subject":[],"predicateType"`, 1), true},
		{"no statement", `{}`, true},
		{"no JSON", `evidence`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			sum := sha256.Sum256([]byte(test.document))
			payload := edit(t, minimalNoBackdoor, func(p map[string]any) {
				resource := p["evidence"].([]any)[0].(map[string]any)["resource"].(map[string]any)
				resource["digest"] = map[string]any{"sha256": hex.EncodeToString(sum[:])}
			})
			s, err := Parse(payload, Issuance)
			if err != nil {
				t.Fatal(err)
			}
			want := []place{}
			if test.refused {
				want = []place{{"R16", "/predicate/evidence/0"}}
			}
			if got := places(s.CheckEvidence([][]byte{[]byte("not named"), []byte(test.document)})); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if got := s.CheckEvidence(nil); len(got) > 0 {
				t.Errorf("evidence that is not at hand is judged: %v", got)
			}
		})
	}
	if got := mustParse(t, minimalFlows).CheckEvidence([][]byte{[]byte("x")}); len(got) > 0 {
		t.Errorf("a data-flows statement makes no claims: %v", got)
	}
}
