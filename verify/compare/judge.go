package compare

import (
	"fmt"
	"slices"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// plaintext are applications that are not encrypted when no TLS is seen.
var plaintext = []string{"http", "ftp", "telnet", "smtp", "imap", "pop3", "domain", "ntp", "mqtt", "ldap", "irc", "syslog"}

// Figures of the judgement of time. They are wide, because a deviation is an
// accusation.
const (
	// burst is the time within which connections count as one occasion.
	burst = time.Minute
	// muchLonger: a period of so many start-up windows does not explain a
	// connection at start-up.
	muchLonger = 10
	// oftener: seen so many times as often as declared. Where the median is not
	// known, connections in pairs make the mean half of the period, so that takes more.
	oftener, oftenerByMean = 2, 4
)

// deviation reports whether a peer is another than the rule's flow declares. say
// is told everything; nil asks for yes or no, and formats nothing.
func (c *comparison) deviation(p *observation.Peer, r *rule, say func(Code, string)) bool {
	found := false
	checks := [...]func(*comparison, *observation.Peer, *rule, bool) (Code, string){(*comparison).encryption, (*comparison).oldTLS,
		(*comparison).whoOpens, (*comparison).atStartup, (*comparison).tooOften, (*comparison).off}
	for _, check := range checks {
		code, detail := check(c, p, r, say != nil)
		if code == "" {
			continue
		}
		if found = true; say == nil {
			return true
		}
		say(code, detail)
	}
	return found
}

// quic are the applications that have TLS 1.3 built in (RFC 9001), whether or
// not the observer decoded it.
var quic = []string{"quic", "h3"}

// version is the lowest TLS version that was seen, "" for none.
func version(p *observation.Peer) string {
	if p.TLSVersion == "" && slices.Contains(quic, p.Application) {
		return "1.3"
	}
	return p.TLSVersion
}

// never reports whether no connection was answered, so that there is no hello to see.
func never(p *observation.Peer) bool { return p.Connections > 0 && p.Failed == p.Connections }

// encryption: TLS is declared as required and was not used.
func (c *comparison) encryption(p *observation.Peer, r *rule, tell bool) (code Code, detail string) {
	if r.e.TLS == nil || r.e.TLS.Requirement != "required" || version(p) != "" || never(p) {
		return "", ""
	}
	switch {
	case slices.Contains(plaintext, p.Application):
		code = Plaintext
	case c.here.tls && p.Naming != observation.NamingLog:
		code = TLSMissing
	default:
		return "", ""
	}
	if tell {
		detail = fmt.Sprintf("TLS is declared as required; seen without it%s", map[bool]string{true: ", as " + p.Application}[p.Application != ""])
	}
	return code, detail
}

// oldTLS: the lowest version that was negotiated is lower than declared.
func (c *comparison) oldTLS(p *observation.Peer, r *rule, tell bool) (code Code, detail string) {
	if r.e.TLS == nil || p.TLSVersion == "" || p.TLSVersion >= r.e.TLS.MinVersion { // "1.0" to "1.3"; none declared is ""
		return "", ""
	}
	if tell {
		detail = fmt.Sprintf("TLS %s is declared as the oldest version; seen with TLS %s", r.e.TLS.MinVersion, p.TLSVersion)
	}
	return TLSVersion, detail
}

// whoOpens: the remote side connects where the product or its user is declared
// to, or the other way round.
func (c *comparison) whoOpens(p *observation.Peer, r *rule, tell bool) (code Code, detail string) {
	if (p.Direction == observation.Inbound) == (r.flow.Initiator == "remote") {
		return "", ""
	}
	if tell {
		detail = fmt.Sprintf("the %s side is declared to start the traffic; seen %s", r.flow.Initiator, p.Direction)
	}
	return Direction, detail
}

// atStartup: the program connected as soon as it ran, though a user's action, or
// the end of a long period, is declared as what makes it.
func (c *comparison) atStartup(p *observation.Peer, r *rule, tell bool) (code Code, detail string) {
	window := c.options.window()
	since := p.FirstSeen.Sub(c.here.of.Start)
	if !c.here.startup || p.FirstSeen.IsZero() || since > window {
		return "", ""
	}
	a := &r.flow.Activation
	switch {
	case a.Trigger == "userAction" && !c.options.UserActed:
	case a.Trigger == "periodic" && a.IntervalSeconds != nil && time.Duration(*a.IntervalSeconds)*time.Second > muchLonger*window:
	default:
		return "", ""
	}
	if tell {
		detail = fmt.Sprintf("declared as %s; seen %s after the start", triggerWords(a), since.Round(time.Millisecond))
	}
	return SeenAtStartup, detail
}

func triggerWords(a *predicate.Activation) string {
	words := predicate.Label("trigger", a.Trigger)
	if a.IntervalSeconds != nil {
		words += fmt.Sprintf(", every %d s", *a.IntervalSeconds)
	}
	return words
}

// tooOften: a periodic flow was seen much oftener than declared.
func (c *comparison) tooOften(p *observation.Peer, r *rule, tell bool) (code Code, detail string) {
	a := &r.flow.Activation
	span := p.LastSeen.Sub(p.FirstSeen)
	if a.Trigger != "periodic" || a.IntervalSeconds == nil || p.Connections < 4 || span <= burst {
		return "", ""
	}
	seen, factor := float64(p.IntervalSeconds), float64(oftener)
	if p.IntervalSeconds == 0 {
		seen, factor = span.Seconds()/float64(p.Connections-1), oftenerByMean
	}
	if seen*factor >= float64(*a.IntervalSeconds) {
		return "", ""
	}
	if tell {
		detail = fmt.Sprintf("declared as %s; %d connections in %s, one in about %.0f s", triggerWords(a), p.Connections, span.Round(time.Second), seen)
	}
	return Interval, detail
}

// off: seen though declared as off, with no setting that turns it on.
func (c *comparison) off(p *observation.Peer, r *rule, tell bool) (code Code, detail string) {
	a := &r.flow.Activation
	if a.DefaultState != "off" || a.Trigger == "userAction" && c.options.UserActed {
		return "", ""
	}
	for name := range c.here.of.Settings {
		if speaksOf(a.Control.Setting, name) || slices.Contains(c.options.Switches[name], r.flow.ID) {
			return "", ""
		}
	}
	if tell {
		detail = "declared as off by default, and no setting of the observation turns it on"
	}
	return OffByDefault, detail
}

// remark adds what is no deviation and still worth a look.
func (c *comparison) remark(p *observation.Peer, r *rule) {
	warn := func(code Code, format string, args ...any) {
		c.add(Finding{Code: code, Severity: Warning, Observation: c.here.number, Peer: PeerName(p), Flow: r.flow.ID, Detail: fmt.Sprintf(format, args...)})
	}
	if t := r.e.TLS; t != nil && t.Requirement == "required" && version(p) == "" && !never(p) {
		warn(TLSNotObserved, "TLS is declared as required; the vantage %s does not show whether it is used", c.here.of.Vantage)
	}
	if p.Application != "" && r.e.Application != "" && p.Application != r.e.Application &&
		(r.e.Application != "https" || p.Application != "tls" && !slices.Contains(quic, p.Application)) { // one of the layers of HTTPS
		warn(OtherApplication, "declared as %s, seen as %s", r.e.Application, p.Application)
	}
	if p.BytesIn == nil || p.BytesOut == nil {
		return
	}
	const much = 64 << 10 // below that, hellos and acknowledgements
	in, out := *p.BytesIn, *p.BytesOut
	if r.flow.DataDirection == "inbound" && out > in && out > much || r.flow.DataDirection == "outbound" && in > out && in > much {
		warn(PayloadDirection, "data is declared as %s only; seen %d bytes out and %d bytes in", r.flow.DataDirection, out, in)
	}
}
