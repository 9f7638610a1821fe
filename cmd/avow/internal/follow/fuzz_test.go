package follow

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	tilesnote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/attest"
)

func hashOf(data []byte) []byte { return rfc6962.DefaultHasher.HashLeaf(data) }

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// realLeaf is the entry of a signed statement.
func realLeaf(tb testing.TB) (leaf, payload []byte, keyID string) {
	tb.Helper()
	key := must(attest.GenerateKey())(tb)
	payload = must(os.ReadFile("../../../../testdata/vectors/v1/data-flows/valid/minimal-data-flows.json"))(tb)
	envelope := must(must(attest.Prepare(payload, attest.PrepareOptions{}))(tb).Sign(tb.Context(), key))(tb)
	return must(envelope.Leaf())(tb), payload, envelope.KeyID()
}

func TestPaths(t *testing.T) {
	for want, got := range map[string]string{
		"/tile/0/000":                  TilePath(0, 0, 256),
		"/tile/1/000.p/7":              TilePath(1, 0, 7),
		"/tile/entries/x001/x234/067":  EntriesPath(1234067, 256),
		"/tile/entries/x001/000.p/255": EntriesPath(1000, 255),
		"/tile/2/x999/999":             TilePath(2, 999999, 256),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestServerURLs(t *testing.T) {
	for _, good := range []string{"https://avow.example", "https://avow.example:8443/log/", "http://127.0.0.1:80", "http://[::1]:1", "http://localhost"} {
		if _, err := ParseServerURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "avow.example", "http://avow.example", "https://", "https://u:p@h", "https://h?x", "https://h#x",
		"ftp://h", "file:///etc/passwd", "http://127.0.0.1.example"} {
		if u, err := ParseServerURL(bad); err == nil {
			t.Errorf("%s: %v", bad, u)
		}
	}
}

// FuzzBundle: what parses is exactly the bytes, entry by entry.
func FuzzBundle(f *testing.F) {
	f.Add([]byte("\x00\x01a\x00\x00"), uint8(2))
	f.Add([]byte("\x00"), uint8(1))
	f.Add([]byte{}, uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, width uint8) {
		entries, err := parseBundle(data, uint64(width))
		if err != nil {
			return
		}
		var again []byte
		for _, e := range entries {
			again = append(binary.BigEndian.AppendUint16(again, uint16(len(e))), e...)
		}
		if len(entries) != int(width) || !bytes.Equal(again, data) {
			t.Errorf("%d entries, want %d", len(entries), width)
		}
	})
}

// FuzzTile: what parses is exactly the bytes.
func FuzzTile(f *testing.F) {
	f.Add(make([]byte, 64), uint8(2))
	f.Add(make([]byte, 63), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, width uint8) {
		if hashes, err := parseTile(data, uint64(width)); err == nil && !bytes.Equal(bytes.Join(hashes, nil), data) {
			t.Errorf("%d hashes of %d bytes", len(hashes), len(data))
		}
	})
}

// TestRefusesLeaves: each change of a real entry is refused for its own reason.
func TestRefusesLeaves(t *testing.T) {
	leaf, _, _ := realLeaf(t)
	good := string(leaf)
	if _, err := ParseLeaf([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ from, to, reason string }{
		"digest of another size": {`"algorithm":"SHA2_256"`, `"algorithm":"SHA2_512"`, `digest of 32 bytes by "SHA2_512"`},
		"unknown digest":         {`"algorithm":"SHA2_256"`, `"algorithm":"MD5"`, `by "MD5"`},
		"other version":          {`"apiVersion":"0.0.2"`, `"apiVersion":"0.0.3"`, "not the canonical form"},
		"other kind":             {`"kind":"hashedrekord"`, `"kind":"dsse"`, "not the canonical form"},
		"more":                   {`"kind":`, `"integratedTime":1,"kind":`, "not the canonical form"},
		"twice":                  {`"kind":`, `"kind":"hashedrekord","kind":`, "kind"},
		"no signer":              {`"publicKey"`, `"publickey"`, "not the canonical form"},
		"neither":                {`"publicKey"`, `"other"`, "exactly one of"},
		"no key":                 {`"publicKey":{"rawBytes":"`, `"publicKey":{"rawBytes":"AAAA`, "asn1"},
		"no certificate":         {`"publicKey"`, `"x509Certificate"`, "x509"},
		"algorithm with quotes":  {`PKIX_ECDSA`, `PKIX_\u0022ECDSA`, "not the canonical form"},
	} {
		changed := strings.Replace(good, c.from, c.to, 1)
		if _, err := ParseLeaf([]byte(changed)); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
	}
}

// FuzzLeaf: an entry has one spelling, and no change of an entry passes under its signature.
func FuzzLeaf(f *testing.F) {
	good, payload, keyID := realLeaf(f)
	l := must(ParseLeaf(good))(f)
	if l.KeyID() != keyID || !l.SpeaksOf(payload) || l.SpeaksOf(payload[1:]) || l.checkSignature() != nil {
		f.Fatal("a real entry is not read as what it is")
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte("PKIX_ECDSA_P256_SHA_256"), []byte("PKIX_ED25519_PH"), 1))
	f.Add([]byte(`{"apiVersion":"0.0.2"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseLeaf(data)
		if err != nil {
			return
		}
		member, signer := "publicKey", l.spki
		if l.certificate != nil {
			member, signer = "x509Certificate", l.certificate.Raw
		}
		if l.canonical(member, signer) != string(data) {
			t.Errorf("a second spelling: %q", data)
		}
		if l.KeyID() == keyID && !bytes.Equal(l.Digest, must(ParseLeaf(good))(t).Digest) && l.checkSignature() == nil {
			t.Errorf("another digest under the key: %q", data)
		}
	})
}

// FuzzEvidence: nobody proves anything about an honest log, which signed one tree.
func FuzzEvidence(f *testing.F) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	loaded := must(signature.LoadSigner(key, crypto.SHA256))(f)
	signer := must(tilesnote.NewNoteSigner(f.Context(), "log.example.test", loaded))(f)
	tree := NewRange()
	for _, data := range []string{"a", "b"} {
		if err := tree.Append(hashOf([]byte(data)), nil); err != nil {
			f.Fatal(err)
		}
	}
	text := formats.Checkpoint{Origin: "log.example.test", Size: 2, Hash: must(RootOf(tree))(f)}.Marshal()
	checkpoint := must(note.Sign(&note.Note{Text: string(text)}, signer))(f)
	verifier := must(tilesnote.NewNoteVerifier("log.example.test", must(signature.LoadVerifier(key.Public(), crypto.SHA256))(f)))(f)
	logs := NewLogs(verifier)
	for _, e := range []*Evidence{
		{Kind: KindFork, First: checkpoint, Second: checkpoint},
		{Kind: KindInconsistent, First: checkpoint, Second: checkpoint, Before: [][]byte{hashOf([]byte("a"))}},
		{Kind: KindNotProvable, Second: checkpoint, Asked: "/x"},
	} {
		f.Add(must(e.marshal())(f))
	}
	f.Add([]byte(`{"format":"avow-misbehaviour/v1","kind":"entry"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseEvidence(data)
		if err != nil || e.Kind == KindEntry {
			return // its entries are not valid ones
		}
		if proven, err := e.Check(logs, nil); !errors.Is(err, ErrNotProven) {
			t.Errorf("%q, %v", proven, err)
		}
	})
}
