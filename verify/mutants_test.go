package verify_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// A mutant is a bundle that was changed without any new signature.
type mutant struct {
	path, change string
	data         []byte
}

// mutator makes mutants of one bundle. Donors are other valid bundles whose
// subtrees are spliced in.
type mutator struct {
	tb     testing.TB
	base   any
	donors map[string]any
	out    []mutant
}

func newMutator(tb testing.TB, base []byte, donors map[string][]byte) *mutator {
	tb.Helper()
	m := &mutator{tb: tb, base: decodeAny(tb, base), donors: make(map[string]any)}
	for name, d := range donors {
		m.donors[name] = decodeAny(tb, d)
	}
	return m
}

// mutants returns the mutants of every strategy, in a fixed order.
func (m *mutator) mutants() []mutant {
	walk(m.base, "", func(path string, v any) {
		if path != "" {
			m.drop(path)
			m.replace(path, v)
			m.splice(path, v)
		}
		switch v := v.(type) {
		case string:
			m.texts(path, v)
			if b, err := base64.StdEncoding.DecodeString(v); err == nil && strings.Contains(bytesMembers, lastName(path)) {
				m.bytes(path, v, b)
			}
			if strings.Contains(numberMembers, lastName(path)) {
				m.numbers(path, v)
			}
			if strings.HasSuffix(path, "/checkpoint/envelope") {
				m.checkpoints(path, v)
			}
		case []any:
			m.arrays(path, v)
		case map[string]any:
			m.objects(path, v)
		}
	})
	m.whole()
	return m.out
}

// The members of a bundle whose values are base64, and those that are numbers.
const (
	bytesMembers  = " rawBytes keyId rootHash hashes canonicalizedBody signedTimestamp payload sig "
	numberMembers = " logIndex treeSize integratedTime "
)

func (m *mutator) add(path, change string, data []byte) {
	if !bytes.Equal(data, encodeAny(m.base, nil)) {
		m.out = append(m.out, mutant{path, change, data})
	}
}

// set adds the bundle with the value at path replaced.
func (m *mutator) set(path, change string, v any) {
	m.add(path, change, encodeAny(edit(m.base, path, func(parent map[string]any, list []any, key string) {
		if parent != nil {
			parent[key] = v
			return
		}
		i, _ := strconv.Atoi(key)
		list[i] = v
	}), nil))
}

func (m *mutator) drop(path string) {
	m.add(path, "drop", encodeAny(remove(m.base, path), nil))
}

// replace is S3: another type, empty, zero.
func (m *mutator) replace(path string, v any) {
	for _, r := range []struct {
		name  string
		value any
	}{
		{"null", nil}, {"{}", map[string]any{}}, {"[]", []any{}}, {`""`, ""}, {"0", json.Number("0")}, {"true", true},
		{`"AAAA"`, "AAAA"}, {"wrapped", []any{v}},
	} {
		m.set(path, "="+r.name, r.value)
	}
}

// splice is S1: the same subtree of another valid bundle.
func (m *mutator) splice(path string, v any) {
	for _, name := range slices.Sorted(maps.Keys(m.donors)) {
		d, ok := lookup(m.donors[name], path)
		if ok && !bytes.Equal(encodeAny(d, nil), encodeAny(v, nil)) {
			m.set(path, "from:"+name, d)
		}
	}
}

// texts is S9 and S5 for strings.
func (m *mutator) texts(path, s string) {
	changed := map[string]string{
		"upper": strings.ToUpper(s), "lower": strings.ToLower(s), "space-after": s + " ", "space-before": " " + s,
		"nul": s + "\x00", "lf": s + "\n", "lf-inside": half(s, "\n"), "homoglyph": strings.Replace(s, "e", "\u0435",
			1), "bidi": s + "\u202e",
		"doubled": s + s, "half": s[:len(s)/2], "last-cut": cutLast(s), "first-cut": strings.TrimPrefix(s, first(s)),
		"x1000": strings.Repeat(s, 1000), "crlf": strings.ReplaceAll(s, "\n", "\r\n"), "parameter": s + "; charset=utf-8",
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		if changed[name] != s && len(changed[name]) < 400<<10 {
			m.set(path, name, changed[name])
		}
	}
}

// bytes is S4, S5 and S7 for base64.
func (m *mutator) bytes(path, s string, b []byte) {
	n := len(b)
	for _, p := range []struct {
		name string
		at   int
	}{{"0", 0}, {"1", 1}, {"1/4", n / 4}, {"1/2", n / 2}, {"3/4", n * 3 / 4}, {"last", n - 1}} {
		if n == 0 {
			break
		}
		flipped := bytes.Clone(b)
		flipped[p.at] ^= 0x01
		m.set(path, "flip@"+p.name, base64.StdEncoding.EncodeToString(flipped))
	}
	m.set(path, "byte-more", base64.StdEncoding.EncodeToString(append(bytes.Clone(b), 0)))
	m.set(path, "byte-less", base64.StdEncoding.EncodeToString(b[:max(n-1, 0)]))
	m.set(path, "base64-url", base64.URLEncoding.EncodeToString(b))
	m.set(path, "base64-unpadded", base64.RawStdEncoding.EncodeToString(b))
	m.set(path, "hex", fmt.Sprintf("%x", b))
	if stripped := strings.TrimRight(s, "="); stripped != s {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		i := strings.IndexByte(alphabet, stripped[len(stripped)-1])
		m.set(path, "base64-spare-bits", stripped[:len(stripped)-1]+string(alphabet[i|1])+s[len(stripped):])
	}
}

// numbers is S7 and S8 for 64-bit numbers, which are strings in JSON.
func (m *mutator) numbers(path, s string) {
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		m.tb.Fatalf("%s: %v", path, err)
	}
	for _, n := range []int64{i - 1, i + 1, 0, -1, 1<<63 - 1, i + 1<<32} {
		name := "number:" + strconv.FormatInt(n, 10)
		if d := n - i; d == 1 || d == -1 || d == 1<<32 {
			name = fmt.Sprintf("number:N%+d", d)
		}
		m.set(path, name, strconv.FormatInt(n, 10))
	}
	m.set(path, "as-number", json.Number(s))
	m.set(path, "as-float", json.Number(s+".0"))
	m.set(path, "as-exponent", json.Number(s+"e0"))
	for _, v := range []string{"0" + s, "+" + s, s + ".0", s + "e0", "0x" + s, "9223372036854775808"} {
		m.set(path, "text:"+strings.Replace(v, s, "N", 1), v)
	}
}

// checkpoints changes the lines of a signed note.
func (m *mutator) checkpoints(path, note string) {
	text, signatures, _ := strings.Cut(note, "\n\n")
	join := func(text, signatures string) string { return text + "\n\n" + signatures }
	junk := "\u2014 witness.example.test " + base64.StdEncoding.EncodeToString(make([]byte, 76)) + "\n"
	log := strings.Fields(signatures)
	for change, n := range map[string]string{
		"unknown-signature-after":  join(text, signatures+junk),
		"unknown-signature-before": join(text, junk+signatures),
		"31-unknown-signatures":    join(text, signatures+strings.Repeat(junk, 31)),
		"32-unknown-signatures":    join(text, signatures+strings.Repeat(junk, 32)),
		"log-signature-twice":      join(text, signatures+signatures),
		"log-signature-spoilt":     join(text, log[0]+" "+log[1]+" "+log[2][:20]+"AAAA"+log[2][24:]+"\n"),
		"log-signature-key-id":     join(text, log[0]+" "+log[1]+" AAAA"+log[2][4:]+"\n"),
		"log-signature-name":       join(text, log[0]+" x"+log[1]+" "+log[2]+"\n"),
		"no-signature":             join(text, ""),
		"only-unknown-signature":   join(text, junk),
		"blank-line-more":          text + "\n\n\n" + signatures,
		"no-blank-line":            text + "\n" + signatures,
		"extension-line":           join(text+"\nextension", signatures),
		"size-leading-zero":        join(strings.Replace(text, "\n", "\n0", 1), signatures),
		"text-after":               note + "x",
	} {
		m.set(path, change, n)
	}
	for i := range strings.Count(text, "\n") + 1 {
		lines := strings.Split(text, "\n")
		m.set(path, fmt.Sprintf("no-line-%d", i+1), join(strings.Join(slices.Delete(lines, i, i+1), "\n"), signatures))
	}
}

// arrays is S5 and S6.
func (m *mutator) arrays(path string, v []any) {
	if len(v) == 0 {
		return
	}
	m.set(path, "first-twice", append([]any{v[0]}, v...))
	m.set(path, "and-null", append(slices.Clone(v), nil))
	m.set(path, "and-{}", append(slices.Clone(v), map[string]any{}))
	m.set(path, "x33", slices.Repeat([]any{v[0]}, 33))
	m.set(path, "x64", slices.Repeat([]any{v[0]}, 64))
	if len(v) > 1 {
		reversed := slices.Clone(v)
		slices.Reverse(reversed)
		m.set(path, "reversed", reversed)
	}
}

// objects adds members, and writes the names of those that are there otherwise.
func (m *mutator) objects(path string, v map[string]any) {
	with := func(name string, value any) map[string]any {
		c := maps.Clone(v)
		c[name] = value
		return c
	}
	m.put(path, "and-unknown", with("unknown", "x"))
	m.put(path, "and-$schema", with("$schema", "x"))
	for _, name := range slices.Sorted(maps.Keys(v)) {
		at := path + "/" + name
		m.add(at, "twice", encodeAny(m.base, map[string]spelling{at: {names: []string{name, name}}}))
		m.add(at, "and-upper", encodeAny(m.base, map[string]spelling{at: {names: []string{name, strings.ToUpper(name)}}}))
		m.add(at, "name-escaped",
			encodeAny(m.base, map[string]spelling{at: {names: []string{fmt.Sprintf("\\u%04x", name[0]) + name[1:]}}}))
		m.add(at, "twice-escaped",
			encodeAny(m.base, map[string]spelling{at: {names: []string{name, fmt.Sprintf("\\u%04x", name[0]) + name[1:]}}}))
		for change, other := range map[string]string{"name-snake": snake(name), "name-title": title(name),
			"name-upper": strings.ToUpper(name)} {
			if other != name {
				m.add(at, change, encodeAny(m.base, map[string]spelling{at: {names: []string{other}}}))
			}
		}
	}
}

func (m *mutator) put(path, change string, v any) {
	if path == "" {
		m.add(path, change, encodeAny(v, nil))
		return
	}
	m.set(path, change, v)
}

// whole is what concerns the document as a whole.
func (m *mutator) whole() {
	compact := encodeAny(m.base, nil)
	var indented bytes.Buffer
	if err := json.Indent(&indented, compact, "", "  "); err != nil {
		m.tb.Fatal(err)
	}
	m.add("", "white-space", indented.Bytes())
	m.add("", "member-order", encodeAny(m.base, map[string]spelling{"": {reversed: true}}))
	m.add("", "string-escapes", bytes.ReplaceAll(compact, []byte("/"), []byte(`\/`)))
	m.add("", "lf-after", append(bytes.Clone(compact), '\n'))
	m.add("", "value-after", append(bytes.Clone(compact), "{}"...))
	m.add("", "garbage-after", append(bytes.Clone(compact), 'x'))
	m.add("", "nul-after", append(bytes.Clone(compact), 0))
	m.add("", "bom", append([]byte("\ufeff"), compact...))
	m.add("", "bad-utf8", bytes.Replace(compact, []byte(`"mediaType"`), []byte("\"x\":\"\xff\",\"mediaType\""), 1))
	m.add("", "cut", compact[:len(compact)-1])
	m.add("", "empty", nil)
	m.add("", "null", []byte("null"))
	m.add("", "array", slices.Concat([]byte("["), compact, []byte("]")))
	m.add("", "deep", slices.Concat([]byte(`{"a":`), bytes.Repeat([]byte("["), 9000), bytes.Repeat([]byte("]"), 9000), []byte("}")))
	m.add("", "padded-to-limit", append(bytes.Clone(compact), bytes.Repeat([]byte(" "), 512<<10)...))
}

// spelling changes how a member, or all of an object, is written.
type spelling struct {
	names    []string // written once under each name
	reversed bool
}

// encodeAny writes JSON with sorted members and no white space.
func encodeAny(v any, spell map[string]spelling) []byte {
	var b bytes.Buffer
	encodeAt(&b, v, "", spell)
	return b.Bytes()
}

func encodeAt(b *bytes.Buffer, v any, path string, spell map[string]spelling) {
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		if spell[""].reversed {
			slices.Reverse(names)
		}
		b.WriteByte('{')
		sep := ""
		for _, name := range names {
			at := path + "/" + name
			written := []string{name}
			if s, ok := spell[at]; ok {
				written = s.names
			}
			for _, w := range written {
				b.WriteString(sep + `"` + w + `":`)
				encodeAt(b, v[name], at, spell)
				sep = ","
			}
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			encodeAt(b, item, path+"/"+strconv.Itoa(i), spell)
		}
		b.WriteByte(']')
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		b.Write(raw)
	}
}

func decodeAny(tb testing.TB, raw []byte) any {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		tb.Fatal(err)
	}
	return v
}

// walk visits every value, outer before inner, in a fixed order.
func walk(v any, path string, visit func(string, any)) {
	visit(path, v)
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			walk(v[name], path+"/"+name, visit)
		}
	case []any:
		for i, item := range v {
			walk(item, path+"/"+strconv.Itoa(i), visit)
		}
	}
}

func lookup(v any, path string) (any, bool) {
	for _, key := range strings.Split(path, "/")[1:] {
		switch c := v.(type) {
		case map[string]any:
			next, ok := c[key]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(c) {
				return nil, false
			}
			v = c[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// edit copies a tree and lets change alter the container of path's last key.
func edit(v any, path string, change func(parent map[string]any, list []any, key string)) any {
	root := clone(v)
	keys := strings.Split(path, "/")
	container, _ := lookup(root, strings.Join(keys[:len(keys)-1], "/"))
	parent, _ := container.(map[string]any)
	list, _ := container.([]any)
	change(parent, list, keys[len(keys)-1])
	return root
}

// remove copies a tree without the value at path.
func remove(v any, path string) any {
	keys := strings.Split(path, "/")
	above := strings.Join(keys[:len(keys)-1], "/")
	if container, _ := lookup(v, above); above != "" || container != nil {
		if list, ok := container.([]any); ok {
			i, _ := strconv.Atoi(keys[len(keys)-1])
			shorter := slices.Delete(slices.Clone(list), i, i+1)
			return edit(v, above, func(parent map[string]any, _ []any, key string) { parent[key] = shorter })
		}
	}
	return edit(v, path, func(parent map[string]any, _ []any, key string) { delete(parent, key) })
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for k, e := range v {
			c[k] = clone(e)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, e := range v {
			c[i] = clone(e)
		}
		return c
	default:
		return v
	}
}

// lastName is the name of the member at path, its own or its array's, between spaces.
func lastName(path string) string {
	keys := strings.Split(path, "/")
	for i := len(keys) - 1; i >= 0; i-- {
		if _, err := strconv.Atoi(keys[i]); err != nil && keys[i] != "" {
			return " " + keys[i] + " "
		}
	}
	return " - "
}

func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func title(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

func half(s, with string) string { return s[:len(s)/2] + with + s[len(s)/2:] }

func cutLast(s string) string { return s[:max(len(s)-1, 0)] }

func first(s string) string { return s[:min(len(s), 1)] }
