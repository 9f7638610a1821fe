package report

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// TestCommandLine: a shell reads back what was quoted, and a viewer shows it as it is.
func TestCommandLine(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash is installed")
	}
	args := []string{"plain", "", "a b", "it's", `back\slash`, "$HOME `id` $(id)", "~", "-", "a\nb\tc\x1b[2J", "\xff\u202e", "ü", "a\u00a0b", "*", "#", "!", ";|&<>"}
	for range 50 {
		args = append(args, strings.ReplaceAll(rapid.String().Example(), "\x00", ""))
	}
	line := commandLine(args)
	if text.Safe(line) != line {
		t.Errorf("not printable: %q", line)
	}
	out, err := exec.Command(bash, "-c", `printf '%s\0' `+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, args) {
		t.Errorf("got %q\nwant %q", got, args)
	}
}

// TestCosignCommand: for a pinned key, an unknown file, an identity, an artifact that is known by its digest alone.
func TestCosignCommand(t *testing.T) {
	item := acceptedItem(t, vector(t, flows))
	e := &item.Verdict.Evidence[0]
	last := func() string {
		list := commands(&item, meta)
		return list[len(list)-1].Line
	}
	const head = "cosign verify-blob-attestation --bundle 1.sigstore.json --trusted-root trusted_root.json "
	const tail = " --type https://w3id.org/avow/data-flows/v1 "
	if got, want := last(), head+"--key vendor.pub"+tail+"app.tar.gz"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	e.KeyID = "sha256:other"
	if got, want := last(), head+"--key KEY.pub"+tail+"app.tar.gz"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got, want := commandLine(cosign(&item, e, batch(meta))), head+"--key KEY.pub"+tail+"--digest "+item.Question.ArtifactSHA256+
		" --digestAlg sha256"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	e.Signer = verify.Signer{Identity: &verify.Identity{SAN: "a@b.c", Issuer: "https://i"}}
	item.Name = "sha256:" + item.Question.ArtifactSHA256
	if got, want := last(), head+"--certificate-identity a@b.c --certificate-oidc-issuer https://i"+tail+"--digest "+
		item.Question.ArtifactSHA256+" --digestAlg sha256"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
