// Command sigstore-kms-awskms is a Sigstore KMS plugin for AWS KMS, by Sigstore's own package for it. Package
// serve says how such a program is called.
package main

import (
	"context"
	"fmt"
	"os"

	_ "github.com/sigstore/sigstore/pkg/signature/kms/aws" // registers the provider

	"github.com/avow-dev/avow/cmd/kms/internal/serve"
)

func main() {
	if err := serve.Run(context.Background(), os.Args, os.Stdin, os.Stdout, "awskms"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
