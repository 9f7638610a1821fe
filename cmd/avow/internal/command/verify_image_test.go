package command

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/oci"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// imageWorld is a registry with an image, and a vendor with the buyer's files.
type imageWorld struct {
	*bundletest.World
	image    oci.Image
	root     string
	key      string
	requests *atomic.Int64
}

func newImageWorld(t *testing.T, around func(http.Handler) http.Handler) *imageWorld {
	t.Helper()
	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", t.TempDir()) // no credentials of whoever runs the tests
	t.Setenv("DOCKER_CONFIG", "")
	w := &imageWorld{World: bundletest.NewWorld(t), requests: &atomic.Int64{}}
	handler := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	if around == nil {
		around = func(h http.Handler) http.Handler { return h }
	}
	served := handler
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.requests.Add(1)
		served.ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	tag, err := name.NewTag(strings.TrimPrefix(server.URL, "http://") + "/team/app:1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	made, err := random.Image(16, 1)
	if err == nil {
		err = remote.Write(tag, made)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := made.Digest()
	if err == nil {
		w.image, err = oci.ParseImage(tag.Context().Name() + "@" + digest.String())
	}
	if err != nil {
		t.Fatal(err)
	}
	w.root, w.key = writeTemp(t, "root.json", w.TrustedRoot()), writeTemp(t, "vendor.pub", pemOf(t, w.World))
	served = around(handler)
	return w
}

// spec is a statement about the image.
func (w *imageWorld) spec(t *testing.T, statement string, oldNew ...string) bundletest.Spec {
	t.Helper()
	return bundletest.Spec{Payload: bundletest.Statement(t, statement, append([]string{bundletest.ArtifactSHA256,
		w.image.SHA256()}, oldNew...)...)}
}

// attach puts bytes beside the image, whatever they are, with an annotation that says which type they state.
func (w *imageWorld) attach(t *testing.T, data []byte, predicateType string) {
	t.Helper()
	client, err := oci.Open(t.Context(), w.image, oci.Options{Push: true,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	if err == nil {
		_, err = client.Attach(t.Context(), data, predicateType)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *imageWorld) verify(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	return runAvow(t, append([]string{"verify", oci.Scheme + w.image.String(), "--trusted-root", w.root}, args...)...)
}

// TestVerifyImageLeavesOutStrangers: what others keep beside the image turns no verdict, and is named.
func TestVerifyImageLeavesOutStrangers(t *testing.T) {
	w := newImageWorld(t, nil)
	flows := w.IssueJSON(t, w.spec(t, "data-flows"))
	w.attach(t, flows, predicate.DataFlowsType)
	distributor := w.spec(t, "no-backdoor")
	distributor.Key = bundletest.NewKey(t)
	w.attach(t, w.IssueJSON(t, distributor), predicate.NoBackdoorType)
	// These say in their annotation that they are of interest, and are not.
	w.attach(t, []byte("no bundle"), predicate.DataFlowsType)
	w.attach(t, w.IssueJSON(t, bundletest.Spec{Payload: []byte(`[]`)}), predicate.DataFlowsType)
	w.attach(t, w.IssueJSON(t, bundletest.Spec{Payload: []byte(`{"predicateType":"https://slsa.dev/provenance/v1"}`)}),
		predicate.DataFlowsType)
	w.attach(t, w.IssueJSON(t, w.spec(t, "assessment")), predicate.DataFlowsType)

	code, out, errOut := w.verify(t, "--key", w.key)
	if code != exitYes || strings.Count(out, "\nBundle ") != 1 {
		t.Errorf("exit code %d\n%s%s", code, out, errOut)
	}
	for reason, times := range map[oci.Reason]int{oci.ReasonMalformed: 2, oci.ReasonForeignStatement: 2, oci.ReasonForeignSigner: 1} {
		if got := strings.Count(errOut, ": "+string(reason)+": "); got != times {
			t.Errorf("%s: %d times, want %d\n%s", reason, got, times, errOut)
		}
	}
	// An assessment is judged when it is asked for by name.
	if _, out, _ = w.verify(t, "--key", w.key, "--require", "assessment"); strings.Count(out, "\nBundle ") != 2 {
		t.Errorf("the assessment was not judged\n%s", out)
	}
}

// TestVerifyImageByIdentity: the bundles of the pinned identity are taken.
func TestVerifyImageByIdentity(t *testing.T) {
	const san, issuer = "https://ci.example.com/release", "https://issuer.example.com"
	w := newImageWorld(t, nil)
	for _, who := range []string{san, san + "/of/somebody/else"} {
		spec := w.spec(t, "data-flows")
		spec.Key = bundletest.NewKey(t)
		spec.Certificate = w.CA.Certify(t, &spec.Key.PublicKey, who, issuer, bundletest.Epoch.Add(-time.Minute),
			bundletest.Epoch.Add(10*time.Minute), nil)
		w.attach(t, w.IssueJSON(t, spec), predicate.DataFlowsType)
	}
	for _, c := range []struct {
		san, issuer string
		want        int
		ignored     string
	}{
		{san, issuer, exitYes, "oci-foreign-signer"},
		{san, issuer + "/", exitNo, ""},
		{san + "2", issuer, exitNo, ""},
	} {
		code, out, errOut := w.verify(t, "--identity", c.san, "--issuer", c.issuer)
		if code != c.want || strings.Contains(errOut, "ignored: ") != (c.ignored != "") || !strings.Contains(errOut, c.ignored) {
			t.Errorf("%s by %s: exit code %d, want %d\n%s%s", c.san, c.issuer, code, c.want, out, errOut)
		}
		if c.want == exitNo && !strings.Contains(out, "FAIL  signer ") {
			t.Errorf("%s by %s: the reason is not the signer\n%s", c.san, c.issuer, out)
		}
	}
}

// TestVerifyImageTooMany: more bundles of interest than can be judged are not judged in part.
func TestVerifyImageTooMany(t *testing.T) {
	w := newImageWorld(t, nil)
	spec := w.spec(t, "data-flows")
	for range verify.MaxBundles + 1 {
		w.attach(t, w.IssueJSON(t, spec), predicate.DataFlowsType) // each with a signature of its own
	}
	code, out, errOut := w.verify(t, "--key", w.key)
	if code != exitError || out != "" || !strings.Contains(errOut, "oci-too-many: ") {
		t.Errorf("exit code %d\n%s%s", code, out, errOut)
	}
}

// TestIgnoredAreFolded: a list of foreign things does not fill the screen, and cannot command it.
func TestIgnoredAreFolded(t *testing.T) {
	a, _, errOut := newApp(t)
	var ignored []oci.Ignored
	for range maxIgnored + 7 {
		ignored = append(ignored, oci.Ignored{Digest: "sha256:\x1b[2J", Reason: oci.ReasonMalformed, Detail: "it is \x1b[31mred"})
	}
	a.noteIgnored(ignored)
	if strings.Contains(errOut.String(), "\x1b") || strings.Count(errOut.String(), "\n") != maxIgnored+1 ||
		!strings.HasSuffix(errOut.String(), "ignored: 7 more\n") {
		t.Errorf("got %q", errOut.String())
	}
}

// TestVerifyImageCredentials: those of docker's configuration are used, and only at their registry.
func TestVerifyImageCredentials(t *testing.T) {
	w := newImageWorld(t, func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "buyer" || password != "secret" {
				out.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				out.WriteHeader(http.StatusUnauthorized)
				return
			}
			honest.ServeHTTP(out, r)
		})
	})
	host, _, _ := strings.Cut(w.image.Name(), "/")
	code, _, errOut := w.verify(t, "--key", w.key)
	if code != exitError || !strings.Contains(errOut, "oci-denied: ") || !strings.Contains(errOut, "docker login") {
		t.Errorf("without credentials: exit code %d\n%s", code, errOut)
	}
	login := func(config string) {
		dir := filepath.Join(os.Getenv("HOME"), ".docker")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	login(`{"auths":{"secret`)
	if code, _, errOut = w.verify(t, "--key", w.key); code != exitError || !strings.Contains(errOut, "oci-credentials: ") ||
		strings.Contains(errOut, "secret") {
		t.Errorf("a broken configuration: exit code %d\n%s", code, errOut)
	}
	for auth, want := range map[string]int{"buyer:secret": exitNo, "buyer:wrong": exitError} { // no: nothing is attached
		login(fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte(auth))))
		code, out, errOut := w.verify(t, "--key", w.key)
		if code != want || strings.Contains(out+errOut, "secret") {
			t.Errorf("%s: exit code %d, want %d\n%s%s", auth, code, want, out, errOut)
		}
		if want == exitNo && !strings.Contains(out, "FAIL  bundles-given ") {
			t.Errorf("%s\n%s", auth, out)
		}
	}
}

// TestVerifyImageLies: a registry that serves something else is no answer, and no verdict is printed.
func TestVerifyImageLies(t *testing.T) {
	w := newImageWorld(t, func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
				fmt.Fprint(out, "{}")
				return
			}
			honest.ServeHTTP(out, r)
		})
	})
	code, out, errOut := w.verify(t, "--key", w.key)
	if code != exitError || out != "" || !strings.Contains(errOut, "oci-digest: ") || !strings.Contains(errOut, "\nhint: ") {
		t.Errorf("exit code %d\n%s%s", code, out, errOut)
	}
}

// TestVerifyFetchesOnlyForImages: with bundles given, no registry is asked.
func TestVerifyFetchesOnlyForImages(t *testing.T) {
	w := newImageWorld(t, nil)
	bundle := writeTemp(t, "b.sigstore.json", w.IssueJSON(t, w.spec(t, "data-flows")))
	before := w.requests.Load()
	if code, out, errOut := w.verify(t, "--key", w.key, "--bundle", bundle); code != exitYes {
		t.Errorf("exit code %d\n%s%s", code, out, errOut)
	}
	if n := w.requests.Load() - before; n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestAttachRefuses: what is no bundle of version 0.3 about the image is not attached; nothing is asked of the registry.
func TestAttachRefuses(t *testing.T) {
	w := newImageWorld(t, nil)
	before := w.requests.Load()
	good := w.IssueJSON(t, w.spec(t, "data-flows"))
	edited := func(old, new string) []byte {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("the bundle has no %s", old)
		}
		return bytes.Replace(good, []byte(old), []byte(new), 1)
	}
	var envelope struct {
		DSSEEnvelope json.RawMessage `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(good, &envelope); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data   []byte
		code   int
		reason string
	}{
		"no JSON":         {[]byte("{"), exitError, "not strict JSON"},
		"another version": {edited("bundle.v0.3+json", "bundle.v0.2+json"), exitError, "media type"},
		"an envelope":     {envelope.DSSEEnvelope, exitError, "media type"},
		"too large":       {make([]byte, verify.MaxBundleBytes+1), exitError, "has more than 524288 bytes"},
		"no statement":    {w.IssueJSON(t, bundletest.Spec{Payload: []byte(`{}`)}), exitError, "no in-toto statement"},
		"another payload": {w.IssueJSON(t, bundletest.Spec{Payload: []byte(`{}`), PayloadType: "text/plain"}), exitError, `the payload is "text/plain"`},
		"no subject": {w.IssueJSON(t, bundletest.Spec{Payload: []byte(`{"predicateType":"urn:x"}`)}), exitNo,
			"it is about nothing"},
		"another subject": {w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")}), exitNo,
			"no subject of the statement has the digest sha256:" + w.image.SHA256() + `; it is about "example-tool-1.2.3.tar.gz"`},
		"SHA-512 only": {w.IssueJSON(t, bundletest.Spec{Payload: []byte(`{"predicateType":"urn:x","subject":[{"name":"a","digest":{"sha512":"` +
			w.image.SHA256() + `"}},{"name":"b"}]}`)}), exitNo, "and 1 more"},
	} {
		// The good one first: all are looked at before any is written.
		code, out, errOut := runAvow(t, "attach", w.image.String(), "--bundle", writeTemp(t, "good", good), "--bundle",
			writeTemp(t, "bad", c.data))
		if code != c.code || out != "" || !strings.Contains(errOut, c.reason) || !strings.Contains(errOut, "\nhint: ") {
			t.Errorf("%s: exit code %d, want %d and %q\n%s", name, code, c.code, c.reason, errOut)
		}
	}
	if n := w.requests.Load() - before; n != 0 {
		t.Errorf("%d requests", n)
	}
}
