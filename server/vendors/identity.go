package vendors

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/unicode/norm"
)

// Identity is who may sign for a vendor with a certificate instead of a registered key, and the time in which it may.
// Issuer and SAN are compared with certificates byte for byte: no folding of case, no normalisation, no patterns. Each
// would make two identities out of which one can pass for the other.
type Identity struct {
	// Issuer is the URL of the OpenID Connect issuer, as certificates name it (Fulcio's extension
	// 1.3.6.1.4.1.57264.1.8), at most MaxIdentityBytes. The service never calls it.
	Issuer string
	// SAN is the certificate's only subject alternative name, at most MaxIdentityBytes: for a CI system the URI of the
	// workflow with its ref, for a person the e-mail address.
	SAN string
	// NotBefore and NotAfter bound its use; the zero value sets no bound.
	NotBefore, NotAfter time.Time
	// Succeeds are the signers that it may withdraw, supersede and answer for.
	Succeeds []Former
}

// ValidAt reports whether t lies within the identity's window: NotBefore <= t <= NotAfter.
func (i *Identity) ValidAt(t time.Time) bool { return within(t, i.NotBefore, i.NotAfter) }

func within(t, start, end time.Time) bool {
	return (start.IsZero() || !t.Before(start)) && (end.IsZero() || !t.After(end))
}

// identityKey is what makes an identity unique.
type identityKey struct{ issuer, san string }

type identityOf struct {
	vendor   *Vendor
	identity *Identity
}

// ByIdentity finds the vendor and the entry of an identity. It does not look at the entry's window.
func (r *Registry) ByIdentity(issuer, san string) (*Vendor, *Identity, bool) {
	if r == nil {
		return nil, nil, false
	}
	i, ok := r.identities[identityKey{issuer, san}]
	return i.vendor, i.identity, ok
}

// addIdentities refuses an identity that a vendor has already, be it the same one.
func (r *Registry) addIdentities(v *Vendor, lines []int) error {
	for n := range v.Identities {
		i := &v.Identities[n]
		key := identityKey{i.Issuer, i.SAN}
		if was, ok := r.identities[key]; ok {
			return bad(Duplicate, lines[n], "identity %q of issuer %q belongs to vendor %q already", clip(i.SAN), clip(i.Issuer), was.vendor.Name)
		}
		r.identities[key] = identityOf{v, i}
	}
	return nil
}

func (p *parser) identity(n *yaml.Node) (i Identity, err error) {
	seen, err := members(n, map[string]func(*yaml.Node) error{
		"issuer":    identityText("issuer", &i.Issuer),
		"san":       identityText("san", &i.SAN),
		"notBefore": timestamp(&i.NotBefore),
		"notAfter":  timestamp(&i.NotAfter),
		"succeeds":  succeeds(&i.Succeeds),
	})
	if err == nil {
		err = require(n, seen, "issuer", "san")
	}
	if err != nil {
		return i, err
	}
	if !i.NotBefore.IsZero() && !i.NotAfter.IsZero() && !i.NotBefore.Before(i.NotAfter) {
		return i, bad(Value, n.Line, "the identity's window ends before it begins")
	}
	if slices.Contains(i.Succeeds, Former{Issuer: i.Issuer, SAN: i.SAN}) {
		return i, bad(Value, n.Line, "the identity succeeds itself")
	}
	if problem := issuerProblem(i.Issuer); problem != "" {
		return i, bad(Value, n.Line, "issuer %q: %s", clip(i.Issuer), problem)
	}
	return i, nil
}

// identityText reads one half of an identity. What people cannot see, or can write in two ways that look the same, is
// refused: the operator would compare the entry with what the vendor sent, find them equal, and wonder.
func identityText(what string, to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
			return bad(Syntax, n.Line, "want text, got %s; put it in quotes", kind(n))
		}
		if v := n.Value; v == "" || len(v) > MaxIdentityBytes {
			return bad(Value, n.Line, "%s: %d bytes, want 1 to %d", what, len(v), MaxIdentityBytes)
		}
		for _, r := range n.Value {
			if r == unicode.ReplacementChar || !unicode.IsPrint(r) || unicode.IsSpace(r) || invisible(r) {
				return bad(Value, n.Line, "%s: character %U is a space, a control character, or does not show", what, r)
			}
		}
		if !norm.NFC.IsNormalString(n.Value) {
			return bad(Value, n.Line, "%s: %q is not in Unicode's normal form C; it looks like %q and is another text", what,
				clip(n.Value), clip(norm.NFC.String(n.Value)))
		}
		*to = n.Value
		return nil
	}
}

// invisible reports letters and marks that count as printable and show nothing, such as fillers and selectors.
func invisible(r rune) bool {
	const brailleBlank = '\u2800'
	return r == brailleBlank || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// issuerProblem says what is wrong with an issuer's URL, "" if nothing is.
// (OpenID Connect Discovery 1.0, section 3: a URL with the scheme https, without query and fragment.) On a loopback
// address http will do.
func issuerProblem(issuer string) string {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "want the URL of an OpenID Connect issuer"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(issuer, "?") || strings.HasSuffix(issuer, "#"):
		return "want a URL without user, query and fragment"
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return ""
	}
	return "want the scheme https"
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
