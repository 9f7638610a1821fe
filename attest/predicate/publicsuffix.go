package predicate

import (
	_ "embed"
	"sort"
	"strings"
)

// publicSuffixes is the list itself, both its sections, because
// golang.org/x/net/publicsuffix cannot list what lies below a name. It is
// searched as it is: no parse at start-up. internal/gensuffix describes the form
// and makes the file.
//
//go:embed data/publicsuffix.txt
var publicSuffixes string

// publicSuffixesDate is the day of the embedded list.
const publicSuffixesDate = "2026-03-02"

// SuffixSection says in which section of the public suffix list a name is.
type SuffixSection int

// The sections.
const (
	// NotSuffix: the name is not a public suffix.
	NotSuffix SuffixSection = iota
	// ICANNSuffix: a top-level domain, or a name under which a registry sells.
	ICANNSuffix
	// PrivateSuffix: a name under which a company lets anyone have a name.
	PrivateSuffix
)

// PublicSuffix reports whether name, in lower-case A-label form, is itself a
// public suffix, and in which section.
func (t *Tables) PublicSuffix(name string) SuffixSection {
	reversed := reverseLabels(name)
	if kind, ok := t.suffixRule(reversed); ok {
		// > "If more than one rule matches, the prevailing rule is the one
		// > which is an exception rule." (publicsuffix.org, algorithm)
		return sectionOf(kind)
	}
	if cut := strings.LastIndexByte(reversed, '.'); cut > 0 {
		if kind, ok := t.suffixRule(reversed[:cut] + ".*"); ok {
			return sectionOf(kind)
		}
	}
	return NotSuffix
}

// AbovePublicSuffix reports whether a public suffix lies below name, as
// s3.amazonaws.com does below amazonaws.com.
func (t *Tables) AbovePublicSuffix(name string) bool {
	prefix := reverseLabels(name) + "."
	for at := lineSearch(t.suffixes, prefix); at < len(t.suffixes); {
		line, _, _ := strings.Cut(t.suffixes[at:], "\n")
		if !strings.HasPrefix(line, prefix) {
			return false
		}
		if !strings.HasSuffix(line, " !") {
			return true
		}
		at += len(line) + 1
	}
	return false
}

func sectionOf(kind byte) SuffixSection {
	switch kind {
	case 'i':
		return ICANNSuffix
	case 'p':
		return PrivateSuffix
	}
	return NotSuffix // an exception
}

// suffixRule looks a rule up by its reversed labels.
func (t *Tables) suffixRule(reversed string) (kind byte, ok bool) {
	key := reversed + " "
	at := lineSearch(t.suffixes, key)
	if !strings.HasPrefix(t.suffixes[at:], key) || at+len(key) >= len(t.suffixes) {
		return 0, false
	}
	return t.suffixes[at+len(key)], true
}

// lineSearch returns the offset of the first line of a sorted text that is not
// less than key, or the length of the text. The space that ends a rule sorts
// before '.' and '-', so lines and rules have one order; the lines of the header
// begin with '#', which sorts before every rule.
func lineSearch(text, key string) int {
	lineAt := func(i int) int { return strings.LastIndexByte(text[:i], '\n') + 1 }
	at := sort.Search(len(text), func(i int) bool { return text[lineAt(i):] >= key })
	if at == len(text) {
		return at
	}
	return lineAt(at)
}

// reverseLabels turns www.example.com into com.example.www.
func reverseLabels(name string) string {
	var b strings.Builder
	b.Grow(len(name))
	for {
		cut := strings.LastIndexByte(name, '.')
		b.WriteString(name[cut+1:])
		if cut < 0 {
			return b.String()
		}
		b.WriteByte('.')
		name = name[:cut]
	}
}
