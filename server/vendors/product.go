package vendors

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Permits reports whether the vendor may name this product identifier: whether
// one of its Products is a prefix of it that ends at a border of a segment.
// What a border is depends on the scheme:
//
//	pkg:generic/acme       '/', '@', '?', '#' or the end must follow; a prefix
//	                       with a version (...@1.2) needs '?', '#' or the end
//	cpe:2.3:h:acme         ':' or the end must follow
//	https://acme.example/x '/', '?', '#' or the end must follow
//	gtin:4012345           a GS1 company prefix of 7 to 11 digits, or a whole
//	                       GTIN of 12 to 14; identifiers are the digits alone
//
// So pkg:generic/acme permits pkg:generic/acme/fw@1 and not
// pkg:generic/acme-evil@1. A prefix that ends in '/' permits what is below it,
// not itself. Comparison is exact, byte for byte; identifiers with empty or dot
// segments, control characters, spaces, or user information in a URL are
// permitted to nobody, and so is what has no scheme of these.
func (v *Vendor) Permits(identifier string) bool {
	return slices.ContainsFunc(v.Products, func(prefix string) bool { return permits(prefix, identifier) })
}

func permits(prefix, id string) bool {
	if checkPrefix(prefix) != nil || checkText(id) != nil {
		return false
	}
	switch schemeOf(prefix) {
	case purl:
		borders := "/@?#"
		if strings.Contains(prefix, "@") {
			borders = "?#"
		}
		return checkPurl(id, true) == nil && below(prefix, id, borders)
	case cpe23:
		return below(prefix, id, ":")
	case link:
		return checkURL(id, true) == nil && below(prefix, id, "/?#")
	case gtin:
		return permitsGTIN(strings.TrimPrefix(prefix, string(gtin)), id)
	}
	return false
}

// below reports whether prefix is id, or the start of id before one of borders.
func below(prefix, id, borders string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	if !ok {
		return false
	}
	if strings.HasSuffix(prefix, "/") {
		return rest != "" && !strings.ContainsRune(borders, rune(rest[0]))
	}
	return rest == "" || strings.ContainsRune(borders, rune(rest[0]))
}

// scheme is how a prefix begins.
type scheme string

const (
	purl  scheme = "pkg:"
	cpe23 scheme = "cpe:2.3:"
	link  scheme = "https://"
	gtin  scheme = "gtin:"
)

func schemeOf(s string) scheme {
	for _, p := range []scheme{purl, cpe23, link, gtin} {
		if strings.HasPrefix(s, string(p)) {
			return p
		}
	}
	return ""
}

// checkPrefix refuses prefixes that are malformed or too wide: a type of
// packages, a part of CPE names, a whole registry of article numbers.
func checkPrefix(prefix string) error {
	if err := checkText(prefix); err != nil {
		return err
	}
	switch schemeOf(prefix) {
	case purl:
		return checkPurl(prefix, false)
	case cpe23:
		return checkCPE(prefix)
	case link:
		return checkURL(prefix, false)
	case gtin:
		if n := len(prefix) - len(gtin); n < 7 || n > 14 || !digits(prefix[len(gtin):]) {
			return errors.New("want gtin: and 7 to 14 digits")
		}
		return nil
	}
	return errors.New("want pkg:, cpe:2.3:, https:// or gtin: at the start")
}

func checkText(s string) error {
	if s == "" || len(s) > MaxIdentifierBytes || !utf8.ValidString(s) {
		return fmt.Errorf("%d bytes, want 1 to %d of UTF-8", len(s), MaxIdentifierBytes)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return errors.New("spaces or control characters")
	}
	return nil
}

var purlType = regexp.MustCompile(`^[a-z][a-z0-9.+-]*$`)

// checkPurl checks the outline of a package URL; whole is false for a prefix.
func checkPurl(s string, whole bool) error {
	path := strings.TrimPrefix(s, string(purl))
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		if !whole {
			return errors.New("qualifiers in a prefix")
		}
		path = path[:i]
	}
	if !whole {
		path = strings.TrimSuffix(path, "/")
	}
	if at := strings.IndexByte(path, '@'); at >= 0 {
		if version := path[at+1:]; version == "" || strings.ContainsAny(version, "@/") {
			return errors.New("a version that is empty or holds '@' or '/'")
		}
		path = path[:at]
	}
	segments := strings.Split(path, "/")
	if len(segments) < 2 || !purlType.MatchString(segments[0]) {
		return errors.New("want pkg:type/name")
	}
	return checkSegments(segments)
}

// checkSegments refuses segments that some reader would drop or resolve.
func checkSegments(segments []string) error {
	for _, s := range segments {
		plain, err := url.PathUnescape(s)
		if err != nil || plain == "" || plain == "." || plain == ".." || strings.Contains(plain, "\\") {
			return fmt.Errorf("segment %q", s)
		}
	}
	return nil
}

func checkCPE(s string) error {
	parts := strings.Split(strings.TrimPrefix(s, string(cpe23)), ":")
	if len(parts) < 2 || strings.HasSuffix(s, `\`) {
		return errors.New("want cpe:2.3:part:vendor")
	}
	for _, p := range parts {
		if p == "" || p == "-" || strings.ContainsAny(p, "*?") {
			return fmt.Errorf("component %q", p)
		}
	}
	return nil
}

func checkURL(s string, whole bool) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Host != strings.ToLower(u.Host) || strings.Contains(s, `\`) {
		return errors.New("want https://host in lower case, without user information")
	}
	if !whole && strings.ContainsAny(s, "?#") {
		return errors.New("a query or fragment in a prefix")
	}
	path := strings.TrimSuffix(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if path == "" {
		return nil
	}
	return checkSegments(strings.Split(path, "/"))
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// permitsGTIN compares as GTIN-14, whose first digit tells the packaging level
// and belongs to no company. GS1 assigns company prefixes so that none is the
// beginning of another. GTIN-8 has none, and is permitted to nobody.
func permitsGTIN(prefix, id string) bool {
	if !digits(id) || len(id) < 12 || len(id) > 14 {
		return false
	}
	full := strings.Repeat("0", 14-len(id)) + id
	if len(prefix) >= 12 {
		return full == strings.Repeat("0", 14-len(prefix))+prefix
	}
	return strings.HasPrefix(full[1:], prefix)
}
