package predicate

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	minimalFlows      = "v1/data-flows/valid/minimal-data-flows.json"
	minimalNoBackdoor = "v1/no-backdoor/valid/minimal-no-backdoor.json"
)

// TestKnownIDs: the id is the SHA-256 of the bytes; the references between the
// examples hold.
func TestKnownIDs(t *testing.T) {
	flows := mustParse(t, minimalFlows)
	if got, want := flows.ID(), "sha256:ae337ac1cb5dd361659a4faad01ea6e21a69c7b16d7cfb5769448188686d860b"; got != want {
		t.Errorf("id %s, want %s", got, want)
	}
	claims := mustParse(t, minimalNoBackdoor)
	if refs := claims.References(); len(refs) != 1 || refs[0].ID() != flows.ID() {
		t.Errorf("references %v, want the data-flows statement", refs)
	}
	payload := flows.Payload()
	payload[0] = 'x'
	if flows.Payload()[0] == 'x' {
		t.Error("Payload is not a copy")
	}
}

func TestMembersByType(t *testing.T) {
	for _, test := range []struct {
		file            string
		common, target  bool
		items, referred int
	}{
		{minimalNoBackdoor, true, false, 7, 1},
		{minimalFlows, true, false, 1, 0},
		{"v1/undertakings/valid/minimal-undertakings.json", true, false, 1, 0},
		{"v1/withdrawal/valid/minimal-withdrawal.json", false, true, 0, 1},
		{"v1/dispute/valid/dispute-answered.json", false, true, 0, 2},
		{"v1/assessment/valid/minimal-assessment.json", false, true, 0, 1},
		{"v1/standing/valid/minimal-standing.json", false, true, 0, 1},
	} {
		s := mustParse(t, test.file)
		if (s.Common() != nil) != test.common || (s.Target() != nil) != test.target ||
			len(s.ItemIDs()) != test.items || len(s.References()) != test.referred {
			t.Errorf("%s: common %v, target %v, items %v, references %v", test.file, s.Common() != nil, s.Target() != nil,
				s.ItemIDs(), s.References())
		}
		if !slices.Contains(Types(), s.Type) {
			t.Errorf("%s: type %s", test.file, s.Type)
		}
	}
}

func TestInForce(t *testing.T) {
	for _, test := range []struct {
		file, at, reason string
	}{
		{minimalFlows, "2026-09-01T09:00:00Z", ""},
		{minimalFlows, "2026-09-01T08:59:59Z", "not in force before 2026-09-01T09:00:00Z"},
		{minimalFlows, "2027-09-01T08:59:59Z", ""},
		{minimalFlows, "2027-09-01T09:00:00Z", "expired at 2027-09-01T09:00:00Z"},
		{"v1/data-flows/valid/not-before.json", "2026-09-15T00:00:00Z", "not in force before 2026-10-01T00:00:00Z"},
		{"v1/data-flows/valid/not-before.json", "2026-10-01T00:00:00Z", ""},
		{"v1/assessment/valid/minimal-assessment.json", "2026-11-23T00:00:00Z", ""},
		{"v1/standing/valid/minimal-standing.json", "2026-11-19T23:59:59Z", "not in force before 2026-11-20T00:00:00Z"},
		{"v1/standing/valid/minimal-standing.json", "2026-11-27T00:00:00Z", "expired at 2026-11-27T00:00:00Z"},
		{"v1/withdrawal/valid/grafana-withdrawal.json", "2026-11-21T00:00:00Z", "not in force before 2026-11-22T00:00:00Z"},
		{"v1/withdrawal/valid/minimal-withdrawal.json", "2020-01-01T00:00:00Z", ""}, // neverValid
		{"v1/dispute/valid/minimal-dispute.json", "2020-01-01T00:00:00Z", ""},
	} {
		at, ok := parseTime(test.at)
		if !ok {
			t.Fatal(test.at)
		}
		if in, reason := mustParse(t, test.file).InForce(at); in != (test.reason == "") || reason != test.reason {
			t.Errorf("%s at %s: %v %q, want %q", test.file, test.at, in, reason, test.reason)
		}
	}
}

// TestInForceFailsClosed: a period that is not given, or cannot be read, is not
// in force. Parse accepts such statements; the rules refuse them.
func TestInForceFailsClosed(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for _, file := range []string{"R05-not-after-absent", "R05-issued-at-absent", "R05-month-13", "R05-fraction", "R05-not-utc", "R05-lower-case"} {
		s := mustParse(t, "v1/data-flows/invalid/"+file+".json")
		if in, reason := s.InForce(now); in || reason == "" {
			t.Errorf("%s: %v %q", file, in, reason)
		}
	}
	if in, _ := (&Statement{}).InForce(now); in {
		t.Error("the zero statement is in force")
	}
}

// TestModes: consumption ignores unknown members of the predicate and nothing
// else.
func TestModes(t *testing.T) {
	for file, accepted := range map[string]bool{
		"data-flows/invalid/R02-unknown-field":              true,
		"data-flows/invalid/R02-member-in-capitals":         true,
		"data-flows/invalid/R02-placeholder":                true,
		"data-flows/invalid/R02-unknown-field-in-subject":   false,
		"data-flows/invalid/R02-unknown-statement-member":   false,
		"data-flows/invalid/R02-missing-title":              false,
		"data-flows/invalid/R02-flows-absent":               false,
		"data-flows/invalid/R02-number-as-string":           false,
		"data-flows/invalid/R01-duplicate-key":              false,
		"data-flows/invalid/R01-alias-type":                 false,
		"data-flows/invalid/R03-predicate-type":             false,
		"data-flows/invalid/R03-personal":                   true,
		"standing/invalid/R02-standing-list-absent":         false,
		"data-flows/invalid/R02-configured-without-setting": false,
	} {
		data := readVector(t, "v1/"+file+".json")
		s, err := Parse(data, Consumption)
		if (err == nil) != accepted {
			t.Errorf("%s: consumption: %v, want accepted %v", file, err, accepted)
		}
		unknown := strings.HasSuffix(file, "unknown-field") || strings.HasSuffix(file, "member-in-capitals")
		if err == nil && s.Ignored() != unknown {
			t.Errorf("%s: ignored %v, want %v", file, s.Ignored(), unknown)
		}
		if _, err := Parse(data, Issuance); strings.Contains(file, "R02") && err == nil {
			t.Errorf("%s: issuance accepts it", file)
		}
	}
}

// TestPresence: an absent list and an empty one are told apart.
func TestPresence(t *testing.T) {
	if s := mustParse(t, "v1/data-flows/valid/minimal-data-flows-none.json"); s.DataFlows.Flows == nil || len(s.DataFlows.Flows) != 0 {
		t.Error("an empty list is not an empty slice")
	}
	if s := mustParse(t, "v1/data-flows/invalid/R24-no-sends.json"); s.DataFlows.Flows[0].Sends != nil {
		t.Error("an absent list is not nil")
	}
	if s := mustParse(t, "v1/undertakings/invalid/R18-no-hours.json"); s.Undertakings.Undertakings[0].Hours != nil {
		t.Error("an absent number is not nil")
	}
}

// TestPeriod: the times at which InForce begins and ends to answer yes.
func TestPeriod(t *testing.T) {
	s, err := Parse(readVector(t, "v1/data-flows/valid/minimal-data-flows.json"), Consumption)
	if err != nil {
		t.Fatal(err)
	}
	from, to := s.Period()
	for at, want := range map[time.Time]bool{from.Add(-time.Second): false, from: true, to.Add(-time.Second): true, to: false} {
		if got, why := s.InForce(at); got != want || from.IsZero() || to.IsZero() {
			t.Errorf("at %s: %v, %s", at, got, why)
		}
	}
}
