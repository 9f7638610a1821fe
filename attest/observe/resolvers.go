package observe

import (
	"net/netip"
	"slices"
)

// encryptedPort is that of DNS over TLS and over QUIC.
const encryptedPort = 853

// encryptedHosts returns the hosts of public resolvers that answer DNS over
// HTTPS, as their operators document them. The list only adds knowledge: a peer
// without a name stays one, with a reason that says more.
func encryptedHosts() []string {
	return []string{
		"dns.google", "dns64.dns.google", // developers.google.com/speed/public-dns/docs/doh
		"cloudflare-dns.com", "one.one.one.one", "mozilla.cloudflare-dns.com", "chrome.cloudflare-dns.com", // developers.cloudflare.com/1.1.1.1
		"security.cloudflare-dns.com", "family.cloudflare-dns.com", "1dot1dot1dot1.cloudflare-dns.com",
		"dns.quad9.net", "dns9.quad9.net", "dns10.quad9.net", "dns11.quad9.net", // quad9.net/service/service-addresses-and-features
		"doh.opendns.com", "doh.familyshield.opendns.com", "dns.umbrella.com", // support.opendns.com
		"dns.adguard-dns.com", "family.adguard-dns.com", "unfiltered.adguard-dns.com", // adguard-dns.io/kb
		"dns.nextdns.io", "firefox.dns.nextdns.io", "chromium.dns.nextdns.io", // nextdns.io
		"doh.cleanbrowsing.org",                   // cleanbrowsing.org
		"dns.mullvad.net", "base.dns.mullvad.net", // mullvad.net/help/dns-over-https-and-dns-over-tls
		"freedns.controld.com",                    // controld.com/free-dns
		"doh.dns.sb", "doh.pub", "dns.alidns.com", // dns.sb, docs.dnspod.cn, alidns.com
		"doh.xfinity.com",              // Comcast
		"dns.switch.ch",                // switch.ch
		"dns.digitale-gesellschaft.ch", // digitale-gesellschaft.ch/dns
	}
}

// encryptedAddresses returns their addresses where the address itself is
// documented as the service's.
func encryptedAddresses() []string {
	return []string{
		"8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844",
		"1.1.1.1", "1.0.0.1", "1.1.1.2", "1.0.0.2", "1.1.1.3", "1.0.0.3",
		"2606:4700:4700::1111", "2606:4700:4700::1001",
		"9.9.9.9", "149.112.112.112", "9.9.9.10", "9.9.9.11", "2620:fe::fe", "2620:fe::9",
		"208.67.222.222", "208.67.220.220",
		"94.140.14.14", "94.140.15.15",
	}
}

// resolvers knows what encrypted name resolution looks like.
type resolvers struct {
	hosts     []string
	addresses map[netip.Addr]bool
}

func newResolvers() resolvers {
	r := resolvers{hosts: encryptedHosts(), addresses: map[netip.Addr]bool{}}
	for _, s := range encryptedAddresses() {
		r.addresses[netip.MustParseAddr(s)] = true
	}
	return r
}

// encrypted reports whether a connection resolves names where answers cannot be
// seen.
func (r resolvers) encrypted(addr netip.Addr, port uint16, names []string) bool {
	if port == encryptedPort {
		return true
	}
	return port == 443 && (r.addresses[addr] || slices.ContainsFunc(names, func(n string) bool { return slices.Contains(r.hosts, n) }))
}
