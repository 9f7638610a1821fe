package enforce

import "strings"

// kubernetes writes a NetworkPolicy. There are address blocks only here: names were refused before.
func (p *plan) kubernetes() ([]byte, error) {
	egress := []any{} // empty, and not absent: nothing may leave
	for i := range p.rules {
		r := &p.rules[i]
		var ports []any
		for _, port := range r.ports {
			ports = append(ports, object{"protocol": strings.ToUpper(r.transport), "port": port})
		}
		egress = append(egress, object{"to": []any{object{"ipBlock": object{"cidr": r.prefix.String()}}}, "ports": ports})
	}
	return document(p.comments(), object{
		"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": p.metadata(),
		"spec": object{"podSelector": object{"matchLabels": p.o.Selector}, "policyTypes": []any{"Egress"}, "egress": egress},
	})
}
