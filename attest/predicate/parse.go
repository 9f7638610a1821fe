package predicate

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// Parse reads a statement strictly, once, and returns it with its id. Unknown
// members of the predicate are treated by the mode. The error is a
// [*RulesError] with findings of R01, or R02, or R03 for an unknown predicate
// type, monitor or outcome of a test. What Parse accepts is well formed, no more: [Statement.Check] applies
// the rules, those for subjects (R04) included.
func Parse(payload []byte, mode Mode) (*Statement, error) {
	r := parse(payload, mode)
	if err := r.findings.Err(); err != nil {
		return nil, err
	}
	return r.statement, nil
}

// Lint parses a statement as for issuance and checks it, and returns all that
// can be said about it, errors and warnings. Nil tables are the embedded ones.
func Lint(payload []byte, t *Tables) Findings {
	r := parse(payload, Issuance)
	if r.statement == nil {
		return r.findings
	}
	return append(r.findings, r.statement.Check(t)...).sort()
}

// parsed is a statement with the findings of R01 to R03 about its form. The
// statement is nil if these end the check (specification, section 10).
type parsed struct {
	statement *Statement
	findings  Findings
}

func parse(payload []byte, mode Mode) parsed {
	root, doc, wide, jsonErr := parseStatement(payload)
	if jsonErr == nil && wide != nil && !ofEvidence(root) {
		jsonErr = wide
	}
	if jsonErr != nil {
		return parsed{findings: Findings{jsonErr.finding()}}
	}
	w := &walker{doc: doc, mode: mode}
	if !w.typed(root, kindObject) {
		return parsed{findings: w.shape}
	}
	if aliases := w.aliases(root); len(aliases) > 0 {
		return parsed{findings: aliases.sort()}
	}
	s := &Statement{payload: doc, digest: sha256.Sum256(payload)}
	w.frame(root, s)
	known := w.predicateType(root, s)
	outside := len(w.shape)
	if p := root.member("predicate"); p == nil {
		w.missing("predicate", "add the predicate")
		known = false
	} else if known {
		w.pushKey("predicate")
		if s.IsEvidence() {
			w.evidencePredicate(p, s)
		} else {
			w.object(p, predicateShapes()[s.Type], s.allocate())
		}
		w.pop()
	}
	r := parsed{statement: s, findings: w.shape.sort()}
	if !known || len(w.shape) > outside {
		r.statement = nil
	}
	s.deferred, s.ignored = w.deferred, w.ignored
	return r
}

// ofEvidence reports whether a document says that it is of [EvidenceTypes].
func ofEvidence(root *node) bool {
	t := root.member("predicateType")
	return t != nil && t.kind == kindString && slices.Contains(EvidenceTypes(), t.text)
}

// finding turns a JSON error into R01.
func (e *JSONError) finding() Finding {
	hint := map[string]string{
		ReasonSize: "shorten texts, or refer to documents by digest; an observation that is too large to be logged can be signed, and named as " +
			"evidence by its digest",
		ReasonUTF8:         "save the file as UTF-8",
		ReasonSyntax:       "write JSON (RFC 8259)",
		ReasonDuplicateKey: "keep one of them: readers differ on which one counts",
		ReasonSurrogate:    "write the character itself",
		ReasonTrailing:     "keep one JSON value in the file",
		ReasonNull:         "leave the member out, or write its value",
		ReasonDepth:        fmt.Sprintf("flatten it: the predicate has at most %d levels", MaxPredicateDepth),
		ReasonValues:       "split the statement, or refer to documents by digest; an observation with that many peers is too large to be logged",
		ReasonNumber:       "write a whole number from 0 to 2147483647, or a string",
	}[e.Reason]
	return Finding{Code: "R01", Severity: SeverityError, Pointer: e.Pointer, Found: e.Found,
		Message: fmt.Sprintf("%s at byte %d", e.Message, e.Offset), Hint: hint}
}

// aliases finds keys of the statement that some readers take for another.
// protojson accepts "type" and "predicate_type", encoding/json any case.
func (w *walker) aliases(root *node) Findings {
	var found Findings
	for i := range root.children {
		key := root.children[i].key
		for _, name := range frameMembers() {
			if key == name || len(key) > maxKeyBytes || foldKey(key) != foldKey(name) {
				continue
			}
			w.pushKey(key)
			w.add(&found, "R01", key, "write "+name, "another spelling of the member %s", name)
			w.pop()
		}
	}
	return found
}

func frameMembers() []string { return []string{"_type", "subject", "predicateType", "predicate"} }

// foldKey maps a key to what the most lenient reader takes it for: no case
// (Unicode simple folding, as encoding/json does), no underscore or hyphen.
func foldKey(key string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' {
			return -1
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, key)
}

// frame reads the members of the statement but the predicate.
//
// > "_type: string (TypeURI), required. Identifier for the schema of the
// > Statement. Always https://in-toto.io/Statement/v1 for this version of the
// > spec." (in-toto Statement v1)
func (w *walker) frame(root *node, s *Statement) {
	for i := range root.children {
		child := &root.children[i]
		switch child.key {
		case "_type":
			w.pushKey("_type")
			if w.typed(child, kindString) && child.text != StatementType {
				w.bad(child.text, "write "+StatementType, "is not the type of an in-toto Statement v1")
			}
			w.pop()
		case "subject":
			w.pushKey("subject")
			w.subjects(child, s)
			w.pop()
		case "predicateType", "predicate":
		default:
			w.unknownFrame(child)
		}
	}
	if root.member("_type") == nil {
		w.missing("_type", "write "+StatementType)
	}
}

// unknownFrame refuses a member outside the predicate in both modes: in-toto
// says to ignore it, but the readers that matter here refuse it.
func (w *walker) unknownFrame(child *node) {
	key := child.key
	if len(key) <= maxKeyBytes {
		w.pushKey(key)
		defer w.pop()
	}
	w.bad(w.doc[child.start:child.end], "remove it", "unknown member %q", printable(key))
}

// subjects reads the subjects; what they hold is for R04.
func (w *walker) subjects(n *node, s *Statement) {
	if !w.typed(n, kindArray) {
		return
	}
	s.Subjects = make([]Subject, len(n.children))
	for i := range n.children {
		w.pushIndex(i)
		if w.typed(&n.children[i], kindObject) {
			w.subject(&n.children[i], &s.Subjects[i])
		}
		w.pop()
	}
}

func (w *walker) subject(n *node, s *Subject) {
	for i := range n.children {
		child := &n.children[i]
		switch child.key {
		case "name":
			w.pushKey("name")
			if w.typed(child, kindString) && w.fits(child) && !w.placeholder(child.text) {
				s.Name = child.text
			}
			w.pop()
		case "digest":
			w.pushKey("digest")
			if w.typed(child, kindObject) {
				s.Digest = w.subjectDigests(child)
			}
			w.pop()
		default:
			w.unknownFrame(child)
		}
	}
}

func (w *walker) subjectDigests(n *node) map[string]string {
	m := make(map[string]string, len(n.children))
	for i := range n.children {
		child := &n.children[i]
		if len(child.key) > maxKeyBytes {
			w.bad(child.key, "use the algorithm names of in-toto: sha256, sha512, gitCommit", "is not the name of an algorithm")
			continue
		}
		w.pushKey(child.key)
		if w.typed(child, kindString) && w.fits(child) && !w.placeholder(child.text) {
			m[child.key] = child.text
		}
		w.pop()
	}
	return m
}

// predicateType reads the predicate type and reports whether it is known.
func (w *walker) predicateType(root *node, s *Statement) bool {
	n := root.member("predicateType")
	if n == nil {
		w.missing("predicateType", "write one of: "+strings.Join(AllTypes(), ", "))
		return false
	}
	w.pushKey("predicateType")
	defer w.pop()
	if !w.typed(n, kindString) {
		return false
	}
	s.Type = n.text
	if predicateShapes()[n.text] == nil && !s.IsEvidence() {
		w.add(&w.shape, "R03", n.text, "write one of: "+strings.Join(AllTypes(), ", "), "is not a predicate type of avow")
		return false
	}
	return true
}

// allocate makes the predicate that Type names and returns it for filling.
func (s *Statement) allocate() reflect.Value {
	v := s.value()
	v.Set(reflect.New(v.Type().Elem()))
	return v.Elem()
}

// value returns the pointer to the predicate that Type, one of [Types], names.
func (s *Statement) value() reflect.Value {
	var p any
	switch s.Type {
	case NoBackdoorType:
		p = &s.NoBackdoor
	case DataFlowsType:
		p = &s.DataFlows
	case UndertakingsType:
		p = &s.Undertakings
	case WithdrawalType:
		p = &s.Withdrawal
	case DisputeType:
		p = &s.Dispute
	case AssessmentType:
		p = &s.Assessment
	default:
		p = &s.Standing
	}
	return reflect.ValueOf(p).Elem()
}
