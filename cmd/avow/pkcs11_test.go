//go:build pkcs11

package main

import "testing"

// TestTokenScripts runs testdata/pkcs11/*.txtar: avow with a real token of SoftHSM.
func TestTokenScripts(t *testing.T) { runScripts(t, "pkcs11") }
