package policy

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// APIVersion is the first line of every policy of this version.
const APIVersion = "avow.dev/policy/v1"

// Metadata says what a policy is.
type Metadata struct {
	// Name and Version identify the policy in verdicts.
	Name, Version string
	// Title and Description are for people.
	Title, Description string
}

// document is one policy file as it was read, without what it includes.
type document struct {
	*source
	node       *yaml.Node
	meta       Metadata
	includes   []inclusion
	parameters []*parameter
	types      []string
	timestamps int
	witnesses  int
	maxAge     time.Duration
	vendors    []*vendor
	assessors  []*vendor
	standing   []*vendor
	rules      []*rule
	keyFiles   [][]byte // what was read besides the text: part of the digest
}

// inclusion is one entry of include.
type inclusion struct {
	name     string
	node     *yaml.Node
	severity *verify.Severity // of all its rules; nil leaves them as they are
}

// maxNameBytes bounds the names of policies, rules and parameters.
const maxNameBytes = 64

// isName reports whether a name is of at most maxNameBytes, begins as first says, and goes on as rest says. It is
// no regular expression, which every command of the client would compile at its start.
func isName(s string, first, rest func(byte) bool) bool {
	if s == "" || len(s) > maxNameBytes || !first(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !rest(s[i]) {
			return false
		}
	}
	return true
}

func isUpper(c byte) bool           { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool           { return c >= '0' && c <= '9' }
func isLetter(c byte) bool          { return isUpper(c) || c >= 'a' && c <= 'z' }
func isAlnum(c byte) bool           { return isLetter(c) || isDigit(c) }
func isInName(c byte) bool          { return isAlnum(c) || c == '.' || c == '_' || c == '-' }
func isInUpper(c byte) bool         { return isUpper(c) || isDigit(c) || c == '_' }
func isPolicyName(s string) bool    { return isName(s, isAlnum, isInName) }
func isRuleID(s string) bool        { return isName(s, isLetter, isInName) }
func isParameterName(s string) bool { return isName(s, isUpper, isInUpper) }

// parseDocument reads a policy file. Errors are left in the document's source.
func parseDocument(src *source, keys keyReader) *document {
	d := &document{source: src}
	root := src.document()
	if root == nil {
		return d
	}
	d.node = root
	var version string
	src.mapping(root, "a policy",
		member{"apiVersion", true, src.words(&version, "apiVersion", 64)},
		member{"metadata", true, d.readMetadata},
		member{"include", false, d.readIncludes},
		member{"parameters", false, d.readParameters},
		member{"require", false, d.readRequire},
		member{"vendors", false, d.readVendors("vendors", &d.vendors, true, keys)},
		member{"assessors", false, d.readVendors("assessors", &d.assessors, false, keys)},
		member{"standing", false, d.readVendors("standing", &d.standing, false, keys)},
		member{"rules", false, d.readRules})
	if version != "" && version != APIVersion {
		src.bad(root, CodeValue, "write "+APIVersion, "apiVersion is %q, want %s", clip(version), APIVersion)
	}
	return d
}

func (d *document) readMetadata(n *yaml.Node) {
	d.mapping(n, "metadata",
		member{"name", true, func(n *yaml.Node) {
			d.words(&d.meta.Name, "name", MaxTextBytes)(n)
			if d.meta.Name != "" && !isPolicyName(d.meta.Name) {
				d.bad(n, CodeValue, "letters, digits, dot, hyphen, underscore; at most 64", "%q is not a policy name", clip(d.meta.Name))
			}
		}},
		member{"version", true, func(n *yaml.Node) {
			d.words(&d.meta.Version, "version", MaxTextBytes)(n)
			if d.meta.Version != "" && !isPolicyName(d.meta.Version) {
				d.bad(n, CodeValue, "letters, digits, dot, hyphen, underscore; at most 64", "%q is not a version", clip(d.meta.Version))
			}
		}},
		member{"title", true, d.words(&d.meta.Title, "title", MaxTextBytes)},
		member{"description", false, d.words(&d.meta.Description, "description", MaxTextBytes)})
}

func (d *document) readIncludes(n *yaml.Node) {
	d.items(n, "include", MaxIncludes, func(n *yaml.Node) {
		in := inclusion{node: n}
		if n.Kind == yaml.MappingNode {
			d.mapping(n, "an inclusion",
				member{"policy", true, func(n *yaml.Node) {
					in.node = n
					d.words(&in.name, "policy", MaxTextBytes)(n)
				}},
				member{"severity", false, func(n *yaml.Node) {
					in.severity = new(verify.Severity)
					d.readSeverity(in.severity)(n)
				}})
		} else {
			d.words(&in.name, "an inclusion", MaxTextBytes)(n)
		}
		if in.name != "" {
			d.includes = append(d.includes, in)
		}
	})
}

func (d *document) readSeverity(target *verify.Severity) func(*yaml.Node) {
	return func(n *yaml.Node) {
		switch n.Value {
		case "deny":
			*target = verify.SeverityDeny
		case "warn":
			*target = verify.SeverityWarn
		default:
			d.bad(n, CodeValue, "one of: deny, warn", "severity is %q", clip(n.Value))
		}
	}
}

// shortTypes are the predicate types by the names that people use.
func shortType(uri string) string {
	return strings.TrimSuffix(strings.TrimPrefix(uri, "https://w3id.org/avow/"), "/v1")
}

func (d *document) readRequire(n *yaml.Node) {
	d.mapping(n, "require",
		member{"types", false, func(n *yaml.Node) {
			d.items(n, "types", len(predicate.Types()), func(n *yaml.Node) { d.readType(n) })
		}},
		member{"minTimestamps", false, d.number(&d.timestamps, "minTimestamps", verify.MaxTimestamps)},
		member{"minWitnesses", false, d.number(&d.witnesses, "minWitnesses", verify.MaxWitnesses)},
		member{"maxAge", false, func(n *yaml.Node) {
			var text string
			d.words(&text, "maxAge", 64)(n)
			if text == "" {
				return
			}
			age, err := parseDuration(text)
			if err != nil || age <= 0 {
				d.bad(n, CodeValue, "days as 90d, or hours as 36h", "maxAge %q is not a duration greater than 0", clip(text))
				return
			}
			d.maxAge = age
		}})
}

func (d *document) readType(n *yaml.Node) {
	var name string
	d.words(&name, "a type", MaxTextBytes)(n)
	if name == "" {
		return
	}
	var names []string
	for _, uri := range predicate.Types() {
		names = append(names, shortType(uri))
		if shortType(uri) != name {
			continue
		}
		if slices.Contains(d.types, uri) {
			d.bad(n, CodeDuplicate, "keep one of them", "%q twice", name)
			return
		}
		d.types = append(d.types, uri)
		return
	}
	d.bad(n, CodeValue, suggest(name, names), "%q is not a statement type", clip(name))
}

func (d *document) readRules(n *yaml.Node) {
	d.items(n, "rules", MaxRules, func(n *yaml.Node) {
		r := &rule{doc: d, node: n}
		d.mapping(n, "a rule",
			member{"id", true, func(n *yaml.Node) {
				d.words(&r.ID, "id", MaxTextBytes)(n)
				switch {
				case r.ID == "":
				case !isRuleID(r.ID):
					d.bad(n, CodeValue, "a letter, then letters, digits, dot, hyphen, underscore; at most 64", "%q is not a rule id", clip(r.ID))
				case slices.Contains(reservedIDs(), r.ID):
					d.bad(n, CodeValue, "choose another id", "the id %q is reserved", r.ID)
				}
			}},
			member{"title", true, d.words(&r.Title, "title", MaxTextBytes)},
			member{"description", true, d.words(&r.Description, "description", MaxTextBytes)},
			member{"needs", false, d.readNeeds(r)},
			member{"severity", false, d.readSeverity(&r.Severity)},
			member{"require", false, r.require.read(d.source, "require")},
			member{"forEach", false, r.forEach.read(d.source, "forEach")},
			member{"expression", true, r.expression.read(d.source, "expression")},
			member{"message", true, d.words(&r.Message, "message", MaxTextBytes)})
		r.Line, r.File = n.Line, d.name
		r.Require, r.ForEach, r.Expression = r.require.text, r.forEach.text, r.expression.text
		d.rules = append(d.rules, r)
	})
}

func (d *document) readNeeds(r *rule) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.items(n, "needs", len(Inputs()), func(n *yaml.Node) {
			var name string
			d.words(&name, "an input", MaxTextBytes)(n)
			switch {
			case name == "":
			case !slices.Contains(Inputs(), name):
				d.bad(n, CodeValue, suggest(name, Inputs()), "%q is not an input", clip(name))
			case slices.Contains(r.Needs, name):
				d.bad(n, CodeDuplicate, "keep one of them", "%q twice", name)
			default:
				r.Needs = append(r.Needs, name)
			}
		})
	}
}
