package vendors

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Append adds a vendor to the text of a registry, keeping its comments, and
// checks that the result parses; file names in it are relative to dir. Errors
// are *Error; their lines are those of the result.
func Append(registry []byte, v *Vendor, dir string) ([]byte, error) {
	doc, err := document(registry)
	if err != nil {
		return nil, err
	}
	var list *yaml.Node
	if _, err := members(doc, map[string]func(*yaml.Node) error{"vendors": func(n *yaml.Node) error {
		list = n
		return items(n, MaxVendors, func(*yaml.Node) error { return nil })
	}}); err != nil {
		return nil, err
	}
	if list == nil {
		return nil, require(doc, nil, "vendors")
	}
	list.Style &^= yaml.FlowStyle // "vendors: []" becomes a list with lines
	list.Content = append(list.Content, entry(v))
	out, err := encode(doc)
	if err != nil {
		return nil, err
	}
	_, err = Parse(out, dir)
	return out, err
}

func encode(n *yaml.Node) ([]byte, error) {
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return nil, &Error{Code: Syntax, Message: "the registry cannot be written", Err: err}
	}
	if err := enc.Close(); err != nil {
		return nil, &Error{Code: Syntax, Message: "the registry cannot be written", Err: err}
	}
	return buf.Bytes(), nil
}

// mapping builds an entry member by member, leaving out what is empty.
type mapping struct{ node *yaml.Node }

func newMapping() mapping { return mapping{&yaml.Node{Kind: yaml.MappingNode}} }

func (m mapping) set(name string, value *yaml.Node) {
	m.node.Content = append(m.node.Content, scalar(name), value)
}

func (m mapping) text(name, value string) {
	if value != "" {
		m.set(name, scalar(value))
	}
}

func (m mapping) time(name string, t time.Time) {
	if !t.IsZero() {
		m.text(name, t.UTC().Format(time.RFC3339))
	}
}

func (m mapping) list(name string, values []string) {
	if len(values) == 0 {
		return
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, v := range values {
		n.Content = append(n.Content, scalar(v))
	}
	m.set(name, n)
}

func (m mapping) identities(list []Identity) {
	if len(list) == 0 {
		return
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, i := range list {
		entry := newMapping()
		entry.text("issuer", i.Issuer)
		entry.text("san", i.SAN)
		entry.time("notBefore", i.NotBefore)
		entry.time("notAfter", i.NotAfter)
		entry.succeeds(i.Succeeds)
		n.Content = append(n.Content, entry.node)
	}
	m.set("identities", n)
}

func (m mapping) keys(list []Key) {
	if len(list) == 0 {
		return
	}
	keys := &yaml.Node{Kind: yaml.SequenceNode}
	for _, k := range list {
		key := newMapping()
		key.text("pem", string(k.PEM))
		key.time("notBefore", k.NotBefore)
		key.time("notAfter", k.NotAfter)
		key.succeeds(k.Succeeds)
		keys.Content = append(keys.Content, key.node)
	}
	m.set("keys", keys)
}

func (m mapping) succeeds(list []Former) {
	if len(list) == 0 {
		return
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, f := range list {
		entry := newMapping()
		entry.text("key", f.KeyID)
		entry.text("issuer", f.Issuer)
		entry.text("san", f.SAN)
		n.Content = append(n.Content, entry.node)
	}
	m.set("succeeds", n)
}

// scalar is a string, whatever it looks like: the encoder quotes 123 and true.
func scalar(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if strings.Contains(s, "\n") {
		n.Style = yaml.LiteralStyle
	}
	return n
}

func entry(v *Vendor) *yaml.Node {
	m := newMapping()
	m.text("name", v.Name)
	m.text("declarant", v.Declarant)
	m.text("country", v.Country)
	m.text("contact", v.Contact)
	m.keys(v.Keys)
	m.identities(v.Identities)
	m.list("products", v.Products)
	m.list("roles", v.Roles)
	if r := v.Recovery; r != nil {
		recovery := newMapping()
		recovery.set("threshold", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(r.Threshold)})
		recovery.keys(r.Keys)
		m.set("recovery", recovery.node)
	}
	m.list("tokens", v.TokenHashes)
	m.list("clientCerts", v.ClientCerts)
	if k := v.SigningKey; k != nil {
		key := newMapping()
		key.text("file", k.File)
		key.text("reference", k.Reference)
		key.text("passwordFile", k.PasswordFile)
		key.text("passwordEnv", k.PasswordEnv)
		m.set("signingKey", key.node)
	}
	return m.node
}
