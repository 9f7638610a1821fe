package enforce

import (
	"fmt"
	"strings"
)

// squid writes the configuration of a forward proxy that allows the declared peers. The lists compare the name or address
// that the client asked for (-n): a name is never looked up to find out whether it may be looked up, and the reverse name of
// an address, which its holder chooses, opens nothing.
func (p *plan) squid(listen string) []byte {
	var b strings.Builder
	b.WriteString(p.comments("the product reaches the proxy only where something else stops its other traffic: a firewall, or a network without exit"))
	fmt.Fprintf(&b, "http_port %s\nacl avow_connect method CONNECT\n", listen)
	var allow strings.Builder
	for i := range p.rules {
		r, name := &p.rules[i], fmt.Sprintf("avow%d", i+1)
		conditions := name + "_peer"
		switch {
		case r.host != "":
			fmt.Fprintf(&b, "acl %s_peer dstdomain -n %s\n", name, r.host)
		case r.suffix != "":
			// Squid's .suffix is the name itself too, which the statement's is not.
			fmt.Fprintf(&b, "acl %s_peer dstdomain -n .%s\nacl %s_itself dstdomain -n %s\n", name, r.suffix, name, r.suffix)
			conditions += " !" + name + "_itself"
		default:
			fmt.Fprintf(&b, "acl %s_peer dst -n %s\n", name, r.prefix)
		}
		fmt.Fprintf(&b, "acl %s_port port %s\n", name, joined(r.ports, " "))
		if r.tls {
			conditions = "avow_connect " + conditions
		}
		fmt.Fprintf(&allow, "http_access allow %s %s_port\n", conditions, name)
	}
	b.WriteString(allow.String())
	b.WriteString("http_access deny all\ncache deny all\nforwarded_for delete\n")
	return []byte(b.String())
}

func joined(ports []int, sep string) string {
	var list []string
	for _, port := range ports {
		list = append(list, fmt.Sprint(port))
	}
	return strings.Join(list, sep)
}
