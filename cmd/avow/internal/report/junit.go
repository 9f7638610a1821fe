package report

import (
	"encoding/xml"
	"io"
	"iter"

	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// The elements and attributes that are written. There is no standard; build servers agree on these.
type (
	junitSuite struct {
		XMLName    xml.Name        `xml:"testsuite"`
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Timestamp  string          `xml:"timestamp,attr,omitempty"`
		Properties []junitProperty `xml:"properties>property,omitempty"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Failure *junitProblem `xml:"failure,omitempty"`
		Error   *junitProblem `xml:"error,omitempty"`
		Skipped *junitProblem `xml:"skipped,omitempty"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes a test suite for each artifact, with a test case for each check, for each rule and for the verdict.
func writeJUnit(to io.Writer, items iter.Seq[Item], m Meta) error {
	if _, err := io.WriteString(to, xml.Header+"<testsuites name=\"avow verify\">\n"); err != nil {
		return err
	}
	for item := range items {
		data, err := xml.MarshalIndent(suite(&item, m), "  ", "  ")
		if err != nil {
			return err
		}
		if _, err := to.Write(append(data, '\n')); err != nil {
			return err
		}
	}
	_, err := io.WriteString(to, "</testsuites>\n")
	return err
}

func suite(i *Item, m Meta) *junitSuite {
	s := &junitSuite{Name: text.Safe(i.Name), Timestamp: m.GeneratedAt.UTC().Format("2006-01-02T15:04:05")}
	for _, p := range []junitProperty{{"avow", m.Version}, {"artifact.sha256", i.Question.ArtifactSHA256},
		{"trusted-root.sha256", trustDigest(&i.Question)}, {"evaluated-at", instant(i.Question.At)}} {
		if p.Value != "" {
			s.Properties = append(s.Properties, p)
		}
	}
	for _, e := range judged(i) {
		s.Properties = append(s.Properties, junitProperty{"standing " + text.Safe(e.Bundle), plain.Standing(e.Standing)})
	}
	// The verdict itself is a case: nothing that is not accepted can look like a suite of skipped cases.
	verdict := junitCase{Class: "verdict", Name: "accepted"}
	switch outcomeOf(i) {
	case notEvaluated:
		verdict.Error = &junitProblem{Message: i.problem(), Type: idNotEvaluated}
	case rejected:
		verdict.Failure = &junitProblem{Message: besides("rejected", ": ", i.reason()), Type: idVerdict}
	case accepted:
	}
	s.add(verdict)
	if i.Verdict != nil && i.Err == nil {
		for _, e := range entries(i.Verdict) {
			s.add(e.testCase(i.Verdict))
		}
	}
	return s
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func (e *entry) testCase(v *verify.Verdict) junitCase {
	c := junitCase{Class: e.Bundle, Name: e.ID}
	switch {
	case e.Rule:
		c.Class = "policy " + text.Safe(v.Policy.Name)
	case e.Bundle == "":
		c.Class = "all bundles"
	}
	switch e.Status {
	case verify.StatusPass:
	case verify.StatusWarning:
		c.Output = "warning: " + e.lines()
	case verify.StatusSkipped:
		c.Skipped = &junitProblem{Message: skipped(e)}
	default: // a failure, or a status that is not known here
		c.Failure = &junitProblem{Message: e.Detail, Type: e.key(), Text: e.lines()}
	}
	return c
}

// skipped says why a check was not run.
func skipped(e *entry) string {
	if e.Detail != "" {
		return e.Detail
	}
	return "not run, because an earlier check failed"
}

// lines are what there is to say about an entry, a part a line.
func (e *entry) lines() string {
	s := e.Detail
	for _, id := range e.Failing {
		s += "\nfailing: " + id
	}
	for _, p := range e.labelled() {
		s += "\n" + p[0] + ": " + p[1]
	}
	return s
}
