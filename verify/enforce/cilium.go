package enforce

import (
	"fmt"
	"strings"
)

// maxCiliumPorts is the most ports in one rule (maxItems of the CRD's toPorts).
const maxCiliumPorts = 40

// cilium writes a CiliumNetworkPolicy. The DNS rule allows to ask for exactly the declared names; without declared names there
// is none, since an empty list of names would mean all.
func (p *plan) cilium() ([]byte, error) {
	var egress []any
	if names := p.names(); len(names) > 0 {
		egress = append(egress, dnsRule(names))
	}
	for i := range p.rules {
		r := &p.rules[i]
		for _, ports := range chunks(r.ports, maxCiliumPorts) {
			rule := object{"toPorts": []any{object{"ports": ciliumPorts(ports, r.transport)}}}
			if r.host != "" {
				rule["toFQDNs"] = []any{object{"matchName": r.host}}
			} else {
				rule["toCIDR"] = []any{r.prefix.String()}
			}
			egress = append(egress, rule)
		}
	}
	if len(egress) == 0 {
		egress = []any{object{}} // an empty rule selects the direction and allows nothing
	}
	return document(p.comments(), object{
		"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": p.metadata(),
		"spec": object{"endpointSelector": object{"matchLabels": p.o.Selector}, "egress": egress},
	})
}

// names are the host names of the rules, each once.
func (p *plan) names() []string {
	var names []string
	seen := map[string]bool{}
	for i := range p.rules {
		if host := p.rules[i].host; host != "" && !seen[host] {
			seen[host] = true
			names = append(names, host)
		}
	}
	return names
}

func dnsRule(names []string) object {
	var match []any
	for _, name := range names {
		match = append(match, object{"matchName": name})
	}
	return object{
		"toEndpoints": []any{object{"matchLabels": object{"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s:k8s-app": "kube-dns"}}},
		"toPorts": []any{object{
			"ports": []any{object{"port": "53", "protocol": "UDP"}, object{"port": "53", "protocol": "TCP"}},
			"rules": object{"dns": match},
		}},
	}
}

func ciliumPorts(ports []int, transport string) []any {
	var list []any
	for _, port := range ports {
		list = append(list, object{"port": fmt.Sprint(port), "protocol": strings.ToUpper(transport)})
	}
	return list
}
