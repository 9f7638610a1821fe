package manifest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	digestA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// show is an item on one line, its error last.
func show(i Item) string {
	s := fmt.Sprintf("%s|%s|%.4s|%s|%s|%s", i.Position, i.Name, i.SHA256, i.Path, strings.Join(i.Bundles, ","), i.Product)
	if i.Err != nil {
		s += "|ERROR " + i.Err.Error()
	}
	return s
}

// readAll opens a list and returns its items, or the error.
func readAll(t testing.TB, content string, format Format) ([]Item, error) {
	t.Helper()
	m, err := Read(strings.NewReader(content), format)
	if err != nil {
		return nil, err
	}
	items := slices.Collect(m.Items())
	if m.Err() != nil || len(items) != m.Count() {
		t.Errorf("%d items, %d counted, error %v", len(items), m.Count(), m.Err())
	}
	return items, nil
}

// wantItems compares the items of a list with lines of show; an error is compared by its beginning.
func wantItems(t *testing.T, content string, format Format, want ...string) {
	t.Helper()
	items, err := readAll(t, content, format)
	if err != nil {
		t.Errorf("%.80q: %v", content, err)
		return
	}
	if len(items) != len(want) {
		t.Errorf("%.80q: got %d items, want %d", content, len(items), len(want))
		return
	}
	for n := range want {
		got := show(items[n])
		if begin, _, failing := strings.Cut(want[n], "..."); got != want[n] && (!failing || !strings.HasPrefix(got, begin)) {
			t.Errorf("item %d: got  %s\n            want %s", n, got, want[n])
		}
	}
}

func TestChecksums(t *testing.T) {
	a, upper := digestA, strings.ToUpper(digestA)
	for line, want := range map[string]string{
		a + "  f":                           "|f|aaaa|f||",
		a + " *f":                           "|f|aaaa|f||",
		a + "   f":                          "| f|aaaa| f||",
		a + "  *f":                          "|*f|aaaa|*f||",
		upper + "  f":                       "|f|aaaa|f||",
		a + "  dir/f g":                     "|dir/f g|aaaa|dir/f g||",
		`\` + a + `  a\nb\\c\rd`:            "|a\nb\\c\rd|aaaa|a\nb\\c\rd||",
		`\` + a + `  a\tb`:                  "|a\\tb||||" + `|ERROR the name has an escape other than \\, \n and \r`,
		`\` + a + `  a\`:                    "|a\\||||" + `|ERROR the name has an escape other than \\, \n and \r`,
		a + `  a\nb`:                        "|a\\nb|aaaa|a\\nb||",
		"SHA256 (f) = " + a:                 "|f|aaaa|f||",
		"SHA256 (f) = x) = " + a:            "|f) = x|aaaa|f) = x||",
		`\SHA256 (a\\b) = ` + a:             "|a\\b|aaaa|a\\b||",
		"SHA512 (f) = " + a + a:             "|f||||",
		"MD5 (f) = " + a[:32]:               "|f||||",
		"SHA512/256 (f) = " + a:             "|f||||",
		"SHA256 (f) = " + a[:62]:            "|f||||" + "|ERROR 62 hexadecimal digits are no SHA256, which has 64",
		a[:32] + "  f":                      "|f||||",
		a[:40] + "  f":                      "|f||||",
		a + a + "  f":                       "|f||||",
		a[:63] + "  f":                      "|f||||" + "|ERROR 63 hexadecimal digits are the digest of no known algorithm",
		a + " f":                            "|||||" + "|ERROR not a line of sha256sum...",
		a + "  ":                            "|||||" + "|ERROR not a line of sha256sum...",
		a:                                   "|||||" + "|ERROR not a line of sha256sum...",
		" " + a + "  f":                     "|||||" + "|ERROR not a line of sha256sum...",
		"SHA256(f)= " + a:                   "|||||" + "|ERROR not a line of sha256sum...",
		"g" + a[1:] + "  f":                 "|||||" + "|ERROR not a line of sha256sum...",
		strings.Repeat("x", MaxLineBytes+1): "|||||" + "|ERROR the line has more than 65536 bytes",
	} {
		for _, ending := range []string{"", "\n", "\r\n", "\n\n# end\n"} {
			wantItems(t, line+ending, FormatChecksums, "line 1"+want)
		}
	}
	wantItems(t, "# x\n\n"+a+"  f\n  \n"+digestB+"  g", "", "line 3|f|aaaa|f||", "line 5|g|bbbb|g||")
	long := strings.Repeat("x", 3*MaxLineBytes)
	wantItems(t, a+"  f\n"+long+"\n"+digestB+"  g\n", "", "line 1|f|aaaa|f||", "line 2|||||"+"|ERROR the line has...", "line 3|g|bbbb|g||")
}

// TestEscapedNames: what sha256sum writes for any name is read as that name.
func TestEscapedNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z\\\n\r ()=*#"ä]{1,20}`).Draw(t, "name")
		escaped := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name)
		line := digestA + "  " + escaped
		if bsd := rapid.Bool().Draw(t, "bsd"); bsd {
			line = "SHA256 (" + escaped + ") = " + digestA
		}
		if escaped != name {
			line = `\` + line
		}
		if got := parseChecksum(line); got.Err != nil || got.Name != name || got.Path != name || got.SHA256 != digestA {
			t.Fatalf("%q is read as %q, %v", line, got.Name, got.Err)
		}
	})
}

func TestJSONLines(t *testing.T) {
	for line, want := range map[string]string{
		`{"name":"n","sha256":"` + digestA + `"}`: "|n|aaaa|||",
		`{"path":"p"}`:            "|p||p||",
		`{"name":"n","path":"p"}`: "|n||p||",
		`{"name":"n","path":"p","sha256":"` + digestA + `","bundles":["a","b"],"product":"x"}`: "|n|aaaa|p|a,b|x",
		`{"name":"n"}`:                 "|n||||" + "|ERROR neither sha256 nor path is given",
		`{"sha256":"` + digestA + `"}`: "||aaaa|||" + "|ERROR neither name nor path is given",
		`{}`:                           "|||||" + "|ERROR neither sha256 nor path is given",
		`{"name":"n","sha256":"AA"}`:   "|n||||" + "|ERROR sha256 is not 64 lower-case hexadecimal digits",
		`{"name":"n","SHA256":"` + digestA + `"}`: "|n||||" + `|ERROR unknown member "SHA256"...`,
		`{"name":"n","path":"p","x":1}`:           "|n||p||" + `|ERROR unknown member "x"...`,
		`{"name":"n","path":"p","path":"q"}`:      "|||||" + "|ERROR key stands twice...",
		`{"name":"n","path":null}`:                "|||||" + "|ERROR null is not allowed...",
		`{"name":"n","path":1}`:                   "|n||||" + "|ERROR path is not a string",
		`{"name":"n","path":""}`:                  "|n||||" + "|ERROR path is empty",
		`{"name":"n","path":"p","bundles":"b"}`:   "|n||p||" + "|ERROR bundles is not a list of strings",
		`{"name":"n","path":"p","bundles":[[]]}`:  "|||||" + "|ERROR nested deeper...",
		`{"name":"n","path":"p","bundles":[1]}`:   "|n||p||" + "|ERROR bundles is not a list of strings",
		`{"name":"n","path":"p"} {}`:              "|||||" + "|ERROR data after the end...",
		`["n"]`:                                   "|||||" + "|ERROR the line is not a JSON object",
		`"n"`:                                     "|||||" + "|ERROR the line is not a JSON object",
		`{"name":`:                                "|||||" + "|ERROR ...",
	} {
		items, err := readAll(t, line, FormatJSONLines)
		if err != nil || len(items) != 1 {
			t.Errorf("%s: %d items, %v", line, len(items), err)
			continue
		}
		got := show(items[0])
		got = strings.TrimPrefix(got, "line 1")
		if begin, _, cut := strings.Cut(want, "..."); got != want && (!cut || !strings.HasPrefix(got, begin)) {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
	many := `{"path":"p","bundles":["b"` + strings.Repeat(`,"b"`, MaxItemBundles) + `]}`
	items, err := readAll(t, many, FormatJSONLines)
	if err != nil || items[0].Err == nil || !strings.Contains(items[0].Err.Error(), "65 bundles are named") {
		t.Errorf("too many bundles: %v, %v", items, err)
	}
}

func TestCycloneDX(t *testing.T) {
	hash := func(alg, value string) string { return `"hashes":[{"alg":"` + alg + `","content":"` + value + `"}]` }
	wantItems(t, `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"application","name":"app",
	  "components":[{"type":"library","name":"inner","version":"1",`+hash("SHA-256", digestA)+`}]}},
	  "components":[
	    {"type":"file","name":"./bin/f",`+hash("SHA-256", strings.ToUpper(digestA))+`},
	    {"type":"file","name":"g",`+hash("SHA-1", digestA[:40])+`},
	    {"type":"library","group":"org","name":"l","version":"2","purl":"pkg:x/l@2",`+hash("SHA-256", digestB)+`,
	      "components":[{"type":"library","name":"deep","components":[{"type":"library","name":"deeper"}]}]},
	    {"type":"library","name":"bad",`+hash("SHA-256", "xyz")+`},
	    {"type":"file","name":"two","hashes":[{"alg":"SHA-256","content":"`+digestA+`"},{"alg":"SHA-256","content":"`+digestB+`"}]}]}`, "",
		"/metadata/component|app||||",
		"/metadata/component/components/0|inner@1|aaaa|||",
		"/components/0|./bin/f|aaaa|bin/f||",
		"/components/1|g||||",
		"/components/2|org/l@2|bbbb|||pkg:x/l@2",
		"/components/2/components/0|deep||||",
		"/components/2/components/0/components/0|deeper||||",
		"/components/3|bad||||"+"|ERROR the sha256 is not 64 hexadecimal digits",
		"/components/4|two||||"+"|ERROR two different values of sha256 are given",
	)
}

func TestSPDX(t *testing.T) {
	sum := func(alg, value string) string {
		return `"checksums":[{"algorithm":"` + alg + `","checksumValue":"` + value + `"}]`
	}
	wantItems(t, `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"d","packages":[
	    {"name":"p","versionInfo":"1","SPDXID":"SPDXRef-p","downloadLocation":"NOASSERTION",`+sum("SHA1", digestA[:40])+`},
	    {"name":"q","SPDXID":"SPDXRef-q","downloadLocation":"NOASSERTION","packageFileName":"./q.tgz",`+sum("SHA256", digestA)+`}],
	  "files":[{"fileName":"./f","SPDXID":"SPDXRef-f","copyrightText":"",`+sum("SHA256", digestB)+`},
	    {"fileName":"./g","SPDXID":"SPDXRef-g","copyrightText":"",`+sum("SHA1", digestB[:40])+`}]}`, "",
		"/packages/0|p@1||||", "/packages/1|q|aaaa|q.tgz||", "/files/0|./f|bbbb|f||", "/files/1|./g||||")
}

// TestRefused: what is no list at all is an error that says what to do.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		format  Format
		want    string
	}{
		"nothing":             {"", "", "no entries"},
		"spaces":              {" \n\t\n", "", "no entries"},
		"comments":            {"# a\n# b\n", "", "no entries"},
		"no JSON lines":       {"\n\n", FormatJSONLines, "no entries"},
		"no components":       {`{"bomFormat":"CycloneDX","specVersion":"1.6"}`, "", "no entries"},
		"no packages":         {`{"spdxVersion":"SPDX-2.3"}`, "", "no entries"},
		"a byte order mark":   {"\xef\xbb\xbf{}", "", "byte order mark"},
		"UTF-16":              {"\xff\xfe{\x00", "", "byte order mark"},
		"XML":                 {"<?xml version=\"1.0\"?><bom/>", "", "convert the SBOM to JSON"},
		"SPDX tag-value":      {"SPDXVersion: SPDX-2.3\n", "", "convert the SBOM to JSON"},
		"an array":            {`[{"sha256":""}]`, "", "format cannot be told"},
		"half an object":      {`{"name": "x"`, "", "format cannot be told"},
		"a telling key later": {`{"name": "` + strings.Repeat("x", detectBytes) + `", "sha256": ""}`, "", "format cannot be told"},
		"an unknown format":   {"x", "tar", `"tar" is not a format`},
		"another bomFormat":   {`{"bomFormat":"Cyclone","specVersion":"1.6"}`, "", `bomFormat is "Cyclone"`},
		"a later CycloneDX":   {`{"bomFormat":"CycloneDX","specVersion":"9.9"}`, "", "CycloneDX: "},
		"SPDX 3":              {`{"spdxVersion":"SPDX-3.0"}`, "", `spdxVersion is "SPDX-3.0"`},
		"a member twice":      {`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[],"components":[]}`, "", "key stands twice"},
		"null":                {`{"spdxVersion":"SPDX-2.3","packages":[null]}`, "", "null is not allowed"},
		"no JSON":             {"x", FormatSPDX, "value is expected"},
		"too deep": {`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` + strings.Repeat(`{"components":[`, 100) +
			strings.Repeat(`]}`, 100) + `]}`, "", "nested deeper"},
	} {
		_, err := Read(strings.NewReader(c.content), c.format)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if empty := c.want == "no entries"; empty != errors.Is(err, ErrEmpty) {
			t.Errorf("%s: ErrEmpty is %v", name, !empty)
		}
	}
}

// TestDetect tells the formats apart, also where the first members say nothing.
func TestDetect(t *testing.T) {
	for content, want := range map[string]Format{
		digestA + "  f": FormatChecksums, "SHA256 (f) = x": FormatChecksums, "# x": FormatChecksums, "junk": FormatChecksums,
		`{"name":"x","sha256":"y"}`: FormatJSONLines, `{"name":"x"}` + "\n" + `{"sha256":""}`: FormatJSONLines, `{}`: FormatJSONLines,
		`{"$schema":"x","name":{"sha256":["path"]},"components":[`: FormatCycloneDX, ` {"bomFormat":`: FormatCycloneDX,
		`{"name":"sha256","version":"path","packages":[`: FormatSPDX, `{"SPDXID":`: FormatSPDX,
		`{"version":1,"x":[{"spdxVersion":1}],"serialNumber":"spdxVersion"`: FormatCycloneDX,
	} {
		if got, err := detect(strings.NewReader(content)); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", content, got, err, want)
		}
	}
}

// TestOneNameTwoDigests: both entries are errors, the same digest twice is none, and neither is another name.
func TestOneNameTwoDigests(t *testing.T) {
	const twice = "|ERROR the list has this name twice..."
	wantItems(t, digestA+"  f\n"+digestB+"  f\n"+digestA+"  f\n"+digestA+"  g\n"+digestA+"  g\n", "",
		"line 1|f|aaaa|f||"+twice, "line 2|f|bbbb|f||"+twice, "line 3|f|aaaa|f||"+twice, "line 4|g|aaaa|g||", "line 5|g|aaaa|g||")
	wantItems(t, `{"name":"n","path":"p"}`+"\n"+`{"name":"n","sha256":"`+digestA+`"}`, "", "line 1|n||p||", "line 2|n|aaaa|||")
	wantItems(t, `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[
	  {"type":"library","name":"l","hashes":[{"alg":"SHA-256","content":"`+digestA+`"}]},
	  {"type":"library","name":"l","hashes":[{"alg":"SHA-256","content":"`+digestB+`"}]}]}`, "",
		"/components/0|l|aaaa|||"+twice, "/components/1|l|bbbb|||"+twice)
}

// TestOpen: a list is a regular file, read from the start each time, and not changed in between.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(digestA + "  f\n" + digestB + "  g\n")
	m, err := Open(path, "")
	if err != nil || m.Count() != 2 || m.Format() != FormatChecksums {
		t.Fatal(m, err)
	}
	for item := range m.Items() {
		if item.Name != "f" {
			t.Errorf("got %v", item)
		}
		break
	}
	if got := slices.Collect(m.Items()); len(got) != 2 || m.Err() != nil {
		t.Errorf("read again: %v, %v", got, m.Err())
	}
	for name, changed := range map[string]string{"longer": digestA + "  f\n" + digestB + "  g\n" + digestB + "  h\n", "shorter": ""} {
		write(changed)
		for item := range m.Items() {
			if item.Name == "h" {
				t.Errorf("%s: an entry that was not counted", name)
			}
		}
		if !errors.Is(m.Err(), errChanged) {
			t.Errorf("%s: %v", name, m.Err())
		}
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	for item := range m.Items() {
		t.Errorf("after Close: %v", item)
	}
	if m.Err() == nil {
		t.Error("reading a closed list is no error")
	}
	if _, err := Open(dir, ""); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "missing"), ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := (&Manifest{}).Close(); err != nil {
		t.Error(err)
	}
}

// zeros is a list of one line as long as it takes.
type zeros struct{ size, at int64 }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(int64(len(p)), z.size-z.at)
	if n == 0 {
		return 0, errors.New("read to the end")
	}
	for i := range p[:n] {
		p[i] = ' '
	}
	z.at += n
	return int(n), nil
}

func (z *zeros) Seek(offset int64, _ int) (int64, error) { z.at = offset; return offset, nil }

// TestSBOMSize: the limit is checked before anything is parsed.
func TestSBOMSize(t *testing.T) {
	z := &zeros{size: 2 * MaxSBOMBytes}
	_, err := Read(z, FormatSPDX)
	if err == nil || !strings.Contains(err.Error(), "the limit is 67108864") || z.at > MaxSBOMBytes+1 {
		t.Errorf("got %v after %d bytes", err, z.at)
	}
}
