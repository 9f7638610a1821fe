package compare

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// TestResultType is in-toto's predicate type of the result of a comparison.
const TestResultType = predicate.TestResultType

// MaxFailedTests is how many failures a statement lists by name. A longer list
// is cut, and its last entry says how many more there are; the report has all.
const MaxFailedTests = 1000

// errSubjects: the comparison would say something about files that nobody observed.
var errSubjects = errors.New("no file of the observation is a file of the declaration")

// Input is a document that was compared, by name and digest.
type Input struct {
	Name   string
	SHA256 [sha256.Size]byte
}

// Inputs are what a comparison was made of, beside what the report holds.
type Inputs struct {
	// Declared is the statement whose predicate was compared.
	Declared *predicate.Statement
	// Observed are the observations, in the order in which they were compared.
	Observed []*observation.Observation
	// Files are the exact bytes of the observations, in the same order.
	Files   []Input
	Options Options
	// AnySubjectUnsafe lets observations of other files than the declared ones
	// through; the statement is then about the observed files.
	AnySubjectUnsafe bool
}

// Subjects returns the files that the statement is about: those of the
// declaration that every observation is about. None is an error, but with
// AnySubjectUnsafe, which makes it the files of the first observation.
func (in *Inputs) Subjects() ([]predicate.Subject, error) {
	var subjects []predicate.Subject
	for _, s := range in.Declared.Subjects {
		here := func(o predicate.Subject) bool { return o.Digest["sha256"] == s.Digest["sha256"] }
		elsewhere := func(o *observation.Observation) bool { return !slices.ContainsFunc(o.Subjects, here) }
		if !slices.ContainsFunc(in.Observed, elsewhere) {
			subjects = append(subjects, s)
		}
	}
	if len(subjects) > 0 {
		return subjects, nil
	}
	if !in.AnySubjectUnsafe || len(in.Observed) == 0 {
		return nil, errSubjects
	}
	return in.Observed[0].Subjects, nil
}

// Statement is a report as the in-toto statement that is to be signed. Only
// [Compose] makes one.
type Statement struct{ payload []byte }

// Payload returns a copy of the exact bytes that are signed.
func (s *Statement) Payload() []byte { return slices.Clone(s.payload) }

type statementJSON struct {
	Type          string              `json:"_type"`
	Subject       []predicate.Subject `json:"subject"`
	PredicateType string              `json:"predicateType"`
	Predicate     testResultJSON      `json:"predicate"`
}

type testResultJSON struct {
	Result        string           `json:"result"`
	Configuration []descriptorJSON `json:"configuration"`
	Passed        []string         `json:"passedTests"`
	Warned        []string         `json:"warnedTests"`
	Failed        []string         `json:"failedTests"`
}

type descriptorJSON struct {
	Name      string            `json:"name"`
	Digest    map[string]string `json:"digest"`
	Content   []byte            `json:"content,omitempty"` // base64
	MediaType string            `json:"mediaType,omitempty"`
}

// Compose writes a report as a test-result statement: passedTests are the ids of
// flows that were seen as declared, warnedTests of those that were not seen,
// failedTests undeclared and unclassified peers and, behind the id of their
// flow, deviations. The configuration names the declaration, the observations
// and the options by digest. Nothing in it depends on the time or the machine.
//
// The error says that inputs and report do not belong together, or that the
// observed files are not the declared ones.
func Compose(r *Report, in Inputs) (*Statement, error) {
	if in.Declared == nil || in.Declared.DataFlows == nil || len(in.Observed) == 0 ||
		len(in.Observed) != len(in.Files) || len(in.Observed) != len(r.Observations) || len(r.Flows) != len(in.Declared.DataFlows.Flows) {
		return nil, fmt.Errorf("test result: the report is of %d observations and %d flows, not of the %d observations that were given",
			len(r.Observations), len(r.Flows), len(in.Observed))
	}
	subjects, err := in.Subjects()
	if err != nil {
		return nil, fmt.Errorf("test result: %w", err)
	}
	options, err := json.Marshal(in.Options)
	if err != nil {
		return nil, fmt.Errorf("test result: %w", err)
	}
	s := statementJSON{Type: predicate.StatementType, Subject: subjects, PredicateType: TestResultType, Predicate: r.tests()}
	configure := func(name string, sum [sha256.Size]byte, content []byte, mediaType string) {
		s.Predicate.Configuration = append(s.Predicate.Configuration, descriptorJSON{Name: name, Content: content, MediaType: mediaType,
			Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}})
	}
	configure("declared", sha256.Sum256(in.Declared.Payload()), nil, predicate.PayloadType)
	for _, f := range in.Files {
		configure("observed "+f.Name, f.SHA256, nil, predicate.PayloadType)
	}
	configure("options", sha256.Sum256(options), options, "application/json")
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return nil, fmt.Errorf("test result: %w", err)
	}
	return &Statement{payload: b.Bytes()}, nil
}

// tests sorts what was found into the lists of a test result.
func (r *Report) tests() testResultJSON {
	t := testResultJSON{Result: "PASSED", Passed: []string{}, Warned: []string{}, Failed: []string{}}
	bad := map[string]bool{}
	for _, f := range r.Of(Failure) {
		bad[f.Flow] = true
		name := strings.TrimSpace(f.Peer)
		if f.Flow != "" {
			name = f.Flow + ": " + string(f.Code) + ": " + f.Peer
		} else if f.Peer == "" {
			name = string(f.Code) + ": " + f.Detail
		}
		t.Failed = append(t.Failed, name)
	}
	for i := range r.Flows {
		switch f := &r.Flows[i]; {
		case f.Status == Unseen:
			t.Warned = append(t.Warned, f.ID)
		case f.Status == Seen && !bad[f.ID]:
			t.Passed = append(t.Passed, f.ID)
		}
	}
	slices.Sort(t.Failed)
	t.Failed = slices.Compact(t.Failed)
	if more := len(t.Failed) - MaxFailedTests; more > 0 {
		t.Failed = append(t.Failed[:MaxFailedTests], fmt.Sprintf("%d more", more))
	}
	switch {
	case !r.Clean():
		t.Result = "FAILED"
	case len(r.Findings) > 0:
		t.Result = "WARNED"
	}
	return t
}

// Dispute drafts the opening of a dispute about the declaration from an unclean
// report, with the observations as evidence by digest. Where nothing contradicts
// the declaration it is an error: a peer without a name may be a declared one.
func Dispute(r *Report, in Inputs, about predicate.AboutOptions) ([]byte, error) {
	d := predicate.Dispute{Event: "opened", Ground: "other"}
	var lines []string
	for _, f := range r.Of(Failure) {
		if f.Code == NoName || f.Code == Gap {
			continue
		}
		switch {
		case f.Flow == "":
			d.Ground = "undeclaredFlow"
		case f.Code == SwitchIneffective && d.Ground == "other":
			d.Ground = "switchIneffective"
		}
		if f.Flow != "" && !slices.Contains(d.Items, f.Flow) {
			d.Items = append(d.Items, f.Flow)
		}
		lines = append(lines, strings.Join(strings.Fields(fmt.Sprintf("%s: %s %s: %s", f.Code, f.Flow, f.Peer, f.Detail)), " "))
	}
	if len(lines) == 0 {
		return nil, errors.New("nothing that was observed contradicts the declaration")
	}
	d.Summary = summary(lines)
	for n, f := range in.Files {
		d.Evidence = append(d.Evidence, predicate.Evidence{ID: fmt.Sprintf("observation-%d", n+1), Kind: "flowCapture",
			Resource: &predicate.ResourceDescriptor{Name: f.Name, Digest: map[string]string{"sha256": hex.EncodeToString(f.SHA256[:])}}})
	}
	return predicate.NewDisputeDraft(about, d, nil)
}

// summary fits as many lines into the 2,000 characters of a dispute's summary
// as there is room for.
func summary(lines []string) string {
	const most = 1900
	text, used := "Observed and not as declared:", 0
	for _, line := range lines {
		if r := []rune(line); len(r) > 300 {
			line = string(r[:300])
		}
		if len([]rune(text))+len([]rune(line))+1 > most {
			break
		}
		text += "\n" + line
		used++
	}
	if more := len(lines) - used; more > 0 {
		text += fmt.Sprintf("\nand %d more, in the evidence", more)
	}
	return text
}
