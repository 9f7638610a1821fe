package compare

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

// DefaultStartupWindow is how long after the beginning of an observation a peer
// counts as seen at start-up.
const DefaultStartupWindow = 10 * time.Second

// Options are what the verifier knows and the declaration cannot: who the peers
// are that an operator or a user chose. The zero value is the strictest.
type Options struct {
	// Configured names the peers behind a setting of endpoints of the kinds
	// configured and discovered.
	Configured map[string][]Target `json:"configured,omitempty"`
	// UserDirected are peers that the user named during the observation.
	UserDirected []Target `json:"userDirected,omitempty"`
	// LocalNetwork lets endpoints of the kind localNetwork match private,
	// link-local and loopback addresses.
	LocalNetwork bool `json:"localNetwork,omitempty"`
	// UserActed says that a user did something from the beginning on: then a
	// flow that a user's action triggers may be seen at start-up.
	UserActed bool `json:"userActed,omitempty"`
	// StartupWindow is how long after the beginning of an observation a peer
	// counts as seen at start-up: 0 is [DefaultStartupWindow], negative means
	// that start-up was not observed and is not judged.
	StartupWindow time.Duration `json:"startupWindow,omitempty"`
	// Switches says which flows a setting of the observations (by its name)
	// switches off, beside those whose declared control has the setting's words.
	Switches map[string][]string `json:"switches,omitempty"`
	// FailOnGaps makes a gap of an observation a failure. By default it is a
	// warning.
	FailOnGaps bool `json:"failOnGaps,omitempty"`
}

// Target is one host name or one block of addresses. Only [ParseTarget] makes
// one; the zero value matches nothing.
type Target struct {
	host  string
	block netip.Prefix
}

// ParseTarget reads a host name in lower case, an address, or a block of
// addresses. Names have no wildcard and no port; a single label is taken, since
// operators have such names. A block of all addresses is refused.
func ParseTarget(s string) (Target, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return Target{block: netip.PrefixFrom(addr.Unmap().WithZone(""), addr.Unmap().BitLen())}, nil
	}
	if block, err := netip.ParsePrefix(s); err == nil {
		if block.Bits() == 0 {
			return Target{}, fmt.Errorf("%q is every address, want a block that somebody chose", s)
		}
		return Target{block: block.Masked()}, nil
	}
	if s == "" || len(s) > 253 || strings.ToLower(s) != s || strings.ContainsAny(s, " *:/@?#") || strings.HasSuffix(s, ".") || strings.HasPrefix(s, ".") {
		return Target{}, fmt.Errorf("%q is neither a host name in lower case nor an address or block of addresses", s)
	}
	return Target{host: s}, nil
}

// String returns the name or the block.
func (t Target) String() string {
	if t.host != "" || !t.block.IsValid() {
		return t.host
	}
	return t.block.String()
}

// MarshalText writes what [ParseTarget] reads.
func (t Target) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Validate refuses options that speak of what the declaration does not have:
// one with a spelling mistake would have no effect, and be believed to have one.
func (o *Options) Validate(declared *predicate.DataFlows) error {
	settings, ids, directed, local := map[string]bool{}, []string{}, false, false
	for i := range declared.Flows {
		ids = append(ids, declared.Flows[i].ID)
		for _, e := range declared.Flows[i].Endpoints {
			settings[e.Setting] = settings[e.Setting] || e.Kind == "configured" || e.Kind == "discovered"
			directed = directed || e.Kind == "userDirected"
			local = local || e.Kind == "localNetwork"
		}
	}
	for name := range o.Configured {
		if !settings[name] {
			return fmt.Errorf("no configured or discovered endpoint has the setting %q", name)
		}
	}
	for _, flows := range o.Switches {
		for _, id := range flows {
			if !slices.Contains(ids, id) {
				return fmt.Errorf("there is no flow %q", id)
			}
		}
	}
	if len(o.UserDirected) > 0 && !directed {
		return fmt.Errorf("no endpoint is userDirected")
	}
	if o.LocalNetwork && !local {
		return fmt.Errorf("no endpoint is localNetwork")
	}
	return nil
}

func (o *Options) window() time.Duration {
	if o.StartupWindow == 0 {
		return DefaultStartupWindow
	}
	return o.StartupWindow
}
