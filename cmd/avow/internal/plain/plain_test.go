package plain

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

const vectors = "../../../../testdata/vectors/v1"

func parse(t testing.TB, data []byte) *predicate.Statement {
	t.Helper()
	st, err := predicate.Parse(data, predicate.Consumption)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func render(st *predicate.Statement, width int) string {
	var b strings.Builder
	Statement(text.NewWriter(&b, false, width), st)
	return b.String()
}

// eachVector calls f for every valid statement of the test vectors.
func eachVector(t *testing.T, f func(t *testing.T, data []byte)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(vectors, "*", "valid", "*.json"))
	if err != nil || len(files) < 20 {
		t.Fatalf("got %d vectors, %v", len(files), err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimPrefix(name, vectors+"/"), func(t *testing.T) { f(t, data) })
	}
}

// TestEveryLineFits: whatever a statement says, no line is wider than the terminal.
func TestEveryLineFits(t *testing.T) {
	eachVector(t, func(t *testing.T, data []byte) {
		for _, width := range []int{60, 80, 120, 200} {
			for line := range strings.Lines(render(parse(t, data), width)) {
				if got := text.Width(strings.TrimRight(line, "\n")); got > width {
					t.Errorf("%d columns instead of %d: %q", got, width, line)
				}
			}
		}
	})
}

// TestEverythingIsSaid: the names, ids and free texts of a statement appear in what a person reads.
func TestEverythingIsSaid(t *testing.T) {
	eachVector(t, func(t *testing.T, data []byte) {
		st := parse(t, data)
		said := strings.Join(strings.Fields(render(st, 10_000)), " ")
		for _, want := range wanted(st) {
			if want = strings.Join(strings.Fields(text.Safe(want)), " "); !strings.Contains(said, want) {
				t.Errorf("%q is not said in\n%s", want, said)
			}
		}
	})
}

// wanted are the texts that must not be dropped.
func wanted(st *predicate.Statement) []string {
	out := []string{st.ID()}
	if c := st.Common(); c != nil {
		out = append(out, c.Product.Name, c.Product.Version, c.Declarant.Party.Name, c.Declarant.Party.Country,
			c.Validity.NotAfter)
	}
	if n := st.NoBackdoor; n != nil {
		for _, c := range n.Claims {
			out = append(out, c.ID, predicate.ClaimSentence(c.ID), c.Note)
			out = append(out, c.Mechanisms...)
		}
		for _, m := range n.Mechanisms {
			out = append(out, m.ID, m.Description, m.Control.Setting, m.Control.Effect)
		}
	}
	if d := st.DataFlows; d != nil {
		for _, e := range d.Completeness.Exclusions {
			out = append(out, e.Description)
		}
		for _, f := range d.Flows {
			out = append(out, f.ID, f.Title, f.PurposeText, f.Activation.Control.Setting, f.Activation.Control.Effect)
			for _, e := range f.Endpoints {
				out = append(out, e.Value, e.Setting)
			}
			for _, i := range append(f.Sends, f.Receives...) {
				out = append(out, i.Description)
			}
			for _, r := range f.Recipients {
				if r.Party != nil {
					out = append(out, r.Party.Name, r.Party.Country)
				}
				out = append(out, r.Storage...)
				out = append(out, r.AccessFrom...)
			}
		}
	}
	if u := st.Undertakings; u != nil {
		for _, p := range u.Undertakings {
			out = append(out, p.ID, predicate.UndertakingSentence(p.ID), p.Until, p.Text)
		}
	}
	return out
}

// TestHostileText puts what a terminal obeys into every string of every vector. Nothing of it may come out.
func TestHostileText(t *testing.T) {
	const evil = "\x1b[2K\rACCEPTED \u202e\u009b31m\u2028\n  ok    signature"
	eachVector(t, func(t *testing.T, data []byte) {
		var whole map[string]any
		if err := json.Unmarshal(data, &whole); err != nil {
			t.Fatal(err)
		}
		whole["predicate"] = poison(whole["predicate"], evil)
		hostile, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		st, err := predicate.Parse(hostile, predicate.Consumption)
		if err != nil {
			t.Skipf("does not parse: %v", err)
		}
		for line := range strings.Lines(render(st, 80)) {
			for _, r := range strings.TrimRight(line, "\n") {
				if !unicode.IsPrint(r) {
					t.Fatalf("%U in %q", r, line)
				}
			}
			if strings.HasPrefix(line, "ACCEPTED") || strings.HasPrefix(line, "  ok ") {
				t.Fatalf("a forged line: %q", line)
			}
		}
	})
}

// poison appends the text to the strings that are free text: where the parser is strict about the form, the statement
// would not get as far as a terminal.
func poison(v any, evil string) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if s, ok := value.(string); ok {
				switch key {
				case "name", "description", "title", "purposeText", "setting", "effect", "note", "text", "signatoryFunction", "uri",
					"contact", "version", "value", "explanation", "summary", "limitations", "kind", "category", "role", "country":
					v[key] = s + evil
				}
				continue
			}
			v[key] = poison(value, evil)
		}
	case []any:
		for i := range v {
			v[i] = poison(v[i], evil)
		}
	}
	return v
}

func TestAbsenceIsTheWorst(t *testing.T) {
	st := &predicate.Statement{DataFlows: &predicate.DataFlows{Flows: []predicate.Flow{{ID: "f",
		Recipients: []predicate.Recipient{
			{Role: "processor", Party: &predicate.Party{Name: "P"}}}}}}}
	said := render(st, 10_000)
	for _, want := range []string{"stored anywhere (not stated)", "readable anywhere (not stated)",
		"kept for an unspecified time",
		"what it sends is not stated", "country not stated"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said in\n%s", want, said)
		}
	}
	unknown := render(&predicate.Statement{NoBackdoor: &predicate.NoBackdoor{Claims: []predicate.Claim{{ID: "NB-NEW",
		Answer: "perhaps"}}}}, 10_000)
	for _, want := range []string{"perhaps (unknown value)", "it counts as not made",
		"NOT CLAIMED: The product contains no code meant to act"} {
		if !strings.Contains(unknown, want) {
			t.Errorf("%q is not said in\n%s", want, unknown)
		}
	}
}

func verdict(outcome verify.Outcome) *verify.Verdict {
	return &verify.Verdict{
		Outcome: outcome,
		Checks: []verify.Check{
			{ID: verify.CheckSignature, Status: verify.StatusPass, Bundle: "b", Detail: "by the key"},
			{ID: verify.CheckStatementRules, Status: verify.StatusSkipped, Bundle: "b"},
			{ID: verify.CheckSubject, Status: verify.StatusFail, Bundle: "b", Expected: "aa", Got: "bb\x1b",
				Detail: "another file", Hint: "check"},
			{ID: verify.CheckValidity, Status: verify.StatusSkipped, Bundle: "b"},
			{ID: verify.CheckRequiredTypes, Status: verify.StatusWarning, Detail: "careful"},
		},
		Bundles: []verify.BundleResult{{Name: "b", Outcome: outcome}},
		Evidence: []verify.Evidence{{Bundle: "b", Statement: &predicate.Statement{Type: predicate.DataFlowsType,
			DataFlows: &predicate.DataFlows{}},
			SignedBy: time.Unix(0, 0)}},
	}
}

func TestVerdict(t *testing.T) {
	var b strings.Builder
	Verdict(text.NewWriter(&b, false, 100), "app\n", verdict(verify.Rejected))
	want := `REJECTED  app\n

Bundle b: rejected
  ok    signature               by the key
  FAIL  subject                 another file
                                expected: aa
                                got: bb\x1b
                                hint: check
  ----  not run: 2 checks

The bundles together
  warn  required-types          careful

What the bundles declare is not shown, because the verdict is a rejection.
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	Verdict(text.NewWriter(&b, false, 100), "app", verdict(verify.Accepted))
	if !strings.Contains(b.String(), "data-flows (b): DECLARED BY THE VENDOR, NOT VERIFIED\n") {
		t.Errorf("the declaration is not labelled in\n%s", b.String())
	}
}

func TestTypeNames(t *testing.T) {
	for _, uri := range predicate.Types() {
		if name := TypeName(uri); strings.ContainsAny(name, "/:") || TypeURI(name) != uri || TypeURI(uri) != uri {
			t.Errorf("%s has the name %q, which is %q", uri, name, TypeURI(name))
		}
	}
	if TypeURI("../../etc") != "" || TypeURI("") != "" {
		t.Error("what is no type has a URI")
	}
}

func TestPeriod(t *testing.T) {
	for seconds, want := range map[int]string{0: "0 seconds", 1: "second", 90: "90 seconds", 600: "10 minutes",
		3600: "hour", 86400: "day", 604800: "7 days"} {
		if got := period(seconds); got != want {
			t.Errorf("period(%d) = %q, want %q", seconds, got, want)
		}
	}
}

// TestEveryCheckHasASentence: who adds a check says what it is for.
func TestEveryCheckHasASentence(t *testing.T) {
	for _, id := range verify.CheckIDs() {
		if checkSentences[id] == "" {
			t.Errorf("checks.go has no sentence for %s", id)
		}
	}
	if len(checkSentences) != len(verify.CheckIDs()) {
		t.Errorf("%d sentences for %d checks", len(checkSentences), len(verify.CheckIDs()))
	}
	if got := CheckSentence("new\n"); got != `Check new\n.` {
		t.Errorf("got %q", got)
	}
}

// TestArrows: what is not said is the worst, and every recipient has its arrow.
func TestArrows(t *testing.T) {
	party := &predicate.Party{Name: "P\n", Country: "DE", ControlledFrom: "US"}
	arrows := Arrows(&predicate.DataFlows{Flows: []predicate.Flow{
		{ID: "a", DataDirection: "outbound", Activation: predicate.Activation{DefaultState: "off"},
			Sends: []predicate.DataItem{{Category: "location", Personal: "mayContain"}, {Category: "location", Personal: "personal"}},
			Recipients: []predicate.Recipient{{Role: "processor", Party: party, Storage: []string{"FR"}}, {Role: "customer"},
				{Role: "processor"}}},
		{ID: "b", Recipients: nil},
		{ID: "c", DataDirection: "inbound", Sends: []predicate.DataItem{}, Recipients: []predicate.Recipient{{Party: &predicate.Party{}}}},
		{ID: "d", Sends: []predicate.DataItem{{Personal: "pseudonymous"}, {Personal: "new"}}, Recipients: []predicate.Recipient{{}}},
	}})
	for i, want := range []struct {
		id, place, recipient, about, data string
		personal                          Personal
		on, out, in                       bool
	}{
		{"a", "DE", `P\n`, "a processor for the declarant|controlled from US|stored in FR, readable anywhere (not stated), kept for an " +
			"unspecified time", "location", PersonalYes, false, true, false},
		{"a", OwnSystems, "a system of the customer", "", "location", PersonalYes, false, true, false},
		{"a", countryNotStated, "a processor for the declarant (not named)", "stored anywhere (not stated), readable anywhere " +
			"(not stated), kept for an unspecified time", "location", PersonalYes, false, true, false},
		{"b", countryNotStated, "recipient not stated", "", "", PersonalUnknown, true, true, true},
		{"c", countryNotStated, "", "not stated|stored anywhere (not stated), readable anywhere (not stated), kept for an " +
			"unspecified time", "", PersonalNothing, true, false, true},
		{"d", countryNotStated, "not stated (not named)", "stored anywhere (not stated), readable anywhere (not stated), kept for " +
			"an unspecified time", "not stated", PersonalUnknown, true, true, true},
	} {
		a := arrows[i]
		if a.ID != want.id || a.Place != want.place || a.Recipient != want.recipient || strings.Join(a.About, "|") != want.about ||
			strings.Join(a.Data, "|") != want.data || a.Personal != want.personal || a.On != want.on || a.Out != want.out ||
			a.In != want.in {
			t.Errorf("arrow %d is %+v", i, a)
		}
	}
}

// TestPersonalHasWords: every value of the registry has its place in the order, and every place has words.
func TestPersonalHasWords(t *testing.T) {
	for _, id := range predicate.IDs("personal") {
		if kind, ok := personalOf[id]; !ok || kind.String() != predicate.Label("personal", id) {
			t.Errorf("%s is %v", id, kind)
		}
	}
	if PersonalUnknown.String() == "" || PersonalNothing.String() == "" || PersonalUnknown > PersonalNo {
		t.Error("what is not known has no words, or counts as harmless")
	}
}

// TestPledge: a pledge is shown, and a broken one cannot be overlooked.
func TestPledge(t *testing.T) {
	e := &verify.Evidence{LogOrigin: "log.example", LogPledge: &verify.LogPledge{Logs: []string{"log.example", "two\x1b.example"}, Kept: true}}
	if got, want := Pledge(e), `the signer publishes in log.example, two\x1b.example only, and this is there`; got != want {
		t.Errorf("kept: got %q, want %q", got, want)
	}
	e.LogPledge = &verify.LogPledge{Logs: []string{"other.example"}}
	if got, want := Pledge(e), "BROKEN: the signer pledged to publish in other.example only, and this is in log.example"; got != want {
		t.Errorf("broken: got %q, want %q", got, want)
	}
}
