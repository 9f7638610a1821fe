package policy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// span is a value in the text of a statement.
type span struct {
	pointer    string // RFC 6901
	start, end int    // of the value
	// cutStart and cutEnd are what has to go with the value where it is a member
	// of an object: its name and a comma. Elements of lists have none.
	cutStart, cutEnd int
	member, leaf     bool
}

// spansOf lists the values of a strict JSON text, outer ones first.
func spansOf(text string) ([]span, error) {
	s := &spanner{decoder: decoder{text: text}}
	return s.spans, s.value("", false, 0, 0)
}

type spanner struct {
	decoder
	spans []span
}

// value notes a value and all below it. keyStart is where its name starts, comma
// where the comma before it is, or -1.
func (s *spanner) value(pointer string, member bool, keyStart, comma int) error {
	first := s.space()
	at := len(s.spans)
	s.spans = append(s.spans, span{pointer: pointer, start: s.pos, member: member, leaf: first != '{' && first != '['})
	var err error
	switch first {
	case '{':
		err = s.object(pointer)
	case '[':
		i := 0
		err = s.elements(func() error {
			i++
			return s.value(pointer+"/"+strconv.Itoa(i-1), false, 0, 0)
		})
	default:
		err = s.skip()
	}
	if err != nil {
		return err
	}
	v := &s.spans[at]
	v.end = s.pos
	if !member {
		return nil
	}
	v.cutStart, v.cutEnd = keyStart, v.end
	if rest := strings.TrimLeft(s.text[v.end:], " \n\t\r"); strings.HasPrefix(rest, ",") {
		v.cutEnd = len(s.text) - len(rest) + 1
	} else if comma >= 0 {
		v.cutStart = comma
	}
	return nil
}

func (s *spanner) object(pointer string) error {
	if err := s.take('{'); err != nil {
		return err
	}
	if s.space() == '}' {
		s.pos++
		return nil
	}
	comma := -1
	for {
		s.space()
		keyStart := s.pos
		key, err := s.str()
		if err != nil {
			return err
		}
		if err := s.take(':'); err != nil {
			return err
		}
		if err := s.value(pointer+"/"+escape(key), true, keyStart, comma); err != nil {
			return err
		}
		s.space()
		comma = s.pos
		if more, err := s.more('}'); !more {
			return err
		}
	}
}

// escape makes a token of a JSON pointer of a name.
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// change replaces a part of a text.
type change struct {
	start, end int
	text       string
}

// apply makes the changes. Of two that overlap, the one that starts first, or is
// wider, counts.
func apply(text string, changes ...change) string {
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(a.start-b.start, b.end-a.end) })
	var b strings.Builder
	at := 0
	for _, c := range changes {
		if c.start < at {
			continue
		}
		b.WriteString(text[at:c.start])
		b.WriteString(c.text)
		at = c.end
	}
	b.WriteString(text[at:])
	return b.String()
}
