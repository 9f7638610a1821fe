package recorder

import (
	"slices"
	"testing"
)

// dockerChains is what a host with Docker has, as `nft list chains` prints it, with
// tables that are in nobody's way.
const dockerChains = `table inet own {
	chain forward {
		type filter hook forward priority filter; policy accept;
	}
	chain input {
		type filter hook input priority filter; policy drop;
	}
}
table bridge seen {
	chain forward {
		type filter hook forward priority filter; policy drop;
	}
}
table ip filter {
	chain DOCKER-USER {
	}
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
	}
}
table ip6 filter {
	chain FORWARD {
		type filter hook forward priority 0; policy drop;
	}
}
`

// TestDroppers: a chain that drops what it forwards is found, with the commands
// that open it; what is in nobody's way is not.
func TestDroppers(t *testing.T) {
	want := []dropper{{"ip filter", "FORWARD", "DOCKER-USER", "nft"}, {"ip6 filter", "FORWARD", "FORWARD", "nft"}}
	got := nftDroppers(dockerChains)
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if got, want := got[0].commands(), []string{"nft insert rule ip filter DOCKER-USER iifname 'avow*' accept",
		"nft insert rule ip filter DOCKER-USER oifname 'avow*' accept"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := nftDroppers(""); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// TestIptablesDroppers: iptables says it otherwise.
func TestIptablesDroppers(t *testing.T) {
	const closed = "-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n"
	in, out := "-A FORWARD -i avow+ -j ACCEPT\n", "-A FORWARD -o avow+ -j ACCEPT\n"
	for rules, want := range map[string][]dropper{
		"":                                   nil,
		"-P FORWARD ACCEPT\n-P INPUT DROP\n": nil,
		closed + in + out:                    nil,
		closed:                               {{"ip filter", "FORWARD", "FORWARD", "iptables"}},
		closed + in:                          {{"ip filter", "FORWARD", "FORWARD", "iptables"}},
		closed + "-N DOCKER-USER\n" + out:    {{"ip filter", "FORWARD", "DOCKER-USER", "iptables"}},
		closed + "-A FORWARD -i avow+ -j DROP\n" + out: {{"ip filter", "FORWARD", "FORWARD", "iptables"}},
	} {
		got := iptablesDroppers(rules, "iptables")
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", rules, got, want)
			continue
		}
		if len(got) == 1 && got[0].commands()[0] != "iptables -I "+want[0].into+" -i avow+ -j ACCEPT" {
			t.Errorf("%q: commands %q", rules, got[0].commands())
		}
	}
}
