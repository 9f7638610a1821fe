package vendors_test

import (
	"crypto/elliptic"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/server/vendors"
)

// life is a registry with one vendor that has every member of this file.
func life(key, first, second string) string {
	return fmt.Sprintf(`vendors:
  - name: acme
    declarant: Acme GmbH
    country: DE
    keys:
      - pem: %s
        succeeds:
          - key: %s
          - issuer: https://token.example
            san: release@acme.example
    roles: [disputer, assessor]
    recovery:
      threshold: 2
      keys:
        - pem: %s
        - pem: %s
          notAfter: 2027-01-01T00:00:00Z
`, inline(key), digestOf("former"), deeper(first), deeper(second))
}

// deeper writes a key as inline does, in a list below another member.
func deeper(keyPEM string) string { return strings.ReplaceAll(inline(keyPEM), "\n", "\n    ") }

func TestRolesSuccessorsRecovery(t *testing.T) {
	key, first, second := newKey(t, elliptic.P256()), newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	r, err := vendors.Parse([]byte(life(key, first, second)), "")
	if err != nil {
		t.Fatal(err)
	}
	v, _ := r.ByName("acme")
	want := []vendors.Former{{KeyID: digestOf("former")}, {Issuer: "https://token.example", SAN: "release@acme.example"}}
	if !reflect.DeepEqual(v.Keys[0].Succeeds, want) {
		t.Errorf("succeeds %+v, want %+v", v.Keys[0].Succeeds, want)
	}
	if !v.HasRole(vendors.RoleDisputer) || !v.HasRole(vendors.RoleAssessor) || v.HasRole("") {
		t.Errorf("roles %v", v.Roles)
	}
	if got, k, ok := r.ByRecoveryKey(keyID(second)); !ok || got != v || k.ID != keyID(second) || v.Recovery.Threshold != 2 {
		t.Errorf("recovery %+v, found %v", v.Recovery, ok)
	}
	if _, _, ok := r.ByKey(keyID(first)); ok {
		t.Error("a recovery key is a key for everything")
	}
	if _, _, ok := r.ByRecoveryKey(keyID(key)); ok {
		t.Error("a key for everything is a recovery key")
	}
	at := time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	if got := v.RecoveryKeysAt(at); !reflect.DeepEqual(got, []string{keyID(first)}) {
		t.Errorf("recovery keys at %v: %v, want the first alone", at, got)
	}
	// What is written back reads the same.
	text, err := vendors.Append([]byte("vendors: []\n"), v, "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := vendors.Parse(text, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := again.ByName("acme"); !reflect.DeepEqual(got, v) {
		t.Errorf("written back it is %+v, want %+v", got, v)
	}
}

func TestRolesSuccessorsRecoveryRefused(t *testing.T) {
	key, first, second := newKey(t, elliptic.P256()), newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	good := life(key, first, second)
	for name, c := range map[string]struct{ old, new, code string }{
		"unknown role":            {"[disputer, assessor]", "[disputer, judge]", vendors.Value},
		"role twice":              {"[disputer, assessor]", "[disputer, disputer]", vendors.Duplicate},
		"threshold 0":             {"threshold: 2", "threshold: 0", vendors.Value},
		"threshold over keys":     {"threshold: 2", "threshold: 3", vendors.Value},
		"threshold in quotes":     {"threshold: 2", `threshold: "2"`, vendors.Value},
		"no threshold":            {"      threshold: 2\n", "", vendors.Value},
		"unknown member":          {"threshold: 2", "treshold: 2", vendors.Syntax},
		"former without san":      {"            san: release@acme.example\n", "", vendors.Value},
		"former with both":        {"            san: release@acme.example", "            san: x\n            key: " + digestOf("x"), vendors.Value},
		"former is no digest":     {digestOf("former"), "sha256:12", vendors.Value},
		"succeeds itself":         {digestOf("former"), keyID(key), vendors.Value},
		"recovery key in use":     {deeper(first), deeper(key), vendors.Duplicate},
		"recovery key twice":      {deeper(first), deeper(second), vendors.Duplicate},
		"recovery key succeeds":   {"          notAfter: 2027-01-01T00:00:00Z", "          succeeds: [{key: " + digestOf("former") + "}]", vendors.Value},
		"recovery of two vendors": {"", "", vendors.Duplicate},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if c.old == "" {
			other := strings.Replace(good, "name: acme", "name: other", 1)
			other = strings.Replace(other, inline(key), inline(newKey(t, elliptic.P256())), 1)
			text += strings.TrimPrefix(other, "vendors:\n")
		}
		_, err := vendors.Parse([]byte(text), "")
		if e, ok := err.(*vendors.Error); !ok || e.Code != c.code || e.Line == 0 {
			t.Errorf("%s: got %v, want %s with its line", name, err, c.code)
		}
	}
}
