package policy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// at is the time of expected.json.
var at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// vector returns the text of a valid statement of the test vectors.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	found, err := filepath.Glob("../../testdata/vectors/v1/*/valid/" + name + ".json")
	if err != nil || len(found) != 1 {
		t.Fatalf("vector %s: found %v, %v", name, found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// edit replaces the value at a JSON pointer.
type edit struct {
	Statement string `json:"statement"`
	Pointer   string `json:"pointer"`
	Value     any    `json:"value"`
}

// edited changes a statement. The value "\x00" removes the member.
func edited(t testing.TB, data []byte, edits ...edit) []byte {
	t.Helper()
	if len(edits) == 0 {
		return data
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		tokens := strings.Split(strings.TrimPrefix(e.Pointer, "/"), "/")
		at := tree
		for i, token := range tokens {
			last := i == len(tokens)-1
			switch v := at.(type) {
			case map[string]any:
				if last && e.Value == nil {
					delete(v, token)
				} else if last {
					v[token] = e.Value
				}
				at = v[token]
			case []any:
				n, err := strconv.Atoi(token)
				if err != nil || n >= len(v) {
					t.Fatalf("pointer %s: no element %s", e.Pointer, token)
				}
				if last {
					v[n] = e.Value
				}
				at = v[n]
			default:
				t.Fatalf("pointer %s: nothing at %s", e.Pointer, token)
			}
		}
	}
	changed, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// evidence is a statement as if verified. Standings and assessments are by
// signers whom the caller pinned for them.
func evidence(t testing.TB, data []byte) verify.Evidence {
	t.Helper()
	s, err := predicate.Parse(data, predicate.Consumption)
	if err != nil {
		t.Fatal(err)
	}
	e := verify.Evidence{Statement: s, StatementID: s.ID(), KeyID: "sha256:00", LogOrigin: "log.example.test", LogIndex: 7,
		TreeSize: 9, SubjectName: s.Subjects[0].Name, SignedBy: at.Add(-24 * time.Hour),
		Timestamps: []verify.Timestamp{{Time: at.Add(-24 * time.Hour), Authority: "https://tsa.example.test"}},
		Signer:     verify.Signer{Name: "Example Devices GmbH", Key: &verify.Key{}}}
	if s.Standing != nil || s.Assessment != nil {
		e.Signer = verify.Signer{Name: "other", Key: &verify.Key{}, Types: []string{s.Type}}
	}
	return e
}

// set names the statements of an artifact, as expected.json does.
type set struct {
	DataFlows    string   `json:"dataFlows"`
	NoBackdoor   string   `json:"noBackdoor"`
	Undertakings string   `json:"undertakings"`
	Standing     string   `json:"standing"`
	Assessments  []string `json:"assessments"`
}

// facts are the facts of a set of vectors with changes.
func (s set) facts(t testing.TB, edits ...edit) verify.Facts {
	t.Helper()
	f := verify.Facts{At: at}
	add := func(role, name string) {
		if name == "" {
			return
		}
		var own []edit
		for _, e := range edits {
			if e.Statement == role {
				own = append(own, e)
			}
		}
		f.Evidence = append(f.Evidence, evidence(t, edited(t, vector(t, name), own...)))
	}
	add("dataFlows", s.DataFlows)
	add("noBackdoor", s.NoBackdoor)
	add("undertakings", s.Undertakings)
	add("standing", s.Standing)
	for i, name := range s.Assessments {
		add("assessments/"+strconv.Itoa(i), name)
	}
	f.ArtifactSHA256 = f.Evidence[0].Statement.Subjects[0].Digest["sha256"]
	return f
}

// builtin loads a ready-made policy.
func builtin(t testing.TB, name string, parameters map[string]string) *policy.Policy {
	t.Helper()
	p, err := policy.Builtin(t.Context(), name, policy.Options{Parameters: parameters})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// only judges and returns the result of the only rule.
func only(t testing.TB, p *policy.Policy, f verify.Facts) verify.RuleResult {
	t.Helper()
	result, err := p.Judge(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Rules) != 1 {
		t.Fatalf("%d rules, want 1", len(result.Rules))
	}
	return result.Rules[0]
}

// strictFacts meet the strict profile; the changes are made afterwards.
func strictFacts(t testing.TB, edits ...edit) verify.Facts {
	t.Helper()
	claims := func(id string) map[string]any {
		return map[string]any{"id": id, "answer": "asserted", "qualification": "unqualified"}
	}
	var nb map[string]any
	if err := json.Unmarshal(vector(t, "minimal-no-backdoor"), &nb); err != nil {
		t.Fatal(err)
	}
	all := append(nb["predicate"].(map[string]any)["claims"].([]any), claims("NB-INTERCEPT"), claims("NB-CRYPTO"))
	undertakings := []any{
		map[string]any{"id": "U-NOTIFY-CHANGE", "qualification": "unqualified", "hours": 72},
		map[string]any{"id": "U-VULN-NOTIFY", "qualification": "unqualified", "hours": 72},
		map[string]any{"id": "U-VULN-REMEDY", "qualification": "unqualified", "days": 90},
		map[string]any{"id": "U-SUPPORT", "qualification": "unqualified", "until": "2029-01-01T00:00:00Z"},
		map[string]any{"id": "U-NO-FORCED-UPGRADE", "qualification": "unqualified"},
	}
	s := set{DataFlows: "minimal-data-flows", NoBackdoor: "minimal-no-backdoor", Undertakings: "minimal-undertakings",
		Standing: "minimal-standing", Assessments: []string{"minimal-assessment"}}
	more := []edit{{"noBackdoor", "/predicate/claims", all}, {"undertakings", "/predicate/undertakings", undertakings}}
	return s.facts(t, append(more, edits...)...)
}
