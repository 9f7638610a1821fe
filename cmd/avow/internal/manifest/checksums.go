package manifest

import (
	"errors"
	"fmt"
	"strings"
)

// parseChecksum reads one line of a checksum file. A digest of another algorithm makes an item without digest and
// without path: hashing the file would prove nothing about what the line says. A line that begins with a backslash has
// escapes in its name.
func parseChecksum(line string) Item {
	rest, escaped := strings.CutPrefix(line, `\`)
	algorithm, name, digest, ok := cutBSD(rest)
	if !ok {
		algorithm, name, digest, ok = cutGNU(rest)
	}
	if !ok {
		return Item{Err: errors.New("not a line of sha256sum: DIGEST, two spaces, NAME; or SHA256 (NAME) = DIGEST")}
	}
	item := Item{Name: name}
	if escaped {
		if item.Name, item.Err = unescape(name); item.Err != nil {
			return item
		}
	}
	switch {
	case algorithm == "":
		item.Err = fmt.Errorf("%d hexadecimal digits are the digest of no known algorithm", len(digest))
	case algorithm == sha256Name && len(digest) != 64:
		item.Err = fmt.Errorf("%d hexadecimal digits are no SHA256, which has 64", len(digest))
	case algorithm == sha256Name:
		item.SHA256, item.Path = strings.ToLower(digest), item.Name
	}
	return item
}

// sha256Name is the algorithm that counts.
const sha256Name = "SHA256"

// cutGNU takes apart DIGEST, a space, a space for text or an asterisk for binary, NAME. The algorithm is known by the
// length of the digest, and "" for a length that is nobody's.
func cutGNU(line string) (algorithm, name, digest string, ok bool) {
	digest, name, ok = strings.Cut(line, " ")
	if !ok || !isHex(digest) || len(name) < 2 || name[0] != ' ' && name[0] != '*' {
		return "", "", "", false
	}
	switch len(digest) {
	case 64:
		algorithm = sha256Name
	case 32, 40, 56, 96, 128:
		algorithm = "MD5, SHA-1, SHA-224, SHA-384 or SHA-512"
	}
	return algorithm, name[1:], digest, true
}

// cutBSD takes apart ALGORITHM (NAME) = DIGEST.
func cutBSD(line string) (algorithm, name, digest string, ok bool) {
	algorithm, rest, ok := strings.Cut(line, " (")
	end := strings.LastIndex(rest, ") = ")
	if !ok || algorithm == "" || strings.ContainsAny(algorithm, " \t") || end < 1 || !isHex(rest[end+len(") = "):]) {
		return "", "", "", false
	}
	return algorithm, rest[:end], rest[end+len(") = "):], true
}

// isHex reports whether s is hexadecimal digits, at least one.
func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return s != ""
}

// unescape undoes what sha256sum does to names with a backslash, a line feed or a carriage return.
func unescape(name string) (string, error) {
	if !strings.Contains(name, `\`) {
		return name, nil
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '\\' {
			b.WriteByte(name[i])
			continue
		}
		i++
		switch {
		case i < len(name) && name[i] == '\\':
			b.WriteByte('\\')
		case i < len(name) && name[i] == 'n':
			b.WriteByte('\n')
		case i < len(name) && name[i] == 'r':
			b.WriteByte('\r')
		default:
			return name, fmt.Errorf(`the name has an escape other than \\, \n and \r`)
		}
	}
	return b.String(), nil
}
