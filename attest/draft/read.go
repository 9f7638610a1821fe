package draft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// errUnknown: the content says of none of the formats that it is one.
var errUnknown = errors.New("it is none of: observation (runtime-trace statement), CycloneDX JSON, Threagile YAML, HAR")

// jsonLimits bound JSON before a decoder sees it. HAR files have null.
var jsonLimits = predicate.JSONLimits{MaxBytes: MaxFileBytes, MaxDepth: maxDepth, MaxValues: 8 << 20, AnyNumber: true, AllowNull: true}

// Read finds out which format a file has, by its content, and reads it.
func Read(data []byte) (*Findings, error) {
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("more than %d bytes", MaxFileBytes)
	}
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return readThreagile(data)
	}
	if observation.IsObservation(data) {
		return readObservation(data)
	}
	if err := predicate.StrictJSON(data, jsonLimits); err != nil {
		return nil, err
	}
	var kind struct {
		BOMFormat string          `json:"bomFormat"`
		Log       json.RawMessage `json:"log"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return nil, err
	}
	switch {
	case kind.BOMFormat == "CycloneDX":
		return readCycloneDX(data)
	case len(kind.Log) > 0:
		return readHAR(data)
	}
	return nil, errUnknown
}

// startupWindow is how long after the beginning of an observation a peer counts
// as seen at start-up. verify/compare has the same.
const startupWindow = 10 * time.Second

// shortest is the shortest time between connections that is taken for a period, in seconds.
const shortest = 10

func readObservation(data []byte) (*Findings, error) {
	o, err := observation.Parse(data)
	if err != nil {
		return nil, err
	}
	f := &Findings{Observed: true, AsShipped: len(o.Settings) == 0, Kind: "flowCapture", Subjects: o.Subjects}
	own := o.Vantage == observation.VantageProcess || o.Vantage == observation.VantageNamespace
	for i := range o.Peers {
		s := &o.Peers[i]
		p := Peer{Host: s.Name, Candidates: s.Candidates, Port: s.Port, Transport: s.Transport, Application: s.Application, TLS: s.TLSVersion,
			Inbound: s.Direction == observation.Inbound, Component: s.Process, Connections: s.Connections,
			Startup: own && !s.FirstSeen.IsZero() && s.FirstSeen.Sub(o.Start) <= startupWindow}
		if p.Application == "" && p.Port == 443 && p.TLS != "" {
			p.Application = "https" // IANA's name for TLS at this port
		}
		if s.IntervalSeconds >= shortest {
			p.IntervalSeconds = int(s.IntervalSeconds)
		}
		f.add(p)
	}
	for _, gap := range o.Gaps {
		f.note("the observation missed something: %s %s", gap.Code, gap.Detail)
	}
	return f, nil
}

// add takes a peer over. A name becomes A-labels in lower case where it can.
func (f *Findings) add(p Peer) {
	if addr, err := netip.ParseAddr(p.Host); err == nil {
		p.Host = addr.String()
	} else if name, err := idna.Lookup.ToASCII(strings.TrimSuffix(strings.ToLower(p.Host), ".")); err == nil {
		p.Host = name
	}
	f.Peers = append(f.Peers, p)
}

func (f *Findings) note(format string, args ...any) {
	const most = 20
	switch {
	case len(f.Notes) < most:
		f.Notes = append(f.Notes, brief(fmt.Sprintf(format, args...)))
	case len(f.Notes) == most:
		f.Notes = append(f.Notes, "and more")
	}
}
