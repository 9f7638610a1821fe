// Command sigstore-kms-gcpkms is a Sigstore KMS plugin for Google Cloud KMS, by Sigstore's own package for it.
//
// The reference is gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K, with /versions/V behind it to pin a version of the
// key; else it is the newest enabled one. The key's purpose is asymmetric signing and its algorithm EC_SIGN_P256_SHA256.
// Credentials are Google's application default credentials: GOOGLE_APPLICATION_CREDENTIALS, those of the gcloud command, or
// the machine's own. The caller needs the roles cloudkms.signerVerifier and cloudkms.viewer on the key.
//
// The program is trusted with these credentials. It runs for one call, is started by avow, cosign and other clients, and is of
// no use by itself; package serve says how it is called.
//
// The interface of the service: https://cloud.google.com/kms/docs/reference/rest
package main

import (
	"context"
	"fmt"
	"os"

	_ "github.com/sigstore/sigstore/pkg/signature/kms/gcp" // registers the provider

	"github.com/avow-dev/avow/cmd/kms/internal/serve"
)

func main() {
	if err := serve.Run(context.Background(), os.Args, os.Stdin, os.Stdout, "gcpkms"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
