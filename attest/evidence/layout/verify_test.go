package layout_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/avow-dev/avow/attest/evidence/layout"
)

// chain is a supply chain of two steps that really ran: build makes app from source, pack takes app and makes app.tar.
type chain struct {
	t            *testing.T
	dir          string // of the layout and the links
	work         string
	owner        in_toto.Key
	builder      in_toto.Key
	packer       in_toto.Key
	ownerFile    string
	artifact     string
	layout       in_toto.Layout
	useDSSE      bool
	otherOptions func(*layout.Options)
}

func newKey(t testing.TB) (in_toto.Key, string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var key in_toto.Key
	if err := key.LoadKeyReaderDefaults(bytes.NewReader(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))); err != nil {
		t.Fatal(err)
	}
	if der, err = x509.MarshalPKIXPublicKey(public); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return key, path
}

func public(key in_toto.Key) in_toto.Key {
	key.KeyVal.Private = ""
	return key
}

func newChain(t *testing.T) *chain {
	t.Helper()
	c := &chain{t: t, dir: t.TempDir(), work: t.TempDir()}
	c.owner, c.ownerFile = newKey(t)
	c.builder, _ = newKey(t)
	c.packer, _ = newKey(t)
	c.write("source", "source")
	c.step("build", c.builder, []string{"source"}, []string{"app"}, func() { c.write("app", "program") })
	c.step("pack", c.packer, []string{"app"}, []string{"app.tar"}, func() { c.write("app.tar", "package") })
	c.artifact = filepath.Join(c.work, "app.tar")
	c.layout = in_toto.Layout{Type: "layout", Expires: "2027-01-01T00:00:00Z", Inspect: []in_toto.Inspection{},
		Keys: map[string]in_toto.Key{c.builder.KeyID: public(c.builder), c.packer.KeyID: public(c.packer)},
		Steps: []in_toto.Step{
			{Type: "step", PubKeys: []string{c.builder.KeyID}, Threshold: 1, ExpectedCommand: []string{},
				SupplyChainItem: in_toto.SupplyChainItem{Name: "build", ExpectedMaterials: [][]string{{"ALLOW", "source"}, {"DISALLOW", "*"}},
					ExpectedProducts: [][]string{{"CREATE", "app"}, {"DISALLOW", "*"}}}},
			{Type: "step", PubKeys: []string{c.packer.KeyID}, Threshold: 1, ExpectedCommand: []string{},
				SupplyChainItem: in_toto.SupplyChainItem{Name: "pack",
					ExpectedMaterials: [][]string{{"MATCH", "app", "WITH", "PRODUCTS", "FROM", "build"}, {"DISALLOW", "*"}},
					ExpectedProducts:  [][]string{{"CREATE", "app.tar"}, {"DISALLOW", "*"}}}},
		}}
	return c
}

func (c *chain) write(name, content string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.work, name), []byte(content), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chain) paths(names []string) []string {
	var paths []string
	for _, name := range names {
		paths = append(paths, filepath.Join(c.work, name))
	}
	return paths
}

// step does something between the two halves of in-toto's recording.
func (c *chain) step(name string, key in_toto.Key, materials, products []string, do func()) {
	c.t.Helper()
	strip := []string{c.work + "/"}
	start, err := in_toto.InTotoRecordStart(name, c.paths(materials), key, []string{"sha256"}, nil, strip, false, false, c.useDSSE)
	if err != nil {
		c.t.Fatal(err)
	}
	do()
	link, err := in_toto.InTotoRecordStop(start, c.paths(products), key, []string{"sha256"}, nil, strip, false, false, c.useDSSE)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := link.Dump(filepath.Join(c.dir, name+"."+key.KeyID[:8]+".link")); err != nil {
		c.t.Fatal(err)
	}
}

// sign writes a layout.
func (c *chain) sign(l in_toto.Layout, key in_toto.Key, name string) string {
	c.t.Helper()
	block := in_toto.Metablock{Signed: l}
	if err := block.Sign(key); err != nil {
		c.t.Fatal(err)
	}
	path := filepath.Join(c.dir, name)
	if err := block.Dump(path); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *chain) verify() (*layout.Result, error) {
	c.t.Helper()
	o := layout.Options{Layout: c.sign(c.layout, c.owner, "root.layout"), Keys: []string{c.ownerFile}, Links: c.dir, Artifact: c.artifact,
		Now: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)}
	if c.otherOptions != nil {
		c.otherOptions(&o)
	}
	return layout.Verify(o)
}

func TestHolds(t *testing.T) {
	c := newChain(t)
	r, err := c.verify()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Steps) != 2 || r.Steps[0].Name != "build" || r.Steps[0].Functionaries[0] != c.builder.KeyID || r.Artifact == "" || r.Steps[0].OtherCommand {
		t.Errorf("%+v", r)
	}
	c.layout.Steps[0].ExpectedCommand = []string{"make"}
	if r, err = c.verify(); err != nil || !r.Steps[0].OtherCommand {
		t.Errorf("another command: %+v, %v", r, err)
	}
}

// A layout whose inspection would make a file is refused, and the file is not made, whoever signed it.
func TestInspectionsAreNeverRun(t *testing.T) {
	for _, signed := range []bool{true, false} {
		c := newChain(t)
		made := filepath.Join(t.TempDir(), "made")
		c.layout.Inspect = []in_toto.Inspection{{Type: "inspection", Run: []string{"touch", made},
			SupplyChainItem: in_toto.SupplyChainItem{Name: "look", ExpectedMaterials: [][]string{}, ExpectedProducts: [][]string{}}}}
		if !signed {
			c.owner, _ = newKey(t)
		}
		_, err := c.verify()
		wants(t, err, layout.CodeInspections, "1 inspections", false)
		if _, err := os.Stat(made); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the inspection ran: %v", err)
		}
		// The library's own verification does run it: this is what is kept away.
		if signed {
			var key in_toto.Key
			if err := key.LoadKeyDefaults(c.ownerFile); err != nil {
				t.Fatal(err)
			}
			l, err := in_toto.LoadMetadata(filepath.Join(c.dir, "root.layout"))
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			_, _ = in_toto.InTotoVerify(l, map[string]in_toto.Key{key.KeyID: key}, c.dir, "", nil, nil, false)
			if _, err := os.Stat(made); err != nil {
				t.Skipf("in-toto-golang did not run the inspection here: %v", err)
			}
		}
	}
}

func wants(t *testing.T, err error, code layout.Code, words string, answered bool) {
	t.Helper()
	var e *layout.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(err.Error(), words) || e.Answered() != answered || e.Hint == "" {
		t.Errorf("%v, want %s with %q", err, code, words)
	}
}

func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*testing.T, *chain)
		code   layout.Code
		words  string
	}{
		"parameter in a rule":    {func(_ *testing.T, c *chain) { c.layout.Steps[0].ExpectedProducts[1] = []string{"DISALLOW", "{what}"} }, layout.CodeParameters, "{what}"},
		"parameter in a command": {func(_ *testing.T, c *chain) { c.layout.Steps[0].ExpectedCommand = []string{"make", "{target}"} }, layout.CodeParameters, "{target}"},
		"a path":                 {func(_ *testing.T, c *chain) { c.layout.Steps[0].Name = "../build" }, layout.CodeStep, "a path"},
		"a pattern":              {func(_ *testing.T, c *chain) { c.layout.Steps[1].Name = "*" }, layout.CodeStep, "a pattern"},
		"no step":                {func(_ *testing.T, c *chain) { c.layout.Steps = []in_toto.Step{} }, layout.CodeStep, "0 steps"},
		"threshold 0":            {func(_ *testing.T, c *chain) { c.layout.Steps[0].Threshold = 0 }, layout.CodeStep, "threshold 0"},
		"a step twice":           {func(_ *testing.T, c *chain) { c.layout.Steps[1] = c.layout.Steps[0] }, layout.CodeMalformed, "not valid"},
		"certificates": {func(_ *testing.T, c *chain) {
			c.layout.Steps[0].CertificateConstraints = []in_toto.CertificateConstraint{{CommonName: "*"}}
		},
			layout.CodeCertificates, "by certificates"},
		"a sublayout": {func(_ *testing.T, c *chain) { c.sign(c.layout, c.builder, "build."+c.builder.KeyID[:8]+".link") }, layout.CodeSublayout, "layout of its own"},
		"a sublayout with inspections": {func(_ *testing.T, c *chain) {
			inner := c.layout
			inner.Inspect = []in_toto.Inspection{{Type: "inspection", Run: []string{"true"}, SupplyChainItem: in_toto.SupplyChainItem{Name: "look"}}}
			c.sign(inner, c.builder, "build."+c.builder.KeyID[:8]+".link")
		}, layout.CodeSublayout, "layout of its own"},
		"no layout": {func(_ *testing.T, c *chain) {
			c.otherOptions = func(o *layout.Options) { o.Layout = filepath.Join(c.dir, "pack."+c.packer.KeyID[:8]+".link") }
		}, layout.CodeMalformed, "not a layout"},
		"no JSON": {func(_ *testing.T, c *chain) { c.otherOptions = func(o *layout.Options) { o.Layout = c.artifact } }, layout.CodeMalformed, "does not parse"},
		"no key":  {func(_ *testing.T, c *chain) { c.otherOptions = func(o *layout.Options) { o.Keys = nil } }, layout.CodeMalformed, "no key"},
		"no such key": {func(_ *testing.T, c *chain) {
			c.otherOptions = func(o *layout.Options) { o.Keys = []string{c.artifact} }
		},
			layout.CodeMalformed, "holds no key"},
		"a link that is none": {func(t *testing.T, c *chain) {
			if err := os.WriteFile(filepath.Join(c.dir, "build.00000000.link"), []byte("{}"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, layout.CodeMalformed, "is not a link"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChain(t)
			test.change(t, c)
			_, err := c.verify()
			wants(t, err, test.code, test.words, false)
		})
	}
}

func TestDoesNotHold(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*testing.T, *chain)
		code   layout.Code
		words  string
	}{
		"another owner": {func(t *testing.T, c *chain) { c.owner, _ = newKey(t) }, layout.CodeSignature, "has not signed"},
		"one owner of two": {func(t *testing.T, c *chain) {
			_, other := newKey(t)
			c.otherOptions = func(o *layout.Options) { o.Keys = append(o.Keys, other) }
		}, layout.CodeSignature, "has not signed"},
		"expired": {func(_ *testing.T, c *chain) { c.layout.Expires = "2026-09-01T00:00:00Z" }, layout.CodeExpired, "valid until"},
		"a link is missing": {func(t *testing.T, c *chain) {
			if err := os.Remove(filepath.Join(c.dir, "pack."+c.packer.KeyID[:8]+".link")); err != nil {
				t.Fatal(err)
			}
		}, layout.CodeLinks, "requires '1' link"},
		"another functionary": {func(_ *testing.T, c *chain) { c.layout.Steps[0].PubKeys = []string{c.packer.KeyID} }, layout.CodeLinks, "'build'"},
		"a renamed link": {func(t *testing.T, c *chain) {
			c.layout.Steps[0].Name = "test"
			old, renamed := filepath.Join(c.dir, "build."+c.builder.KeyID[:8]+".link"), filepath.Join(c.dir, "test."+c.builder.KeyID[:8]+".link")
			if err := os.Rename(old, renamed); err != nil {
				t.Fatal(err)
			}
		}, layout.CodeLinks, `the link of step "build"`},
		"a rule":       {func(_ *testing.T, c *chain) { c.layout.Steps[1].ExpectedMaterials = [][]string{{"DISALLOW", "*"}} }, layout.CodeRules, "disallowed by rule"},
		"another file": {func(_ *testing.T, c *chain) { c.write("app.tar", "something else") }, layout.CodeArtifact, "none of them is sha256:"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChain(t)
			test.change(t, c)
			_, err := c.verify()
			wants(t, err, test.code, test.words, true)
		})
	}
}

func TestCodesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "evidence.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range layout.Codes() {
		if !strings.Contains(string(doc), "| `"+string(code)+"` |") {
			t.Errorf("docs/evidence.md does not explain %s", code)
		}
	}
}
