package binscan

import (
	_ "embed"
	"fmt"
	"net/netip"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
)

//go:embed known.txt
var knownHosts string

// classifier says what a host is. It is not written to once it is made.
type classifier struct {
	declared    []endpoint
	modules     []string
	known       []known
	credentials []credential
	tables      *predicate.Tables
}

// endpoint is a declared one that names hosts.
type endpoint struct {
	flow, kind, value string
	block             netip.Prefix
}

// known is a line of known.txt.
type known struct {
	host, path, why string
}

func newClassifier(declared *predicate.Statement, b *Build) (*classifier, error) {
	c := &classifier{credentials: credentials(), tables: predicate.EmbeddedTables()}
	var err error
	if c.known, err = parseKnown(knownHosts); err != nil {
		return nil, err
	}
	if b != nil {
		for _, m := range append([]Module{b.Module}, b.Modules...) {
			if strings.Contains(m.Path, "/") {
				c.modules = append(c.modules, m.Path)
			}
		}
	}
	if declared == nil {
		return c, nil
	}
	if declared.DataFlows == nil {
		return nil, fmt.Errorf("the statement is of type %s, want %s", declared.Type, predicate.DataFlowsType)
	}
	for _, f := range declared.DataFlows.Flows {
		for _, e := range f.Endpoints {
			switch e.Kind {
			case "host", "suffix":
				c.declared = append(c.declared, endpoint{flow: f.ID, kind: e.Kind, value: strings.ToLower(e.Value)})
			case "cidr":
				if block, err := netip.ParsePrefix(e.Value); err == nil {
					c.declared = append(c.declared, endpoint{flow: f.ID, kind: e.Kind, block: block})
				}
			}
		}
	}
	return c, nil
}

// parseKnown reads lines of a host, with or without a path, and the reason.
func parseKnown(source string) ([]known, error) {
	var list []known
	for number, line := range strings.Split(source, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, why, ok := strings.Cut(line, " ")
		if why = strings.TrimSpace(why); !ok || len(why) < 10 {
			return nil, fmt.Errorf("line %d of the known hosts has no reason", number+1)
		}
		host, path, hasPath := strings.Cut(name, "/")
		if hasPath {
			path = "/" + path
		}
		list = append(list, known{host, path, why})
	}
	return list, nil
}

// class finds the class of a host. What is declared counts first: a statement may well name a host that others only document.
func (c *classifier) class(h Host, path string) (Class, string) {
	address, err := netip.ParseAddr(h.Host)
	isAddress := err == nil
	for i := range c.declared {
		if c.covers(&c.declared[i], h, address, isAddress) {
			return Declared, c.declared[i].flow
		}
	}
	if isAddress {
		return ofAddress(h, address)
	}
	for _, k := range c.known {
		exact := h.Host == k.host || strings.HasPrefix(k.host, ".") && (strings.HasSuffix(h.Host, k.host) || h.Host == k.host[1:])
		if exact && strings.HasPrefix(path, k.path) {
			return Documentation, k.why
		}
		if h.Open && k.path == "" && !strings.HasPrefix(k.host, ".") && c.runsOn(h.Host, k.host) {
			return Documentation, k.why + " (followed by other text)"
		}
	}
	for _, m := range c.modules {
		if page := h.Host + path; page == m || strings.HasPrefix(page, m) && strings.IndexByte("/.#?@", page[len(m)]) >= 0 {
			return ModulePage, "page of the linked module " + m
		}
	}
	if !strings.Contains(h.Host, ".") {
		if h.Host == "localhost" {
			return Local, "this machine"
		}
		return NotAHost, "a name without a dot"
	}
	return Undeclared, ""
}

// runsOn reports whether text is a host and, without a separator, the beginning of the next string. Text that can be a host name of
// its own, because its end is a top-level domain, is not: it has the reading worst for the declarant.
func (c *classifier) runsOn(text, host string) bool {
	rest, ok := strings.CutPrefix(text, host)
	return ok && rest != "" && !strings.Contains(rest, ".") && !c.suffix(text)
}

func (c *classifier) covers(e *endpoint, h Host, a netip.Addr, isAddress bool) bool {
	switch e.kind {
	case "host":
		return h.Host == e.value || h.Open && c.runsOn(h.Host, e.value)
	case "suffix":
		return h.Host == e.value || strings.HasSuffix(h.Host, "."+e.value)
	}
	return isAddress && e.block.Contains(a.Unmap())
}

// ofAddress is the class of an address that is not declared.
func ofAddress(h Host, a netip.Addr) (Class, string) {
	switch {
	case a.IsLoopback():
		return Local, "this machine"
	case a.IsUnspecified():
		return Local, "every address of this machine"
	case a.IsPrivate() || a.IsLinkLocalUnicast():
		return Local, "a private network"
	case a.IsMulticast() || h.Host == "255.255.255.255":
		return Local, "the local network"
	}
	for block, why := range map[string]string{
		"192.0.2.0/24": "reserved for documentation (RFC 5737)", "198.51.100.0/24": "reserved for documentation (RFC 5737)",
		"203.0.113.0/24": "reserved for documentation (RFC 5737)", "2001:db8::/32": "reserved for documentation (RFC 3849)",
	} {
		if netip.MustParsePrefix(block).Contains(a) {
			return Documentation, why
		}
	}
	if h.Via == "address" && (strings.HasPrefix(h.Host, "2.5.4.") || strings.HasPrefix(h.Host, "2.5.29.")) {
		return Documentation, "an object identifier of X.500"
	}
	return Undeclared, ""
}

// suffix reports whether the last label is a top-level domain: in programs most words with a dot are names of functions or files.
func (c *classifier) suffix(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	return c.tables.PublicSuffix(host) != 0 || c.tables.PublicSuffix(last) != 0
}

// end finds where a host ends that the next string follows without a separator: at the longest top-level domain with which its last
// label begins. Text that ends in a top-level domain, or in which none can be found, stays as it is.
func (c *classifier) end(text string) string {
	last := strings.LastIndexByte(text, '.') + 1
	if last == 0 || c.topLevel(text[last:]) {
		return text
	}
	for stop := len(text) - 1; stop-last >= 2; stop-- {
		if c.topLevel(text[last:stop]) {
			return text[:stop]
		}
	}
	return text
}

// topLevel includes the names that are reserved for examples.
func (c *classifier) topLevel(label string) bool {
	return label == "example" || label == "test" || label == "invalid" || c.tables.PublicSuffix(label) != 0
}
