package command

import (
	"bytes"
	"encoding/json"
	"io"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/avow-dev/avow/cmd/avow/internal/manifest"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/internal/verdictpb"
)

// jsonRow is one entry in the reports for programs. Exactly one of Verdict and Error is there.
type jsonRow struct {
	Item    jsonItem        `json:"item"`
	Verdict json.RawMessage `json:"verdict,omitempty"` // the API's Verdict message
	Error   *jsonError      `json:"error,omitempty"`
}

// jsonItem is the entry as the list has it.
type jsonItem struct {
	Position string   `json:"position"`
	Name     string   `json:"name"`
	SHA256   string   `json:"sha256,omitempty"`
	Path     string   `json:"path,omitempty"`
	Product  string   `json:"product,omitempty"`
	Bundles  []string `json:"bundles,omitempty"`
}

type jsonError struct {
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// jsonSummary ends a report. A report without one is not whole.
type jsonSummary struct {
	Format       manifest.Format `json:"format"`
	Entries      int             `json:"entries"`
	Accepted     int             `json:"accepted"`
	Rejected     int             `json:"rejected"`
	NotEvaluated int             `json:"notEvaluated"`
	Reasons      map[string]int  `json:"rejectedBy"`
}

// row makes the JSON of a result, on one line.
func (r *entryResult) json() ([]byte, error) {
	i := r.item
	row := jsonRow{Item: jsonItem{Position: i.Position, Name: i.Name, SHA256: i.SHA256, Path: i.Path, Product: i.Product,
		Bundles: i.Bundles}}
	if r.err != nil {
		_, hint := classify(r.err)
		row.Error = &jsonError{Message: firstLine(sentence(r.err)), Hint: hint}
		return marshalLine(row)
	}
	var err error
	row.Verdict, err = protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(verdictpb.New(r.verdict, r.question))
	if err != nil {
		return nil, err
	}
	return marshalLine(row)
}

func (s *summary) json() jsonSummary {
	out := jsonSummary{Format: s.format, Entries: s.entries, Accepted: s.accepted, Rejected: s.rejected,
		NotEvaluated: s.failed, Reasons: map[string]int{}}
	for id, r := range s.byCheck {
		out.Reasons[string(id)] = r.count
	}
	return out
}

// marshalLine writes a value as JSON on one line, without characters that a terminal could obey.
func marshalLine(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil { // which also takes protojson's changing white space away
		return nil, err
	}
	return []byte(text.EscapeJSON(string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))))), nil
}

// linesReport writes an object for each entry as it is ready, and a last one, {"summary": ...}.
type linesReport struct{ w io.Writer }

func (l *linesReport) row(r *entryResult) error {
	line, err := r.json()
	if err != nil {
		return err
	}
	_, err = l.w.Write(append(line, '\n'))
	return err
}

func (l *linesReport) end(s *summary) error {
	line, err := marshalLine(map[string]jsonSummary{"summary": s.json()})
	if err != nil {
		return err
	}
	_, err = l.w.Write(append(line, '\n'))
	return err
}

// jsonReport writes one object, {"entries": [...], "summary": ...}, an entry per line, without holding it.
type jsonReport struct {
	w    io.Writer
	rows int
}

func (j *jsonReport) row(r *entryResult) error {
	line, err := r.json()
	if err != nil {
		return err
	}
	before := ",\n"
	if j.rows++; j.rows == 1 {
		before = "{\"entries\": [\n"
	}
	_, err = j.w.Write(append([]byte(before), line...))
	return err
}

func (j *jsonReport) end(s *summary) error {
	line, err := marshalLine(s.json())
	if err != nil {
		return err
	}
	_, err = j.w.Write(append(append([]byte("\n],\n\"summary\": "), line...), "\n}\n"...))
	return err
}
