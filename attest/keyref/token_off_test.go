//go:build !pkcs11

package keyref_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/keyref"
)

// TestNoTokens: a binary without PKCS #11 says how to get one that has it.
func TestNoTokens(t *testing.T) {
	_, err := keyref.Open(t.Context(), "pkcs11:token=a;object=b", keyref.Options{})
	var refused *keyref.Error
	if !errors.As(err, &refused) || refused.Code != keyref.CodeUnavailable || !strings.Contains(refused.Hint, "-tags pkcs11") {
		t.Errorf("%v, want %s", err, keyref.CodeUnavailable)
	}
}
