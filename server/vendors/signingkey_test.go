package vendors_test

import (
	"path/filepath"
	"testing"

	"github.com/avow-dev/avow/server/vendors"
)

// TestSigningKeyReferences: a key that is no file is named as it stands; only a token has a PIN.
func TestSigningKeyReferences(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]vendors.SigningKey{
		`{reference: "hashivault://acme"}`: {Reference: "hashivault://acme"},
		`{reference: "pkcs11:token=a;object=b", passwordFile: pin}`: {
			Reference: "pkcs11:token=a;object=b", PasswordFile: filepath.Join(dir, "pin")},
		`{reference: "pkcs11:token=a;object=b", passwordEnv: PIN}`: {Reference: "pkcs11:token=a;object=b", PasswordEnv: "PIN"},
		`{reference: "pkcs11:token=a;object=b"}`:                   {Reference: "pkcs11:token=a;object=b"},
	} {
		r, err := vendors.Parse([]byte("vendors:\n  - name: acme\n    declarant: Acme\n    country: DE\n    signingKey: "+text+"\n"), dir)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		v := r.All()[0]
		if *v.SigningKey != want {
			t.Errorf("%s: got %+v, want %+v", text, *v.SigningKey, want)
		}
		appended, err := vendors.Append([]byte("vendors: []\n"), v, dir)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := vendors.Parse(appended, dir); err != nil || *again.All()[0].SigningKey != want {
			t.Errorf("%s: written as %s: %v", text, appended, err)
		}
	}
}
