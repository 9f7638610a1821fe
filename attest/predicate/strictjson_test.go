package predicate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestStrictJSON(t *testing.T) {
	for _, test := range []struct {
		name, in, reason, pointer string
		offset                    int
	}{
		{"object", `{"a":[1,true,false,"x",{}]}`, "", "", 0},
		{"scalar", ` 7 `, "", "", 0},
		{"white space", "\t\r\n {\n}\n", "", "", 0},
		{"escapes", `"\"\\\/\b\f\n\r\t\u0041\ud83d\ude00"`, "", "", 0},
		{"zero", `0`, "", "", 0},
		{"largest number", `2147483647`, "", "", 0},
		{"empty", ``, ReasonSyntax, "", 0},
		{"white space only", ` `, ReasonSyntax, "", 1},
		{"byte order mark", "\ufeff{}", ReasonSyntax, "", 0},
		{"no UTF-8", "{\"a\":\"\xff\"}", ReasonUTF8, "", 6},
		{"surrogate in UTF-8", "\"\xed\xa0\x80\"", ReasonUTF8, "", 1},
		{"duplicate key", `{"a":1,"b":{"c":1,"c":2}}`, ReasonDuplicateKey, "/b/c", 18},
		{"duplicate key, escaped", `{"ab":1,"\u0061b":2}`, ReasonDuplicateKey, "/ab", 8},
		{"key that is a prefix", `{"a":1,"aa":2}`, "", "", 0},
		{"empty key twice", `{"":1,"":2}`, ReasonDuplicateKey, "/", 6},
		{"high surrogate", `["\ud800"]`, ReasonSurrogate, "/0", 2},
		{"low surrogate", `["\udc00"]`, ReasonSurrogate, "/0", 2},
		{"surrogates in the wrong order", `["\udc00\ud800"]`, ReasonSurrogate, "/0", 2},
		{"high surrogate and character", `["\ud800\u0041"]`, ReasonSurrogate, "/0", 2},
		{"surrogate in a key", `{"\ud800":1}`, ReasonSurrogate, "", 2},
		{"second value", `{}{}`, ReasonTrailing, "", 2},
		{"comma after the value", `{},`, ReasonTrailing, "", 2},
		{"zero byte after the value", "{}\x00", ReasonTrailing, "", 2},
		{"null", `null`, ReasonNull, "", 0},
		{"null in a list", `{"a":[0,null]}`, ReasonNull, "/a/1", 8},
		{"fraction", `[1.0]`, ReasonNumber, "/0", 1},
		{"exponent", `[1e2]`, ReasonNumber, "/0", 1},
		{"negative", `[-1]`, ReasonNumber, "/0", 1},
		{"minus zero", `[-0]`, ReasonNumber, "/0", 1},
		{"too large", `[2147483648]`, ReasonNumber, "/0", 1},
		{"far too large", `[123456789012345678901234567890]`, ReasonNumber, "/0", 1},
		{"leading zero", `[01]`, ReasonSyntax, "/0", 1},
		{"plus", `[+1]`, ReasonSyntax, "/0", 1},
		{"minus alone", `[-]`, ReasonSyntax, "/0", 1},
		{"dot without digits", `[1.]`, ReasonSyntax, "/0", 1},
		{"exponent without digits", `[1e+]`, ReasonSyntax, "/0", 1},
		{"NaN", `[NaN]`, ReasonSyntax, "/0", 1},
		{"control character", "[\"a\tb\"]", ReasonSyntax, "/0", 3},
		{"control character after an escape", "[\"\\n\x01\"]", ReasonSyntax, "/0", 4},
		{"unknown escape", `["\x"]`, ReasonSyntax, "/0", 2},
		{"short escape", `["\u12"]`, ReasonSyntax, "/0", 2},
		{"string without end", `["abc`, ReasonSyntax, "/0", 1},
		{"string without end after an escape", `["\n`, ReasonSyntax, "/0", 1},
		{"escape without end", `["\`, ReasonSyntax, "/0", 2},
		{"comma too many", `[1,]`, ReasonSyntax, "/1", 3},
		{"comma too many in an object", `{"a":1,}`, ReasonSyntax, "", 7},
		{"comma missing", `[1 2]`, ReasonSyntax, "", 3},
		{"colon missing", `{"a" 1}`, ReasonSyntax, "", 5},
		{"key without quotation marks", `{a:1}`, ReasonSyntax, "", 1},
		{"other bracket", `[1}`, ReasonSyntax, "", 2},
		{"comment", `/**/{}`, ReasonSyntax, "", 0},
		{"literal in capitals", `[True]`, ReasonSyntax, "/0", 1},
		{"literal that goes on", `[truex]`, ReasonSyntax, "", 5},
		{"pointer is escaped", `{"a/b~c":null}`, ReasonNull, "/a~1b~0c", 9},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := StrictJSON([]byte(test.in), JSONLimits{})
			if test.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var jsonErr *JSONError
			if !errors.As(err, &jsonErr) {
				t.Fatalf("got %v, want a JSONError", err)
			}
			if jsonErr.Reason != test.reason || jsonErr.Pointer != test.pointer || jsonErr.Offset != test.offset {
				t.Errorf("got %s %q %d (%v), want %s %q %d", jsonErr.Reason, jsonErr.Pointer, jsonErr.Offset, err,
					test.reason, test.pointer, test.offset)
			}
		})
	}
}

// TestStrictJSONLimits looks at both sides of each limit.
func TestStrictJSONLimits(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	values := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("0,", n-1), ",") + "]" }
	padded := func(n int) string { return "{}" + strings.Repeat(" ", n-2) }
	for _, test := range []struct {
		name, in string
		limits   JSONLimits
		reason   string
	}{
		{"depth of a statement", nested(17), JSONLimits{}, ""},
		{"deeper than a statement", nested(18), JSONLimits{}, ReasonDepth},
		{"depth of a bundle", nested(64), BundleJSONLimits(), ""},
		{"deeper than a bundle", nested(65), BundleJSONLimits(), ReasonDepth},
		{"far too deep", nested(100_000), JSONLimits{}, ReasonDepth},
		{"values", values(MaxValues), JSONLimits{}, ""},
		{"more values", values(MaxValues + 1), JSONLimits{}, ReasonValues},
		{"own limit of values", `[1,2]`, JSONLimits{MaxValues: 2}, ReasonValues},
		{"size", padded(MaxStatementBytes), JSONLimits{}, ""},
		{"one byte more", padded(MaxStatementBytes + 1), JSONLimits{}, ReasonSize},
		{"size of a bundle", padded(MaxBundleBytes), BundleJSONLimits(), ""},
		{"one byte more than a bundle", padded(MaxBundleBytes + 1), BundleJSONLimits(), ReasonSize},
		{"any number", `[1.5,-2,1e9,123456789012345678901234567890]`, JSONLimits{AnyNumber: true}, ""},
		{"any number is a number", `[1.]`, JSONLimits{AnyNumber: true}, ReasonSyntax},
		{"null allowed", `[null]`, JSONLimits{AllowNull: true}, ""},
		{"null in a bundle", `[null]`, BundleJSONLimits(), ReasonNull},
		{"the limits of a statement are the zero limits", nested(18), StatementJSONLimits(), ReasonDepth},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := StrictJSON([]byte(test.in), test.limits)
			var jsonErr *JSONError
			if errors.As(err, &jsonErr); (test.reason == "") != (err == nil) || err != nil && jsonErr.Reason != test.reason {
				t.Errorf("got %v, want reason %q", err, test.reason)
			}
		})
	}
}

// TestStrictJSONLargeObject crosses the size at which keys go into a map.
func TestStrictJSONLargeObject(t *testing.T) {
	for _, n := range []int{linearKeys - 1, linearKeys, linearKeys + 1, 3 * linearKeys} {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":0,`, i)
		}
		fine := "{" + strings.TrimSuffix(b.String(), ",") + "}"
		if err := StrictJSON([]byte(fine), JSONLimits{}); err != nil {
			t.Errorf("%d keys: %v", n, err)
		}
		for _, again := range []int{0, n / 2, n - 1} {
			twice := fmt.Sprintf("{%s%q:1}", b.String(), fmt.Sprintf("k%d", again))
			var jsonErr *JSONError
			if err := StrictJSON([]byte(twice), JSONLimits{}); !errors.As(err, &jsonErr) || jsonErr.Reason != ReasonDuplicateKey {
				t.Errorf("%d keys, key %d again: got %v", n, again, err)
			}
		}
	}
}

func TestStringsAreUnescaped(t *testing.T) {
	root, _, err := parseJSON([]byte(`{"\u006b":"a\u00e9\ud83d\ude00\"\\\/\b\f\n\r\tz"}`), JSONLimits{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := root.children[0].text, "aé😀\"\\/\b\f\n\r\tz"; root.children[0].key != "k" || got != want {
		t.Errorf("got %q: %q, want %q", root.children[0].key, got, want)
	}
}
