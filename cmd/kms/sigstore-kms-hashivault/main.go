// Command sigstore-kms-hashivault is a Sigstore KMS plugin for the transit engine of HashiCorp Vault and OpenBao, by Sigstore's own package for it. Package
// serve says how such a program is called.
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
