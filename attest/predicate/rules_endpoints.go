package predicate

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// R22: the values of endpoints.

// Widest blocks of addresses that an endpoint may name, in bits of prefix.
const (
	minPrefixBits4 = 16
	minPrefixBits6 = 32
)

func checkEndpoints(c *checker) {
	c.flows(func(i int, f *Flow) {
		for j := range f.Endpoints {
			if problem, hint := c.t.endpointProblem(&f.Endpoints[j]); problem != "" {
				c.report(pointer("predicate", "flows", i, "endpoints", j, "value"), f.Endpoints[j].Value, problem, hint)
			}
		}
	})
}

// EndpointProblem says what R22 has against the value of an endpoint, "" if
// nothing. Who matches traffic with endpoints leaves those with a problem out:
// a public suffix would match the names of strangers.
func (t *Tables) EndpointProblem(e *Endpoint) string {
	problem, _ := t.endpointProblem(e)
	return problem
}

// endpointProblem says what is wrong with the value of an endpoint, and what to
// do about it.
func (t *Tables) endpointProblem(e *Endpoint) (problem, hint string) {
	if strings.Contains(e.Value, "*") {
		if e.Kind == "suffix" {
			return "value has *", "write the suffix without *."
		}
		return "value has *", "name the hosts, or use kind suffix without *"
	}
	switch e.Kind {
	case "host", "suffix":
		if problem, hint = nameValueProblem(e.Value); problem != "" {
			return problem, hint
		}
		return t.suffixProblem(e)
	case "cidr":
		return cidrProblem(e.Value)
	}
	return "", ""
}

// suffixProblem compares a name with the public suffix list.
func (t *Tables) suffixProblem(e *Endpoint) (problem, hint string) {
	const nameHint = "name the hosts, or a suffix that one party holds"
	section := t.PublicSuffix(e.Value)
	switch {
	// One exact name may be a suffix of the private section: s3.amazonaws.com.
	case e.Kind == "host" && section == ICANNSuffix:
		return "host is a public suffix", nameHint
	case e.Kind == "suffix" && section != NotSuffix:
		return "suffix is a public suffix: anyone can have a name under it", nameHint
	case e.Kind == "suffix" && t.AbovePublicSuffix(e.Value):
		return "suffix lies above a public suffix: anyone can have a name under it", nameHint
	}
	return "", ""
}

// nameValueProblem checks the form of a host name or suffix.
func nameValueProblem(name string) (problem, hint string) {
	if strings.ContainsAny(name, "/:@?#") && !isAddress(name) {
		return "is a URL or has a port, not a name", "write the host name alone; port and path have members of their own"
	}
	if isAddress(name) {
		return "is an address", "use kind cidr, for example 203.0.113.7/32"
	}
	labels := strings.Split(name, ".")
	if len(labels) < 2 {
		return "is a single label", "write the full name; what an operator configures is kind configured"
	}
	if len(name) > 253 {
		return "is longer than 253 characters", "write a DNS name"
	}
	for _, label := range labels {
		if problem := labelProblem(label); problem != "" {
			return problem, "write the name in lower-case A-labels (xn--...), without a final dot"
		}
	}
	for _, private := range []string{"local", "localhost", "internal", "home.arpa"} {
		if name == private || strings.HasSuffix(name, "."+private) {
			return "is a private name: it is another host in each network", "use kind localNetwork, configured or discovered"
		}
	}
	return "", ""
}

func isAddress(name string) bool {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	// A last label of digits is an address to some readers: 1.2.3, 0x7f.1.
	last := name[strings.LastIndexByte(name, '.')+1:]
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// labelProblem checks one label of a name.
func labelProblem(label string) string {
	if label == "" {
		return "has an empty label"
	}
	if len(label) > 63 {
		return "has a label of more than 63 characters"
	}
	for i := range len(label) {
		c := label[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return "is not in lower-case A-label form"
		}
	}
	if label[0] == '-' || label[len(label)-1] == '-' {
		return "has a label that begins or ends with a hyphen"
	}
	if strings.HasPrefix(label, "xn--") {
		if unicodeLabel, err := idna.Registration.ToUnicode(label); err != nil || unicodeLabel == label {
			return "has a label xn-- that stands for no name"
		}
	}
	return ""
}

// cidrProblem checks an address block.
func cidrProblem(value string) (problem, hint string) {
	prefix, err := netip.ParsePrefix(value)
	if err != nil || prefix.Addr().Is4In6() || prefix.Addr().Zone() != "" {
		return "is not an address block", "write it as 203.0.113.0/24 or 2001:db8::/48"
	}
	if prefix.Addr().Is4() && prefix.Bits() < minPrefixBits4 {
		return "block is wider than /16", "name narrower blocks, or the hosts"
	}
	if prefix.Addr().Is6() && prefix.Bits() < minPrefixBits6 {
		return "block is wider than /32", "name narrower blocks, or the hosts"
	}
	if prefix.Masked() != prefix {
		return "block has host bits", "write " + prefix.Masked().String()
	}
	return "", ""
}
