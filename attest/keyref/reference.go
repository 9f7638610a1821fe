package keyref

import (
	"fmt"
	"strings"
)

const pkcs11Scheme = "pkcs11"

// Reference is a parsed reference; Parse makes it.
type Reference struct {
	text string
	// scheme is "pkcs11", or what names the plugin.
	scheme string
	token  *tokenURI // of pkcs11 alone
	// resource is what stands behind "://"; of plugins alone.
	resource string
}

// String returns the reference as it was given. It holds no secret: Parse refuses those.
func (r *Reference) String() string { return r.text }

// Is reports whether s is meant as a reference and not as the path of a file: it begins with "SCHEME://" or "pkcs11:". A file
// with such a name is reached as "./pkcs11:...".
func Is(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !isScheme(strings.ToLower(scheme)) {
		return false
	}
	return strings.HasPrefix(rest, "//") || strings.EqualFold(scheme, pkcs11Scheme)
}

// notKMS are schemes that lead to no plugin, and what to write instead.
var notKMS = map[string]string{
	"file":  "give the path of the key file alone",
	"http":  "name the service by its KMS scheme, for example hashivault://NAME, and its address in the environment",
	"https": "name the service by its KMS scheme, for example hashivault://NAME, and its address in the environment",
	"env":   "keep the key in a file; its password can come from AVOW_PASSWORD",
	"k8s":   "mount the secret as a file and give its path",
}

// Parse reads a reference. The error is *Error with CodeReference.
func Parse(s string) (*Reference, error) {
	if len(s) > MaxReferenceBytes {
		return nil, malformed(fmt.Sprintf("the key reference has %d bytes, the limit is %d", len(s), MaxReferenceBytes), "")
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return nil, malformed(fmt.Sprintf("the key reference has the byte %#02x at %d, want visible ASCII", s[i], i), "")
		}
	}
	scheme, rest, ok := strings.Cut(s, ":")
	switch {
	case !ok || !isScheme(scheme):
		return nil, malformed("the key reference begins with no scheme in lower-case letters", "")
	case scheme == pkcs11Scheme:
		token, err := parseTokenURI(rest)
		if err != nil {
			return nil, err
		}
		return &Reference{text: s, scheme: scheme, token: token}, nil
	case notKMS[scheme] != "":
		return nil, malformed(fmt.Sprintf("%s:// is not a key management service", scheme), notKMS[scheme])
	}
	resource, ok := strings.CutPrefix(rest, "//")
	if !ok || resource == "" {
		return nil, malformed(fmt.Sprintf("the key reference names no key; want %s://KEY", scheme), "")
	}
	return &Reference{text: s, scheme: scheme, resource: resource}, nil
}

// isScheme reports whether s can name a plugin. What is excluded is everything that could make another path of the name.
func isScheme(s string) bool {
	if s == "" || len(s) > maxSchemeBytes || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func malformed(detail, hint string) *Error {
	if hint == "" {
		hint = "docs/keys.md lists the forms of key references"
	}
	return &Error{Code: CodeReference, Detail: detail, Hint: hint}
}
