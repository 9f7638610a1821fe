package compare

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// seen is the world of TestPeers: what is declared, by whom which peer is known,
// and one peer.
type seen struct {
	flows   []predicate.Flow
	options Options
	change  func(*observation.Observation)
	peer    observation.Peer
	class   Class
	flow    string // the flows that the peer belongs to, with commas
	codes   string // of failures, with commas
	detail  string // what the first failure says
}

func peerCases() map[string]seen {
	update := flow("update", host("host", "updates.acme.example"))
	under := flow("under", host("suffix", "acme.example"))
	deep := flow("deep", host("suffix", "cdn.acme.example"))
	block := flow("block", host("cidr", "192.0.2.0/24"))
	narrow := flow("narrow", host("cidr", "192.0.2.16/28"))
	configured := flow("proxy", predicate.Endpoint{Kind: "configured", Setting: "proxy.host"})
	discovered := flow("resolver", predicate.Endpoint{Kind: "discovered", Setting: "system resolver", Transport: "udp", Ports: []int{53}})
	lan := flow("lan", predicate.Endpoint{Kind: "localNetwork"})
	browse := flow("browse", predicate.Endpoint{Kind: "userDirected", Transport: "tcp"})
	target := func(s string) []Target {
		t, err := ParseTarget(s)
		if err != nil {
			panic(err)
		}
		return []Target{t}
	}
	return map[string]seen{
		"host":                    {flows: []predicate.Flow{under, update}, peer: peer("updates.acme.example"), class: Declared, flow: "update"},
		"suffix":                  {flows: []predicate.Flow{under, update}, peer: peer("x.acme.example"), class: Declared, flow: "under"},
		"longest suffix":          {flows: []predicate.Flow{under, deep}, peer: peer("a.b.cdn.acme.example"), class: Declared, flow: "deep"},
		"two flows of one host":   {flows: []predicate.Flow{update, flow("licence", host("host", "updates.acme.example"))}, peer: peer("updates.acme.example"), class: Declared, flow: "update,licence"},
		"nothing declared":        {peer: peer("acme.example"), class: Undeclared, codes: "notDeclared", detail: "no endpoint of the declaration names it"},
		"the suffix itself":       {flows: []predicate.Flow{under}, peer: peer("acme.example"), class: Undeclared, codes: "notDeclared"},
		"not at a label":          {flows: []predicate.Flow{under}, peer: peer("evilacme.example"), class: Undeclared, codes: "notDeclared"},
		"public suffix":           {flows: []predicate.Flow{flow("s3", host("suffix", "s3.amazonaws.com"))}, peer: peer("evil.s3.amazonaws.com"), class: Undeclared, codes: "notDeclared"},
		"above a public suffix":   {flows: []predicate.Flow{flow("aws", host("suffix", "amazonaws.com"))}, peer: peer("evil.amazonaws.com"), class: Undeclared, codes: "notDeclared"},
		"another port":            {flows: []predicate.Flow{update}, peer: with(peer("updates.acme.example"), func(p *observation.Peer) { p.Port = 8443 }), class: Undeclared, codes: "portNotDeclared", detail: "flow update declares host updates.acme.example for tcp ports [443], seen at port 8443"},
		"another transport":       {flows: []predicate.Flow{update}, peer: with(peer("updates.acme.example"), func(p *observation.Peer) { p.Transport = "udp" }), class: Undeclared, codes: "transportNotDeclared", detail: "for tcp, seen by udp"},
		"port of a shorter match": {flows: []predicate.Flow{update, flow("wide", predicate.Endpoint{Kind: "suffix", Value: "acme.example", Transport: "tcp", Ports: []int{8443}})}, peer: with(peer("updates.acme.example"), func(p *observation.Peer) { p.Port = 8443 }), class: Declared, flow: "wide"},
		"no port declared":        {flows: []predicate.Flow{flow("open", predicate.Endpoint{Kind: "host", Value: "updates.acme.example", Transport: "tcp"})}, peer: peer("updates.acme.example"), class: Undeclared, codes: "portNotDeclared"},

		"address in a block":         {flows: []predicate.Flow{block, narrow}, peer: address("192.0.2.17", observation.NamingDirect), class: Declared, flow: "narrow"},
		"address in the wide block":  {flows: []predicate.Flow{narrow, block}, peer: address("192.0.2.1", observation.NamingUnresolved), class: Declared, flow: "block"},
		"mapped address":             {flows: []predicate.Flow{block}, peer: address("::ffff:192.0.2.1", observation.NamingDirect), class: Declared, flow: "block"},
		"name with addresses inside": {flows: []predicate.Flow{block}, peer: with(peer("x.example"), func(p *observation.Peer) { p.Addresses = []string{"192.0.2.1", "192.0.2.2"} }), class: Declared, flow: "block"},
		"name with one outside":      {flows: []predicate.Flow{block}, peer: with(peer("x.example"), func(p *observation.Peer) { p.Addresses = []string{"192.0.2.1", "198.51.100.1"} }), class: Undeclared, codes: "notDeclared"},
		"direct":                     {flows: []predicate.Flow{update}, peer: address("192.0.2.1", observation.NamingDirect), class: Unclassified, codes: "noName", detail: "no name resolution gave it"},
		"unresolved":                 {flows: []predicate.Flow{update}, peer: address("192.0.2.1", observation.NamingUnresolved), class: Unclassified, codes: "noName", detail: "no name resolution was seen"},
		"encrypted":                  {flows: []predicate.Flow{update}, peer: address("192.0.2.1", observation.NamingEncrypted), class: Unclassified, codes: "noName", detail: "where the observer cannot see it"},
		"ambiguous": {flows: []predicate.Flow{update}, peer: with(address("192.0.2.1", observation.NamingAmbiguous), func(p *observation.Peer) {
			p.Candidates = []string{"updates.acme.example", "evil.example"}
		}), class: Unclassified, codes: "noName", detail: "the address had 2 names at the time: updates.acme.example, evil.example"},
		"the observer's opinion": {flows: []predicate.Flow{update}, peer: with(peer("evil.example"), func(p *observation.Peer) { p.MatchedFlow = "update" }), class: Undeclared, codes: "notDeclared"},

		"configured, not given":    {flows: []predicate.Flow{configured}, peer: peer("proxy.corp"), class: Undeclared, codes: "notDeclared"},
		"configured":               {flows: []predicate.Flow{configured}, options: Options{Configured: map[string][]Target{"proxy.host": target("proxy.corp")}}, peer: peer("proxy.corp"), class: Declared, flow: "proxy"},
		"configured, another host": {flows: []predicate.Flow{configured}, options: Options{Configured: map[string][]Target{"proxy.host": target("proxy.corp")}}, peer: peer("x.proxy.corp"), class: Undeclared, codes: "notDeclared"},
		"discovered": {flows: []predicate.Flow{discovered}, options: Options{Configured: map[string][]Target{"system resolver": target("127.0.0.53")}},
			peer: with(address("127.0.0.53", observation.NamingDirect), func(p *observation.Peer) { p.Transport, p.Port = "udp", 53 }), class: Declared, flow: "resolver"},
		"discovered, another port": {flows: []predicate.Flow{discovered}, options: Options{Configured: map[string][]Target{"system resolver": target("127.0.0.53")}},
			peer: with(address("127.0.0.53", observation.NamingDirect), func(p *observation.Peer) { p.Transport, p.Port = "udp", 54 }), class: Undeclared, codes: "portNotDeclared"},
		"local network, not given": {flows: []predicate.Flow{lan}, peer: address("10.1.2.3", observation.NamingDirect), class: Unclassified, codes: "noName"},
		"local network":            {flows: []predicate.Flow{lan}, options: Options{LocalNetwork: true}, peer: address("10.1.2.3", observation.NamingDirect), class: Declared, flow: "lan"},
		"local network, IPv6":      {flows: []predicate.Flow{lan}, options: Options{LocalNetwork: true}, peer: address("fe80::1%eth0", observation.NamingDirect), class: Declared, flow: "lan"},
		"local multicast":          {flows: []predicate.Flow{lan}, options: Options{LocalNetwork: true}, peer: address("239.255.255.250", observation.NamingDirect), class: Declared, flow: "lan"},
		"global multicast":         {flows: []predicate.Flow{lan}, options: Options{LocalNetwork: true}, peer: address("ff0e::1", observation.NamingDirect), class: Unclassified, codes: "noName"},
		"not the local network":    {flows: []predicate.Flow{lan}, options: Options{LocalNetwork: true}, peer: address("192.0.2.1", observation.NamingDirect), class: Unclassified, codes: "noName"},
		"user directed, not given": {flows: []predicate.Flow{browse}, peer: peer("news.example"), class: Undeclared, codes: "notDeclared"},
		"user directed":            {flows: []predicate.Flow{browse}, options: Options{UserDirected: target("news.example")}, peer: peer("news.example"), class: Declared, flow: "browse"},
	}
}

func TestPeers(t *testing.T) {
	for name, c := range peerCases() {
		t.Run(name, func(t *testing.T) { c.check(t) })
	}
}

func (c seen) check(t *testing.T) {
	t.Helper()
	o := observe(c.peer)
	if c.change != nil {
		c.change(o)
	}
	r := Compare(declare(c.flows...), []*observation.Observation{o}, c.options)
	got := r.Peers[0]
	var list []string
	for _, code := range got.Codes {
		list = append(list, string(code))
	}
	if got.Class != c.class || strings.Join(got.Flows, ",") != c.flow || strings.Join(list, ",") != c.codes {
		t.Errorf("got %s of %v with %v, want %s of %q with %q", got.Class, got.Flows, got.Codes, c.class, c.flow, c.codes)
	}
	if r.Clean() != (c.class == Declared && c.codes == "") {
		t.Errorf("clean is %v", r.Clean())
	}
	if c.codes != "" && !strings.Contains(r.Findings[0].Detail, c.detail) {
		t.Errorf("got %q, want %q in it", r.Findings[0].Detail, c.detail)
	}
}

// periodic is a flow with a period of a day.
func periodic(seconds int) predicate.Flow {
	f := flow("f", host("host", "updates.acme.example"))
	f.Activation.Trigger, f.Activation.IntervalSeconds = "periodic", ptr(seconds)
	return f
}

func TestDeviations(t *testing.T) {
	plain := flow("f", host("host", "updates.acme.example"))
	oldest := plain
	oldest.Endpoints = []predicate.Endpoint{host("host", "updates.acme.example")}
	oldest.Endpoints[0].TLS.MinVersion = "1.3"
	honest := plain
	honest.Endpoints = []predicate.Endpoint{host("host", "updates.acme.example")}
	honest.Endpoints[0].TLS = &predicate.TLS{Requirement: "none", Verification: "none"}
	action := plain
	action.Activation.Trigger = "userAction"
	remote := plain
	remote.Initiator = "remote"
	off := plain
	off.Activation.DefaultState = "off"
	at := func(change func(*observation.Peer)) observation.Peer {
		return with(peer("updates.acme.example"), change)
	}
	first := at(func(p *observation.Peer) { p.FirstSeen = day.Add(2 * time.Second) })
	often := at(func(p *observation.Peer) {
		p.Connections, p.IntervalSeconds, p.LastSeen = 60, 60, p.FirstSeen.Add(time.Hour)
	})
	for name, c := range map[string]seen{
		"plaintext":             {flows: []predicate.Flow{plain}, peer: at(func(p *observation.Peer) { p.TLSVersion, p.Application = "", "http" }), codes: "plaintext", detail: "seen without it, as http"},
		"no TLS in packets":     {flows: []predicate.Flow{plain}, peer: at(func(p *observation.Peer) { p.TLSVersion, p.Application = "", "" }), codes: "tlsMissing", detail: "seen without it"},
		"no TLS in a trace":     {flows: []predicate.Flow{plain}, peer: at(func(p *observation.Peer) { p.TLSVersion = "" }), change: func(o *observation.Observation) { o.Sources = []observation.Source{{Kind: "strace"}} }},
		"never answered":        {flows: []predicate.Flow{plain}, peer: at(func(p *observation.Peer) { p.TLSVersion, p.Failed = "", 1 })},
		"QUIC":                  {flows: []predicate.Flow{plain}, peer: at(func(p *observation.Peer) { p.TLSVersion, p.Application = "", "quic" })},
		"plaintext, as said":    {flows: []predicate.Flow{honest}, peer: at(func(p *observation.Peer) { p.TLSVersion, p.Application = "", "http" })},
		"old TLS":               {flows: []predicate.Flow{plain}, peer: at(func(p *observation.Peer) { p.TLSVersion = "1.1" }), codes: "tlsVersion", detail: "TLS 1.2 is declared as the oldest version; seen with TLS 1.1"},
		"TLS 1.2 for 1.3":       {flows: []predicate.Flow{oldest}, peer: at(func(p *observation.Peer) { p.TLSVersion = "1.2" }), codes: "tlsVersion"},
		"as another flow":       {flows: []predicate.Flow{oldest, honest}, peer: at(func(p *observation.Peer) { p.TLSVersion = "1.2" })},
		"inbound":               {flows: []predicate.Flow{plain}, peer: at(func(p *observation.Peer) { p.Direction = observation.Inbound }), codes: "direction", detail: "the product side is declared to start the traffic; seen inbound"},
		"outbound":              {flows: []predicate.Flow{remote}, peer: at(func(*observation.Peer) {}), codes: "direction"},
		"action at start":       {flows: []predicate.Flow{action}, peer: first, codes: "seenAtStartup", detail: "declared as on a user's action; seen 2s after the start"},
		"action, a user acted":  {flows: []predicate.Flow{action}, options: Options{UserActed: true}, peer: first},
		"action later":          {flows: []predicate.Flow{action}, peer: at(func(*observation.Peer) {})},
		"action, start unknown": {flows: []predicate.Flow{action}, peer: first, change: func(o *observation.Observation) { o.Vantage = observation.VantageHost }},
		"action, not judged":    {flows: []predicate.Flow{action}, options: Options{StartupWindow: -1}, peer: first},
		"daily at start":        {flows: []predicate.Flow{periodic(86400)}, peer: first, codes: "seenAtStartup", detail: "declared as periodically, every 86400 s; seen 2s"},
		"each minute at start":  {flows: []predicate.Flow{periodic(60)}, peer: first},
		"too often":             {flows: []predicate.Flow{periodic(121)}, peer: often, codes: "interval", detail: "60 connections in 1h0m0s, one in about 60 s"},
		"as often":              {flows: []predicate.Flow{periodic(120)}, peer: often},
		"too often by mean":     {flows: []predicate.Flow{periodic(300)}, peer: with(often, func(p *observation.Peer) { p.IntervalSeconds = 0 }), codes: "interval"},
		"pairs":                 {flows: []predicate.Flow{periodic(120)}, peer: with(often, func(p *observation.Peer) { p.IntervalSeconds = 0 })},
		"one burst":             {flows: []predicate.Flow{periodic(86400)}, peer: with(often, func(p *observation.Peer) { p.LastSeen = p.FirstSeen.Add(time.Minute) })},
		"off by default":        {flows: []predicate.Flow{off}, peer: at(func(*observation.Peer) {}), codes: "offByDefault", detail: "no setting of the observation turns it on"},
		"off, turned on":        {flows: []predicate.Flow{off}, peer: at(func(*observation.Peer) {}), change: func(o *observation.Observation) { o.Settings = map[string]string{"f": "on"} }},
		"off, another setting":  {flows: []predicate.Flow{off}, peer: at(func(*observation.Peer) {}), change: func(o *observation.Observation) { o.Settings = map[string]string{"g": "on"} }, codes: "offByDefault"},
		"off, by the verifier":  {flows: []predicate.Flow{off}, options: Options{Switches: map[string][]string{"g": {"f"}}}, peer: at(func(*observation.Peer) {}), change: func(o *observation.Observation) { o.Settings = map[string]string{"g": "on"} }},
	} {
		t.Run(name, func(t *testing.T) {
			c.class, c.flow = Declared, "f"
			if len(c.flows) == 2 { // of equals one that is not deviated from
				c.flows[0].ID = "other"
			}
			c.check(t)
		})
	}
}

// TestSwitches: one observation with the setting that should stop a flow, one without.
func TestSwitches(t *testing.T) {
	telemetry, update := flow("telemetry", host("host", "t.acme.example")), flow("update", host("host", "u.acme.example"))
	shared := flow("update", host("host", "t.acme.example"))
	partly := telemetry
	partly.Activation.Control.Possible = "partly"
	fixed := telemetry
	fixed.Activation.Control.Possible = "no"
	always := []observation.Peer{peer("t.acme.example")}
	for name, c := range map[string]struct {
		flow, other   predicate.Flow
		settings      map[string]string
		options       Options
		without, with []observation.Peer
		result        string
		failed        []string
		warned        string
	}{
		"effective":       {flow: telemetry, other: update, settings: map[string]string{"telemetry": "off"}, without: always, result: "effective"},
		"ineffective":     {flow: telemetry, other: update, settings: map[string]string{"telemetry": "off"}, without: always, with: always, result: "ineffective", failed: []string{"switchIneffective telemetry"}},
		"another value":   {flow: telemetry, other: update, settings: map[string]string{"telemetry": "on"}, without: always, with: always},
		"another setting": {flow: telemetry, other: update, settings: map[string]string{"x": "off"}, without: always, with: always},
		"by the verifier": {flow: telemetry, other: update, settings: map[string]string{"x": "1"}, options: Options{Switches: map[string][]string{"x": {"telemetry"}}}, without: always, with: always, result: "ineffective", failed: []string{"switchIneffective telemetry"}},
		"not exercised":   {flow: telemetry, other: update, settings: map[string]string{"telemetry": "off"}, result: "notExercised", warned: "switchNotExercised telemetry"},
		"partly":          {flow: partly, other: update, settings: map[string]string{"telemetry": "off"}, without: always, with: always, result: "partly", warned: "switchPartly telemetry"},
		"shared":          {flow: telemetry, other: shared, settings: map[string]string{"telemetry": "off"}, without: always, with: always, result: "shared", warned: "switchShared telemetry"},
		"no switch":       {flow: fixed, other: update, settings: map[string]string{"telemetry": "off"}, without: always, with: always},
	} {
		t.Run(name, func(t *testing.T) {
			with := observe(c.with...)
			with.Settings = c.settings
			r := Compare(declare(c.flow, c.other), []*observation.Observation{observe(c.without...), with}, c.options)
			if got := r.Flows[0].Switch; got != c.result {
				t.Errorf("switch is %q, want %q", got, c.result)
			}
			if got := codes(r, Failure); !slices.Equal(got, append([]string{}, c.failed...)) || r.Clean() != (len(c.failed) == 0) {
				t.Errorf("failures %v, want %v; clean is %v", got, c.failed, r.Clean())
			}
			if got := codes(r, Warning); c.warned != "" && !slices.Contains(got, c.warned) {
				t.Errorf("warnings %v, want %s", got, c.warned)
			}
		})
	}
}

// TestSwitchSyntax: the words of a declaration are literal.
func TestSwitchSyntax(t *testing.T) {
	for declared, want := range map[string]bool{
		"a.b=off": true, "a.b: off": true, "a.b:off": true, "a.b = off": true, "a.b off": true, "a.b": true, " a.b=off ": true,
		"a.b=on": false, "a.bc=off": false, "a": false, "": false, "A.B=off": false,
	} {
		if got := turnsOff(declared, "a.b", "off"); got != want {
			t.Errorf("%q: got %v, want %v", declared, got, want)
		}
	}
	if turnsOff("", "", "") || speaksOf("", "") {
		t.Error("no setting turns something off")
	}
}

func TestWarnings(t *testing.T) {
	f := flow("f", host("host", "a.example.com"))
	f.DataDirection = "inbound"
	lan := flow("lan", predicate.Endpoint{Kind: "localNetwork"}, host("suffix", "co.uk"))
	o := observe(with(peer("a.example.com"), func(p *observation.Peer) {
		p.BytesOut, p.BytesIn, p.TLSVersion, p.Application, p.Naming = ptr(int64(1<<20)), ptr(int64(100)), "", "amqps", observation.NamingLog
	}))
	o.Sources, o.Gaps = nil, []observation.Gap{{Code: "dropped", Count: 3}}
	r := Compare(declare(f, lan), []*observation.Observation{o}, Options{})
	want := []string{"endpointIgnored lan", "gap", "kindNotGiven lan", "neverSeen lan", "otherApplication f", "payloadDirection f", "tlsNotObserved f"}
	if got := codes(r, Warning); !slices.Equal(got, want) || !r.Clean() {
		t.Errorf("got %v, want %v; clean is %v: %v", got, want, r.Clean(), r.Of(Failure))
	}
	if strict := Compare(declare(f, lan), []*observation.Observation{o}, Options{FailOnGaps: true}); strict.Clean() || codes(strict, Failure)[0] != "gap" {
		t.Errorf("with FailOnGaps: %v", strict.Of(Failure))
	}
	if got := r.Flows[0]; got.Connections != 1 || got.BytesOut != 1<<20 || got.BytesIn != 100 || !got.BytesMeasured || got.Status != Seen {
		t.Errorf("volume: %+v", got)
	}
}

// TestNothingIsNotClean: what was not looked at has not passed.
func TestNothingIsNotClean(t *testing.T) {
	var none *Report
	if none.Clean() || (&Report{}).Clean() || Compare(declare(flow("f", host("host", "a.example.com"))), nil, Options{}).Clean() {
		t.Error("no observation is clean")
	}
	if (&Report{Observations: make([]Source, 1), Peers: make([]PeerResult, 1)}).Clean() {
		t.Error("a peer without a class is clean")
	}
	if !Compare(declare(), []*observation.Observation{observe()}, Options{}).Clean() {
		t.Error("a product without flows, which had none, is not clean")
	}
}

func TestOptions(t *testing.T) {
	d := declare(flow("f", predicate.Endpoint{Kind: "configured", Setting: "server"}))
	for want, o := range map[string]Options{
		`no configured or discovered endpoint has the setting "srever"`: {Configured: map[string][]Target{"srever": nil}},
		`there is no flow "g"`:        {Switches: map[string][]string{"x": {"g"}}},
		"no endpoint is userDirected": {UserDirected: []Target{{}}},
		"no endpoint is localNetwork": {LocalNetwork: true},
	} {
		if err := o.Validate(d); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	good := Options{Configured: map[string][]Target{"server": nil}, Switches: map[string][]string{"x": {"f"}}}
	if err := good.Validate(d); err != nil {
		t.Error(err)
	}
	for in, want := range map[string]string{"a.example": "a.example", "nas": "nas", "10.0.0.1": "10.0.0.1/32", "10.0.0.1/8": "10.0.0.0/8", "::ffff:10.0.0.1": "10.0.0.1/32",
		"": "", "A.example": "", "*.example": "", "a.example:443": "", "a.example.": "", "0.0.0.0/0": "", "::/0": "", "https://a": ""} {
		got, err := ParseTarget(in)
		if got.String() != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q and %v, want %q", in, got, err, want)
		}
	}
	if r := Compare(d, []*observation.Observation{observe(peer("x.example"))}, Options{Configured: map[string][]Target{"server": {{}}}}); r.Clean() {
		t.Error("the zero target matches something")
	}
}
