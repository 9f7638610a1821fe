package verify_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// acceptedOnPurpose are the changes that leave a bundle acceptable, each with the
// reason. Everything else that is changed in a bundle has to be refused.
// A path limits a reason to that place.
var acceptedOnPurpose = []struct{ path, change, reason string }{
	{"", "white-space", "JSON: white space between tokens means nothing"},
	{"", "lf-after", "JSON: white space after the value means nothing"},
	{"", "member-order", "JSON: members have no order"},
	{"", "string-escapes", "JSON: an escaped character is the character"},
	{"*", "name-escaped", "JSON: an escaped character is the character, in names too"},
	{note, "unknown-signature-after", "signed notes: lines of unknown keys are ignored, so that witnesses can be added"},
	{note, "unknown-signature-before", "signed notes: signature lines have no order"},
	{note, "31-unknown-signatures", "signed notes: at the limit of 32 lines"},
	{note, "log-signature-twice", "signed notes: a repeated line adds nothing"},
	{stamps, "reversed", "timestamps have no order"},
	{stamps + "/0", "drop", "one timestamp is required, and the other is left"},
	{stamps + "/1", "drop", "one timestamp is required, and the other is left"},
}

const (
	stamps = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps"
	note   = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope"
)

func onPurpose(m mutant) bool {
	for _, a := range acceptedOnPurpose {
		if a.change == m.change && (a.path == "*" || a.path == m.path) {
			return true
		}
	}
	return false
}

// mutationFixtures are the bundles that are mutated: by a key with two
// timestamps, and by a certified identity.
var mutationFixtures = []string{"accepted-two-authorities", "accepted-identity"}

// TestMutations changes every field of real bundles in every way of mutants_test.go
// and holds the answers against sigstore-go's and against testdata/mutations.golden.
func TestMutations(t *testing.T) {
	var golden bytes.Buffer
	total, open := 0, 0
	for _, name := range mutationFixtures {
		vec := mutationVector(t, name)
		v, ask := newVerifier(t, vectorFile(t, vec.TrustedRoot)), oracle(t, vec)
		if verdictOf(t, v, vec.input(t)).Outcome != verify.Accepted || ask(vectorFile(t, vec.Bundles[0])) != nil {
			t.Fatalf("%s is not acceptable unchanged", name)
		}
		results := make(map[string][]string)
		for _, m := range newMutator(t, vectorFile(t, vec.Bundles[0]), donors(t)).mutants() {
			total++
			refused := ask(m.data) != nil
			answer := judge(t, v, vec, m)
			if answer == "accepted" {
				if refused {
					t.Errorf("%s %s %s: accepted, but sigstore-go refuses it", name, m.path, m.change)
				}
				if !onPurpose(m) {
					t.Errorf("%s %s %s: accepted without a reason", name, m.path, m.change)
				}
			} else if !refused {
				open++
			}
			key := fmt.Sprintf("%s %s\tsigstore-go %s\tavow %s", name, m.path,
				map[bool]string{true: "refuses", false: "accepts"}[refused], answer)
			results[key] = append(results[key], m.change)
		}
		for _, key := range slices.Sorted(maps.Keys(results)) {
			slices.Sort(results[key])
			fmt.Fprintf(&golden, "%s\t%s\n", key, strings.Join(slices.Compact(results[key]), " "))
		}
	}
	t.Logf("%d mutants, %d of them accepted by sigstore-go and refused by avow", total, open)
	compareGolden(t, "testdata/mutations.golden", golden.Bytes())
}

// TestEveryByte flips one bit in every byte of everything in a bundle that is
// base64 or a checkpoint (of the payload, one byte in 16): all of it is covered
// by some check.
func TestEveryByte(t *testing.T) {
	for _, name := range mutationFixtures {
		vec := mutationVector(t, name)
		v := newVerifier(t, vectorFile(t, vec.TrustedRoot))
		base := decodeAny(t, vectorFile(t, vec.Bundles[0]))
		flips := 0
		walk(base, "", func(path string, value any) {
			s, ok := value.(string)
			encode := base64.StdEncoding.EncodeToString
			b, err := base64.StdEncoding.DecodeString(s)
			switch {
			case !ok:
				return
			case strings.HasSuffix(path, "/envelope"):
				b, encode = []byte(s), func(b []byte) string { return string(b) }
			case err != nil || !strings.Contains(bytesMembers, lastName(path)):
				return
			}
			stride := 1
			if strings.HasSuffix(path, "/payload") {
				stride = 16
			}
			for i := 0; i < len(b); i += stride {
				flipped := bytes.Clone(b)
				flipped[i] ^= 1 << (i % 7) // the checkpoint is ASCII
				data := encodeAny(edit(base, path, func(parent map[string]any, list []any, key string) {
					if parent == nil {
						i, _ := strconv.Atoi(key)
						list[i] = encode(flipped)
						return
					}
					parent[key] = encode(flipped)
				}), nil)
				flips++
				if judge(t, v, vec, mutant{path, fmt.Sprintf("byte %d", i), data}) == "accepted" {
					t.Errorf("%s %s: accepted with a bit flipped in byte %d", name, path, i)
				}
			}
		})
		t.Logf("%s: %d flips", name, flips)
	}
}

// judge returns "accepted" or the check that refused the mutant.
func judge(t *testing.T, v *verify.Verifier, vec vector, m mutant) string {
	t.Helper()
	in := vec.input(t)
	in.Bundles = []verify.NamedBundle{{Name: "mutant", Data: m.data}}
	verdict := verdictOf(t, v, in)
	if verdict.Outcome == verify.Accepted {
		return "accepted"
	}
	reason := verdict.Bundles[0].Reason
	if reason == "" || reason == verify.CheckSigstore {
		t.Errorf("%s %s: refused by %q, want a check of avow's own", m.path, m.change, reason)
	}
	if len(verdict.Evidence) != 0 {
		t.Errorf("%s %s: refused, with evidence", m.path, m.change)
	}
	return string(reason)
}

// mutationVector is a vector under a root that names a second log too.
func mutationVector(t *testing.T, name string) vector {
	t.Helper()
	vec := readVector(t, filepath.Join(vectorDir, name+".json"))
	vec.TrustedRoot, vec.MinTimestamps = "trusted_root_two_logs.json", 1
	return vec
}

func donors(t *testing.T) map[string][]byte {
	t.Helper()
	d := make(map[string][]byte)
	for _, name := range []string{"donor-artifact", "donor-time", "donor-vendor", "donor-log", "donor-identity"} {
		d[name] = vectorFile(t, name+".sigstore.json")
	}
	return d
}

// oracle asks plain sigstore-go, configured as its own callers would for the vector.
func oracle(t *testing.T, vec vector) func([]byte) error {
	t.Helper()
	in := vec.input(t)
	var material root.TrustedMaterial
	options := []sgverify.VerifierOption{sgverify.WithTransparencyLog(1), sgverify.WithSignedTimestamps(1)}
	policy := sgverify.WithKey()
	if key := in.Signers[0].Key; key != nil {
		material = sigstoreMaterial(t, vectorFile(t, vec.TrustedRoot), key.PublicKey)
	} else {
		tr, err := root.NewTrustedRootFromJSON(vectorFile(t, vec.TrustedRoot))
		if err != nil {
			t.Fatal(err)
		}
		material = tr
		id, err := sgverify.NewShortCertificateIdentity(in.Signers[0].Identity.Issuer, "", in.Signers[0].Identity.SAN, "")
		if err != nil {
			t.Fatal(err)
		}
		policy = sgverify.WithCertificateIdentity(id)
	}
	digest, err := hex.DecodeString(bundletest.ArtifactSHA256)
	if err != nil {
		t.Fatal(err)
	}
	sv, err := sgverify.NewVerifier(material, options...)
	if err != nil {
		t.Fatal(err)
	}
	return func(raw []byte) error {
		var b bundle.Bundle
		if err := b.UnmarshalJSON(raw); err != nil {
			return err
		}
		_, err := sv.Verify(&b, sgverify.NewPolicy(sgverify.WithArtifactDigest("sha256", digest), policy))
		return err
	}
}

// compareGolden holds got against a golden file, or writes it under -update.
func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		writeFile(t, path, got)
		return
	}
	want := readFile(t, path)
	if bytes.Equal(got, want) {
		return
	}
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	shown := 0
	for _, line := range g {
		if !slices.Contains(w, line) && shown < 10 {
			t.Errorf("%s: new: %s", path, line)
			shown++
		}
	}
	for _, line := range w {
		if !slices.Contains(g, line) && shown < 20 {
			t.Errorf("%s: gone: %s", path, line)
			shown++
		}
	}
	t.Errorf("%s differs; after looking at why, write it anew with -update", path)
}
