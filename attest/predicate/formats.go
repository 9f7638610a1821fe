package predicate

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// format is a lexical rule for a string. Check returns what is wrong, or "".
type format struct {
	check func(string) string
	hint  string
}

// formatFor returns the lexical rule of a `format=` tag.
func formatFor(name string) (format, bool) {
	switch name {
	case "id":
		return format{idProblem, "use lower-case letters, digits and hyphens, a letter first, at most 64 characters"}, true
	case "uuid":
		return format{uuidProblem, "write urn:uuid: and a UUID in lower case, for example the output of uuidgen"}, true
	case "decimal":
		return format{decimalProblem, "write a decimal number as a string, without leading zeros"}, true
	case "sha256":
		return format{func(s string) string { return digestProblem("sha256", s) }, "write 64 lower-case hexadecimal digits"}, true
	case "content":
		return format{contentProblem, "refer to the content by uri and digest instead"}, true
	}
	return format{}, false
}

// idPattern and the other patterns are what JSON Schemas say.
const (
	idPattern      = `^[a-z][a-z0-9-]{0,63}$`
	uuidPattern    = `^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`
	decimalPattern = `^(0|[1-9][0-9]{0,18})$`
	timePattern    = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`
	sha256Pattern  = `^[0-9a-f]{64}$`
	hexPattern     = `^([0-9a-f]{2})+$`
	reservedID     = "completeness"
)

func idProblem(s string) string {
	ok := len(s) >= 1 && len(s) <= 64 && s[0] >= 'a' && s[0] <= 'z'
	for i := 1; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
	}
	switch {
	case !ok:
		return "is not an id"
	case s == reservedID:
		return "is reserved for the findings of assessments"
	}
	return ""
}

func uuidProblem(s string) string {
	const prefix = "urn:uuid:"
	u, ok := strings.CutPrefix(s, prefix)
	ok = ok && len(u) == 36
	for i := 0; ok && i < len(u); i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			ok = u[i] == '-'
		} else {
			ok = isLowerHex(u[i])
		}
	}
	if !ok {
		return "is not a urn:uuid: in lower case"
	}
	return ""
}

func decimalProblem(s string) string {
	ok := len(s) >= 1 && len(s) <= 19 && (s[0] != '0' || s == "0")
	for i := 0; ok && i < len(s); i++ {
		ok = s[i] >= '0' && s[i] <= '9'
	}
	if !ok {
		return "is not a decimal number"
	}
	return ""
}

func contentProblem(s string) string {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return "is not base64"
	}
	if len(b) > MaxContentBytes {
		return fmt.Sprintf("holds %d bytes, the limit is %d", len(b), MaxContentBytes)
	}
	return ""
}

func isLowerHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// hexDigits returns the numbers of hex digits that a digest of a known
// algorithm may have (names of in-toto's digest sets), nil for others.
func hexDigits(algorithm string) []int {
	switch algorithm {
	case "sha256", "sha512_256", "sha3_256", "blake2s", "sm3":
		return []int{64}
	case "sha512", "sha3_512", "blake2b":
		return []int{128}
	case "sha384", "sha3_384":
		return []int{96}
	case "sha224", "sha512_224", "sha3_224":
		return []int{56}
	case "gitCommit", "gitTree", "gitBlob", "gitTag":
		return []int{40, 64} // repositories use SHA-1 or SHA-256
	case "sha1", "ripemd160":
		return []int{40}
	case "md5":
		return []int{32}
	}
	return nil
}

// digestProblem says what is wrong with a digest, or "".
func digestProblem(algorithm, value string) string {
	for i := range len(value) {
		if !isLowerHex(value[i]) {
			return "is not lower-case hexadecimal"
		}
	}
	lengths := hexDigits(algorithm)
	if lengths == nil {
		if len(value) == 0 || len(value)%2 != 0 {
			return "is not a whole number of bytes in hexadecimal"
		}
		return ""
	}
	for _, n := range lengths {
		if len(value) == n {
			return ""
		}
	}
	return fmt.Sprintf("has %d hexadecimal digits, %s has %d", len(value), algorithm, lengths[0])
}

// timeLayout is the only way to write a time: UTC, whole seconds.
const timeLayout = "2006-01-02T15:04:05Z"

// parseTime reads YYYY-MM-DDTHH:MM:SSZ and nothing else.
func parseTime(s string) (time.Time, bool) {
	// time.Parse accepts a fraction of a second that the layout does not have.
	if len(s) != len(timeLayout) {
		return time.Time{}, false
	}
	t, err := time.Parse(timeLayout, s)
	return t, err == nil
}
