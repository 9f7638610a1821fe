package draft

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/avow-dev/avow/attest/predicate"
)

// TestBothWays: what CycloneDX has members for comes back.
func TestBothWays(t *testing.T) {
	files, err := filepath.Glob("../testdata/*-data-flows.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v: %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := predicate.Parse(data, predicate.Issuance)
		if err != nil {
			t.Fatal(err)
		}
		bom, err := CycloneDX(s)
		if err != nil {
			t.Fatal(err)
		}
		flows := flowsOf(t, bom)
		if len(flows) != len(s.DataFlows.Flows) {
			t.Fatalf("%s: %d flows, want %d", file, len(flows), len(s.DataFlows.Flows))
		}
		for i, f := range s.DataFlows.Flows {
			got := flows[i]
			if got.ID != f.ID || got.Title != f.Title || !slices.Equal(got.Purposes, f.Purposes) || len(got.Sends) != len(f.Sends) || len(got.Receives) != len(f.Receives) {
				t.Errorf("%s: got %+v, want %+v", file, got, f)
			}
			for j, item := range f.Sends {
				if got.Sends[j].Category != item.Category || got.Sends[j].Description != item.Description {
					t.Errorf("%s: %s sends %+v, want %+v", file, f.ID, got.Sends[j], item)
				}
			}
			for _, e := range f.Endpoints {
				same := func(o predicate.Endpoint) bool {
					return o.Value == e.Value && slices.Equal(o.Ports, e.Ports) && o.Application == e.Application
				}
				if len(urls(&e)) > 0 && !slices.ContainsFunc(got.Endpoints, same) {
					t.Errorf("%s: %s has the endpoints %+v, want %+v in them", file, f.ID, got.Endpoints, e)
				}
			}
		}
		if !strings.Contains(string(bom), s.ID()) {
			t.Errorf("%s: the statement is not named", file)
		}
	}
}

// TestExport: the members of a service, and what it refuses.
func TestExport(t *testing.T) {
	data, err := os.ReadFile("../testdata/minimal-data-flows.json")
	if err != nil {
		t.Fatal(err)
	}
	s, err := predicate.Parse(data, predicate.Issuance)
	if err != nil {
		t.Fatal(err)
	}
	out, err := CycloneDX(s)
	if err != nil {
		t.Fatal(err)
	}
	var b cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(strings.NewReader(string(out)), cyclonedx.BOMFileFormatJSON).Decode(&b); err != nil {
		t.Fatal(err)
	}
	service := (*b.Services)[0]
	if b.Metadata.Component.PackageURL != "pkg:generic/example-gateway@1.2.3" || service.BOMRef != "flow:update" || service.Provider.Name != "Example Devices GmbH" ||
		(*service.Endpoints)[0] != "https://updates.example.com" || (*service.Data)[0].Flow != cyclonedx.DataFlowInbound || (*b.Compositions)[0].Aggregate != cyclonedx.CompositionAggregateComplete {
		t.Errorf("got %s", out)
	}
	if _, err := CycloneDX(&predicate.Statement{Type: predicate.NoBackdoorType}); err == nil || !strings.Contains(err.Error(), "want a "+predicate.DataFlowsType) {
		t.Errorf("got %v", err)
	}
}
