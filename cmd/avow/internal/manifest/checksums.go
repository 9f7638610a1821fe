package manifest

import (
	"fmt"
	"regexp"
	"strings"
)

// The two forms of a line. A line that begins with a backslash has escapes in its name.
var (
	// gnuLine is DIGEST, a space, a space for text or an asterisk for binary, NAME.
	gnuLine = regexp.MustCompile(`^(\\?)([0-9A-Fa-f]+) [ *](.+)$`)
	// bsdLine is ALGORITHM (NAME) = DIGEST.
	bsdLine = regexp.MustCompile(`^(\\?)([A-Za-z0-9/_-]+) \((.+)\) = ([0-9A-Fa-f]+)$`)
	// digestHex is a SHA-256.
	digestHex = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)
)

// parseChecksum reads one line of a checksum file. A digest of another algorithm makes an item without digest and
// without path: hashing the file would prove nothing about what the line says.
func parseChecksum(line string) Item {
	var escaped, name, digest string
	if m := bsdLine.FindStringSubmatch(line); m != nil {
		escaped, name = m[1], m[3]
		if m[2] == "SHA256" {
			if digest = m[4]; !digestHex.MatchString(digest) {
				return Item{Name: name, Err: fmt.Errorf("%d hexadecimal digits are no SHA256, which has 64", len(digest))}
			}
		}
	} else if m := gnuLine.FindStringSubmatch(line); m != nil {
		escaped, name = m[1], m[3]
		switch n := len(m[2]); n {
		case 64:
			digest = m[2]
		case 32, 40, 56, 96, 128: // MD5, SHA-1, SHA-224, SHA-384, SHA-512
		default:
			return Item{Name: name, Err: fmt.Errorf("%d hexadecimal digits are the digest of no known algorithm", n)}
		}
	} else {
		return Item{Err: fmt.Errorf("not a line of sha256sum: DIGEST, two spaces, NAME; or SHA256 (NAME) = DIGEST")}
	}
	if escaped != "" {
		var err error
		if name, err = unescape(name); err != nil {
			return Item{Name: name, Err: err}
		}
	}
	item := Item{Name: name, SHA256: strings.ToLower(digest)}
	if item.SHA256 != "" {
		item.Path = name
	}
	return item
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
