package observation

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

var day = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

func ptr(n int64) *int64 { return &n }

func sample() *Observation {
	return &Observation{
		Subjects: []predicate.Subject{{Name: "agent", Digest: map[string]string{"sha256": strings.Repeat("ab", 32)}}},
		Vantage:  VantageNamespace, Event: "first start", Settings: map[string]string{"telemetry": "off"},
		Sources: []Source{{Kind: "pcap", Name: "run.pcap", SHA256: strings.Repeat("0f", 32), Bytes: 4096}},
		Gaps:    []Gap{{Code: "undecoded", Count: 2}}, Start: day, End: day.Add(time.Hour),
		Peers: []Peer{
			{Name: "updates.acme.example", Port: 443, Transport: "tcp", Application: "https", TLSVersion: "1.3", Connections: 4, BytesOut: ptr(0),
				BytesIn: ptr(9000), FirstSeen: day, LastSeen: day.Add(time.Minute), Naming: NamingSNI, Addresses: []string{"2001:db8::1", "192.0.2.7"},
				Direction: Outbound, IntervalSeconds: 20},
			{Name: "192.0.2.9", Port: 22, Transport: "tcp", Connections: 1, Failed: 1, Naming: NamingAmbiguous, Candidates: []string{"b.example", "a.example"},
				Direction: Outbound},
		},
	}
}

// TestPayload: what is written is read again as the same, in one form.
func TestPayload(t *testing.T) {
	o := sample()
	first, err := o.Payload()
	if err != nil {
		t.Fatal(err)
	}
	read, err := Parse(first)
	if err != nil {
		t.Fatal(err)
	}
	again, err := read.Payload()
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("written again: %v\n%s", err, again)
	}
	if !IsObservation(first) || IsObservation([]byte(`{"predicateType":"`+PredicateType+`"}`)) {
		t.Error("IsObservation does not tell")
	}
	// A count of nothing is not a count that was not made.
	if p := read.Peers[1]; p.BytesOut == nil || *p.BytesOut != 0 || read.Peers[0].BytesOut != nil {
		t.Errorf("bytes: %+v", read.Peers)
	}
}

// TestRefused: each rule by one change of a good observation.
func TestRefused(t *testing.T) {
	for want, change := range map[string]func(o *Observation){
		"0 subjects":                         func(o *Observation) { o.Subjects = nil },
		`subject 0: sha256 "AB`:              func(o *Observation) { o.Subjects[0].Digest["sha256"] = strings.Repeat("AB", 32) },
		`vantage "moon"`:                     func(o *Observation) { o.Vantage = "moon" },
		"want a beginning and a later end":   func(o *Observation) { o.End = day.Add(-1) },
		"source 0":                           func(o *Observation) { o.Sources[0].SHA256 = "12" },
		"gap 0":                              func(o *Observation) { o.Gaps[0].Code = "" },
		"1025 gaps":                          func(o *Observation) { o.Gaps = make([]Gap, MaxSources+1) },
		"is there twice":                     func(o *Observation) { o.Peers = append(o.Peers, o.Peers[0]) },
		`transport "quic"`:                   func(o *Observation) { o.Peers[0].Transport = "quic" },
		"port 65536 of tcp":                  func(o *Observation) { o.Peers[0].Port = 65536 },
		"port 443 of icmp":                   func(o *Observation) { o.Peers[0].Transport = "icmp" },
		`TLS version "1.4"`:                  func(o *Observation) { o.Peers[0].TLSVersion = "1.4" },
		"direction is neither":               func(o *Observation) { o.Peers[0].Direction = "" },
		`naming "guess"`:                     func(o *Observation) { o.Peers[0].Naming = "guess" },
		"a count is negative":                func(o *Observation) { o.Peers[0].BytesIn = ptr(-1) },
		"before it was first seen":           func(o *Observation) { o.Peers[0].LastSeen = day.Add(-time.Hour) },
		"destinationName is empty":           func(o *Observation) { o.Peers[0].Name = "" },
		"a peer without a name":              func(o *Observation) { o.Peers[0].Naming = NamingDirect },
		`name "Acme.example"`:                func(o *Observation) { o.Peers[0].Name = "Acme.example" },
		`address "192.0.2.07"`:               func(o *Observation) { o.Peers[0].Addresses = []string{"192.0.2.07"} },
		"candidates go with":                 func(o *Observation) { o.Peers[1].Candidates = nil },
		"a text of 4097 bytes, want at most": func(o *Observation) { o.Peers[0].Process = strings.Repeat("x", MaxText+1) },
	} {
		o := sample()
		change(o)
		if _, err := o.Payload(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestParseRefused: a document that two readers read differently is refused.
func TestParseRefused(t *testing.T) {
	good, err := sample().Payload()
	if err != nil {
		t.Fatal(err)
	}
	for want, edit := range map[string][2]string{
		"unknown field":                 {`"transport":`, `"hidden": 1, "transport":`},
		"not spelled as specified":      {`"transport":`, `"Transport":`},
		"stands twice":                  {`"vantage":`, `"vantage": "host", "vantage":`},
		"the monitor is":                {MonitorType, "https://other.example/v1"},
		"want a " + PredicateType:       {PredicateType, "https://in-toto.io/attestation/runtime-trace/v0.2"},
		"number":                        {`"connections": 4`, `"connections": 4.5`},
		"a member is missing, empty or": {`"naming": "sni"`, `"naming": "sni", "failed": 0`},
	} {
		bad := strings.Replace(string(good), edit[0], edit[1], 1)
		if bad == string(good) {
			t.Fatalf("%q is not in the document", edit[0])
		}
		if _, err := Parse([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", edit[1], err, want)
		}
	}
}

// FuzzParse: whatever is read can be written, and is then read as the same.
func FuzzParse(f *testing.F) {
	good, err := sample().Payload()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := Parse(data)
		if err != nil {
			return
		}
		once, err := o.Payload()
		if err != nil {
			t.Fatalf("read, and not written: %v", err)
		}
		if _, err := Parse(once); err != nil {
			t.Fatalf("written, and not read: %v", err)
		}
	})
}
