package enforce

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// docker writes a Compose file that is merged over the product's own: the service is left on one internal network only, and
// the one other container there is a Squid proxy that has a way out.
func (p *plan) docker() ([]byte, error) {
	network, outside, proxy := p.o.name(), p.o.name()+"-outside", p.o.name()+"-proxy"
	url := fmt.Sprintf("http://%s:%d", proxy, proxyPort)
	// Compose replaces $NAME in every value; $$ is a dollar.
	config := strings.ReplaceAll(string(p.squid(fmt.Sprint(proxyPort))), "$", "$$")
	isolated := object{"com.docker.network.bridge.gateway_mode_ipv4": "isolated", "com.docker.network.bridge.gateway_mode_ipv6": "isolated"}
	// !override replaces the networks of the product's own file, where a plain list would be added to them.
	only := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!override", Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: network}}}
	return document(p.comments(
		"merge it over the product's own file: docker compose -f compose.yaml -f this-file up (Compose 2.24.4 or later)",
		"with Docker before 27.1 the internal network still reaches the services of this machine"), object{
		"services": object{
			p.o.Service: object{
				"networks": only,
				"environment": object{"HTTP_PROXY": url, "HTTPS_PROXY": url, "http_proxy": url, "https_proxy": url,
					"NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1"},
			},
			proxy: object{
				"image": p.o.ProxyImage, "networks": []any{network, outside}, "restart": "unless-stopped",
				"configs": []any{object{"source": network + "-squid", "target": "/etc/squid/squid.conf"}},
			},
		},
		"networks": object{network: object{"internal": true, "driver_opts": isolated}, outside: object{}},
		"configs":  object{network + "-squid": object{"content": config}},
	})
}
