package monitor

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/testworld"
)

func hashOf(data []byte) []byte { return rfc6962.DefaultHasher.HashLeaf(data) }

func TestPaths(t *testing.T) {
	for want, got := range map[string]string{
		"/tile/0/000":                  tilePath(0, 0, 256),
		"/tile/1/000.p/7":              tilePath(1, 0, 7),
		"/tile/entries/x001/x234/067":  entriesPath(1234067, 256),
		"/tile/entries/x001/000.p/255": entriesPath(1000, 255),
		"/tile/2/x999/999":             tilePath(2, 999999, 256),
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
	w := newWorld(t)
	w.issue(1)
	good := string(w.leaves[0])
	if _, err := parseLeaf([]byte(good)); err != nil {
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
		if _, err := parseLeaf([]byte(changed)); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
	}
}

// FuzzLeaf: an entry has one spelling, and no change of an entry passes under its signature.
func FuzzLeaf(f *testing.F) {
	key, err := attest.GenerateKey()
	if err != nil {
		f.Fatal(err)
	}
	payload, err := os.ReadFile("../../../../testdata/vectors/v1/data-flows/valid/minimal-data-flows.json")
	if err != nil {
		f.Fatal(err)
	}
	envelope := must(must(attest.Prepare(payload, attest.PrepareOptions{}))(f).Sign(f.Context(), key))(f)
	good := must(envelope.Leaf())(f)
	l := must(parseLeaf(good))(f)
	if l.keyID() != envelope.KeyID() || !l.speaksOf(payload) || l.speaksOf(payload[1:]) || l.checkSignature() != nil {
		f.Fatal("a real entry is not read as what it is")
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte("PKIX_ECDSA_P256_SHA_256"), []byte("PKIX_ED25519_PH"), 1))
	f.Add([]byte(`{"apiVersion":"0.0.2"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseLeaf(data)
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
		if l.keyID() == envelope.KeyID() && !bytes.Equal(l.digest, must(parseLeaf(good))(t).digest) && l.checkSignature() == nil {
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
	log := forge(f, key, [][]byte{[]byte("a"), []byte("b")})
	logs := &Logs{verifiers: []note.Verifier{verifierOf(f, key, testworld.Origin)}}
	for _, e := range []*Evidence{
		{Kind: KindFork, First: log["/checkpoint"], Second: log["/checkpoint"]},
		{Kind: KindInconsistent, First: log["/checkpoint"], Second: log["/checkpoint"], Before: [][]byte{hashOf([]byte("a"))}},
		{Kind: KindNotProvable, Second: log["/checkpoint"], Asked: "/x"},
	} {
		f.Add(must(e.marshal())(f))
	}
	f.Add([]byte(`{"format":"avow-misbehaviour/v1","kind":"entry"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseEvidence(data)
		if err != nil || e.Kind == KindEntry {
			return // its entries are not valid ones
		}
		if proven, err := e.Check(logs); !errors.Is(err, errNotProven) {
			t.Errorf("%q, %v", proven, err)
		}
	})
}
