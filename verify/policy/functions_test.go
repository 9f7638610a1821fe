package policy_test

import (
	"strings"
	"testing"

	"github.com/avow-dev/avow/verify/policy"
)

func TestFunctions(t *testing.T) {
	f := set{DataFlows: "grafana-data-flows", NoBackdoor: "minimal-no-backdoor"}.facts(t)
	for expression, want := range map[string]string{ // "true", "false", or a part of the error
		// known
		`known("DE")`: "true", `known("DE-BY")`: "true", `known("FR-NC")`: "true", `known("EU")`: "true", `known("EEA")`: "true",
		`known("US-1AB")`: "true", `known("")`: "false", `known("anywhere")`: "false", `known("de")`: "false", `known("DEU")`: "false",
		`known("DE-")`: "false", `known("DE-ABCD")`: "false", `known("D1")`: "false", `known("DE-by")`: "false", `known("DE-B-Y")`: "false",
		`known(" DE")`: "false", `known("DE\n")`: "false", `known("EEA-1")`: "false", `known(["DE", "FR"])`: "true",
		`known(["DE", "anywhere"])`: "false", `known([])`: "false",
		// within: whole tokens
		`within("DE", ["DE"])`: "true", `within("DE-BY", ["DE"])`: "false", `within("DE-BY", ["DE-BY"])`: "true",
		`within("DE", region("EEA"))`: "true", `within("EEA", region("EEA"))`: "true", `within("EU", region("EEA"))`: "true",
		`within("EEA", region("EU"))`: "false", `within("NO", region("EU"))`: "false", `within("NO", region("EEA"))`: "true",
		`within("CH", region("EEA"))`: "false", `within("GB", region("EU"))`: "false", `within("FR-NC", region("EU"))`: "false",
		`within("anywhere", region("EEA"))`: "false", `within("", ["DE"])`: "false", `within([], ["DE"])`: "false",
		`within(["DE", "US"], ["DE"])`: "false", `within(["DE", "DE"], ["DE"])`: "true", `within("DE", [])`: "false",
		`within("DE", ["DE", "anywhere"])`: `"anywhere" in the list is not a place`, `within("DE", ["de"])`: "not a place",
		`within("DE", ["DE"] + ["FR"])`: "true",
		// outside: prefixes
		`outside("DE", ["CN"])`: "true", `outside("CN", ["CN"])`: "false", `outside("CN-GD", ["CN"])`: "false",
		`outside("CN-GD", ["CN-SH"])`: "true", `outside("CN-GD", ["CN-GD"])`: "false", `outside("CN", ["CN-GD"])`: "true",
		`outside("anywhere", ["CN"])`: "false", `outside("xx", ["CN"])`: "false", `outside("", ["CN"])`: "false", `outside([], ["CN"])`: "false",
		`outside("DE", [])`: "true", `outside("anywhere", [])`: "false", `outside(["DE", "CN"], ["CN"])`: "false",
		`outside("EU", ["DE"])`: "true", `outside("EU", ["DE", "EU"])`: "false", `outside("DE", ["China"])`: "not a place",
		// region
		`size(region("EU")) == 28`: "true", `size(region("EEA")) == 32`: "true", `"CH" in region("EEA")`: "false",
		`size(region("eu")) > 0`: `"eu" is not a region`,
		// hostIn
		`hostIn("updates.example.com", ["updates.example.com"])`: "true", `hostIn("Updates.Example.com.", ["updates.example.com"])`: "true",
		`hostIn("a.b.example.com", ["*.example.com"])`: "true", `hostIn("example.com", ["*.example.com"])`: "false",
		`hostIn("badexample.com", ["*.example.com"])`: "false", `hostIn("example.com.evil.test", ["*.example.com"])`: "false",
		`hostIn("*.example.com", ["*.example.com"])`: "true", `hostIn("*.a.example.com", ["*.example.com"])`: "true",
		`hostIn("*.example.com", ["*.a.example.com"])`: "false", `hostIn("*.example.com", ["a.example.com"])`: "false",
		`hostIn("a.example.com", ["*"])`: "false", `hostIn("a.example.com", ["*."])`: "false", `hostIn("", [""])`: "false",
		`hostIn("a", [])`: "false",
		// days, date
		`days(7) == duration("168h")`: "true", `days(0) == duration("0s")`: "true", `days(-1) < days(0)`: "true",
		`days(200000) > days(1)`: "out of range", `days(-200000) < days(1)`: "out of range",
		`date("2028-12-31") == timestamp("2028-12-31T00:00:00Z")`: "true", `date("2028-12-31T12:00:00Z") > date("2028-12-31")`: "true",
		`date("2028-12-31T01:00:00+02:00") < date("2028-12-31")`: "true", `date("31.12.2028") > now`: "is not a date",
		`date("2028-02-30") > now`: "is not a date", `date("") > now`: "is not a date",
		// byId
		`byId(dataFlows.flows, "gravatar").necessity != ""`: "true", `byId(dataFlows.flows, "nothing").id == ""`: "none with id nothing",
		`byId(dataFlows.flows, "").id == ""`: "none with id", `byId(noBackdoor.claims, "NB-ACCESS").answer == "asserted"`: "true",
	} {
		got := only(t, written(t, oneRule("    expression: |\n      "+expression+"\n")), f)
		switch {
		case want == "true" && !got.Passed, want == "false" && (got.Passed || got.Error != ""):
			t.Errorf("%s: passed %t, error %q, want %s", expression, got.Passed, got.Error, want)
		case want != "true" && want != "false" && !strings.Contains(got.Error, want):
			t.Errorf("%s: error %q, want %q", expression, got.Error, want)
		}
	}
}

// Every function is documented once, and with the name under which it is declared.
func TestFunctionsAreDocumented(t *testing.T) {
	names := map[string]bool{}
	for _, f := range policy.Functions() {
		if names[f.Name] || !strings.HasPrefix(f.Signature, f.Name+"(") || f.Description == "" {
			t.Errorf("%+v", f)
		}
		names[f.Name] = true
	}
	for _, v := range policy.Variables() {
		if v.Name == "" || v.Type == "" || v.Description == "" {
			t.Errorf("%+v", v)
		}
	}
}
