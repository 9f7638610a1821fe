package draft

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/avow-dev/avow/attest/predicate"
)

// CycloneDX writes the flows of a statement as the services of a CycloneDX 1.6
// document: one service for each flow, its data relative to the service. What
// CycloneDX has no member for stands in properties that begin with avow:flow:.
// The document is for inventories; it is not signed and proves nothing. The
// statement that it was made of is named by its digest.
func CycloneDX(s *predicate.Statement) ([]byte, error) {
	if s.DataFlows == nil {
		return nil, fmt.Errorf("it is a %s, want a %s", s.Type, predicate.DataFlowsType)
	}
	d := s.DataFlows
	bom := cyclonedx.NewBOM()
	bom.SpecVersion = cyclonedx.SpecVersion1_6
	bom.JSONSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	component := &cyclonedx.Component{BOMRef: "product", Type: cyclonedx.ComponentTypeApplication, Name: d.Common.Product.Name, Version: d.Common.Product.Version}
	for _, id := range d.Common.Product.Identifiers {
		if id.Scheme == "purl" {
			component.PackageURL = id.Value
		}
	}
	bom.Metadata = &cyclonedx.Metadata{Component: component,
		Properties: &[]cyclonedx.Property{{Name: "avow:statement", Value: s.ID()}}}
	services := []cyclonedx.Service{}
	for i := range d.Flows {
		services = append(services, service(&d.Flows[i]))
	}
	bom.Services = &services
	aggregate := map[string]cyclonedx.CompositionAggregate{"complete": cyclonedx.CompositionAggregateComplete,
		"completeForConfiguration": cyclonedx.CompositionAggregateIncomplete, "partial": cyclonedx.CompositionAggregateIncomplete}[d.Completeness.Level]
	bom.Compositions = &[]cyclonedx.Composition{{Aggregate: cmp.Or(aggregate, cyclonedx.CompositionAggregateUnknown), Dependencies: &[]cyclonedx.BOMReference{"product"}}}
	var b bytes.Buffer
	e := cyclonedx.NewBOMEncoder(&b, cyclonedx.BOMFileFormatJSON)
	e.SetPretty(true)
	e.SetEscapeHTML(false)
	if err := e.Encode(bom); err != nil {
		return nil, fmt.Errorf("CycloneDX: %w", err)
	}
	return b.Bytes(), nil
}

func service(f *predicate.Flow) cyclonedx.Service {
	s := cyclonedx.Service{BOMRef: "flow:" + f.ID, Name: cmp.Or(f.Title, f.ID)}
	if len(f.Recipients) > 0 && f.Recipients[0].Party != nil {
		s.Provider = &cyclonedx.OrganizationalEntity{Name: f.Recipients[0].Party.Name}
	}
	endpoints, named := []string{}, []string{}
	for i := range f.Endpoints {
		list := urls(&f.Endpoints[i])
		endpoints = append(endpoints, list...)
		if len(list) == 0 {
			named = append(named, strings.Join(strings.Fields(f.Endpoints[i].Kind+" "+f.Endpoints[i].Value+" "+f.Endpoints[i].Setting), " "))
		}
	}
	if len(endpoints) > 0 {
		s.Endpoints = &endpoints
	}
	data := classified(f)
	s.Data = &data
	crosses := slices.ContainsFunc(f.Recipients, func(r predicate.Recipient) bool { return r.Role != "customer" })
	s.CrossesTrustBoundary = &crosses
	properties := []cyclonedx.Property{}
	say := func(name, value string) {
		if value != "" {
			properties = append(properties, cyclonedx.Property{Name: property + name, Value: value})
		}
	}
	say("id", f.ID)
	say("endpoints", strings.Join(named, ", "))
	say("purposes", strings.Join(f.Purposes, ","))
	for _, r := range f.Recipients {
		if r.Party != nil {
			say("recipient", r.Role+": "+r.Party.Name)
			say("country", r.Party.Country)
			say("controlledFrom", r.Party.ControlledFrom)
		}
		say("storage", strings.Join(r.Storage, ","))
		say("accessFrom", strings.Join(r.AccessFrom, ","))
	}
	say("defaultState", f.Activation.DefaultState)
	say("trigger", f.Activation.Trigger)
	say("control", strings.TrimSpace(f.Activation.Control.Possible+" "+f.Activation.Control.Setting))
	say("necessity", f.Necessity)
	s.Properties = &properties
	return s
}

// classified are the data of a flow: what the product sends comes into the service.
func classified(f *predicate.Flow) []cyclonedx.DataClassification {
	data := []cyclonedx.DataClassification{}
	add := func(items []predicate.DataItem, flow cyclonedx.DataFlow) {
		for _, item := range items {
			data = append(data, cyclonedx.DataClassification{Flow: flow, Classification: item.Category, Description: item.Description})
		}
	}
	add(f.Sends, cyclonedx.DataFlowInbound)
	add(f.Receives, cyclonedx.DataFlowOutbound)
	return data
}

// urls are the URLs of an endpoint; none where it names no host or another
// protocol than HTTP, for which there is no agreed URL.
func urls(e *predicate.Endpoint) []string {
	if e.Kind != "host" || e.Application != "https" && e.Application != "http" {
		return nil
	}
	var list []string
	for _, port := range e.Ports {
		host := e.Value
		if port != schemes[e.Application].port {
			host = net.JoinHostPort(host, strconv.Itoa(port))
		}
		list = append(list, e.Application+"://"+host+e.Path)
	}
	return list
}
