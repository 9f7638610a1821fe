package report

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/avow-dev/avow/verify"
)

type junitFile struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

func readJUnit(t testing.TB, out string) junitFile {
	t.Helper()
	var file junitFile
	if err := xml.Unmarshal([]byte(out), &file); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	return file
}

// TestJUnitCounts: the numbers of a suite are those of its cases.
func TestJUnitCounts(t *testing.T) {
	items := []Item{acceptedItem(t, vector(t, flows)), rejectedItem(t), errorItem(), hostileItem(t, evil, false),
		withPolicy(acceptedItem(t, vector(t, flows)), true)}
	file := readJUnit(t, render(t, JUnit, batch(meta), items...))
	if len(file.Suites) != len(items) {
		t.Fatalf("%d suites", len(file.Suites))
	}
	for i, s := range file.Suites {
		var n [3]int
		for _, c := range s.Cases {
			if c.Failure != nil {
				n[0]++
			}
			if c.Error != nil {
				n[1]++
			}
			if c.Skipped != nil {
				n[2]++
			}
		}
		if s.Tests != len(s.Cases) || n != [3]int{s.Failures, s.Errors, s.Skipped} {
			t.Errorf("suite %d says %d tests, %d, %d, %d; it has %d and %v", i, s.Tests, s.Failures, s.Errors, s.Skipped, len(s.Cases), n)
		}
		if v := items[i].Verdict; v != nil && v.Policy != nil && len(s.Cases) != 1+len(v.Checks)+len(v.Policy.Rules) {
			t.Errorf("suite %d has %d cases for %d checks and %d rules", i, len(s.Cases), len(v.Checks), len(v.Policy.Rules))
		}
	}
}

// TestJUnitSaysWhy: a failure carries what was expected, what was there and what to do, a rule what made it fail.
func TestJUnitSaysWhy(t *testing.T) {
	find := func(s junitSuite, class, name string) junitCase {
		for _, c := range s.Cases {
			if c.Class == class && c.Name == name {
				return c
			}
		}
		t.Fatalf("no case %s of %s", name, class)
		return junitCase{}
	}
	s := readJUnit(t, render(t, JUnit, meta, rejectedItem(t))).Suites[0]
	c := find(s, "2.sigstore.json", string(verify.CheckSignature))
	if c.Failure == nil || c.Failure.Message != "the signature is not by the key" || !strings.Contains(c.Failure.Text,
		"\nexpected: a signature by the key\ngot: another <one>\nwhat to do: fetch it again") {
		t.Errorf("got %+v", c.Failure)
	}
	if c := find(s, "2.sigstore.json", string(verify.CheckValidity)); c.Skipped == nil {
		t.Error("a check that was not run is not skipped")
	}
	s = readJUnit(t, render(t, JUnit, meta, withPolicy(acceptedItem(t, vector(t, flows)), true))).Suites[0]
	if c := find(s, "policy strict", "eu-storage"); c.Failure == nil || !strings.Contains(c.Failure.Text, "\nfailing: telemetry\nfailing: update") {
		t.Errorf("got %+v", c.Failure)
	}
	if c := find(s, "policy strict", "switch"); c.Failure != nil || !strings.Contains(c.Output, "could not be evaluated: no such key") {
		t.Errorf("got %+v", c)
	}
}
