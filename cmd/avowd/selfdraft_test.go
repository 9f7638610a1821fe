//go:build faults && linux

package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/draft"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// place is where a flow goes: one port of one endpoint, and who begins.
type place struct{ initiator, transport, address string }

func (p place) String() string { return p.initiator + " " + p.transport + " " + p.address }

// seenAt is what a draft says of an address that means something on one machine
// only: what stands behind it is left to a person.
var seenAt = regexp.MustCompile(`seen: (\S+) (tcp|udp) port [0-9]+;`)

// placesOf are the places of a flow. What is left to a setting is where settings
// say; where they do not it is nowhere. An endpoint that nobody here can read is a
// place that no other flow has.
func placesOf(f *predicate.Flow, settings map[string]string) []place {
	var all []place
	for i := range f.Endpoints {
		e := &f.Endpoints[i]
		host, transport := cmp.Or(e.Value, e.Setting), e.Transport
		switch m := seenAt.FindStringSubmatch(e.Kind); {
		case e.Kind == "configured":
			if at := settings[e.Setting]; at != "" {
				all = append(all, place{f.Initiator, "tcp", at})
			}
			continue
		case m != nil:
			host, transport = m[1], m[2]
		}
		host = cmp.Or(strings.TrimSuffix(host, "/32"), e.Kind)
		if len(e.Ports) == 0 {
			all = append(all, place{f.Initiator, transport, host})
		}
		for _, port := range e.Ports {
			all = append(all, place{f.Initiator, transport, host + ":" + strconv.Itoa(port)})
		}
	}
	return all
}

// declaredPlaces are those of the statement, of a service with the configuration c.
func declaredPlaces(declared *predicate.DataFlows, c *Config) []place {
	settings := map[string]string{"grpc.listen": c.GRPC.Listen, "rest.listen": c.REST.Listen, "admin.listen": c.Admin.Listen}
	var all []place
	for i := range declared.Flows {
		all = append(all, placesOf(&declared.Flows[i], settings)...)
	}
	return all
}

// notDeclared are the drafted flows that go where the statement does not.
func notDeclared(drafted []predicate.Flow, declared []place) []string {
	var all []string
	for i := range drafted {
		for _, p := range placesOf(&drafted[i], nil) {
			if !slices.Contains(declared, p) {
				all = append(all, fmt.Sprintf("flow %s: %s", drafted[i].ID, p))
			}
		}
	}
	return all
}

// notDrafted are the peers that were seen and that no drafted flow goes to.
func notDrafted(drafted []predicate.Flow, seen []observation.Peer) []string {
	var covered []place
	for i := range drafted {
		covered = append(covered, placesOf(&drafted[i], nil)...)
	}
	initiator := map[string]string{observation.Inbound: "remote", observation.Outbound: "product"}
	var all []string
	for i := range seen {
		if p := (place{initiator[seen[i].Direction], seen[i].Transport, seen[i].Name + ":" + strconv.Itoa(seen[i].Port)}); !slices.Contains(covered, p) {
			all = append(all, p.String())
		}
	}
	return all
}

// draftFrom drafts flows from observations, as avow draft does.
func draftFrom(t *testing.T, observed ...string) ([]predicate.Flow, []observation.Peer) {
	t.Helper()
	var sources []*draft.Findings
	var seen []observation.Peer
	for _, path := range observed {
		data, err := os.ReadFile(path)
		must(t, err)
		f, err := draft.Read(data)
		must(t, err)
		o, err := observation.Parse(data)
		must(t, err)
		sources, seen = append(sources, f), append(seen, o.Peers...)
	}
	flows, err := draft.Compose(sources)
	must(t, err)
	return flows, seen
}

// checkDraft drafts avow's data flows from what was seen of it, and holds them
// against the statement that the quickstart in dir issued: the draft has all that
// was seen, and nothing that is not declared. The observation calling has one call
// more than the statement knows.
func checkDraft(t *testing.T, dir, calling string, observed ...string) {
	t.Helper()
	bundle, err := os.ReadFile(filepath.Join(dir, "data-flows.sigstore.json"))
	must(t, err)
	statement, err := predicate.Parse(payloadOf(t, bundle), predicate.Issuance)
	must(t, err)
	config, err := loadConfig(filepath.Join(dir, "avowd.yaml"))
	must(t, err)
	declared := declaredPlaces(statement.DataFlows, config)

	drafted, seen := draftFrom(t, observed...)
	if len(drafted) == 0 || len(seen) == 0 {
		t.Errorf("%d flows of %d peers: nothing was compared", len(drafted), len(seen))
	}
	for _, difference := range notDeclared(drafted, declared) {
		t.Errorf("drafted from the run, and not in avow's own statement: %s", difference)
	}
	for _, difference := range notDrafted(drafted, seen) {
		t.Errorf("seen in the run, and in no drafted flow: %s", difference)
	}

	// The check can fail: by a peer more, by the other side that begins, by a
	// listener elsewhere, by a peer that was not drafted.
	more, seen := draftFrom(t, append(observed, calling)...)
	if got, want := notDeclared(more, declared), []string{"flow address-192-0-2-1-tcp: product tcp 192.0.2.1:443"}; !slices.Equal(got, want) {
		t.Errorf("with a call to 192.0.2.1 the statement lacks %v, want %v", got, want)
	}
	if got, want := notDrafted(drafted, seen), []string{"product tcp 192.0.2.1:443"}; !slices.Equal(got, want) {
		t.Errorf("without a flow for 192.0.2.1 the draft lacks %v, want %v", got, want)
	}
	config.GRPC.Listen = "127.0.0.1:1"
	if got := notDeclared(drafted, declaredPlaces(statement.DataFlows, config)); len(got) != 1 || !strings.HasSuffix(got[0], ": remote tcp 127.0.0.1:8470") {
		t.Errorf("with another grpc.listen the statement lacks %v, want 127.0.0.1:8470", got)
	}
	for i := range drafted {
		drafted[i].Initiator = "product"
	}
	if got := notDeclared(drafted, declared); len(got) != 3 {
		t.Errorf("with connections of its own to its listeners the statement lacks %v, want all three", got)
	}
}
