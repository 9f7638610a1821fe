package draft

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/avow-dev/avow/attest/predicate"
)

// readCycloneDX takes services as flows, and components as packages that may
// bring in known services.
func readCycloneDX(data []byte) (*Findings, error) {
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(data), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return nil, fmt.Errorf("CycloneDX: %w", err)
	}
	f := &Findings{Kind: "sbom"}
	f.services(bom.Services)
	f.components(bom.Components)
	if len(f.Packages) > MaxPeers || len(f.Flows) > MaxPeers {
		return nil, fmt.Errorf("CycloneDX: more than %d components or services", MaxPeers)
	}
	return f, nil
}

func (f *Findings) components(list *[]cyclonedx.Component) {
	if list == nil {
		return
	}
	for i := range *list {
		c := &(*list)[i]
		if c.PackageURL != "" {
			f.Packages = append(f.Packages, c.PackageURL)
		}
		f.components(c.Components)
	}
}

func (f *Findings) services(list *[]cyclonedx.Service) {
	if list == nil {
		return
	}
	for i := range *list {
		s := &(*list)[i]
		f.Flows = append(f.Flows, f.service(s))
		f.services(s.Services)
	}
}

// service is a flow to a service. Its data is relative to the service: what
// comes into it is what the product sends.
func (f *Findings) service(s *cyclonedx.Service) predicate.Flow {
	name := strings.Trim(s.Group+"/"+s.Name, "/")
	flow := predicate.Flow{ID: slug(cmp.Or(own(s, "id"), name)), Title: brief(cmp.Or(own(s, "title"), s.Name)), Purposes: listed(own(s, "purposes"), "purpose")}
	if s.Description != "" && flow.Title == "" {
		flow.Title = brief(s.Description)
	}
	if s.Endpoints != nil {
		flow.Endpoints = f.serviceEndpoints(name, *s.Endpoints)
	}
	if len(flow.Endpoints) == 0 {
		flow.Endpoints = []predicate.Endpoint{{Kind: "host", Value: predicate.Placeholder("host name of " + brief(name)), TLS: &predicate.TLS{}}}
	}
	if s.Provider != nil && s.Provider.Name != "" {
		flow.Recipients = []predicate.Recipient{{Party: &predicate.Party{Name: brief(s.Provider.Name)}}}
	}
	if s.Data == nil {
		return flow
	}
	for _, d := range *s.Data {
		item := predicate.DataItem{Description: brief(cmp.Or(d.Description, d.Name, d.Classification))}
		if slices.Contains(predicate.IDs("dataCategory"), d.Classification) {
			item.Category = d.Classification
		} else if d.Classification != "" {
			item.Category = predicate.PlaceholderOf("dataCategory", "the SBOM says "+brief(d.Classification))
		}
		into := d.Flow == cyclonedx.DataFlowInbound || d.Flow == cyclonedx.DataFlowBidirectional
		outOf := d.Flow == cyclonedx.DataFlowOutbound || d.Flow == cyclonedx.DataFlowBidirectional
		if into || !outOf { // an unknown direction may be what is sent: the worse reading
			flow.Sends = append(flow.Sends, item)
		}
		if outOf || !into {
			flow.Receives = append(flow.Receives, item)
		}
	}
	flow.DataDirection = direction(&flow)
	return flow
}

func direction(f *predicate.Flow) string {
	switch {
	case len(f.Sends) > 0 && len(f.Receives) > 0:
		return "both"
	case len(f.Sends) > 0:
		return "outbound"
	case len(f.Receives) > 0:
		return "inbound"
	}
	return ""
}

// serviceEndpoints reads URLs. What is none is left out with a note.
func (f *Findings) serviceEndpoints(name string, urls []string) []predicate.Endpoint {
	peers := &Findings{}
	for _, u := range urls {
		p, ok := peerOfURL(u)
		if !ok {
			f.note("service %s: endpoint %q is not a URL of http, https, ws or wss, and is left out", name, u)
			continue
		}
		peers.add(p)
	}
	f.Notes = append(f.Notes, peers.Notes...)
	g := group{peers: peers.Peers}
	list := g.endpoints()
	return list[:min(len(list), maxEndpoints)]
}

// property is the beginning of the names of avow's properties in CycloneDX.
const property = "avow:flow:"

// own is one of avow's own properties of a service, which an export has written.
func own(s *cyclonedx.Service, name string) string {
	if s.Properties == nil {
		return ""
	}
	for _, p := range *s.Properties {
		if p.Name == property+name {
			return p.Value
		}
	}
	return ""
}

// listed are the values of a list that are in a registry.
func listed(s, registry string) []string {
	var list []string
	for _, v := range strings.Split(s, ",") {
		if slices.Contains(predicate.IDs(registry), v) {
			list = append(list, v)
		}
	}
	return list
}
