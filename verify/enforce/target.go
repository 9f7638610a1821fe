package enforce

// Target is the system that a policy is compiled for. The zero value is none.
type Target string

// The targets.
const (
	// Cilium: a CiliumNetworkPolicy (cilium.io/v2) with FQDN rules and the DNS rule that they need.
	Cilium Target = "cilium"
	// Kubernetes: a NetworkPolicy (networking.k8s.io/v1). It knows address blocks only.
	Kubernetes Target = "kubernetes"
	// NFTables: a ruleset with sets per flow, which [Policy.Fill] fills.
	NFTables Target = "nftables"
	// Envoy: a static configuration of a forward proxy.
	Envoy Target = "envoy"
	// Squid: a configuration of a forward proxy.
	Squid Target = "squid"
	// Hosts: always refused, since a hosts file drops nothing.
	Hosts Target = "hosts"
	// Docker: a Compose file that puts a service on an internal network behind a Squid proxy.
	Docker Target = "docker"
)

// Targets returns all targets in the order in which they are documented.
func Targets() []Target {
	return []Target{Cilium, Kubernetes, NFTables, Envoy, Squid, Hosts, Docker}
}

// proxy reports whether the target is a forward proxy: TCP only, and names are resolved by the proxy.
func (t Target) proxy() bool { return t == Envoy || t == Squid || t == Docker }
