package attest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
)

// The vendor's half of issuing a statement: check, sign, and hand the envelope to the service.
func Example() {
	payload, err := os.ReadFile(filepath.Join("testdata", "minimal-data-flows.json"))
	if err != nil {
		log.Fatal(err)
	}
	prepared, err := attest.Prepare(payload, attest.PrepareOptions{})
	if err != nil {
		log.Fatal(err) // *predicate.RulesError: every broken rule with its place
	}
	key, err := attest.GenerateKey() // or attest.LoadKey
	if err != nil {
		log.Fatal(err)
	}
	envelope, err := prepared.Sign(context.Background(), key)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(envelope.StatementID())
	// Output: sha256:ae337ac1cb5dd361659a4faad01ea6e21a69c7b16d7cfb5769448188686d860b
}

// The digests of a release file.
func ExampleSubjectsFromPaths() {
	subjects, err := attest.SubjectsFromPaths(context.Background(), []string{filepath.Join("testdata",
		"minimal-data-flows.json")},
		attest.SubjectOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(subjects[0].Name, subjects[0].Digest["sha256"])
	// Output: minimal-data-flows.json ae337ac1cb5dd361659a4faad01ea6e21a69c7b16d7cfb5769448188686d860b
}

// A statement that breaks a rule cannot be prepared, and so cannot be signed.
func ExamplePrepare_refused() {
	_, err := attest.Prepare([]byte(`{"_type": "https://in-toto.io/Statement/v1", "_type": "twice"}`), attest.PrepareOptions{})
	var rules *predicate.RulesError
	if errors.As(err, &rules) {
		fmt.Println(rules.Findings.Codes())
	}
	// Output: [R01]
}
