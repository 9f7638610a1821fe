package enforce

import (
	"fmt"
	"net/netip"
	"strings"
)

const typeURL = "type.googleapis.com/envoy.extensions."

// envoy writes the static configuration of a forward proxy. The list of domains is the policy: a request for another name or
// port has no route. The proxy resolves the name that the route matched, so that a name cannot be said and another reached.
func (p *plan) envoy() ([]byte, error) {
	listen := p.o.listen()
	manager := object{
		"@type": typeURL + "filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "avow_egress",
		"http_filters": []any{
			object{"name": "envoy.filters.http.dynamic_forward_proxy", "typed_config": object{
				"@type": typeURL + "filters.http.dynamic_forward_proxy.v3.FilterConfig", "dns_cache_config": dnsCache()}},
			object{"name": "envoy.filters.http.router", "typed_config": object{"@type": typeURL + "filters.http.router.v3.Router"}},
		},
		"route_config":    object{"name": "avow_egress", "virtual_hosts": p.virtualHosts()},
		"upgrade_configs": []any{object{"upgrade_type": "CONNECT"}},
	}
	return document(p.comments("the product reaches the proxy only where something else stops its other traffic: a firewall, or a network without exit"),
		object{"static_resources": object{
			"listeners": []any{object{
				"name":          "avow_egress",
				"address":       object{"socket_address": object{"address": listen.Addr().String(), "port_value": int(listen.Port())}},
				"filter_chains": []any{object{"filters": []any{object{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}}}},
			}},
			"clusters": []any{object{
				"name": "avow_egress", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "10s",
				"cluster_type": object{"name": "envoy.clusters.dynamic_forward_proxy", "typed_config": object{
					"@type": typeURL + "clusters.dynamic_forward_proxy.v3.ClusterConfig", "dns_cache_config": dnsCache()}},
			}},
		}})
}

// dnsCache must be the same in the filter and in the cluster.
func dnsCache() object { return object{"name": "avow_egress", "dns_lookup_family": "ALL"} }

// virtualHosts returns one virtual host per domain, since Envoy refuses a domain twice. Where TLS is required of every flow to
// it the proxy tunnels only.
func (p *plan) virtualHosts() []any {
	var domains []string
	plain := map[string]bool{}
	for i := range p.rules {
		r := &p.rules[i]
		for _, port := range r.ports {
			domain := domainOf(r, port)
			if _, ok := plain[domain]; !ok {
				domains = append(domains, domain)
			}
			plain[domain] = plain[domain] || !r.tls
		}
	}
	hosts := []any{}
	for i, domain := range domains {
		names := []any{domain}
		routes := []any{object{"match": object{"connect_matcher": object{}}, "route": object{"cluster": "avow_egress",
			"upgrade_configs": []any{object{"upgrade_type": "CONNECT", "connect_config": object{}}}}}}
		if plain[domain] {
			if bare, ok := strings.CutSuffix(domain, ":80"); ok {
				names = append(names, bare) // what a client asks for at the default port
			}
			routes = append(routes, object{"match": object{"prefix": "/"}, "route": object{"cluster": "avow_egress"}})
		}
		hosts = append(hosts, object{"name": fmt.Sprintf("avow%d", i+1), "domains": names, "routes": routes})
	}
	return hosts
}

// domainOf is the authority that a client asks for. A wildcard stands for one or more labels in Envoy, as in the statement.
func domainOf(r *rule, port int) string {
	switch {
	case r.suffix != "":
		return fmt.Sprintf("*.%s:%d", r.suffix, port)
	case r.prefix.IsValid():
		return netip.AddrPortFrom(r.prefix.Addr(), uint16(port)).String()
	}
	return fmt.Sprintf("%s:%d", r.host, port)
}
