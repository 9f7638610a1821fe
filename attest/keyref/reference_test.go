package keyref

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestIs(t *testing.T) {
	for s, want := range map[string]bool{
		"vendor.key": false, "./pkcs11:x": false, `C:\keys\vendor.key`: false, "C:/keys": false, "a:b": false, "": false, "-": false,
		"/keys/a://b": false, "hashivault://a": true, "HASHIVAULT://a": true, "pkcs11:token=a": true, "PKCS11:token=a": true,
		"https://x": true, "file:///x": true,
	} {
		if got := Is(s); got != want {
			t.Errorf("%q: %t, want %t", s, got, want)
		}
	}
}

func TestReferences(t *testing.T) {
	for _, s := range []string{
		"hashivault://vendor", "openbao://vendor", "awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab",
		"awskms://localhost:4566/alias/vendor", "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/1",
		"azurekms://vault.vault.azure.net/vendor", "my-hsm://slot/7?x=y",
	} {
		r, err := Parse(s)
		if err != nil || r.String() != s || r.token != nil || r.scheme+"://"+r.resource != s {
			t.Errorf("%q: %+v, %v", s, r, err)
		}
	}
}

func TestReferencesRefused(t *testing.T) {
	for s, detail := range map[string]string{
		"":                       "begins with no scheme",
		"vendor.key":             "begins with no scheme",
		"HASHIVAULT://a":         "begins with no scheme",
		"a/../b://x":             "begins with no scheme",
		"a.b://x":                "begins with no scheme",
		"9a://x":                 "begins with no scheme",
		"hashivault://":          "names no key",
		"hashivault:/a":          "names no key",
		"hashivault:a":           "names no key",
		"hashivault://a b":       "the byte 0x20",
		"hashivault://a\x1b[0m":  "the byte 0x1b",
		"hashivault://ä":         "the byte 0xc3",
		"hashivault://a\n":       "the byte 0x0a",
		"file:///etc/key":        "is not a key management service",
		"https://vault.example/": "is not a key management service",
		"env://KEY":              "is not a key management service",
		"k8s://ns/secret":        "is not a key management service",
		strings.Repeat("a", maxSchemeBytes+1) + "://x": "begins with no scheme",
		"hashivault://" + strings.Repeat("a", 2048):    "the limit is 2048",
		"pkcs11:":                                              "without \"=\"",
		"pkcs11://token=a;object=b":                            "an attribute that is not known",
		"pkcs11:token=a":                                       "names no key",
		"pkcs11:object=a":                                      "by 0 of token, serial and slot-id",
		"pkcs11:token=a;serial=b;object=c":                     "by 2 of token, serial and slot-id",
		"pkcs11:token=a;token=b;object=c":                      "twice",
		"pkcs11:token=a;object=":                               "an empty \"object\"",
		"pkcs11:token=a;object=b;":                             "without \"=\"",
		"pkcs11:token=a;object=b;type=public":                  "a type that is not private",
		"pkcs11:token=a;object=b;manufacturer=c":               "the attribute manufacturer, which is not supported",
		"pkcs11:token=a;object=b;pin-source=file:/x":           "the attribute pin-source, which is not supported in that place",
		"pkcs11:token=a;object=b?token=c":                      "twice",
		"pkcs11:token=a;object=b?serial=c":                     "the attribute serial, which is not supported in that place",
		"pkcs11:token=a;object=b%":                             "a broken percent-encoding",
		"pkcs11:token=a;object=b%4":                            "a broken percent-encoding",
		"pkcs11:token=a;object=b%zz":                           "a broken percent-encoding",
		"pkcs11:token=a;object=b%00c":                          "a control character",
		"pkcs11:token=a%ff;object=b":                           "broken UTF-8",
		"pkcs11:slot-id=07;object=b":                           "a slot-id that is no number",
		"pkcs11:slot-id=-1;object=b":                           "a slot-id that is no number",
		"pkcs11:slot-id=2147483648;object=b":                   "a slot-id that is no number",
		"pkcs11:token=a;object=b?module-path=lib.so":           "a module-path that is not absolute",
		"pkcs11:token=a;object=b?module-name=../x":             "a module-name with a path",
		"pkcs11:token=a;object=b?module-name=x&module-path=/x": "module-path and module-name",
		"pkcs11:token=a;object=b?pin-source=pin":               "no absolute path",
		"pkcs11:token=a;object=b?pin-source=|cat%20pin":        "from a command",
		"pkcs11:token=a;object=b?pin-value=1234":               "holds the PIN",
	} {
		_, err := Parse(s)
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != CodeReference || !strings.Contains(refused.Detail, detail) || refused.Hint == "" {
			t.Errorf("%.60q: %v, want %s: %s", s, err, CodeReference, detail)
		}
	}
}

func TestTokenURI(t *testing.T) {
	r, err := Parse("pkcs11:token=The%20Software%20token;object=my-key%3b;type=private;id=%69%95%00%ff" +
		"?module-path=/usr/lib/libx.so&pin-source=file:/etc/token.pin")
	if err != nil {
		t.Fatal(err)
	}
	u := r.token
	if u.token != "The Software token" || u.object != "my-key;" || string(u.id) != "\x69\x95\x00\xff" ||
		u.modulePath != "/usr/lib/libx.so" || u.pinSource != "/etc/token.pin" || u.slot != nil {
		t.Errorf("got %+v", u)
	}
	for s, want := range map[string]string{"/a/pin": "/a/pin", "file:/a/pin": "/a/pin", "file:///a/pin": "/a/pin"} {
		r, err := Parse("pkcs11:slot-id=0;id=%01?pin-source=" + s)
		if err != nil || r.token.pinSource != want || *r.token.slot != 0 {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// TestPINIsNotQuoted: whatever is wrong with a reference, what may be a PIN in it is in no error.
func TestPINIsNotQuoted(t *testing.T) {
	for _, s := range []string{
		"pkcs11:token=a;object=b?pin-value=123456", "pkcs11:token=a;object=b?pin-value=%zz123456", "pkcs11:token=a;object=b?123456",
		"pkcs11:token=a;object=b?Pin=123456", "pkcs11:token=a;object=b?pin-source=123456", "pkcs11:token=a;object=b;pin-value=123456",
		"pkcs11:token=a?pin-value=12&123456",
	} {
		_, err := Parse(s)
		var refused *Error
		if !errors.As(err, &refused) || strings.Contains(refused.Error()+refused.Hint, "123456") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// FuzzParse: what is taken is visible ASCII within the limit, keeps its text, and is taken for a reference and never for a
// file; a token's text attributes can be handed to C.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"hashivault://a", "pkcs11:token=a;object=b", "pkcs11:slot-id=1;id=%00?module-path=/a&pin-source=/b",
		"pkcs11:token=%ff;object=b", "a://", "://", "pkcs11:?", "pkcs11:token=a;object=b?pin-value=1", "pkcs11:token=a;object=b^pin-value"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			var refused *Error
			if r != nil || !errors.As(err, &refused) || refused.Code != CodeReference {
				t.Fatalf("%q: %v, %v", s, r, err)
			}
			return
		}
		if r.String() != s || len(s) > MaxReferenceBytes || !Is(s) || strings.ContainsAny(r.scheme, `/\.`) {
			t.Fatalf("%q taken as %+v", s, r)
		}
		if u := r.token; u != nil {
			if strings.ContainsRune(u.token+u.serial+u.object+u.modulePath+u.moduleName+u.pinSource, 0) || slices.Contains(attributeNames(s), "pin-value") {
				t.Fatalf("%q taken as %+v", s, u)
			}
		}
	})
}

// attributeNames are the names in a PKCS #11 URI, without a look at their values: a label may say "pin-value".
func attributeNames(uri string) []string {
	_, rest, _ := strings.Cut(uri, ":")
	pathPart, query, _ := strings.Cut(rest, "?")
	names := append(strings.Split(pathPart, ";"), strings.Split(query, "&")...)
	for i, attribute := range names {
		names[i], _, _ = strings.Cut(attribute, "=")
	}
	return names
}
