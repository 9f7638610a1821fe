// Command sigstore-kms-awskms is a Sigstore KMS plugin for AWS KMS, by Sigstore's own package for it.
//
// The reference is awskms://[ENDPOINT]/KEY, where KEY is a key id, an ARN, alias/NAME or the ARN of an alias; ENDPOINT is the
// host of another implementation and usually left out: awskms:///alias/vendor. The key's usage is SIGN_VERIFY and its spec
// ECC_NIST_P256. Region and credentials are found as the AWS command finds them: AWS_REGION, AWS_PROFILE, the files in ~/.aws,
// the role of the machine. The caller needs kms:GetPublicKey, kms:DescribeKey and kms:Sign on the key.
//
// The program is trusted with these credentials. It runs for one call, is started by avow, cosign and other clients, and is of
// no use by itself; package serve says how it is called.
//
// The interface of the service: https://docs.aws.amazon.com/kms/latest/APIReference/
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
