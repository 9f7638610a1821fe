package predicate

import (
	"slices"
	"strings"
	"testing"
)

// TestPledgedLogs: a pledge names logs by their origins and in no other way, and is none with a reservation.
func TestPledgedLogs(t *testing.T) {
	base := string(readVector(t, "v1/undertakings/valid/minimal-undertakings.json"))
	with := func(value, qualification string) string {
		pledge := `{"id":"U-LOG-ONLY","qualification":"` + qualification + `","channels":[{"scheme":"url","value":"` + value + `"}]},`
		return strings.Replace(base, "\"undertakings\": [", "\"undertakings\": ["+pledge, 1)
	}
	for value, ok := range map[string]bool{
		"https://2026-1.log.example.com": true, "http://log.example.com": false, "https://": false, "https://log.example.com/": false,
		"https://LOG.example.com": false, "log.example.com": false, "https://a@log.example.com": false, "https://log.example.com:443": false,
	} {
		text := with(value, "unqualified")
		errs := Lint([]byte(text), nil).Errors()
		if found := slices.ContainsFunc(errs, func(f Finding) bool { return f.Code == "R18" }); found == ok {
			t.Errorf("%s: %v", value, errs)
		}
		s, err := Parse([]byte(text), Consumption)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.PledgedLogs(); ok != (len(got) == 1 && "https://"+got[0] == value) {
			t.Errorf("%s: pledged %q", value, got)
		}
	}
	s, err := Parse([]byte(with("https://log.example.com", "bestOfKnowledge")), Consumption)
	if err != nil || s.PledgedLogs() != nil {
		t.Errorf("%v: a pledge with a reservation is one: %q", err, s.PledgedLogs())
	}
	if s, err := Parse([]byte(base), Consumption); err != nil || s.PledgedLogs() != nil {
		t.Errorf("%v: a statement without a pledge has one: %q", err, s.PledgedLogs())
	}
}
