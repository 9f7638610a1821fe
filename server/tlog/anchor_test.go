package tlog

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

func testIdentity(t testing.TB, origin string, seed byte) identity {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	id, err := newIdentity(t.Context(), origin, key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func testAnchor(id identity, size uint64) anchor {
	t := (&tree{}).extend(syntheticLeaves(0, size))
	return anchor{origin: id.origin, logID: id.logID, size: size, nodes: t.compactRange()}
}

func TestAnchorRoundTrip(t *testing.T) {
	id := testIdentity(t, "log.example", 1)
	path := filepath.Join(t.TempDir(), "anchor")
	if _, _, err := readAnchor(path, id); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("absent anchor: %v", err)
	}
	for size := range uint64(70) {
		want := testAnchor(id, size)
		if err := writeAnchor(path, want.marshal()); err != nil {
			t.Fatal(err)
		}
		got, raw, err := readAnchor(path, id)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(raw, want.marshal()) || !bytes.Equal(got.marshal(), raw) {
			t.Fatalf("size %d: got %q, want %q", size, got.marshal(), want.marshal())
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files beside the anchor", len(left)-1)
	}
}

// TestLargestAnchorFits makes sure that the limit does not refuse what a log can write.
func TestLargestAnchorFits(t *testing.T) {
	id := testIdentity(t, strings.Repeat("a", 63)+"."+strings.Repeat("b", 63)+"."+strings.Repeat("c", 63)+"."+strings.Repeat("d", 61), 1)
	a := anchor{origin: id.origin, logID: id.logID, size: math.MaxUint64, nodes: make([]hash, bits.UintSize)}
	if _, err := parseAnchor(a.marshal()); err != nil {
		t.Error(err)
	}
}

func TestAnchorOfAnotherLogIsRefused(t *testing.T) {
	id := testIdentity(t, "log.example", 1)
	path := filepath.Join(t.TempDir(), "anchor")
	for name, other := range map[string]identity{
		"origin": testIdentity(t, "other.example", 1), "key": testIdentity(t, "log.example", 2),
	} {
		if err := writeAnchor(path, testAnchor(other, 5).marshal()); err != nil {
			t.Fatal(err)
		}
		_, _, err := readAnchor(path, id)
		if CodeOf(err) != CodeAnchorInvalid || !strings.Contains(err.Error(), "belongs to") {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

// TestAnchorEveryBit flips each bit and cuts at each byte: none of them is an anchor.
func TestAnchorEveryBit(t *testing.T) {
	data := testAnchor(testIdentity(t, "log.example", 1), 300).marshal()
	for i := range data {
		if _, err := parseAnchor(data[:i]); err == nil {
			t.Errorf("cut at %d: accepted", i)
		}
		for bit := range 8 {
			flipped := bytes.Clone(data)
			flipped[i] ^= 1 << bit
			if a, err := parseAnchor(flipped); err == nil {
				t.Errorf("bit %d of byte %d flipped: accepted as size %d", bit, i, a.size)
			}
		}
	}
	if _, err := parseAnchor(append(bytes.Clone(data), '\n')); err == nil {
		t.Error("trailing line accepted")
	}
	if _, err := parseAnchor(bytes.Repeat([]byte("a\n"), MaxAnchorBytes)); err == nil {
		t.Error("oversized anchor accepted")
	}
}

// FuzzAnchor asserts that what parses is the only form of itself.
func FuzzAnchor(f *testing.F) {
	id := testIdentity(f, "log.example", 1)
	for _, size := range []uint64{0, 1, 255, 256, 300} {
		f.Add(testAnchor(id, size).marshal())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseAnchor(data)
		if err != nil {
			return
		}
		if !bytes.Equal(a.marshal(), data) {
			t.Errorf("%q is accepted and marshals to %q", data, a.marshal())
		}
		if len(a.nodes) != bits.OnesCount64(a.size) {
			t.Errorf("%d hashes for %d leaves", len(a.nodes), a.size)
		}
	})
}

func testCheckpoint(t testing.TB, id identity, size uint64, root hash) []byte {
	t.Helper()
	raw, err := note.Sign(&note.Note{Text: headText(id.origin, size, root)}, id.signer)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestOpenCheckpointRefusals(t *testing.T) {
	id, stranger := testIdentity(t, "log.example", 1), testIdentity(t, "log.example", 2)
	good := string(testCheckpoint(t, id, 20, hash{1}))
	if h, err := id.openCheckpoint([]byte(good)); err != nil || h != (head{size: 20, root: hash{1}}) {
		t.Fatalf("got %+v, %v", h, err)
	}
	sign := func(text string) string {
		raw, err := note.Sign(&note.Note{Text: text}, id.signer)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	text := headText(id.origin, 20, hash{1})
	for name, raw := range map[string]string{
		"other key":       string(testCheckpoint(t, stranger, 20, hash{1})),
		"other origin":    sign(headText("other.example", 20, hash{1})),
		"extension line":  sign(text + "extension\n"),
		"leading zero":    sign(strings.Replace(text, "\n20\n", "\n020\n", 1)),
		"plus sign":       sign(strings.Replace(text, "\n20\n", "\n+20\n", 1)),
		"short root":      sign("log.example\n20\nAAAA\n"),
		"no root":         sign("log.example\n20\n"),
		"changed size":    strings.Replace(good, "\n20\n", "\n21\n", 1),
		"no signature":    text,
		"carriage return": strings.ReplaceAll(good, "\n", "\r\n"),
		"oversized":       good + strings.Repeat("— a.example AAAAAAAA\n", MaxCheckpointBytes/20),
	} {
		if h, err := id.openCheckpoint([]byte(raw)); err == nil {
			t.Errorf("%s: accepted as %+v", name, h)
		}
	}
	cosigned := good + "— witness.example AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
	if _, err := id.openCheckpoint([]byte(cosigned)); err != nil {
		t.Errorf("cosigned: %v", err)
	}
}

// FuzzCheckpoint asserts that a head that is accepted formats to the text that was signed, and that a signature of the
// log is on it: with the key unknown to the fuzzer, only the seeds pass.
func FuzzCheckpoint(f *testing.F) {
	id := testIdentity(f, "log.example", 1)
	f.Add(testCheckpoint(f, id, 0, emptyRoot))
	f.Add(testCheckpoint(f, id, 1<<40, hash{9}))
	f.Add([]byte(headText("log.example", 3, hash{})))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if h, err := id.openCheckpoint(raw); err == nil && !bytes.HasPrefix(raw, []byte(headText(id.origin, h.size, h.root))) {
			t.Errorf("%q accepted as %+v", raw, h)
		}
		if h, err := parseHead(raw, id.origin); err == nil && headText(id.origin, h.size, h.root) != string(raw) {
			t.Errorf("%q parsed as %+v", raw, h)
		}
	})
}

// FuzzBundle asserts that the entries of a bundle, with their lengths, are all of its bytes.
func FuzzBundle(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 0, 0})
	f.Add(bytes.Repeat([]byte{0, 0}, 257))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseBundle(data)
		if err != nil {
			return
		}
		n := 0
		for _, e := range entries {
			n += 2 + len(e)
		}
		if n != len(data) || len(entries) > 256 {
			t.Errorf("%d entries of %d bytes in a bundle of %d", len(entries), n, len(data))
		}
	})
}
