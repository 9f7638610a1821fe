package verify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// A buyer verifies what a vendor published for a file, offline.
func ExampleVerifier_Verify() {
	const dir = "testdata/verdicts/files/"
	trustedRoot, err := os.ReadFile(dir + "trusted_root.json")
	if err != nil {
		panic(err)
	}
	bundle, err := os.ReadFile(dir + "no-backdoor.sigstore.json")
	if err != nil {
		panic(err)
	}
	vendor, err := os.ReadFile(dir + "vendor.pub")
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(vendor)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		panic(err)
	}

	trust, err := verify.ParseTrust(trustedRoot)
	if err != nil {
		panic(err)
	}
	v, err := verify.New(verify.Config{Trust: trust})
	if err != nil {
		panic(err)
	}
	verdict, err := v.Verify(context.Background(), verify.Input{
		ArtifactSHA256: "4373911a956f86dcbd706dd2fe050cefa923788b079e93b41880ce7a117b1755",
		Bundles:        []verify.NamedBundle{{Name: "no-backdoor.sigstore.json", Data: bundle}},
		Signers:        []verify.Signer{{Key: &verify.Key{PublicKey: key.(*ecdsa.PublicKey)}}},
		RequiredTypes:  []string{predicate.NoBackdoorType, predicate.DataFlowsType},
		At:             time.Date(2026, 9, 2, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		panic(err) // could not be evaluated
	}
	fmt.Println(verdict.Outcome)
	for _, c := range verdict.Failures() {
		fmt.Printf("%s: %s\n", c.ID, c.Got)
	}
	fmt.Println(verdict.Evidence[0].LogOrigin, verdict.Evidence[0].SignedBy.Format(time.RFC3339))
	// Output:
	// rejected
	// required-types: without https://w3id.org/avow/data-flows/v1
	// log.example.test 2026-09-01T10:00:00Z
}

// A buyer verifies the artifacts of a whole list with one verifier, on all cores.
func ExampleBatch() {
	trustedRoot, err := os.ReadFile("testdata/verdicts/files/trusted_root.json")
	if err != nil {
		panic(err)
	}
	trust, err := verify.ParseTrust(trustedRoot)
	if err != nil {
		panic(err)
	}
	v, err := verify.New(verify.Config{Trust: trust})
	if err != nil {
		panic(err)
	}
	demands := verify.Input{Signers: []verify.Signer{{Identity: &verify.Identity{SAN: "dev@example.com", Issuer: "https://issuer.example.com"}}}}
	digests := []string{
		"4373911a956f86dcbd706dd2fe050cefa923788b079e93b41880ce7a117b1755",
		"00000000956f86dcbd706dd2fe050cefa923788b079e93b41880ce7a117b1755",
	}
	type result struct {
		digest  string
		verdict *verify.Verdict
		err     error
	}
	ctx, rejected := context.Background(), 0
	for r := range verify.Batch(ctx, slices.Values(digests), func(ctx context.Context, digest string) result {
		in := demands
		in.ArtifactSHA256 = digest // and in.Bundles, read here, so that only a few are in memory
		verdict, err := v.Verify(ctx, in)
		return result{digest, verdict, err}
	}) {
		if r.err != nil {
			panic(r.err) // could not be evaluated
		}
		if r.verdict.Outcome != verify.Accepted {
			rejected++ // without a bundle nothing is accepted
		}
	}
	if ctx.Err() != nil {
		panic("not all were judged")
	}
	fmt.Println(rejected, "of", len(digests), "rejected")
	// Output:
	// 2 of 2 rejected
}
