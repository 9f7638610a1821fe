package predicate

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// walker compares the tree of a document with a shape and fills the typed
// structs. It goes on after a finding, so that all are reported.
type walker struct {
	doc  string
	mode Mode
	path []pathToken
	// shape are findings of R02, deferred those of R03 and R05: well-typed
	// values that Check reports.
	shape    Findings
	deferred Findings
	// ignored says that an unknown member was passed over.
	ignored bool
}

// conditional is implemented by types with shape rules that depend on values;
// it is called once the members are filled and well-typed.
type conditional interface{ conditions(w *walker) }

const placeholderPrefix = "FILL IN"

// longest key that is walked; a pointer never holds a longer one.
const maxKeyBytes = 256

func (w *walker) pushKey(key string) { w.path = append(w.path, pathToken{key: key, index: -1}) }
func (w *walker) pushIndex(i int)    { w.path = append(w.path, pathToken{index: i}) }
func (w *walker) pop()               { w.path = w.path[:len(w.path)-1] }

// bad records an R02 at the current place.
func (w *walker) bad(found, hint, format string, args ...any) {
	w.add(&w.shape, "R02", found, hint, format, args...)
}

func (w *walker) add(to *Findings, code, found, hint, format string, args ...any) {
	if len(*to) >= MaxFindings {
		return
	}
	*to = append(*to, Finding{Code: code, Severity: SeverityError, Pointer: renderPath(w.path),
		Found: printable(found), Message: fmt.Sprintf(format, args...), Hint: hint})
}

// missing records that a member of the current object is absent.
func (w *walker) missing(name, hint string) {
	w.pushKey(name)
	w.bad("", hint, "mandatory member %s is absent", name)
	w.pop()
}

// typed checks the JSON type of a value.
func (w *walker) typed(n *node, want nodeKind) bool {
	if n.kind == want {
		return true
	}
	w.bad(w.doc[n.start:n.end], "write "+want.String(), "is %s, %s is expected", n.kind, want)
	return false
}

// object fills the struct v from an object.
func (w *walker) object(n *node, sh *shape, v reflect.Value) {
	if !w.typed(n, kindObject) {
		return
	}
	before := len(w.shape)
	var seen uint64
	for i := range n.children {
		child := &n.children[i]
		at, ok := sh.byName[child.key]
		if !ok {
			w.unknown(child, sh)
			continue
		}
		seen |= 1 << at
		w.pushKey(child.key)
		w.member(child, &sh.fields[at], v.Field(sh.fields[at].index))
		w.pop()
	}
	for i := range sh.fields {
		if f := &sh.fields[i]; f.mandatory && seen&(1<<i) == 0 {
			w.missing(f.name, f.hint())
		}
	}
	if sh.conditional && len(w.shape) == before {
		v.Addr().Interface().(conditional).conditions(w)
	}
}

// unknown refuses a member that the shape does not have, unless a newer minor
// version may have added it.
func (w *walker) unknown(child *node, sh *shape) {
	if w.mode == Consumption {
		w.ignored = true
		return
	}
	if len(child.key) > maxKeyBytes {
		w.bad(child.key, "remove it", "unknown member with a name of %d bytes", len(child.key))
		return
	}
	hint := "remove it, or put it under extensions"
	if name := nearest(child.key, sh); name != "" {
		hint = "did you mean " + name + "?"
	}
	w.pushKey(child.key)
	w.bad(w.doc[child.start:child.end], hint, "unknown member %q", printable(child.key))
	w.pop()
}

// nearest returns the member whose name differs by case or by few letters.
func nearest(key string, sh *shape) string {
	best, name := 3, ""
	for _, f := range sh.fields {
		if d := editDistance(strings.ToLower(key), strings.ToLower(f.name)); d < best && d < len(f.name)/2 {
			best, name = d, f.name
		}
	}
	return name
}

func editDistance(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// hint says what a member should hold.
func (f *field) hint() string {
	if f.enum != "" && len(f.values) <= 25 {
		return "write one of: " + strings.Join(IDs(f.enum), ", ")
	}
	if ft, ok := formatFor(f.format); ok {
		return ft.hint
	}
	switch {
	case f.format == "time":
		return timeHint
	case f.present:
		return "write the list, also when it is empty: []"
	}
	return "add it: its absence could be read in the declarant's favour"
}

const timeHint = "write UTC in whole seconds: 2026-09-01T09:00:00Z"

// member fills one member.
func (w *walker) member(n *node, f *field, v reflect.Value) {
	switch f.kind {
	case fieldString:
		if w.typed(n, kindString) {
			v.SetString(w.text(n, f))
		}
	case fieldInt:
		if w.typed(n, kindNumber) {
			number := n.number
			v.Set(reflect.ValueOf(&number))
		}
	case fieldObject:
		if v.Kind() == reflect.Pointer {
			v.Set(reflect.New(f.elem.typ))
			v = v.Elem()
		}
		before := len(w.shape)
		w.object(n, f.elem, v)
		if len(w.shape) == before {
			w.descriptor(f, v)
		}
	case fieldMap:
		w.digests(n, f, v)
	case fieldRaw:
		if w.typed(n, kindObject) {
			w.free(n)
			v.SetBytes(json.RawMessage(w.doc[n.start:n.end]))
		}
	default:
		w.list(n, f, v)
	}
}

// list fills a list member.
func (w *walker) list(n *node, f *field, v reflect.Value) {
	if !w.typed(n, kindArray) {
		return
	}
	if f.max > 0 && len(n.children) > f.max {
		w.bad("", fmt.Sprintf("the limit is %d", f.max), "list of %d elements, the limit is %d", len(n.children), f.max)
		return
	}
	if f.mandatory && !f.present && len(n.children) == 0 {
		w.bad("[]", f.hint(), "mandatory list is empty")
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.children), len(n.children)))
	for i := range n.children {
		w.pushIndex(i)
		child, e := &n.children[i], v.Index(i)
		switch f.kind {
		case fieldStrings:
			if w.typed(child, kindString) {
				e.SetString(w.element(child, f))
			}
		case fieldInts:
			if w.typed(child, kindNumber) {
				e.SetInt(int64(child.number))
				w.port(child.number, f)
			}
		case fieldList:
			before := len(w.shape)
			w.object(child, f.elem, e)
			if len(w.shape) == before {
				w.descriptor(f, e)
			}
		}
		w.pop()
	}
}

func (w *walker) port(number int, f *field) {
	if f.format == "port" && (number < 1 || number > 65535) {
		w.bad(fmt.Sprint(number), "write a port from 1 to 65535", "is not a port")
	}
}

// element checks a string of a list: it is never empty.
func (w *walker) element(n *node, f *field) string {
	element := *f
	element.mandatory = true
	return w.text(n, &element)
}

// text checks a string by the options of its member and returns it.
func (w *walker) text(n *node, f *field) string {
	s := n.text
	switch {
	case !w.fits(n):
	case w.placeholder(s):
	case strings.TrimSpace(s) == "" && f.mandatory:
		w.bad(s, f.hint(), "mandatory member is empty")
	case f.chars > 0 && utf8.RuneCountInString(s) > f.chars:
		w.bad("", "shorten it", "text of %d characters, the limit is %d", utf8.RuneCountInString(s), f.chars)
	case f.enum != "":
		if _, ok := f.values[s]; !ok {
			w.add(&w.deferred, "R03", s, f.hint(), "is not in the registry %s", f.enum)
		}
	case f.format == "time":
		if _, ok := parseTime(s); !ok {
			w.add(&w.deferred, "R05", s, timeHint, "is not a time in whole seconds of UTC")
		}
	case f.format != "":
		if ft, ok := formatFor(f.format); ok {
			if problem := ft.check(s); problem != "" {
				w.bad(s, ft.hint, "%s", problem)
			}
		}
	}
	return s
}

// fits checks the length of a string.
func (w *walker) fits(n *node) bool {
	if len(n.text) <= MaxStringBytes {
		return true
	}
	w.bad("", "shorten it, or refer to a document by digest", "string of %d bytes, the limit is %d", len(n.text), MaxStringBytes)
	return false
}

// placeholder refuses what a draft left to fill in.
func (w *walker) placeholder(s string) bool {
	if w.mode != Issuance || !strings.HasPrefix(s, placeholderPrefix) {
		return false
	}
	w.bad(s, "replace the text by your own", "placeholder of a draft was not filled in")
	return true
}

// digests fills a map of digests.
func (w *walker) digests(n *node, f *field, v reflect.Value) {
	if !w.typed(n, kindObject) {
		return
	}
	m := make(map[string]string, len(n.children))
	for i := range n.children {
		child := &n.children[i]
		if len(child.key) > maxKeyBytes || child.key == "" {
			w.bad(child.key, "use the algorithm names of in-toto: sha256, sha512, gitCommit", "is not the name of an algorithm")
			continue
		}
		w.pushKey(child.key)
		if w.typed(child, kindString) && w.fits(child) && !w.placeholder(child.text) {
			if problem := digestProblem(child.key, child.text); problem != "" {
				w.bad(child.text, "write the digest in lower-case hexadecimal", "digest %s", problem)
			}
			m[child.key] = child.text
		}
		w.pop()
	}
	if f.mandatory && len(n.children) == 0 {
		w.bad("{}", f.hint(), "mandatory member is empty")
	}
	v.Set(reflect.ValueOf(m))
}

// free checks the sizes inside an object whose members are free, and that no text is a placeholder.
func (w *walker) free(n *node) {
	w.texts(n, func(text *node) {
		if w.fits(text) {
			w.placeholder(text.text)
		}
	})
}

// texts checks the lengths of member names inside a value, and hands each string to look, at its place.
func (w *walker) texts(n *node, look func(text *node)) {
	for i := range n.children {
		child := &n.children[i]
		if len(child.key) > maxKeyBytes {
			w.bad(child.key, "shorten it", "member name of %d bytes, the limit is %d", len(child.key), maxKeyBytes)
			continue
		}
		if n.kind == kindArray {
			w.pushIndex(i)
		} else {
			w.pushKey(child.key)
		}
		if child.kind == kindString {
			look(child)
		}
		w.texts(child, look)
		w.pop()
	}
}

// descriptor applies in-toto's rule for resource descriptors, and the digest
// that some places demand.
//
// > "Though all fields are optional, a ResourceDescriptor MUST specify one of
// > `uri`, `digest` or `content` at a minimum." (in-toto attestation
// > framework, field type ResourceDescriptor)
func (w *walker) descriptor(f *field, v reflect.Value) {
	if f.own || f.elem.typ != reflect.TypeFor[ResourceDescriptor]() {
		return
	}
	d := v.Interface().(ResourceDescriptor)
	if d.URI == "" && len(d.Digest) == 0 && d.Content == "" {
		w.bad(d.Name, "add uri and digest", "refers to nothing: uri, digest and content are absent")
	} else if f.digest && len(d.Digest) == 0 {
		w.missing("digest", "add the sha256 of the text that was read")
	}
}

func (e *Endpoint) conditions(w *walker) {
	switch e.Kind {
	case "host", "suffix", "cidr":
		if e.Value == "" {
			w.missing("value", "write the host name, the suffix or the address block")
		}
		if e.Transport == "" {
			w.missing("transport", "write one of: "+strings.Join(IDs("transport"), ", "))
		}
		if len(e.Ports) == 0 && !slices.Contains([]string{"icmp", "other", ""}, e.Transport) {
			w.missing("ports", "list the ports")
		}
		if e.Application == "" {
			w.missing("application", "write the IANA service name, for example https")
		}
	case "configured", "discovered":
		if e.Setting == "" {
			w.missing("setting", "name the setting, or the announcement, that the peer comes from")
		}
	}
}

func (r *Recipient) conditions(w *walker) {
	if r.Party == nil && r.Role != "customer" {
		w.missing("party", "name the recipient")
	}
}

func (r *Retention) conditions(w *walker) {
	if r.Kind == "days" && r.Days == nil {
		w.missing("days", "write the number of days")
	}
}

func (d *Dispute) conditions(w *walker) {
	if d.Thread == nil && d.Event != "opened" {
		w.missing("thread", "name the first dispute of the exchange by its digest")
	}
}

func (r *StatementRef) conditions(w *walker) {
	if r.Digest["sha256"] == "" {
		w.pushKey("digest")
		w.missing("sha256", "write the SHA-256 of the exact bytes of the statement")
		w.pop()
	}
}
