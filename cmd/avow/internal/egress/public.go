package egress

import "net/netip"

// notPublic are the blocks, besides those that netip knows, that lead to no host of the internet: RFC 6890 and the registries
// of special-purpose addresses. The blocks for documentation lead nowhere and are left in.
func notPublic() []netip.Prefix {
	var blocks []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8",      // this network
		"100.64.0.0/10",  // carrier-grade NAT
		"192.0.0.0/24",   // protocol assignments
		"240.0.0.0/4",    // reserved, and broadcast
		"64:ff9b::/96",   // an IPv4 address inside, of any kind
		"64:ff9b:1::/48", // the same, locally
		"2002::/16",      // 6to4: the same
		"2001::/32",      // Teredo: the same
		"fec0::/10",      // site-local
	} {
		blocks = append(blocks, netip.MustParsePrefix(s))
	}
	return blocks
}

// Public reports whether an address can be that of a host on the internet: not loopback, link-local (a metadata service),
// private, multicast, or an IPv4 address dressed as another.
func Public(a netip.Addr) bool {
	if !a.IsValid() || a.Is4In6() || a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, block := range notPublic() {
		if block.Contains(a) {
			return false
		}
	}
	return true
}
