package plain

import (
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

const (
	notStated        = "not stated"
	countryNotStated = "country not stated"
)

// word returns the registry's words for a value. A value without words is shown as it is, and said to be unknown:
// readers must take it in the worst sense.
func word(registry, value string) string {
	if value == "" {
		return notStated
	}
	if label := predicate.Label(registry, value); label != "" {
		return label
	}
	return text.Safe(value) + " (unknown value)"
}

// words joins the words for several values.
func words(registry string, values []string) string {
	if len(values) == 0 {
		return notStated
	}
	labels := make([]string, len(values))
	for i, v := range values {
		labels[i] = word(registry, v)
	}
	return strings.Join(labels, ", ")
}

// or returns the safe form of s, or what its absence means.
func or(s, absent string) string {
	if s == "" {
		return absent
	}
	return text.Safe(s)
}

// places says where: "in DE, FR", or "anywhere", which is what the absence of a place means.
func places(preposition string, tokens []string) string {
	switch {
	case len(tokens) == 0:
		return "anywhere (" + notStated + ")"
	case len(tokens) == 1 && tokens[0] == "anywhere":
		return "anywhere"
	}
	return preposition + text.Safe(strings.Join(tokens, ", "))
}

// join joins the parts that are not empty.
func join(separator string, parts ...string) string {
	kept := parts[:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, separator)
}

// party names a party with its country and the country it is controlled from.
func party(p *predicate.Party) string {
	if p == nil {
		return "somebody who is not named"
	}
	return join(", ", text.Safe(p.Name), or(p.Country, countryNotStated), controlled(p))
}

// controlled says from where a party is controlled, if not from its own country.
func controlled(p *predicate.Party) string {
	if p.ControlledFrom == p.Country {
		return ""
	}
	return "controlled from " + or(p.ControlledFrom, "anywhere (not stated)")
}

// control says how something is switched off.
func control(c predicate.Control) string {
	if c.Possible == "" {
		return "how to switch it off is " + notStated
	}
	if c.Possible == "no" {
		return join("; ", word("possible", c.Possible), effect(c))
	}
	how := ""
	if len(c.Methods) > 0 {
		how = ": " + words("controlMethod", c.Methods)
	}
	setting := ""
	if c.Setting != "" {
		setting = ` "` + text.Safe(c.Setting) + `"`
	}
	return join("; ", word("possible", c.Possible)+" "+word("controlBy", c.By)+how+setting, effect(c))
}

func effect(c predicate.Control) string {
	if c.Effect == "" {
		return ""
	}
	return "effect: " + text.Safe(c.Effect)
}

// completeness says how complete a list claims to be.
func completeness(c predicate.Completeness) string {
	s := word("completenessLevel", c.Level) + "; known by " + words("completenessMethod", c.Methods)
	for _, e := range c.Exclusions {
		s += "; leaves out " + word("exclusionKind", e.Kind) + ": " + text.Safe(e.Description)
	}
	return s
}

// TypeName returns the short name of a predicate type, "no-backdoor" for example, or the safe form of an unknown one.
func TypeName(predicateType string) string {
	if slash := strings.Split(predicateType, "/"); len(slash) > 2 {
		for _, known := range predicate.AllTypes() {
			if known == predicateType {
				return slash[len(slash)-2]
			}
		}
	}
	return text.Safe(predicateType)
}

// TypeURI returns the predicate type for a short name or for the URI itself, and "" for anything else.
func TypeURI(name string) string {
	for _, known := range predicate.AllTypes() {
		if known == name || TypeName(known) == name {
			return known
		}
	}
	return ""
}
