package index

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
)

// rootHeader is the first line of every root leaf; its number changes with the form of what follows.
const rootHeader = "avow index 1"

// Limits of a root leaf.
const (
	// MaxRootNumbers is how many log indices a leaf names, unresolved and late ones together. A step of the index that has
	// more is written as several leaves.
	MaxRootNumbers = 2048
	// MaxRootBytes is the size of the largest leaf, below what a log takes.
	MaxRootBytes = 48 << 10
	// MaxOriginBytes is the longest name of a log.
	MaxOriginBytes = 253
)

// Root is one step of the index: what it covers, what it commits to, and what was not known when it was made. It is
// a leaf of the index log. With the entries of the statement log, and the statements of those that no leaf calls unresolved,
// everybody comes to the same roots, whatever was or was not to be had in the meantime.
type Root struct {
	// Origin is the name of the statement log.
	Origin string
	// Size and Tree are the size of the statement log's tree that the index covers, and its RFC 6962 root.
	Size uint64
	Tree Hash
	// Index is the root of the index, Keys the number of its keys.
	Index Hash
	Keys  uint64
	// Late are entries that an earlier step called unresolved and whose statement came since, in ascending order. They are
	// indexed before the step's new entries.
	Late []uint64
	// Unresolved are those of the step's new entries whose statement could not be had, in ascending order.
	Unresolved []uint64
}

// Append appends the one encoding of the root.
func (r *Root) Append(b []byte) []byte {
	b = append(append(append(b, rootHeader...), '\n'), r.Origin...)
	b = strconv.AppendUint(append(b, '\n'), r.Size, 10)
	b = base64.StdEncoding.AppendEncode(append(b, '\n'), r.Tree[:])
	b = base64.StdEncoding.AppendEncode(append(b, '\n'), r.Index[:])
	b = strconv.AppendUint(append(b, '\n'), r.Keys, 10)
	b = appendNumbers(append(b, '\n'), "late", r.Late)
	return appendNumbers(b, "unresolved", r.Unresolved)
}

// appendNumbers appends the line of a list; an empty list has none.
func appendNumbers(b []byte, name string, numbers []uint64) []byte {
	if len(numbers) == 0 {
		return b
	}
	b = append(b, name...)
	for _, n := range numbers {
		b = strconv.AppendUint(append(b, ' '), n, 10)
	}
	return append(b, '\n')
}

// ParseRoot reads a root leaf. There is one encoding of each root, and what does not depend on the leaves before it is
// checked: late entries lie below the size, and so do unresolved ones. [Root.Follows] checks the rest. Errors are [*Error] with
// [CodeRootMalformed].
func ParseRoot(b []byte) (*Root, error) {
	if len(b) > MaxRootBytes {
		return nil, rootMalformed("got %d bytes, want at most %d", len(b), MaxRootBytes)
	}
	lines := strings.Split(string(b), "\n")
	if last := len(lines) - 1; lines[last] != "" || last < 6 || last > 8 {
		return nil, rootMalformed("got %d lines, want 6 to 8, each ended by a line feed", last)
	}
	if lines[0] != rootHeader {
		return nil, rootMalformed("it begins with %.40q, want %q", lines[0], rootHeader)
	}
	r := &Root{Origin: lines[1]}
	if !validOrigin(r.Origin) {
		return nil, rootMalformed("origin %.40q, want 1 to %d printable ASCII characters without spaces", r.Origin, MaxOriginBytes)
	}
	var ok [4]bool
	r.Size, ok[0] = parseNumber(lines[2])
	r.Tree, ok[1] = parseHash(lines[3])
	r.Index, ok[2] = parseHash(lines[4])
	r.Keys, ok[3] = parseNumber(lines[5])
	for i, ok := range ok {
		if !ok {
			return nil, rootMalformed("line %d: %.60q is not a decimal number or the base64 of 32 bytes", i+3, lines[i+2])
		}
	}
	rest := lines[6 : len(lines)-1]
	for _, list := range []struct {
		name    string
		numbers *[]uint64
	}{{"late ", &r.Late}, {"unresolved ", &r.Unresolved}} {
		if len(rest) == 0 || !strings.HasPrefix(rest[0], list.name) {
			continue
		}
		var err error
		if *list.numbers, err = parseNumbers(rest[0][len(list.name):], r.Size); err != nil {
			return nil, err
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		return nil, rootMalformed("line %.40q, want one that begins with late, then one that begins with unresolved", rest[0])
	}
	if n := len(r.Late) + len(r.Unresolved); n > MaxRootNumbers {
		return nil, rootMalformed("%d late and unresolved entries, want at most %d", n, MaxRootNumbers)
	}
	return r, nil
}

// Follows checks a root against the one of the leaf before it, nil for the first: the origin stays; the size does not
// fall; late entries are older, unresolved ones newer than what the one before covered; and something happened. Errors are [*Error]
// with [CodeRootMalformed].
func (r *Root) Follows(before *Root) error {
	covered := uint64(0)
	if before != nil {
		covered = before.Size
		if r.Origin != before.Origin {
			return rootMalformed("origin %.40q after %.40q", r.Origin, before.Origin)
		}
	}
	switch {
	case r.Size < covered:
		return rootMalformed("size %d after %d", r.Size, covered)
	case r.Size == covered && len(r.Late) == 0 && before != nil:
		return rootMalformed("size %d again, and nothing is late", r.Size)
	case len(r.Late) > 0 && r.Late[len(r.Late)-1] >= covered:
		return rootMalformed("entry %d is late, and was not indexed in %d", r.Late[len(r.Late)-1], covered)
	case len(r.Unresolved) > 0 && r.Unresolved[0] < covered:
		return rootMalformed("entry %d is unresolved anew in an index that covered %d", r.Unresolved[0], covered)
	}
	return nil
}

// validOrigin reports whether a name can be that of a log.
func validOrigin(s string) bool {
	return s != "" && len(s) <= MaxOriginBytes && strings.IndexFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) < 0
}

// parseNumber reads a decimal number in its only form.
func parseNumber(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= math.MaxInt64 && strconv.FormatUint(n, 10) == s
}

// parseHash reads 32 bytes in their only form.
func parseHash(s string) (h Hash, ok bool) {
	const digits = 44
	if len(s) != digits {
		return h, false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, false
	}
	return Hash(b), true
}

// parseNumbers reads numbers in ascending order below a size.
func parseNumbers(s string, size uint64) ([]uint64, error) {
	if strings.Count(s, " ") >= MaxRootNumbers {
		return nil, rootMalformed("a list of more than %d entries", MaxRootNumbers)
	}
	var numbers []uint64
	for text := range strings.SplitSeq(s, " ") {
		n, ok := parseNumber(text)
		if !ok || n >= size {
			return nil, rootMalformed("%.40q is not the index of an entry below %d", text, size)
		}
		if last := len(numbers) - 1; last >= 0 && n <= numbers[last] {
			return nil, rootMalformed("entry %d after %d, want a greater one", n, numbers[last])
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}
