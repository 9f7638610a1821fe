// Command sigstore-kms-azurekms is a Sigstore KMS plugin for Azure Key Vault, by Sigstore's own package for it.
//
// The reference is azurekms://VAULT.vault.azure.net/KEY, with /VERSION behind it to pin a version of the key; else it is the
// current one. The key is of the type EC or EC-HSM on the curve P-256. Credentials are found by Azure's own SDK: AZURE_TENANT_ID,
// AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, the Azure command's, or the managed identity of the machine. The caller needs the key
// permissions get and sign.
//
// The program is trusted with these credentials. It runs for one call, is started by avow, cosign and other clients, and is of
// no use by itself; package serve says how it is called.
//
// The interface of the service: https://learn.microsoft.com/rest/api/keyvault/
package main

import (
	"context"
	"fmt"
	"os"

	_ "github.com/sigstore/sigstore/pkg/signature/kms/azure" // registers the provider

	"github.com/avow-dev/avow/cmd/kms/internal/serve"
)

func main() {
	if err := serve.Run(context.Background(), os.Args, os.Stdin, os.Stdout, "azurekms"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
