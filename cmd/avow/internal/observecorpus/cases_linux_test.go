//go:build faults && linux

package observecorpus

import (
	"github.com/avow-dev/avow/attest/predicate/observation"
	"github.com/avow-dev/avow/verify/compare"
)

// recorded is a case: what to run and what that is known to do.
type recorded struct {
	what    string
	command []string // "go" runs a client of this file's package, see clients_linux_test.go
	offline bool
	peers   []truth
}

func known(transport, name string, port int, naming observation.Naming) truth {
	return truth{Name: name, Port: port, Transport: transport, Naming: naming, Declared: true, Class: compare.Declared}
}

func foreign(transport, name string, port int, naming observation.Naming) truth {
	return truth{Name: name, Port: port, Transport: transport, Naming: naming, Class: compare.Undeclared}
}

// nameless is a peer that nobody can tell from a declared one.
func nameless(declared bool, transport, addr string, port int, naming observation.Naming) truth {
	return truth{Name: addr, Port: port, Transport: transport, Naming: naming, Declared: declared, Class: compare.Unclassified}
}

// Addresses of the small internet, see world_linux_test.go.
const (
	updates4, updates6 = "192.0.2.10", "2001:db8::10"
	shared             = "192.0.2.20"
	otherResolver      = "192.0.2.153"
	evil4, evil6       = "192.0.2.66", "2001:db8::66"
	broker             = "198.51.100.5"
)

// shell runs a script, for several calls of a program in one recording.
func shell(script string) []string { return []string{"sh", "-c", script} }

const curl = "curl -sSk -m 10 -o /dev/null "

func cases() map[string]recorded {
	all := curlCases()
	for name, c := range goCases() {
		all[name] = c
	}
	return all
}

func curlCases() map[string]recorded {
	sni, http, dns, direct := observation.NamingSNI, observation.NamingHTTP, observation.NamingDNS, observation.NamingDirect
	return map[string]recorded{
		"curl-https":   {what: "HTTPS with a declared host", command: shell(curl + "-4 https://updates.acme.example/"), peers: []truth{known("tcp", "updates.acme.example", 443, sni)}},
		"curl-ipv6":    {what: "the same by IPv6", command: shell(curl + "-6 https://updates.acme.example/"), peers: []truth{known("tcp", "updates.acme.example", 443, sni)}},
		"curl-tracker": {what: "a declared host, and an undeclared one by HTTP", command: shell(curl + "https://updates.acme.example/; " + curl + "http://tracker.example/"), peers: []truth{known("tcp", "updates.acme.example", 443, sni), foreign("tcp", "tracker.example", 80, http)}},
		"curl-cname": {what: "a declared name that two aliases lead to an address, and an undeclared name that leads to the same", command: shell(curl + "https://cdn.acme.example/; " + curl + "https://ads.example/"),
			peers: []truth{known("tcp", "cdn.acme.example", 443, sni), foreign("tcp", "ads.example", 443, sni)}},
		"curl-suffix": {what: "a name under a declared suffix, the suffix itself, and a name that only looks like one", command: shell(curl + "https://eu.api.acme.example/; " + curl + "https://api.acme.example/; " + curl + "https://api.acme.example.tracker.example/"),
			peers: []truth{known("tcp", "eu.api.acme.example", 443, sni), foreign("tcp", "api.acme.example", 443, sni), foreign("tcp", "api.acme.example.tracker.example", 443, sni)}},
		"curl-port": {what: "a declared host at an undeclared port", command: shell(curl + "https://updates.acme.example:8443/"), peers: []truth{foreign("tcp", "updates.acme.example", 8443, sni)}},
		"curl-direct": {what: "addresses without names", command: shell(curl + "https://" + evil4 + "/; " + curl + "'https://[" + evil6 + "]/'; " + curl + "https://" + broker + ":8883/"),
			peers: []truth{nameless(false, "tcp", evil4, 443, direct), nameless(false, "tcp", evil6, 443, direct), known("tcp", broker, 8883, direct)}},
		"curl-lie": {what: "a declared name in the hello, said to an address that is another's, with no name ever resolved", command: shell(curl + "--resolve updates.acme.example:443:" + evil4 + " https://updates.acme.example/"),
			peers: []truth{nameless(false, "tcp", evil4, 443, direct)}},
		"curl-lie-resolved": {what: "the same after the name was resolved to its own address", command: shell(curl + "-4 https://updates.acme.example/; " + curl + "--resolve updates.acme.example:443:" + evil4 + " https://updates.acme.example/"),
			peers: []truth{known("tcp", "updates.acme.example", 443, sni), nameless(false, "tcp", evil4, 443, direct)}},
		"curl-offline": {what: "no way out: refused connections", command: shell(curl + "https://updates.acme.example/; " + curl + "https://tracker.example/; " + curl + "http://" + evil4 + ":8080/"), offline: true,
			peers: []truth{known("tcp", "updates.acme.example", 443, dns), foreign("tcp", "tracker.example", 443, dns), nameless(false, "tcp", evil4, 8080, direct)}},
		"ntpdig": {what: "an NTP client with a declared and an undeclared server", command: shell("ntpdig -t 5 time.acme.example; ntpdig -t 5 ntp.tracker.example"),
			peers: []truth{known("udp", "time.acme.example", 123, dns), foreign("udp", "ntp.tracker.example", 123, dns)}},
		"node-https": {what: "Node: HTTPS with a declared and an undeclared host", command: []string{"node", "-e", nodeHTTPS},
			peers: []truth{known("tcp", "updates.acme.example", 443, sni), foreign("tcp", "tracker.example", 443, sni)}},
		"node-doh": {what: "Node: names over HTTPS from a service that nobody knows, then an address that only it gave", command: []string{"node", "-e", nodeDoH},
			peers: []truth{foreign("tcp", "doh.tracker.example", 443, sni), nameless(false, "tcp", evil4, 4444, direct)}},
		"node-udp": {what: "Node: datagrams to addresses", command: []string{"node", "-e", nodeUDP},
			peers: []truth{nameless(false, "udp", evil4, 5000, direct), nameless(false, "udp", evil6, 5000, direct)}},
	}
}

func goCases() map[string]recorded {
	sni, dns, direct, encrypted := observation.NamingSNI, observation.NamingDNS, observation.NamingDirect, observation.NamingEncrypted
	return map[string]recorded{
		"go-doh": {what: "Go: names over HTTPS from a known service, then a declared host and an undeclared one whose names nobody saw", command: []string{"go", "doh"},
			peers: []truth{foreign("tcp", "dns.quad9.net", 443, sni), nameless(true, "tcp", updates4, 443, encrypted), nameless(false, "tcp", evil4, 4444, encrypted)}},
		"go-direct": {what: "Go: TCP and UDP to addresses, IPv4 and IPv6", command: []string{"go", "direct"},
			peers: []truth{nameless(false, "tcp", evil4, 4444, direct), nameless(false, "tcp", evil6, 4444, direct), nameless(false, "udp", evil4, 5000, direct)}},
		"go-quic": {what: "Go: first packets of QUIC with a declared, an undeclared and a false name", command: []string{"go", "quic"},
			peers: []truth{known("udp", "quic.acme.example", 443, sni), foreign("udp", "tracker.example", 443, sni), nameless(false, "udp", evil4, 443, direct)}},
		"go-dns-tcp": {what: "Go: names over TCP, one of them because the answer was too large for UDP", command: []string{"go", "dnstcp"},
			peers: []truth{known("tcp", "updates.acme.example", 443, sni), foreign("tcp", "many.tracker.example", 4444, dns)}},
		"go-other-resolver": {what: "Go: a resolver that the program brings along", command: []string{"go", "resolver"},
			peers: []truth{nameless(false, "udp", otherResolver, 53, direct), foreign("tcp", "tracker.example", 4444, dns)}},
		"go-reused": {what: "Go: an address that two names have at the same time, without and with a hello that says which", command: []string{"go", "reused"},
			peers: []truth{nameless(false, "tcp", shared, 4444, observation.NamingAmbiguous), known("tcp", "cdn.acme.example", 443, sni), foreign("tcp", "ads.example", 443, sni)}},
		"go-reassigned": {what: "Go: an address that a declared name had until its time was over, and an undeclared one has now", command: []string{"go", "reassigned"},
			peers: []truth{known("tcp", "fast.api.acme.example", 443, dns), foreign("tcp", "fast.tracker.example", 443, dns)}},
	}
}

const nodeHTTPS = `
process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
const get = (u) => new Promise((ok) => require("https").get(u, (r) => { r.resume(); r.on("end", ok); }).on("error", (e) => { console.error(u, e); process.exitCode = 1; ok(); }));
get("https://updates.acme.example/").then(() => get("https://tracker.example/")).then(() => process.exit());`

const nodeDoH = `
process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
const q = Buffer.from("12340100000100000000000004657669 6c076578616d706c650000010001".replace(/ /g, ""), "hex");
const r = require("https").request("https://doh.tracker.example/dns-query", { method: "POST", headers: { "content-type": "application/dns-message" } }, (res) => {
  const parts = [];
  res.on("data", (d) => parts.push(d));
  res.on("end", () => {
    const b = Buffer.concat(parts), a = [...b.subarray(b.length - 4)].join(".");
    const c = require("net").connect(4444, a, () => c.end("hello"));
    c.on("close", () => process.exit());
    c.resume();
  });
});
r.end(q);`

const nodeUDP = `
const d = require("dgram");
const send = (kind, to) => new Promise((ok) => { const s = d.createSocket(kind); s.on("message", () => { s.close(); ok(); }); s.send("hello", 5000, to); });
send("udp4", "` + evil4 + `").then(() => send("udp6", "` + evil6 + `")).then(() => process.exit());`
