package keyref

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// tokenURI is what avow takes of RFC 7512. Empty means that the attribute was not given.
type tokenURI struct {
	// token, serial and slot say which token; exactly one of them is given.
	token, serial string
	slot          *int
	// object and id say which key on it; at least one is given. id is binary.
	object string
	id     []byte
	// modulePath and moduleName say which library speaks to the token; at most one is given.
	modulePath, moduleName string
	// pinSource is the absolute path of the file with the PIN.
	pinSource string
}

const maxSlot = 1<<31 - 1

// parseTokenURI reads what follows "pkcs11:".
//
//	> pk11-URI = "pkcs11:" pk11-path [ "?" pk11-query ]
//	> pk11-path = [ pk11-pattr *(";" pk11-pattr) ]
//	> pk11-query = [ pk11-qattr *("&" pk11-qattr) ]
//
// (RFC 7512, section 2.3.) Stricter than the RFC in one way: an attribute that is not known here is refused instead of
// matching nothing, and so is every attribute that is given twice.
func parseTokenURI(s string) (*tokenURI, error) {
	head, query, hasQuery := strings.Cut(s, "?")
	u := &tokenURI{}
	seen := map[string]bool{}
	if err := u.attributes(head, ";", u.pathAttribute, seen); err != nil {
		return nil, err
	}
	if hasQuery {
		if err := u.attributes(query, "&", u.queryAttribute, seen); err != nil {
			return nil, err
		}
	}
	tokens := 0
	for _, name := range []string{"token", "serial", "slot-id"} {
		if seen[name] {
			tokens++
		}
	}
	switch {
	case tokens != 1:
		return nil, malformed(fmt.Sprintf("the PKCS #11 URI names the token by %d of token, serial and slot-id, want one", tokens), "")
	case !seen["object"] && !seen["id"]:
		return nil, malformed("the PKCS #11 URI names no key; want object or id", "")
	case seen["module-path"] && seen["module-name"]:
		return nil, malformed("the PKCS #11 URI has module-path and module-name, want one", "")
	}
	return u, nil
}

func (u *tokenURI) attributes(s, separator string, set func(name, value string) error, seen map[string]bool) error {
	for attribute := range strings.SplitSeq(s, separator) {
		name, escaped, ok := strings.Cut(attribute, "=")
		if !ok {
			// Not quoted: somebody may have cut a PIN in two.
			return malformed("the PKCS #11 URI has an attribute without \"=\"", "")
		}
		if seen[name] {
			return malformed(fmt.Sprintf("the PKCS #11 URI has %.20q twice", name), "")
		}
		seen[name] = true
		value, err := unescape(name, escaped)
		if err != nil {
			return err
		}
		if value == "" {
			return malformed(fmt.Sprintf("the PKCS #11 URI has an empty %.20q", name), "")
		}
		if err := set(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (u *tokenURI) pathAttribute(name, value string) error {
	switch name {
	case "token":
		return plainText(&u.token, name, value)
	case "serial":
		return plainText(&u.serial, name, value)
	case "object":
		return plainText(&u.object, name, value)
	case "id":
		u.id = []byte(value)
	case "type":
		if value != "private" {
			return malformed("the PKCS #11 URI has a type that is not private: only a private key signs", "")
		}
	case "slot-id":
		slot, err := strconv.ParseUint(value, 10, 64)
		if err != nil || slot > maxSlot || strconv.FormatUint(slot, 10) != value {
			return malformed(fmt.Sprintf("the PKCS #11 URI has a slot-id that is no number from 0 to %d", maxSlot), "")
		}
		n := int(slot)
		u.slot = &n
	default:
		return unknownAttribute(name)
	}
	return nil
}

func (u *tokenURI) queryAttribute(name, value string) error {
	switch name {
	case "module-path":
		if !path.IsAbs(value) && !isWindowsPath(value) {
			return malformed("the PKCS #11 URI has a module-path that is not absolute", "")
		}
		return plainText(&u.modulePath, name, value)
	case "module-name":
		if strings.ContainsAny(value, `/\.`) {
			return malformed("the PKCS #11 URI has a module-name with a path in it", "give the library's file as module-path")
		}
		return plainText(&u.moduleName, name, value)
	case "pin-source":
		file, ok := strings.CutPrefix(value, "file:")
		if rest, double := strings.CutPrefix(file, "//"); double {
			file = rest
		}
		if !ok && strings.HasPrefix(file, "|") {
			return malformed("the PKCS #11 URI takes the PIN from a command, which is not supported", "use pin-source=file:/PATH")
		}
		if !path.IsAbs(file) && !isWindowsPath(file) {
			return malformed("the PKCS #11 URI has a pin-source that is no absolute path", "use pin-source=file:/PATH")
		}
		return plainText(&u.pinSource, name, file)
	case "pin-value":
		return malformed("the PKCS #11 URI holds the PIN (pin-value): others see it in the list of processes, and it stays in the "+
			"shell's history", "use pin-source=file:/PATH or the environment variable "+PINVariable+"; and change that PIN")
	default:
		return unknownAttribute(name)
	}
}

// unknownAttribute names an attribute only if it looks like one.
func unknownAttribute(name string) error {
	if !isScheme(name) {
		return malformed("the PKCS #11 URI has an attribute that is not known", "")
	}
	return malformed(fmt.Sprintf("the PKCS #11 URI has the attribute %s, which is not supported in that place", name), "")
}

// plainText takes a value that is text: what a label or a file name never has is refused, so that nothing ends early in C.
func plainText(to *string, name, value string) error {
	for _, r := range value {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return malformed(fmt.Sprintf("the PKCS #11 URI has a %s with a control character or broken UTF-8", name), "")
		}
	}
	*to = value
	return nil
}

func isWindowsPath(s string) bool {
	return len(s) > 3 && s[1] == ':' && (s[2] == '\\' || s[2] == '/')
}

// unescape decodes percent-encoding. What RFC 7512 allows unescaped in a value (pk11-pchar, pk11-qchar) is narrower than
// what is taken here: all visible ASCII but the separators, which are gone by now.
func unescape(name, s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) || unhex(s[i+1]) > 15 || unhex(s[i+2]) > 15 {
			return "", malformed(fmt.Sprintf("the PKCS #11 URI has a broken percent-encoding in %.20q", name), "")
		}
		out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
		i += 2
	}
	return string(out), nil
}

// unhex returns 255 for what is no hexadecimal digit.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
