package index_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/verify/index"
)

func rootOf(size uint64, late, unresolved []uint64) index.Root {
	return index.Root{Origin: "log.example", Size: size, Tree: index.Hash{1}, Index: index.Hash{2}, Keys: 3, Late: late, Unresolved: unresolved}
}

// largest is a root with as many and as long numbers as there can be.
func largest() index.Root {
	r := rootOf(1<<63-1, nil, nil)
	r.Origin, r.Keys = strings.Repeat("o", index.MaxOriginBytes), 1<<63-1
	for i := range uint64(index.MaxRootNumbers) {
		r.Unresolved = append(r.Unresolved, 1<<63-10_000+i)
	}
	return r
}

func TestRootForm(t *testing.T) {
	big := largest()
	for _, r := range []index.Root{rootOf(0, nil, nil), rootOf(9, []uint64{0, 4}, nil), rootOf(9, nil, []uint64{8}),
		rootOf(9, []uint64{1}, []uint64{7, 8}), big} {
		text := r.Append(nil)
		got, err := index.ParseRoot(text)
		if err != nil {
			t.Fatalf("%.80q: %v", text, err)
		}
		if again := got.Append(nil); !slices.Equal(again, text) {
			t.Errorf("got %q, want %q", again, text)
		}
	}
	if n := len(big.Append(nil)); n > index.MaxRootBytes {
		t.Errorf("the largest leaf has %d bytes, want at most %d", n, index.MaxRootBytes)
	}
}

func TestRootIsStrict(t *testing.T) {
	r := rootOf(9, []uint64{1, 2}, []uint64{7, 8})
	good := string(r.Append(nil))
	more := largest()
	more.Unresolved = append(more.Unresolved, 1<<63-2)
	for name, text := range map[string]string{
		"empty": "", "cut": good[:len(good)-1], "longer": good + "\n", "another version": strings.Replace(good, "1\n", "2\n", 1),
		"carriage return": strings.Replace(good, "\n", "\r\n", 1), "no origin": strings.Replace(good, "log.example", "", 1),
		"space in the origin": strings.Replace(good, "log.", "log ", 1), "leading zero": strings.Replace(good, "\n9\n", "\n09\n", 1),
		"size too large": strings.Replace(good, "\n9\n", "\n9223372036854775808\n", 1),
		"loose base64":   strings.Replace(good, "AAA=\n", "AAB=\n", 1), "short hash": strings.Replace(good, "AAAA", "", 1),
		"falling": strings.Replace(good, "7 8", "8 7", 1), "twice": strings.Replace(good, "7 8", "8 8", 1),
		"beyond": strings.Replace(good, "7 8", "7 9", 1), "an empty list": strings.Replace(good, "7 8", "", 1),
		"two spaces": strings.Replace(good, "7 8", "7  8", 1), "unknown list": strings.Replace(good, "late", "lost", 1),
		"lists in another order": strings.NewReplacer("late 1 2", "unresolved 7 8", "unresolved 7 8", "late 1 2").Replace(good),
		"too many numbers":       string(more.Append(nil)), "too large": good + strings.Repeat("x", index.MaxRootBytes),
	} {
		if text == good {
			t.Errorf("%s: nothing was changed", name)
		}
		if _, err := index.ParseRoot([]byte(text)); err == nil || code(err) != index.CodeRootMalformed {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestRootFollows(t *testing.T) {
	before := rootOf(5, nil, []uint64{3})
	other := rootOf(6, nil, nil)
	other.Origin = "other.example"
	for name, c := range map[string]struct {
		r    index.Root
		want bool
	}{
		"grows": {rootOf(6, nil, []uint64{5}), true}, "late": {rootOf(5, []uint64{3}, nil), true}, "both": {rootOf(6, []uint64{3}, []uint64{5}), true},
		"nothing": {rootOf(5, nil, nil), false}, "shrinks": {rootOf(4, []uint64{3}, nil), false}, "another log": {other, false},
		"late anew": {rootOf(6, []uint64{5}, nil), false}, "unresolved again": {rootOf(6, nil, []uint64{4}), false},
	} {
		err := c.r.Follows(&before)
		if (err == nil) != c.want || err != nil && code(err) != index.CodeRootMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	first := rootOf(0, nil, nil)
	if err := first.Follows(nil); err != nil {
		t.Errorf("the first: %v", err)
	}
}

func TestRootVectors(t *testing.T) {
	for _, v := range readVectors(t).Roots {
		r, err := index.ParseRoot([]byte(v.Leaf))
		if v.Code != "" && (err == nil || code(err) != v.Code) || v.Root != nil && (err != nil || r.Size != v.Root.Size || r.Keys != v.Root.Keys) {
			t.Errorf("%s: %v, want %q", v.Name, err, v.Code)
		}
	}
}

func FuzzParseRoot(f *testing.F) {
	r, empty := rootOf(9, []uint64{1, 2}, []uint64{7, 8}), rootOf(0, nil, nil)
	f.Add(r.Append(nil))
	f.Add(empty.Append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := index.ParseRoot(data); err == nil && !slices.Equal(r.Append(nil), data) {
			t.Errorf("%q is read as %q", data, r.Append(nil))
		}
	})
}
