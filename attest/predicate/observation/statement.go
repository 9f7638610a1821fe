package observation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

type statementJSON struct {
	Type          string              `json:"_type"`
	Subject       []predicate.Subject `json:"subject"`
	PredicateType string              `json:"predicateType"`
	Predicate     traceJSON           `json:"predicate"`
}

type traceJSON struct {
	Monitor  monitorJSON  `json:"monitor"`
	Process  processJSON  `json:"monitoredProcess"`
	Log      logJSON      `json:"monitorLog"`
	Metadata metadataJSON `json:"metadata"`
}

type monitorJSON struct {
	Type   string     `json:"type"`
	Policy policyJSON `json:"tracePolicy"`
}

// policyJSON is what this monitor looks at and what it missed.
type policyJSON struct {
	Vantage  Vantage           `json:"vantage"`
	Settings map[string]string `json:"settings,omitzero"`
	Sources  []Source          `json:"sources"`
	Gaps     []Gap             `json:"gaps"`
}

type processJSON struct {
	HostID string `json:"hostID"`
	Type   string `json:"type"`
	Event  string `json:"event"`
}

type logJSON struct {
	Network []Peer `json:"network"`
}

// metadataJSON has in-toto's names, which speak of builds, for the beginning
// and the end of what was watched.
type metadataJSON struct {
	Started  time.Time `json:"buildStartedOn"`
	Finished time.Time `json:"buildFinishedOn"`
}

// processType says that the monitored process is a run of the subjects.
const processType = "https://w3id.org/avow/run/v1"

// defaultHost is written where no host is named.
const defaultHost = "urn:avow:host:unnamed"

// Payload returns the statement's bytes. It sorts the observation. One that
// [Parse] would refuse is an error.
func (o *Observation) Payload() ([]byte, error) {
	o.Sort()
	if err := o.check(); err != nil {
		return nil, err
	}
	s := statementJSON{Type: predicate.StatementType, Subject: o.Subjects, PredicateType: PredicateType, Predicate: traceJSON{
		Monitor: monitorJSON{Type: MonitorType, Policy: policyJSON{
			Vantage: o.Vantage, Settings: o.Settings, Sources: notNil(o.Sources), Gaps: notNil(o.Gaps)}},
		Process:  processJSON{HostID: o.Host, Type: processType, Event: o.Event},
		Log:      logJSON{Network: notNil(o.Peers)},
		Metadata: metadataJSON{Started: o.Start, Finished: o.End},
	}}
	if s.Predicate.Process.HostID == "" {
		s.Predicate.Process.HostID = defaultHost
	}
	data, err := encode(s)
	if err == nil && len(data) > MaxBytes {
		return nil, fmt.Errorf("observation of %d bytes, the limit is %d", len(data), MaxBytes)
	}
	return data, err
}

// notNil makes the list one that is written as a list.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// encode writes one indented document, readable because people look at it.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// IsObservation reports whether a document says that it is a runtime-trace
// statement with a summary of flows. It verifies nothing.
func IsObservation(data []byte) bool {
	var s struct {
		PredicateType string `json:"predicateType"`
		Predicate     struct {
			Monitor struct {
				Type string `json:"type"`
			} `json:"monitor"`
		} `json:"predicate"`
	}
	return json.Unmarshal(data, &s) == nil && s.PredicateType == PredicateType && s.Predicate.Monitor.Type == MonitorType
}

// Parse reads a statement. Signatures are not its business.
func Parse(data []byte) (*Observation, error) {
	limits := predicate.JSONLimits{MaxBytes: MaxBytes, MaxDepth: 16, MaxValues: 64 * MaxPeers, AnyNumber: true}
	if err := predicate.StrictJSON(data, limits); err != nil {
		return nil, fmt.Errorf("observation: %w", err)
	}
	var s statementJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("observation: %w", err)
	}
	if s.Type != predicate.StatementType || s.PredicateType != PredicateType {
		return nil, fmt.Errorf("observation: got a %q of %q, want a %s of %s", clip(s.PredicateType), clip(s.Type), PredicateType, predicate.StatementType)
	}
	if m := s.Predicate.Monitor.Type; m != MonitorType {
		return nil, fmt.Errorf("observation: the monitor is %q, want %s", clip(m), MonitorType)
	}
	// encoding/json takes member names in any case; what is written again has each name in one.
	again, err := encode(s)
	if err != nil {
		return nil, fmt.Errorf("observation: %w", err)
	}
	if !sameJSON(again, data) {
		return nil, fmt.Errorf("observation: a member is missing, empty or not spelled as specified")
	}
	o := &Observation{Subjects: s.Subject, Vantage: s.Predicate.Monitor.Policy.Vantage, Settings: s.Predicate.Monitor.Policy.Settings,
		Sources: s.Predicate.Monitor.Policy.Sources, Gaps: s.Predicate.Monitor.Policy.Gaps, Host: s.Predicate.Process.HostID,
		Event: s.Predicate.Process.Event, Start: s.Predicate.Metadata.Started, End: s.Predicate.Metadata.Finished, Peers: s.Predicate.Log.Network}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("observation: %w", err)
	}
	return o, nil
}

// sameJSON reports whether two documents differ in nothing but white space, the
// order of members and escapes.
func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
