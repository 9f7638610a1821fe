package vendors

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Load reads the registry file and the key files that it names. Errors are
// *Error with one of the codes of this package.
func Load(path string) (*Registry, error) {
	data, err := readFile(path, MaxRegistryBytes)
	if err != nil {
		return nil, &Error{Code: Unreadable, Message: "the registry", Err: err}
	}
	return Parse(data, filepath.Dir(path))
}

// Parse reads a registry from YAML. Relative file names are taken relative to
// dir. Errors are *Error with the line of the finding.
func Parse(data []byte, dir string) (*Registry, error) {
	p := parser{read: func(name string) ([]byte, error) { return readFile(resolve(dir, name), MaxKeyBytes) }, dir: dir}
	return p.parse(data)
}

// readFile reads a regular file of a bounded size: a pipe or a device in the
// place of a key must not stop the service.
func readFile(path string, limit int) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > limit {
		return nil, bad(Value, 0, "more than %d bytes", limit)
	}
	return data, nil
}

func resolve(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// parser reads the tree of a YAML document. It walks the nodes itself rather
// than decode them into structs: every value keeps its line, members are exact,
// and nothing is converted (YAML would read 1.10 as a number, NO as a truth value).
type parser struct {
	dir  string
	read func(name string) ([]byte, error)
}

func (p *parser) parse(data []byte) (*Registry, error) {
	if len(data) > MaxRegistryBytes {
		return nil, bad(Value, 0, "the registry has %d bytes, want at most %d", len(data), MaxRegistryBytes)
	}
	doc, err := document(data)
	if err != nil {
		return nil, err
	}
	r := &Registry{keys: map[string]keyOf{}, identities: map[identityKey]identityOf{},
		recovery: map[string]keyOf{}, tokens: map[string]*Vendor{}, certs: map[string]*Vendor{}}
	seen, err := members(doc, map[string]func(*yaml.Node) error{
		"vendors": func(n *yaml.Node) error {
			return items(n, MaxVendors, func(n *yaml.Node) error {
				v, keyLines, identityLines, err := p.vendor(n)
				if err != nil {
					return err
				}
				return r.add(v, n.Line, keyLines, identityLines)
			})
		},
	})
	if err == nil {
		err = require(doc, seen, "vendors")
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// document parses exactly one YAML document. An empty file is refused: it is
// more often a file that is being written than the wish to admit no one, which
// is written as "vendors: []".
func document(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, bad(Syntax, 0, "the registry is empty; a registry that admits no one is written as \"vendors: []\"")
	} else if err != nil {
		return nil, &Error{Code: Syntax, Message: "not YAML", Err: err}
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, bad(Syntax, second.Line, "more than one document, or text after it")
	}
	return doc.Content[0], plain(&doc)
}

// plain refuses anchors, aliases and tags of one's own: what is read is what is
// written at that line.
func plain(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return bad(Syntax, n.Line, "anchors and aliases are not allowed")
	case n.Style&yaml.TaggedStyle != 0 || n.Tag == "!!merge":
		return bad(Syntax, n.Line, "tag %s is not allowed", n.Tag)
	}
	for _, c := range n.Content {
		if err := plain(c); err != nil {
			return err
		}
	}
	return nil
}

// members reads a mapping: every member must be known and occur once.
func members(n *yaml.Node, known map[string]func(*yaml.Node) error) (seen map[string]bool, err error) {
	if n.Kind != yaml.MappingNode {
		return nil, bad(Syntax, n.Line, "want members (name: value), got %s", kind(n))
	}
	seen = map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, ok := known[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || !ok:
			return nil, bad(Syntax, key.Line, "unknown member %q", clip(key.Value))
		case seen[key.Value]:
			return nil, bad(Syntax, key.Line, "member %q occurs twice", key.Value)
		}
		seen[key.Value] = true
		if err := read(value); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

func require(n *yaml.Node, seen map[string]bool, names ...string) error {
	for _, name := range names {
		if !seen[name] {
			return bad(Value, n.Line, "member %q is missing", name)
		}
	}
	return nil
}

// items reads a sequence of at most limit items.
func items(n *yaml.Node, limit int, read func(*yaml.Node) error) error {
	if n.Kind != yaml.SequenceNode {
		return bad(Syntax, n.Line, "want a list, got %s", kind(n))
	}
	if len(n.Content) > limit {
		return bad(Value, n.Line, "%d items, want at most %d", len(n.Content), limit)
	}
	for _, c := range n.Content {
		if err := read(c); err != nil {
			return err
		}
	}
	return nil
}

// text reads a string of 1 to limit bytes, without characters that do not show.
func text(to *string, limit int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!timestamp" {
			return bad(Syntax, n.Line, "want text, got %s; put it in quotes", kind(n))
		}
		switch v := n.Value; {
		case v == "" || len(v) > limit || !utf8.ValidString(v):
			return bad(Value, n.Line, "%d bytes of text, want 1 to %d", len(v), limit)
		case strings.TrimSpace(v) != v || strings.ContainsFunc(v, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }):
			return bad(Value, n.Line, "text with a space around it or a control character")
		}
		*to = n.Value
		return nil
	}
}

// matching reads a string of one form.
func matching(to *string, form *regexp.Regexp, want string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if err := text(to, MaxTextBytes)(n); err != nil {
			return err
		}
		if !form.MatchString(*to) {
			return bad(Value, n.Line, "got %q, want %s", clip(*to), want)
		}
		return nil
	}
}

// number reads a whole number from 1 to limit.
func number(to *int, limit int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || v < 1 || v > limit {
			return bad(Value, n.Line, "got %s, want a number from 1 to %d", kind(n), limit)
		}
		*to = v
		return nil
	}
}

func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "members"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	return strings.TrimPrefix(n.Tag, "!!") + " " + clip(n.Value)
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:77], "") + "..."
	}
	return s
}

func timestamp(to *time.Time) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		var s string
		if err := text(&s, MaxTextBytes)(n); err != nil {
			return err
		}
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return bad(Value, n.Line, "got %q, want a time such as 2026-01-31T00:00:00Z", clip(s))
		}
		*to = t.UTC()
		return nil
	}
}
