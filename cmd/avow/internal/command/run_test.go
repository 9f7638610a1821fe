package command

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
)

// runAvow runs a command line at a fixed time and returns exit code, standard output and standard error.
func runAvow(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	a, outBuffer, errBuffer := newApp(t)
	a.env.Args = args
	a.env.Now = func() time.Time { return bundletest.Epoch }
	code = Run(t.Context(), a.env)
	return code, outBuffer.String(), errBuffer.String()
}

func writeTemp(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestVerifyByIdentity: a bundle that is signed with a certificate, pinned by identity and issuer.
func TestVerifyByIdentity(t *testing.T) {
	const san, issuer = "https://ci.example.com/release", "https://issuer.example.com"
	world := bundletest.NewWorld(t)
	key := bundletest.NewKey(t)
	certificate := world.CA.Certify(t, &key.PublicKey, san, issuer, bundletest.Epoch.Add(-time.Minute),
		bundletest.Epoch.Add(10*time.Minute), nil)
	bundle := writeTemp(t, "b.sigstore.json", world.IssueJSON(t, bundletest.Spec{
		Payload: bundletest.Statement(t, "data-flows"), Key: key,
		Certificate: certificate}))
	root := writeTemp(t, "root.json", world.TrustedRoot())
	for _, c := range []struct {
		san, issuer string
		want        int
	}{
		{san, issuer, exitYes},
		{san + "2", issuer, exitNo},
		{san, issuer + "/", exitNo},
		{"https://ci.example.com/.*", issuer, exitNo}, // no patterns
	} {
		args := []string{"sha256:" + bundletest.ArtifactSHA256, "--bundle", bundle, "--trusted-root", root}
		code, out, errOut := runAvow(t, append([]string{"verify", "--identity", c.san, "--issuer", c.issuer}, args...)...)
		if code != c.want {
			t.Errorf("verify as %q by %q: exit code %d, want %d\n%s%s", c.san, c.issuer, code, c.want, out, errOut)
		}
	}
}

// TestVerifyPrintsTheVerdictMessage: --format json is the API's message, for both outcomes.
func TestVerifyPrintsTheVerdictMessage(t *testing.T) {
	world := bundletest.NewWorld(t)
	key := writeTemp(t, "vendor.pub", pemOf(t, world))
	bundle := writeTemp(t, "b.sigstore.json", world.IssueJSON(t, bundletest.Spec{
		Payload: bundletest.Statement(t, "data-flows")}))
	root := writeTemp(t, "root.json", world.TrustedRoot())
	for artifact, want := range map[string]avowv1.Outcome{
		bundletest.ArtifactSHA256: avowv1.Outcome_OUTCOME_ACCEPTED, bundletest.OtherSHA256: avowv1.Outcome_OUTCOME_REJECTED} {
		_, out, _ := runAvow(t, "verify", "sha256:"+artifact, "--bundle", bundle, "--trusted-root", root, "--key", key,
			"--format", "json")
		var verdict avowv1.Verdict
		if err := protojson.Unmarshal([]byte(out), &verdict); err != nil {
			t.Fatalf("not the Verdict message: %v\n%s", err, out)
		}
		if verdict.GetOutcome() != want || verdict.GetArtifactSha256() != artifact || len(verdict.GetChecks()) == 0 {
			t.Errorf("got %v for %s, want %v", verdict.GetOutcome(), verdict.GetArtifactSha256(), want)
		}
	}
}

// pemOf renders the vendor's public key.
func pemOf(t *testing.T, world *bundletest.World) []byte {
	t.Helper()
	public, err := attest.MarshalPublicKey(&world.Vendor.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// brokenPipe is a standard output that nobody reads.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, os.ErrClosed }

// TestAnswerThatCannotBeWritten: a verdict that did not reach its reader is not an acceptance.
func TestAnswerThatCannotBeWritten(t *testing.T) {
	world := bundletest.NewWorld(t)
	a, _, errOut := newApp(t)
	a.env.Now = func() time.Time { return bundletest.Epoch }
	a.env.Stdout = brokenPipe{}
	for _, format := range []string{"text", "json"} {
		a.env.Args = []string{"verify", "sha256:" + bundletest.ArtifactSHA256, "--format", format,
			"--bundle", writeTemp(t, "b", world.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")})),
			"--trusted-root", writeTemp(t, "r", world.TrustedRoot()), "--key", writeTemp(t, "k", pemOf(t, world))}
		if code := Run(t.Context(), a.env); code != exitError {
			t.Errorf("%s: exit code %d, want %d: %s", format, code, exitError, errOut)
		}
	}
}

// Where the fixtures of sigstore-conformance and the trusted root of the public-good instance are.
const (
	conformanceDirEnv = "AVOW_CONFORMANCE_DIR"
	publicGoodRootEnv = "AVOW_PUBLIC_GOOD_ROOT"
)

// TestConformance gives every fixture of sigstore-conformance to verify-bundle on its command line, as the suite does.
func TestConformance(t *testing.T) {
	dir, root := os.Getenv(conformanceDirEnv), os.Getenv(publicGoodRootEnv)
	if dir == "" || root == "" {
		t.Skipf("set %s and %s to run the fixtures of sigstore-conformance", conformanceDirEnv, publicGoodRootEnv)
	}
	fixtures, err := filepath.Glob(filepath.Join(dir, "test", "assets", "bundle-verify", "*", "bundle.sigstore.json"))
	if err != nil || len(fixtures) == 0 {
		t.Fatalf("no fixtures below %s: %v", dir, err)
	}
	for _, bundle := range fixtures {
		fixture := filepath.Dir(bundle)
		t.Run(filepath.Base(fixture), func(t *testing.T) {
			want := exitYes
			if strings.HasSuffix(fixture, "_fail") {
				want = exitNo
			}
			args, artifact := conformanceArgs(t, fixture, root)
			digest := sha256.Sum256(readFile(t, artifact))
			for _, a := range []string{artifact, "sha256:" + hex.EncodeToString(digest[:])} {
				code, _, errOut := runAvow(t, append(args, a)...)
				if code != want && (want == exitYes || code == exitYes) {
					t.Errorf("%s: exit code %d, want %d: %s", a, code, want, errOut)
				}
			}
		})
	}
}

// conformanceArgs is the command line for a fixture by the suite's conventions.
func conformanceArgs(t *testing.T, fixture, root string) (args []string, artifact string) {
	t.Helper()
	file := func(name, otherwise string) string {
		if _, err := os.Stat(filepath.Join(fixture, name)); err == nil {
			return filepath.Join(fixture, name)
		}
		return otherwise
	}
	content := func(name, otherwise string) string {
		if path := file(name, ""); path != "" {
			return strings.TrimSpace(string(readFile(t, path)))
		}
		return otherwise
	}
	args = []string{"verify-bundle", "--bundle", file("bundle.sigstore.json", ""), "--trusted-root",
		file("trusted_root.json", root)}
	if key := file("key.pub", ""); key != "" {
		args = append(args, "--key", key)
	} else {
		args = append(args, "--certificate-identity", content("identity", "https://github.com/sigstore-conformance/"+
			"extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"),
			"--certificate-oidc-issuer", content("issuer", "https://token.actions.githubusercontent.com"))
	}
	return args, file("artifact", filepath.Join(fixture, "..", "..", "a.txt"))
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
