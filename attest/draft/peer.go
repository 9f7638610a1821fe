package draft

import (
	"net/netip"
	"strings"
	"unicode"

	"github.com/avow-dev/avow/attest/predicate"
)

// Peer is one peer of the product, as far as a source knows it.
type Peer struct {
	// Host is a name in lower-case A-label form, or an address.
	Host string
	// Candidates are the names that an address had, where it is not known which
	// one was meant.
	Candidates []string
	Port       int
	Transport  string // tcp, udp, sctp, icmp, other; "" if not known
	// Application is an IANA service name, "" if not known.
	Application string
	// TLS is the oldest version that was seen: 1.0 to 1.3; "yes" for one that is
	// not known; "" for none.
	TLS string
	// Inbound: the peer opens the connection.
	Inbound bool
	// Component is the program that has the traffic, "" if not known.
	Component string
	// Startup: seen as soon as the product ran.
	Startup bool
	// IntervalSeconds is the period, 0 if there is none or it is not known.
	IntervalSeconds int
	Connections     int64
}

// Findings are what a source says.
type Findings struct {
	Peers []Peer
	// Flows are flows that the source has as such, known in part.
	Flows []predicate.Flow
	// Packages are the package URLs of an SBOM.
	Packages []string
	// Observed is true if it is traffic that was seen.
	Observed bool
	// AsShipped is true if it was seen without any setting.
	AsShipped bool
	// Kind is the kind of evidence that the file is, of the evidenceKind registry.
	Kind string
	// Subjects are the files that were observed.
	Subjects []predicate.Subject
	// Notes say what was left out, for people. They hold foreign text.
	Notes []string
}

// registrable returns the registrable domain of a name: the public suffix and one
// label, or the name itself where it has no more.
func registrable(t *predicate.Tables, name string) string {
	for rest := name; ; {
		_, parent, ok := strings.Cut(rest, ".")
		if !ok {
			return name // a single label, or a suffix that the list does not have
		}
		if t.PublicSuffix(parent) != predicate.NotSuffix {
			return rest
		}
		if !strings.Contains(parent, ".") { // the default rule of the list: the last label is a suffix
			return rest
		}
		rest = parent
	}
}

// slug makes an id of parts: lower-case letters, digits and hyphens, a letter first, at most 60 characters.
func slug(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		if part == "" {
			continue
		}
		if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
		for _, r := range strings.ToLower(part) {
			switch {
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
				b.WriteRune(r)
			case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
				b.WriteByte('-')
			}
		}
	}
	s := strings.Trim(b.String()[:min(b.Len(), 58)], "-")
	switch {
	case s == "" || s == "completeness":
		return "flow"
	case s[0] < 'a':
		return "d-" + s
	}
	return s
}

// brief shortens a foreign text, and takes line breaks and controls out of it.
func brief(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if r := []rune(strings.ToValidUTF8(s, "\ufffd")); len(r) > maxText {
		s = string(r[:maxText])
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// isPublicAddress reports whether an address means the same peer everywhere.
func isPublicAddress(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast()
}
