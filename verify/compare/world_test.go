package compare

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

var day = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

// host is an endpoint for HTTPS.
func host(kind, value string) predicate.Endpoint {
	return predicate.Endpoint{Kind: kind, Value: value, Transport: "tcp", Ports: []int{443}, Application: "https",
		TLS: &predicate.TLS{Requirement: "required", MinVersion: "1.2", Verification: "systemRoots"}}
}

// flow is one that is on and that an event triggers.
func flow(id string, endpoints ...predicate.Endpoint) predicate.Flow {
	return predicate.Flow{ID: id, Title: id, Initiator: "product", DataDirection: "both", Endpoints: endpoints,
		Activation: predicate.Activation{DefaultState: "on", Trigger: "event",
			Control: predicate.Control{Possible: "yes", By: "user", Methods: []string{"setting"}, Setting: id + "=off"}}}
}

func declare(flows ...predicate.Flow) *predicate.DataFlows {
	return &predicate.DataFlows{NetworkUse: "some", Flows: flows}
}

// peer is a named one that is as host declares it.
func peer(name string) observation.Peer {
	return observation.Peer{Name: name, Port: 443, Transport: "tcp", Application: "https", TLSVersion: "1.3", Connections: 1,
		FirstSeen: day.Add(time.Minute), LastSeen: day.Add(2 * time.Minute), Naming: observation.NamingSNI, Direction: observation.Outbound}
}

func address(name string, naming observation.Naming) observation.Peer {
	p := peer(name)
	p.Naming = naming
	return p
}

func with(p observation.Peer, change func(*observation.Peer)) observation.Peer {
	change(&p)
	return p
}

func observe(peers ...observation.Peer) *observation.Observation {
	return &observation.Observation{
		Subjects: []predicate.Subject{{Name: "gateway.img", Digest: map[string]string{"sha256": minimalSubject}}},
		Vantage:  observation.VantageNamespace, Sources: []observation.Source{{Kind: "pcap"}},
		Start: day, End: day.Add(time.Hour), Peers: peers}
}

const minimalSubject = "13f3353567ce3b66c7435388c1650469488611255c0fddf6128ca3a0deda8fe9"

// minimal is a valid statement with the one flow "update".
func minimal(t testing.TB, oldNew ...string) *predicate.Statement {
	t.Helper()
	data, err := os.ReadFile("../../attest/testdata/minimal-data-flows.json")
	if err != nil {
		t.Fatal(err)
	}
	s, err := predicate.Parse([]byte(strings.NewReplacer(oldNew...).Replace(string(data))), predicate.Issuance)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// codes are the codes of a report, failures and warnings, as "code" or "code flow".
func codes(r *Report, s Severity) []string {
	list := []string{}
	for _, f := range r.Of(s) {
		list = append(list, strings.TrimSpace(string(f.Code)+" "+f.Flow))
	}
	slices.Sort(list)
	return list
}
