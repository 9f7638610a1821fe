// Command sigstore-kms-hashivault is a Sigstore KMS plugin for the transit engine of HashiCorp Vault, by Sigstore's own package
// for it. Linked under the name sigstore-kms-openbao it serves openbao:// references to OpenBao, which has the same engine.
//
// The key is the last part of the reference: hashivault://NAME. VAULT_ADDR and VAULT_TOKEN (or BAO_ADDR and BAO_TOKEN, or the
// file ~/.vault-token) say where Vault is and who asks; TRANSIT_SECRET_ENGINE_PATH where the engine is mounted, if not at
// transit. The token needs to read transit/keys/NAME and to update transit/sign/NAME/*. The latest version of the key signs.
//
// The program is trusted with the token. It runs for one call, is started by avow, cosign and other clients, and is of no use
// by itself; package serve says how it is called.
//
// Vault's interface: https://developer.hashicorp.com/vault/api-docs/secret/transit
package main

import (
	"context"
	"fmt"
	"os"

	_ "github.com/sigstore/sigstore/pkg/signature/kms/hashivault" // registers the provider

	"github.com/avow-dev/avow/cmd/kms/internal/serve"
)

func main() {
	if err := serve.Run(context.Background(), os.Args, os.Stdin, os.Stdout, "hashivault", "openbao"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
