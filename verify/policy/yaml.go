package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// source is the text of a file with the errors that are found in it. It reads
// the tree of the YAML document itself instead of decoding it into structs: every
// value keeps its place, members are exact, and nothing is converted (YAML would
// read 1.10 as a number).
type source struct {
	name   string
	text   string
	lines  []string
	errors Errors
}

func newSource(name string, data []byte) *source {
	text := string(data)
	return &source{name: name, text: text, lines: strings.Split(text, "\n")}
}

// problem reports an error at a place.
func (s *source) problem(code Code, line, column int, hint, format string, args ...any) {
	if len(s.errors) < maxProblems {
		s.errors = append(s.errors, &Error{Code: code, File: s.name, Line: line, Column: column,
			Message: fmt.Sprintf(format, args...), Hint: hint})
	}
}

// bad reports an error at a node.
func (s *source) bad(n *yaml.Node, code Code, hint, format string, args ...any) {
	s.problem(code, n.Line, n.Column, hint, format, args...)
}

var (
	yamlLine = regexp.MustCompile(`line (\d+): `)
	// fromZero are the errors for which the parser counts lines from 0.
	fromZero = regexp.MustCompile(`did not find expected ('|key|node content|<)`)
)

// document parses exactly one YAML document; nil if it is not one.
func (s *source) document() *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader([]byte(s.text)))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		s.problem(CodeSyntax, 1, 1, "start with apiVersion: "+APIVersion, "the file is empty")
		return nil
	} else if err != nil {
		s.notYAML(err)
		return nil
	}
	if err := dec.Decode(&second); err == nil {
		s.bad(&second, CodeSyntax, "keep one document in the file", "a second document")
		return nil
	} else if !errors.Is(err, io.EOF) {
		s.notYAML(err)
		return nil
	}
	if len(doc.Content) != 1 || !s.plain(&doc) {
		return nil
	}
	return doc.Content[0]
}

// notYAML takes the place from the text of the parser's error.
func (s *source) notYAML(err error) {
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		if fromZero.MatchString(text) {
			line++
		}
		text = strings.Replace(text, m[0], "", 1)
	}
	column := 1
	if line >= 1 && line <= len(s.lines) {
		column += len(s.lines[line-1]) - len(strings.TrimLeft(s.lines[line-1], " "))
	}
	s.problem(CodeSyntax, line, column, "", "not YAML: %s", text)
}

// plain refuses anchors, aliases and tags: what is read is what is written there.
func (s *source) plain(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		s.bad(n, CodeSyntax, "write the value out", "anchors and aliases are not allowed")
		return false
	case n.Style&yaml.TaggedStyle != 0 || n.Tag == "!!merge":
		s.bad(n, CodeSyntax, "leave the tag out", "the tag %s is not allowed", clip(n.Tag))
		return false
	}
	return !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return !s.plain(c) })
}

// member is one member of a mapping.
type member struct {
	name     string
	required bool
	read     func(*yaml.Node)
}

// mapping reads a mapping of known members, each at most once.
func (s *source) mapping(n *yaml.Node, what string, members ...member) {
	if n.Kind != yaml.MappingNode {
		s.bad(n, CodeType, "", "%s is %s, want members (name: value)", what, kindOf(n))
		return
	}
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.name
	}
	seen := map[string]bool{}
	s.pairs(n, func(key, value *yaml.Node) {
		i := slices.Index(names, key.Value)
		if i < 0 {
			s.bad(key, CodeUnknownField, suggest(key.Value, names), "%s has no member %q", what, clip(key.Value))
			return
		}
		seen[key.Value] = true
		members[i].read(value)
	})
	for _, m := range members {
		if m.required && !seen[m.name] {
			s.bad(n, CodeMissingField, "add it", "%s has no %s", what, m.name)
		}
	}
}

// pairs visits the members of a mapping node and refuses repeated keys.
func (s *source) pairs(n *yaml.Node, visit func(key, value *yaml.Node)) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			s.bad(key, CodeSyntax, "", "a member's name is %s, want text", kindOf(key))
		case seen[key.Value]:
			s.bad(key, CodeDuplicate, "keep one of them", "%q twice", clip(key.Value))
		default:
			seen[key.Value] = true
			visit(key, value)
		}
	}
}

// items visits the elements of a list of at most limit.
func (s *source) items(n *yaml.Node, what string, limit int, visit func(*yaml.Node)) {
	switch {
	case n.Kind != yaml.SequenceNode:
		s.bad(n, CodeType, "", "%s is %s, want a list", what, kindOf(n))
	case len(n.Content) > limit:
		s.bad(n, CodeLimit, "", "%s has %d elements, want at most %d", what, len(n.Content), limit)
	default:
		for _, c := range n.Content {
			visit(c)
		}
	}
}

// words reads a string into target. YAML's numbers and truth values are refused:
// a version 1.10 or a country NO must stay what they are.
func (s *source) words(target *string, what string, limit int) func(*yaml.Node) {
	return func(n *yaml.Node) {
		switch {
		case n.Kind != yaml.ScalarNode:
			s.bad(n, CodeType, "", "%s is %s, want text", what, kindOf(n))
		case n.Tag != "!!str":
			s.bad(n, CodeType, "put it in quotes", "%s is %s, want text", what, kindOf(n))
		case len(n.Value) > limit:
			s.bad(n, CodeLimit, "shorten it", "%s has %d bytes, want at most %d", what, len(n.Value), limit)
		case strings.TrimSpace(n.Value) == "":
			s.bad(n, CodeValue, "write it, or leave the member out", "%s is empty", what)
		default:
			*target = n.Value
		}
	}
}

// number reads an integer from 0 to most into target.
func (s *source) number(target *int, what string, most int) func(*yaml.Node) {
	return func(n *yaml.Node) {
		v, err := strconv.Atoi(n.Value)
		switch {
		case n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil:
			s.bad(n, CodeType, "", "%s is %s, want a whole number", what, kindOf(n))
		case v < 0 || v > most:
			s.bad(n, CodeValue, "", "%s is %d, want 0 to %d", what, v, most)
		default:
			*target = v
		}
	}
}

// kindOf names a node's kind for a person.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind != yaml.ScalarNode:
		return "nothing"
	case n.Tag == "!!null":
		return "empty"
	case n.Tag == "!!bool":
		return "the truth value " + clip(n.Value)
	case n.Tag == "!!int", n.Tag == "!!float":
		return "the number " + clip(n.Value)
	case n.Tag == "!!timestamp":
		return "the date " + clip(n.Value)
	}
	return "text"
}
