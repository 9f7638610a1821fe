package draft

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

var day = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

// observed is an observation with the peers, as a file.
func observed(t testing.TB, peers ...observation.Peer) []byte {
	t.Helper()
	o := &observation.Observation{Subjects: []predicate.Subject{{Name: "agent", Digest: map[string]string{"sha256": strings.Repeat("ab", 32)}}},
		Vantage: observation.VantageNamespace, Start: day, End: day.Add(time.Hour), Peers: peers}
	data, err := o.Payload()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func peer(name string, change ...func(*observation.Peer)) observation.Peer {
	p := observation.Peer{Name: name, Port: 443, Transport: "tcp", TLSVersion: "1.3", Connections: 1, FirstSeen: day.Add(time.Minute),
		LastSeen: day.Add(time.Minute), Naming: observation.NamingSNI, Direction: observation.Outbound}
	if name[0] >= '0' && name[0] <= '9' {
		p.Naming = observation.NamingDirect
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

// flowsOf reads files and composes their flows.
func flowsOf(t testing.TB, files ...[]byte) []predicate.Flow {
	t.Helper()
	var sources []*Findings
	for _, data := range files {
		f, err := Read(data)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, f)
	}
	flows, err := Compose(sources)
	if err != nil {
		t.Fatal(err)
	}
	return flows
}

func ids(flows []predicate.Flow) string {
	var list []string
	for _, f := range flows {
		list = append(list, f.ID)
	}
	return strings.Join(list, " ")
}

// TestGroups: by registrable domain, protocol and program, with ids that come from these alone.
func TestGroups(t *testing.T) {
	program := func(p *observation.Peer) { p.Process = "/usr/bin/helper" }
	for want, peers := range map[string][]observation.Peer{
		"acme-example":                      {peer("a.acme.example"), peer("b.acme.example"), peer("acme.example")},
		"acme-co-uk other-co-uk":            {peer("a.acme.co.uk"), peer("b.other.co.uk")},
		"acme-example acme-example-helper":  {peer("a.acme.example"), peer("a.acme.example", program)},
		"bucket-s3-amazonaws-com":           {peer("bucket.s3.amazonaws.com")},
		"acme-example acme-example-ssh":     {peer("a.acme.example"), peer("a.acme.example", func(p *observation.Peer) { p.Port, p.Application, p.TLSVersion = 22, "ssh", "" })},
		"address-192-0-2-7-tcp d-4-example": {peer("192.0.2.7", func(p *observation.Peer) { p.Port = 8443 }), peer("x.4.example")},
		"address-2001-db8-1-tcp":            {peer("2001:db8::1", func(p *observation.Peer) { p.Port = 8443 })},
		"acme-example-udp":                  {peer("a.acme.example", func(p *observation.Peer) { p.Transport, p.TLSVersion = "udp", "" })},
	} {
		flows := flowsOf(t, observed(t, peers...))
		if got := ids(flows); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		slices.Reverse(peers)
		if got := ids(flowsOf(t, observed(t, peers...))); got != want {
			t.Errorf("in another order: got %q, want %q", got, want)
		}
	}
	// More endpoints than one flow may have.
	var many []observation.Peer
	for n := range maxEndpoints + 1 {
		many = append(many, peer(fmt.Sprintf("n%d.acme.example", n)))
	}
	if flows := flowsOf(t, observed(t, many...)); ids(flows) != "acme-example acme-example-2" || len(flows[0].Endpoints) != maxEndpoints {
		t.Errorf("got %s", ids(flows))
	}
	many = nil
	for n := range MaxFlows + 1 {
		many = append(many, peer(fmt.Sprintf("n%d.example", n)))
	}
	f, err := Read(observed(t, many...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Compose([]*Findings{f}); err == nil || !strings.Contains(err.Error(), "257 flows, a statement has at most 256") {
		t.Errorf("got %v", err)
	}
}

// TestFacts: what was seen is filled in, and nothing else is.
func TestFacts(t *testing.T) {
	f := flowsOf(t, observed(t,
		peer("a.acme.example", func(p *observation.Peer) {
			p.TLSVersion = "1.2"
			p.Connections = 9
			p.IntervalSeconds = 60
			p.LastSeen = day.Add(time.Hour)
		}),
		peer("a.acme.example", func(p *observation.Peer) { p.Port = 8443; p.Application = "https" }),
	))[0]
	e := f.Endpoints[0]
	if len(f.Endpoints) != 1 || e.Kind != "host" || e.Value != "a.acme.example" || !slices.Equal(e.Ports, []int{443, 8443}) || e.Application != "https" ||
		*e.TLS != (predicate.TLS{Requirement: "required", MinVersion: "1.2"}) {
		t.Errorf("got %+v", e)
	}
	if f.Activation.Trigger != "periodic" || *f.Activation.IntervalSeconds != 60 || f.Initiator != "product" || len(f.Purposes)+len(f.Recipients) != 0 || f.Sends != nil {
		t.Errorf("got %+v", f)
	}
	for name, c := range map[string]struct {
		peer observation.Peer
		is   func(f predicate.Flow, e predicate.Endpoint) bool
	}{
		"start-up": {peer("a.acme.example", func(p *observation.Peer) { p.FirstSeen = day.Add(time.Second) }), func(f predicate.Flow, _ predicate.Endpoint) bool { return f.Activation.Trigger == "startup" }},
		"later":    {peer("a.acme.example"), func(f predicate.Flow, _ predicate.Endpoint) bool { return f.Activation.Trigger == "" }},
		"plain":    {peer("a.acme.example", func(p *observation.Peer) { p.Application, p.TLSVersion = "http", "" }), func(_ predicate.Flow, e predicate.Endpoint) bool { return e.TLS.Requirement == "none" }},
		"not known": {peer("a.acme.example", func(p *observation.Peer) { p.TLSVersion = "" }), func(_ predicate.Flow, e predicate.Endpoint) bool {
			return *e.TLS == predicate.TLS{} && e.Application == ""
		}},
		"old TLS": {peer("a.acme.example", func(p *observation.Peer) { p.TLSVersion = "1.0" }), func(_ predicate.Flow, e predicate.Endpoint) bool { return e.TLS.MinVersion == "" }},
		"time":    {peer("a.acme.example", func(p *observation.Peer) { p.Transport, p.Port, p.Application, p.TLSVersion = "udp", 123, "ntp", "" }), func(_ predicate.Flow, e predicate.Endpoint) bool { return e.TLS == nil }},
		"inbound": {peer("a.acme.example", func(p *observation.Peer) { p.Direction = observation.Inbound }), func(f predicate.Flow, _ predicate.Endpoint) bool { return f.Initiator == "remote" }},
		"address": {peer("203.0.113.9"), func(_ predicate.Flow, e predicate.Endpoint) bool {
			return e.Kind == "cidr" && e.Value == "203.0.113.9/32"
		}},
		"local": {peer("10.0.0.1"), func(_ predicate.Flow, e predicate.Endpoint) bool {
			return predicate.IsPlaceholder(e.Kind) && strings.Contains(e.Kind, "seen: 10.0.0.1 tcp port 443")
		}},
		"private name": {peer("nas.local"), func(_ predicate.Flow, e predicate.Endpoint) bool {
			return predicate.IsPlaceholder(e.Kind) && strings.Contains(e.Kind, "nas.local, which is a private name")
		}},
		"ambiguous": {peer("203.0.113.9", func(p *observation.Peer) {
			p.Naming, p.Candidates = observation.NamingAmbiguous, []string{"a.example", "b.example"}
		}),
			func(_ predicate.Flow, e predicate.Endpoint) bool {
				return strings.Contains(e.Value, "one of a.example, b.example: 203.0.113.9 had these names")
			}},
		"known": {peer("deb.debian.org"), func(f predicate.Flow, _ predicate.Endpoint) bool {
			return predicate.IsPlaceholder(f.Purposes[0]) && strings.Contains(f.Purposes[0], "a suggestion: deb.debian.org looks like Debian package archive, usually softwareUpdate (https://www.debian.org/mirror/list)")
		}},
	} {
		f := flowsOf(t, observed(t, c.peer))[0]
		if !c.is(f, f.Endpoints[0]) {
			t.Errorf("%s: got %+v with %+v", name, f, f.Endpoints[0])
		}
	}
}

// TestServices: every line of the list can be used, and says where it is from.
func TestServices(t *testing.T) {
	list := Services()
	if lines := strings.Count(services, "\n") - strings.Count("\n"+services, "\n#"); len(list) != lines || lines < 30 {
		t.Errorf("%d services of %d lines", len(list), lines)
	}
	for _, s := range list {
		if s.Name == "" || !slices.Contains(predicate.IDs("purpose"), s.Purpose) || !strings.HasPrefix(s.Source, "https://") || strings.Contains(s.Source, " ") {
			t.Errorf("%+v", s)
		}
		for _, h := range s.Hosts {
			e := predicate.Endpoint{Kind: "host", Value: strings.TrimPrefix(h, ".")}
			if problem := predicate.EmbeddedTables().EndpointProblem(&e); problem != "" {
				t.Errorf("%s: %s %s", s.Name, h, problem)
			}
		}
		for _, p := range s.Packages {
			if !strings.HasPrefix(p, "pkg:") {
				t.Errorf("%s: %s is no package URL", s.Name, p)
			}
		}
	}
	rollbar := Service{Packages: []string{"pkg:npm/rollbar", "pkg:npm/@sentry/"}}
	for purl, want := range map[string]bool{"pkg:npm/rollbar@2.0.0": true, "pkg:npm/rollbar": true, "pkg:npm/rollbarista@1": false, "pkg:npm/@sentry/node@8": true, "pkg:npm/@sentrya": false} {
		if rollbar.ofPackage(purl) != want {
			t.Errorf("%s: got %v", purl, !want)
		}
	}
}

const har = `{"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": [
 {"request": {"url": "https://a.acme.example/x?token=secret", "postData": {"text": "secret"}}, "comment": null},
 {"request": {"url": "https://a.acme.example/y"}}, {"request": {"url": "http://b.acme.example:8080/"}},
 {"request": {"url": "wss://push.other.example/"}}, {"request": {"url": "blob:x"}}]}}`

func TestHAR(t *testing.T) {
	f, err := Read([]byte(har))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Peers) != 3 || f.Peers[0].Connections != 2 || f.Kind != "flowCapture" || len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "entry 4 names no peer") {
		t.Errorf("got %+v", f)
	}
	flows := flowsOf(t, []byte(har))
	if ids(flows) != "acme-example acme-example-http other-example" || flows[1].Endpoints[0].TLS.Requirement != "none" || flows[1].Endpoints[0].Ports[0] != 8080 {
		t.Errorf("got %s: %+v", ids(flows), flows[1].Endpoints)
	}
	if text, err := json.Marshal(flows); err != nil || strings.Contains(string(text), "secret") {
		t.Errorf("%v: what the capture holds is in the draft: %s", err, text)
	}
}

const model = `threagile_version: 1.0.0
data_assets:
  Versions: {id: versions, description: Installed versions}
technical_assets:
  Agent:
    id: agent
    communication_links:
      Update Check: {target: vendor, description: Asks for updates, protocol: https, data_assets_sent: [versions], data_assets_received: [images]}
      Local Store: {target: db, protocol: sql-access-protocol}
      Odd: {target: vendor, protocol: binary}
  Store: {id: db}
  Vendor Cloud: {id: vendor, out_of_scope: true, internet: true}
`

func TestThreagile(t *testing.T) {
	flows := flowsOf(t, []byte(model))
	if ids(flows) != "odd update-check" {
		t.Fatalf("got %s", ids(flows))
	}
	f := flows[1]
	if f.Title != "Asks for updates" || f.Component != "agent" || f.DataDirection != "both" || f.Sends[0].Description != "Installed versions" || f.Receives[0].Description != "images" ||
		f.Endpoints[0].Application != "https" || f.Endpoints[0].TLS.Requirement != "required" || !predicate.IsPlaceholder(f.Endpoints[0].Value) || f.Endpoints[0].Ports != nil {
		t.Errorf("got %+v", f)
	}
	if e := flows[0].Endpoints[0]; e.Transport != "" || !strings.Contains(e.Application, "the model says binary") {
		t.Errorf("got %+v", e)
	}
}

const bom = `{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
 "components": [{"type": "library", "name": "node", "purl": "pkg:npm/%40sentry/node@8.0.0"}],
 "services": [{"name": "Update service", "group": "acme", "provider": {"name": "Acme GmbH"}, "endpoints": ["https://updates.acme.example/v1", "mqtt://x"],
  "data": [{"flow": "inbound", "classification": "softwareInventory", "description": "model"}, {"flow": "outbound", "classification": "PII"}, {"flow": "unknown", "classification": "x"}]}]}`

func TestCycloneDX(t *testing.T) {
	flows := flowsOf(t, []byte(bom))
	if ids(flows) != "acme-update-service sentry" {
		t.Fatalf("got %s", ids(flows))
	}
	f := flows[0]
	if f.Title != "Update service" || f.Recipients[0].Party.Name != "Acme GmbH" || len(f.Endpoints) != 1 || f.Endpoints[0].Value != "updates.acme.example" || len(f.Sends) != 2 ||
		f.Sends[0].Category != "softwareInventory" || len(f.Receives) != 2 || !strings.Contains(f.Receives[0].Category, "the SBOM says PII") || f.DataDirection != "both" {
		t.Errorf("got %+v", f)
	}
	// What an SBOM suggests is a question in all its members.
	s := flows[1]
	if !predicate.IsPlaceholder(s.Title) || !predicate.IsPlaceholder(s.Endpoints[0].Value) || !strings.Contains(s.Endpoints[0].Value, "ingest.sentry.io") || !predicate.IsPlaceholder(s.Purposes[0]) {
		t.Errorf("got %+v", s)
	}
	if flows := flowsOf(t, []byte(bom), observed(t, peer("o1.ingest.sentry.io"))); ids(flows) != "acme-update-service sentry-io" {
		t.Errorf("seen and suggested: got %s", ids(flows))
	}
}

// TestReadRefused: each format, and none of them.
func TestReadRefused(t *testing.T) {
	for want, data := range map[string]string{
		"it is none of":                 `{"a": 1}`,
		"YAML: more than one document":  model + "---\na: b\n",
		"YAML: line 2: aliases are not": "a: &x {id: 1}\nb: *x\n",
		"no link leaves the model":      "technical_assets:\n  A: {id: a}\n",
		"HAR: there are no entries":     `{"log": {"entries": []}}`,
		"HAR: json: cannot unmarshal":   `{"log": {"entries": 1}}`,
		"duplicate":                     `{"log": {}, "log": {}}`,
		"YAML: line 2 has 4098 bytes":   "a: b\n" + strings.Repeat("- ", maxLine/2) + "a\nb",
		"YAML: line 1: 8194 children":   strings.Repeat("a:\n - b\n", maxChildren/2+1),
		"nested deeper than":            strings.Repeat("- ", maxDepth+2) + "a",
		"observation: ":                 `{"predicateType": "https://in-toto.io/attestation/runtime-trace/v0.1", "predicate": {"monitor": {"type": "https://w3id.org/avow/monitor/flow-summary/v1"}}}`,
		"CycloneDX: ":                   `{"bomFormat": "CycloneDX", "services": 1}`,
	} {
		if _, err := Read([]byte(data)); err == nil || !strings.Contains(err.Error(), want) && !(want == "duplicate" && strings.Contains(err.Error(), "twice")) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := Read(make([]byte, MaxModelBytes+1)); err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes of YAML") {
		t.Errorf("got %v", err)
	}
	if _, err := Read(make([]byte, MaxFileBytes+1)); err == nil || !strings.Contains(err.Error(), "more than 67108864 bytes") {
		t.Errorf("got %v", err)
	}
}
