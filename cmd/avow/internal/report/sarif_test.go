package report

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// sarifLog is what is read back. The decoder refuses members that are not among those that the specification has for
// them, because the types of sarif.go are all that is written.
type sarifLog struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []struct {
		Results     []sarifResult     `json:"results"`
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
	} `json:"runs"`
}

func readSARIF(t testing.TB, out string) sarifLog {
	t.Helper()
	var log sarifLog
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&log); err != nil || d.More() {
		t.Fatalf("%v in\n%s", err, out)
	}
	if len(log.Runs) != 1 {
		t.Fatalf("%d runs", len(log.Runs))
	}
	return log
}

// TestSARIFIsValid checks what the schema and the specification (sections 3.13 to 3.52) ask of the members that are written.
func TestSARIFIsValid(t *testing.T) {
	for name, items := range map[string][]Item{"none": {}, "accepted": {withPolicy(acceptedItem(t, vector(t, flows)), false)},
		"rejected": {rejectedItem(t)}, "hostile": {hostileItem(t, evil, false), hostileItem(t, evil, true), errorItem(), rejectedItem(t)}} {
		t.Run(name, func(t *testing.T) {
			log := readSARIF(t, render(t, SARIF, batch(meta), items...))
			if log.Version != "2.1.0" || !strings.HasSuffix(log.Schema, "/sarif-2.1.0.json") {
				t.Errorf("version %q, schema %q", log.Version, log.Schema)
			}
			run := log.Runs[0]
			driver := run.Tool.Driver
			if driver.Name != "avow" || driver.Version != meta.Version || run.Results == nil || driver.Rules == nil {
				t.Errorf("got %+v", driver)
			}
			var ids []string
			for _, r := range driver.Rules {
				if r.ID == "" || slices.Contains(ids, r.ID) || r.ShortDescription.Text == "" || !level(r.Configuration.Level) {
					t.Errorf("rule %+v", r)
				}
				ids = append(ids, r.ID)
			}
			for _, r := range run.Results {
				checkResultOf(t, r, driver.Rules)
			}
			i := run.Invocations[0]
			if _, err := time.Parse(time.RFC3339, i.EndTime); err != nil || i.Successful != (name != "hostile") {
				t.Errorf("invocation %+v", i)
			}
		})
	}
}

func level(s string) bool { return s == "error" || s == "warning" }

func checkResultOf(t *testing.T, r sarifResult, rules []sarifRule) {
	t.Helper()
	if r.RuleIndex < 0 || r.RuleIndex >= len(rules) || rules[r.RuleIndex].ID != r.RuleID {
		t.Errorf("result of rule %q has index %d", r.RuleID, r.RuleIndex)
	}
	if !level(r.Level) || r.Message.Text == "" || len(r.Locations) != 1 || len(r.Fingerprints[sarifFingerprint]) != 64 {
		t.Errorf("result %+v", r)
	}
	l := r.Locations[0].Physical
	if u, err := url.Parse(l.Artifact.URI); err != nil || u.String() != l.Artifact.URI || l.Region.StartLine != 1 {
		t.Errorf("location %+v: %v", l, err)
	}
}

// TestSARIFFingerprints: the same finding is recognised in a later run about other bytes; another rule or bundle is another.
func TestSARIFFingerprints(t *testing.T) {
	prints := func(item Item, m Meta) []string {
		var list []string
		for _, r := range readSARIF(t, render(t, SARIF, m, item)).Runs[0].Results {
			list = append(list, r.Fingerprints[sarifFingerprint])
		}
		return list
	}
	later := meta
	later.GeneratedAt, later.Version = later.GeneratedAt.Add(time.Hour), "v9"
	denied := withPolicy(acceptedItem(t, vector(t, flows)), true)
	again := withPolicy(acceptedItem(t, vector(t, flows)), true)
	again.Question.ArtifactSHA256 = strings.Repeat("34", 32)
	again.Verdict.Policy.Rules[0].Message, again.Verdict.Policy.Rules[0].Failing = "3 flows", []string{"a", "b", "c"}
	first := prints(denied, meta)
	if len(first) != 3 || !slices.Equal(first, prints(again, later)) {
		t.Errorf("got %v and %v", first, prints(again, later))
	}
	slices.Sort(first)
	if len(slices.Compact(first)) != 3 {
		t.Errorf("two findings share a fingerprint: %v", first)
	}
}

// TestSARIFNamesTheRules: one result for each rule that failed, with its level, and none for the check that stands for all.
func TestSARIFNamesTheRules(t *testing.T) {
	var got []string
	for _, r := range readSARIF(t, render(t, SARIF, meta, withPolicy(acceptedItem(t, vector(t, flows)), true))).Runs[0].Results {
		got = append(got, r.Level+" "+r.RuleID+" "+strings.Join(r.Properties.Failing, ","))
	}
	want := []string{"error policy/eu-storage telemetry,update", "warning policy/no-telemetry telemetry", "warning policy/switch "}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	message := readSARIF(t, render(t, SARIF, meta, rejectedItem(t))).Runs[0].Results[0].Message.Text
	for _, want := range []string{"app.tar.gz: the signature is not by the key", "\nbundle: 2.sigstore.json", "\nexpected: a signature by the key",
		"\ngot: another <one>", "\nwhat to do: fetch it again"} {
		if !strings.Contains(message, want) {
			t.Errorf("%q is not in %q", want, message)
		}
	}
}

func TestArtifactURI(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	for name, want := range map[string]string{"app.tar.gz": "app.tar.gz", "a b/c#d?e%": "a%20b/c%23d%3Fe%25", "/srv/app": "file:///srv/app",
		"a:b": "./a:b", digest: digest, "sha256:abc": "./sha256:abc", "\xff\n": "%FF%0A"} {
		if got := artifactURI(name); got != want {
			t.Errorf("artifactURI(%q) = %q, want %q", name, got, want)
		}
	}
}
