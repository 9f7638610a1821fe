package attest_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/avow-dev/avow/attest"
)

// functionary is an in-toto key.
func functionary(t testing.TB) in_toto.Key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var key in_toto.Key
	if err := key.LoadKeyReaderDefaults(bytes.NewReader(pemFile("PRIVATE KEY", der))); err != nil {
		t.Fatal(err)
	}
	return key
}

// link records a real build step with in-toto-golang and returns the file it writes.
func link(t testing.TB, useDSSE bool) string {
	t.Helper()
	dir := tree(t, map[string]string{"in": "source"})
	meta, err := in_toto.InTotoRun("build", "", []string{dir}, []string{dir}, []string{"true"}, functionary(t),
		[]string{"sha256"}, nil,
		[]string{dir + "/"}, false, false, useDSSE)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "build.link")
	if err := meta.Dump(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// layout writes a signed layout.
func layout(t testing.TB, inspections ...in_toto.Inspection) string {
	t.Helper()
	key := functionary(t)
	public := key
	public.KeyVal.Private = ""
	block := in_toto.Metablock{Signed: in_toto.Layout{
		Type: "layout", Expires: time.Now().Add(time.Hour).UTC().Format(in_toto.ISO8601DateSchema),
		Keys: map[string]in_toto.Key{key.KeyID: public}, Inspect: inspections,
		Steps: []in_toto.Step{{Type: "step", PubKeys: []string{key.KeyID}, Threshold: 1,
			SupplyChainItem: in_toto.SupplyChainItem{Name: "build",
				ExpectedMaterials: [][]string{}, ExpectedProducts: [][]string{}}}},
	}}
	if err := block.Sign(key); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "root.layout")
	if err := block.Dump(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadInToto(t *testing.T) {
	for _, c := range []struct {
		name, path string
		want       attest.InTotoFile
	}{
		{"link", link(t, false), attest.InTotoFile{Kind: "link", Step: "build", Name: "build.link",
			MediaType: attest.MediaTypeInToto}},
		{"link in DSSE", link(t, true), attest.InTotoFile{Kind: "link", Step: "build", Name: "build.link",
			MediaType: attest.MediaTypeDSSE}},
		{"layout", layout(t), attest.InTotoFile{Kind: "layout", Name: "root.layout", MediaType: attest.MediaTypeInToto}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := attest.ReadInToto(c.path)
			if err != nil {
				t.Fatal(err)
			}
			digest := sha256.Sum256(readFile(t, c.path))
			c.want.SHA256 = hex.EncodeToString(digest[:])
			if *got != c.want {
				t.Errorf("got %+v, want %+v", *got, c.want)
			}
			resource := got.Resource()
			if resource.Digest["sha256"] != c.want.SHA256 || resource.MediaType != c.want.MediaType || resource.Name != c.want.Name {
				t.Errorf("got resource %+v", resource)
			}
		})
	}
}

func TestReadInTotoRefuses(t *testing.T) {
	signedLink := string(readFile(t, link(t, false)))
	var plain map[string]any
	if err := json.Unmarshal([]byte(signedLink), &plain); err != nil {
		t.Fatal(err)
	}
	plain["signatures"] = []any{}
	unsigned, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	inspected := layout(t, in_toto.Inspection{Type: "inspection", Run: []string{"sh", "-c", "touch pwned"},
		SupplyChainItem: in_toto.SupplyChainItem{Name: "unpack"}})
	for name, data := range map[string]string{
		"layout with inspections": string(readFile(t, inspected)),
		"empty":                   "",
		"not JSON":                "link",
		"a list":                  "[]",
		"a statement":             string(statementBytes(t, "minimal-data-flows.json")),
		"unsigned":                string(unsigned),
		"other type":              strings.Replace(signedLink, `"link"`, `"sublink"`, 1),
		"unknown member":          strings.Replace(signedLink, `"_type"`, `"more": 1, "_type"`, 1),
		"member twice":            strings.Replace(signedLink, `"_type"`, `"_type": "layout", "_type"`, 1),
		"digest not hex":          strings.Replace(signedLink, `"sha256": "`, `"sha256": "zz`, 1),
		"two documents":           signedLink + signedLink,
		"deep":                    strings.Repeat(`{"signed":`, 64) + "1" + strings.Repeat("}", 64),
		"other payload type":      `{"payloadType":"text/plain","payload":"e30=","signatures":[]}`,
		"payload not base64":      `{"payloadType":"application/vnd.in-toto+json","payload":"*","signatures":[]}`,
		"a statement in DSSE":     string(sign(t, "minimal-data-flows.json", newKey(t)).JSON()),
		"too large":               strings.Repeat(" ", attest.MaxInTotoBytes+1),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := attest.ReadInToto(path)
			wantCode(t, err, attest.CodeEvidence)
		})
	}
	if _, err := attest.ReadInToto(filepath.Join(t.TempDir(), "missing")); !os.IsNotExist(err) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
}

// FuzzReadInToto: whatever is accepted is a link or a layout for in-toto-golang's own loader too, and has no
// inspections.
func FuzzReadInToto(f *testing.F) {
	f.Add(readFile(f, link(f, false)))
	f.Add(readFile(f, link(f, true)))
	f.Add(readFile(f, layout(f)))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := attest.ReadInToto(path)
		if err != nil {
			return
		}
		loaded, err := in_toto.LoadMetadata(path)
		if err != nil {
			t.Fatalf("accepted as %+v, refused by in-toto: %v", found, err)
		}
		if l, ok := loaded.GetPayload().(in_toto.Layout); ok && len(l.Inspect) > 0 {
			t.Fatalf("a layout with %d inspections was accepted", len(l.Inspect))
		}
	})
}
