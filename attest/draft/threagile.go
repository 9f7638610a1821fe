package draft

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/avow-dev/avow/attest/predicate"
)

// threagileModel is what is read of a Threagile model.
type threagileModel struct {
	Version string `yaml:"threagile_version"`
	Data    map[string]struct {
		ID          string `yaml:"id"`
		Description string `yaml:"description"`
	} `yaml:"data_assets"`
	Assets map[string]threagileAsset `yaml:"technical_assets"`
}

type threagileAsset struct {
	ID         string                   `yaml:"id"`
	OutOfScope bool                     `yaml:"out_of_scope"`
	Internet   bool                     `yaml:"internet"`
	Links      map[string]threagileLink `yaml:"communication_links"`
}

type threagileLink struct {
	Target      string   `yaml:"target"`
	Description string   `yaml:"description"`
	Protocol    string   `yaml:"protocol"`
	Sent        []string `yaml:"data_assets_sent"`
	Received    []string `yaml:"data_assets_received"`
}

// protocols are Threagile's protocols that have an IANA service name.
var protocols = map[string]struct {
	application string
	encrypted   bool
}{
	"http": {"http", false}, "https": {"https", true}, "ws": {"http", false}, "wss": {"https", true}, "ssh": {"ssh", false}, "smtp": {"smtp", false},
	"smtp-encrypted": {"submissions", true}, "imap": {"imap", false}, "imap-encrypted": {"imaps", true}, "pop3": {"pop3", false},
	"pop3-encrypted": {"pop3s", true}, "ftp": {"ftp", false}, "ftps": {"ftps", true}, "sftp": {"ssh", false}, "scp": {"ssh", false},
	"ldap": {"ldap", false}, "ldaps": {"ldaps", true}, "mqtt": {"mqtt", false}, "xmpp": {"xmpp-client", false}, "nrpe": {"nrpe", true},
}

// readThreagile takes the links from assets of the model to those that are out
// of its scope or on the internet. A model has no host names and no ports.
func readThreagile(data []byte) (*Findings, error) {
	if len(data) > MaxModelBytes {
		return nil, fmt.Errorf("more than %d bytes of YAML", MaxModelBytes)
	}
	var model threagileModel
	if err := oneDocument(data, &model); err != nil {
		return nil, err
	}
	if len(model.Assets) == 0 {
		return nil, errUnknown
	}
	outside, descriptions := map[string]bool{}, map[string]string{}
	for _, a := range model.Assets {
		outside[a.ID] = a.OutOfScope || a.Internet
	}
	for name, d := range model.Data {
		descriptions[d.ID] = brief(cmp.Or(d.Description, name))
	}
	f := &Findings{Kind: "document"}
	for _, a := range model.Assets {
		for title, link := range a.Links {
			if !a.OutOfScope && outside[link.Target] {
				f.Flows = append(f.Flows, link.flow(title, a.ID, descriptions))
			}
		}
	}
	slices.SortFunc(f.Flows, func(a, b predicate.Flow) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Title, b.Title)) })
	if len(f.Flows) == 0 {
		return nil, errors.New("no link leaves the model's scope: mark assets as out_of_scope or internet")
	}
	return f, nil
}

// oneDocument reads one YAML document without aliases, which could be of any size.
func oneDocument(data []byte, into any) error {
	number := 0
	for line := range bytes.Lines(data) {
		if number++; len(line) > maxLine {
			return fmt.Errorf("YAML: line %d has %d bytes, at most %d", number, len(line), maxLine)
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := d.Decode(&doc); err != nil {
		return fmt.Errorf("YAML: %w", err)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return errors.New("YAML: more than one document")
	}
	if err := shallow(&doc, maxDepth); err != nil {
		return err
	}
	if err := doc.Decode(into); err != nil {
		return fmt.Errorf("YAML: %w", err)
	}
	return nil
}

func shallow(n *yaml.Node, depth int) error {
	if n.Kind == yaml.AliasNode {
		return fmt.Errorf("YAML: line %d: aliases are not read", n.Line)
	}
	if depth == 0 {
		return fmt.Errorf("YAML: line %d: nested deeper than %d", n.Line, maxDepth)
	}
	if len(n.Content) > maxChildren { // looking for equal keys costs the square
		return fmt.Errorf("YAML: line %d: %d children, at most %d", n.Line, len(n.Content), maxChildren)
	}
	for _, child := range n.Content {
		if err := shallow(child, depth-1); err != nil {
			return err
		}
	}
	return nil
}

func (l *threagileLink) flow(title, from string, descriptions map[string]string) predicate.Flow {
	e := predicate.Endpoint{Kind: "host", Value: predicate.Placeholder("host name of " + brief(l.Target)), Transport: "tcp", TLS: &predicate.TLS{}}
	p, ok := protocols[strings.ToLower(l.Protocol)]
	switch {
	case !ok:
		e.Transport, e.Application = "", predicate.Placeholder("IANA service name; the model says "+brief(l.Protocol))
	case p.encrypted:
		e.Application, e.TLS.Requirement = p.application, "required"
	case p.application == "ssh":
		e.Application = "ssh" // encrypted, and not by TLS
		e.TLS = &predicate.TLS{Requirement: "none", Verification: predicate.PlaceholderOf("tlsVerification", "")}
	default:
		e.Application, e.TLS = p.application, &predicate.TLS{Requirement: "none", Verification: "none"}
	}
	f := predicate.Flow{ID: slug(title), Title: brief(cmp.Or(l.Description, title)), Component: brief(from), Endpoints: []predicate.Endpoint{e},
		Sends: items(l.Sent, descriptions), Receives: items(l.Received, descriptions)}
	switch {
	case len(l.Sent) > 0 && len(l.Received) > 0:
		f.DataDirection = "both"
	case len(l.Sent) > 0:
		f.DataDirection = "outbound"
	case len(l.Received) > 0:
		f.DataDirection = "inbound"
	}
	return f
}

// items are data assets of which only the description is known; nil if there
// are none, because a model may leave them out.
func items(ids []string, descriptions map[string]string) []predicate.DataItem {
	var list []predicate.DataItem
	for _, id := range ids {
		list = append(list, predicate.DataItem{Description: cmp.Or(descriptions[id], brief(id))})
	}
	return list
}
