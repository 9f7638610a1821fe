package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
)

// attacked is a registry with an image and a bundle beside it.
func attacked(t *testing.T, api bool) (*testRegistry, Image, *Attached) {
	t.Helper()
	r := startRegistry(t, api)
	image := r.push(t, false)
	bundle := bundleAbout(t, bundletest.NewWorld(t), image, "data-flows")
	return r, image, attach(t, open1(t, image, Options{Push: true}), bundle, predicate.DataFlowsType)
}

// serve answers GET requests whose path ends so.
func serve(suffix string, answer func(w http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, suffix) {
			return false
		}
		answer(w)
		return true
	}
}

// bundles opens and reads, and returns whichever error there is.
func bundles(ctx context.Context, image Image, o Options) ([]Bundle, []Ignored, error) {
	c, err := Open(ctx, image, o)
	if err != nil {
		return nil, nil, err
	}
	return c.Bundles(ctx, declarations)
}

// endless writes until the other side goes away.
func endless(w http.ResponseWriter) {
	block := make([]byte, 64<<10)
	for {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// TestHostileRegistry: each lie has its reason, and none of them a bundle.
func TestHostileRegistry(t *testing.T) {
	type lie struct {
		suffix string
		answer func(w http.ResponseWriter)
		want   Reason
	}
	const any64 = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	list := func(n int, artifactType string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", indexType)
			fmt.Fprint(w, `{"schemaVersion":2,"manifests":[`)
			for i := range n {
				fmt.Fprintf(w, `%s{"mediaType":%q,"artifactType":%q,"size":9,"digest":"sha256:%064x"}`,
					strings.Repeat(",", min(i, 1)), manifestType, artifactType, i)
			}
			fmt.Fprint(w, `]}`)
		}
	}
	typed := func(body string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", indexType)
			fmt.Fprint(w, body)
		}
	}
	for name, l := range map[string]lie{
		"another manifest": {"/manifests/" + any64, func(w http.ResponseWriter) { fmt.Fprint(w, "{}") }, ReasonDigest},
		"another manifest, signed as of old": {"/manifests/" + any64, func(w http.ResponseWriter) {
			// go-containerregistry believes the header where the type is this one.
			w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
			w.Header().Set("Docker-Content-Digest", any64)
			fmt.Fprint(w, "{}")
		}, ReasonDigest},
		"an endless manifest":           {"/manifests/" + any64, endless, ReasonTooLarge},
		"a manifest that says its size": {"/manifests/" + any64, func(w http.ResponseWriter) { w.Header().Set("Content-Length", "5000000") }, ReasonTooLarge},
		"an endless list":               {"/referrers/" + any64, func(w http.ResponseWriter) { w.Header().Set("Content-Type", indexType); endless(w) }, ReasonTooLarge},
		"10,000 foreign referrers":      {"/referrers/" + any64, list(10_000, "application/x"), ReasonTooMany},
		"257 possible bundles":          {"/referrers/" + any64, list(257, BundleType), ReasonTooMany},
		"no JSON":                       {"/referrers/" + any64, typed("<html>"), ReasonMalformed},
		"a list of another version":     {"/referrers/" + any64, typed(`{"schemaVersion":1,"manifests":[]}`), ReasonMalformed},
		"no list":                       {"/referrers/" + any64, typed(`{"schemaVersion":2}`), ReasonMalformed},
		"an error": {"/referrers/" + any64, func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, `{"errors":[{"code":"UNKNOWN","message":%q}]}`, strings.Repeat("x", 5000))
		}, ReasonRefused},
		"forbidden": {"/referrers/" + any64, func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }, ReasonDenied},
	} {
		t.Run(name, func(t *testing.T) {
			r, image, _ := attacked(t, true)
			r.is(serve(strings.ReplaceAll(l.suffix, any64, image.digest.DigestStr()), l.answer))
			got, _, err := bundles(t.Context(), image, Options{})
			wantReason(t, err, l.want)
			if len(got) > 0 || err != nil && len(err.Error()) > 1000 {
				t.Errorf("got %d bundles and an error of %d bytes", len(got), len(err.Error()))
			}
		})
	}
}

// TestHostileReferrer: the list is right, and what is behind it is not.
func TestHostileReferrer(t *testing.T) {
	for _, kind := range []string{manifestsPath, blobsPath} {
		r, image, attached := attacked(t, true)
		before, _, err := bundles(t.Context(), image, Options{})
		if err != nil || len(before) != 1 {
			t.Fatalf("got %d bundles, %v", len(before), err)
		}
		id := map[string]string{manifestsPath: attached.Digest, blobsPath: sha256Prefix + before[0].blob}[kind]
		for want, answer := range map[Reason]func(w http.ResponseWriter){
			ReasonDigest:   func(w http.ResponseWriter) { fmt.Fprint(w, "{}") },
			ReasonTooLarge: endless,
			ReasonDenied:   func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) },
		} {
			r.is(serve("/"+kind+"/"+id, answer))
			_, _, err := bundles(t.Context(), image, Options{})
			wantReason(t, err, want)
		}
		r.is(serve("/"+kind+"/"+id, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }))
		got, ignored, err := bundles(t.Context(), image, Options{})
		if err != nil || len(got) > 0 || len(ignored) != 1 || ignored[0].Reason != ReasonNotFound {
			t.Errorf("%s: got %d bundles, ignored %v, %v", kind, len(got), ignored, err)
		}
	}
}

// TestIgnored: what is left out, and why.
func TestIgnored(t *testing.T) {
	type odd struct {
		change func(m *v1.Manifest)
		want   Reason
	}
	both(t, func(t *testing.T, r *testRegistry) {
		image := r.push(t, false)
		subject := &v1.Descriptor{MediaType: manifestType, Size: 1, Digest: v1.Hash{Algorithm: "sha256", Hex: image.SHA256()}}
		large := make([]byte, MaxBundleBytes+1)
		want := map[string]Reason{}
		for name, o := range map[string]odd{
			"an SBOM":            {func(m *v1.Manifest) { m.ArtifactType = "application/spdx+json" }, ReasonForeignArtifact},
			"another version":    {func(m *v1.Manifest) { m.ArtifactType = "application/vnd.dev.sigstore.bundle.v0.4+json" }, ReasonForeignArtifact},
			"provenance":         {func(m *v1.Manifest) { m.Annotations[predicateAnnotation] = "https://slsa.dev/provenance/v1" }, ReasonForeignStatement},
			"a signature":        {func(m *v1.Manifest) { m.Annotations = map[string]string{contentAnnotation: "message-signature"} }, ReasonForeignStatement},
			"an assessment":      {func(m *v1.Manifest) { m.Annotations[predicateAnnotation] = predicate.AssessmentType }, ReasonForeignStatement},
			"two blobs":          {func(m *v1.Manifest) { m.Layers = append(m.Layers, m.Layers[0]) }, ReasonMalformed},
			"no blob":            {func(m *v1.Manifest) { m.Layers = nil }, ReasonMalformed},
			"a blob of SHA-512":  {func(m *v1.Manifest) { m.Layers[0].Digest = v1.Hash{Algorithm: "sha512", Hex: strings.Repeat("0", 128)} }, ReasonMalformed},
			"another blob":       {func(m *v1.Manifest) { m.Layers[0].MediaType = "application/json" }, ReasonMalformed},
			"an oversized blob":  {func(m *v1.Manifest) { m.Layers[0].Size = MaxBundleBytes + 1 }, ReasonTooLarge},
			"an empty blob":      {func(m *v1.Manifest) { m.Layers[0].Size = 0 }, ReasonTooLarge},
			"a blob that is not": {func(m *v1.Manifest) { m.Layers[0].Digest.Hex = strings.Repeat("0", 64) }, ReasonNotFound},
		} {
			var m v1.Manifest
			if err := json.Unmarshal(referrer(subject, large, predicate.DataFlowsType), &m); err != nil {
				t.Fatal(err)
			}
			m.Layers[0].Size = 9
			m.Annotations["test"] = name
			o.change(&m)
			want[putManifest(t, image, m)] = o.want
		}
		good := bundleAbout(t, bundletest.NewWorld(t), image, "data-flows")
		attach(t, open1(t, image, Options{Push: true}), good, predicate.DataFlowsType)
		want[attachLikeCosign(t, image, good, predicate.DataFlowsType)] = ReasonDuplicate
		got, ignored, err := bundles(t.Context(), image, Options{})
		if err != nil || len(got) != 1 || string(got[0].Data) != string(good) {
			t.Fatalf("got %d bundles, %v", len(got), err)
		}
		if len(ignored) != len(want) {
			t.Errorf("ignored %d, want %d", len(ignored), len(want))
		}
		duplicates := 0
		for _, i := range ignored {
			if i.Reason == ReasonDuplicate { // which one of the two is the second depends on their digests
				duplicates++
			} else if i.Reason != want[i.Digest] || i.Detail == "" {
				t.Errorf("%s: %s (%s), want %s", i.Digest, i.Reason, i.Detail, want[i.Digest])
			}
		}
		if duplicates != 1 {
			t.Errorf("%d duplicates, want 1", duplicates)
		}
	})
}

// TestListOfStrangers: the fallback list can be written by anybody who may push. What it lists falsely is left out, and
// a strange entry does not hide the others.
func TestListOfStrangers(t *testing.T) {
	r, image, attached := attacked(t, true)
	other := r.push(t, false)
	foreign := attach(t, open1(t, other, Options{Push: true}), bundleAbout(t, bundletest.NewWorld(t), other, "no-backdoor"),
		predicate.NoBackdoorType)
	entry := func(digest, mediaType string, size int) string {
		return fmt.Sprintf(`{"mediaType":%q,"artifactType":%q,"digest":%q,"size":%d}`, mediaType, BundleType, digest, size)
	}
	entries := []string{entry(attached.Digest, manifestType, 9), entry(attached.Digest, manifestType, 9),
		entry(foreign.Digest, manifestType, 9), entry("sha384:00", manifestType, 9), entry("", "", 9),
		entry(other.digest.DigestStr(), indexType, 9), entry("sha256:"+strings.Repeat("0", 64), manifestType, MaxManifestBytes+1),
		`{}`}
	r.is(serve("/referrers/"+image.digest.DigestStr(), func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", indexType+"; charset=utf-8")
		fmt.Fprintf(w, `{"schemaVersion":2,"manifests":[%s]}`, strings.Join(entries, ","))
	}))
	got, ignored, err := bundles(t.Context(), image, Options{})
	if err != nil || len(got) != 1 || got[0].Digest != attached.Digest {
		t.Fatalf("got %v, %v", got, err)
	}
	reasons := map[Reason]int{}
	for _, i := range ignored {
		reasons[i.Reason]++
	}
	if reasons[ReasonForeignSubject] != 1 || reasons[ReasonMalformed] != 2 || reasons[ReasonForeignArtifact] != 1 ||
		reasons[ReasonTooLarge] != 1 {
		t.Errorf("got %v: %v", reasons, ignored)
	}
}

// TestNoReferrersAPI: how a registry says that it has none differs. The list is then under the tag.
func TestNoReferrersAPI(t *testing.T) {
	r, image, attached := attacked(t, false)
	for _, code := range []int{http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusOK} {
		r.is(serve("/referrers/"+image.digest.DigestStr(), func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			fmt.Fprint(w, "<html>")
		}))
		if got, _, err := bundles(t.Context(), image, Options{}); err != nil || len(got) != 1 || got[0].Digest != attached.Digest {
			t.Errorf("%d: got %v, %v", code, got, err)
		}
	}
}

// TestPages: a list in several pages is read to its end, or not at all.
func TestPages(t *testing.T) {
	for name, c := range map[string]struct {
		link string
		want Reason
	}{
		"next page":      {`</v2/team/app/referrers/DIGEST?page=2>; rel="next"`, ""},
		"relative":       {`<?page=2>; rel=next`, ""},
		"another host":   {`<http://127.0.0.1:1/v2/team/app/referrers/DIGEST?page=2>; rel="next"`, ReasonMalformed},
		"another image":  {`</v2/team/other/referrers/DIGEST?page=2>; rel="next"`, ReasonMalformed},
		"the same page":  {`<./DIGEST>; rel="next"`, ReasonMalformed},
		"without an end": {`<?page=N>; rel="next"`, ReasonTooMany},
		"another rel":    {`<?page=2>; rel="last"`, "one page"},
	} {
		t.Run(name, func(t *testing.T) {
			r, image, attached := attacked(t, true)
			n := 0
			r.is(func(w http.ResponseWriter, request *http.Request) bool {
				if !strings.Contains(request.URL.Path, "/referrers/") {
					return false
				}
				w.Header().Set("Content-Type", indexType)
				n++
				if request.URL.RawQuery != "page=2" {
					link := strings.NewReplacer("DIGEST", image.digest.DigestStr(), "N", fmt.Sprint(n+2)).Replace(c.link)
					w.Header().Set("Link", link)
					fmt.Fprint(w, `{"schemaVersion":2,"manifests":[]}`)
					return true
				}
				fmt.Fprintf(w, `{"schemaVersion":2,"manifests":[{"digest":%q}]}`, attached.Digest)
				return true
			})
			got, _, err := bundles(t.Context(), image, Options{})
			switch {
			case c.want == "one page":
				if err != nil || len(got) != 0 {
					t.Errorf("got %v, %v", got, err)
				}
			case c.want != "":
				wantReason(t, err, c.want)
			case err != nil || len(got) != 1:
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// TestEndlessGreeting: the answer to the handshake is not needed, and not read for ever.
func TestEndlessGreeting(t *testing.T) {
	r, image, _ := attacked(t, true)
	r.is(serve("/v2/", endless))
	if got, _, err := bundles(t.Context(), image, Options{}); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestTimeout: a registry that never ends its answer.
func TestTimeout(t *testing.T) {
	r, image, _ := attacked(t, true)
	released := make(chan struct{})
	defer close(released)
	r.is(serve("/referrers/"+image.digest.DigestStr(), func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", indexType)
		fmt.Fprint(w, " ")
		http.NewResponseController(w).Flush()
		<-released
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _, err := bundles(ctx, image, Options{})
	wantReason(t, err, ReasonTimeout)
}

// TestUnreachable: nobody listens.
func TestUnreachable(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	image, err := ParseImage(strings.TrimPrefix(server.URL, "http://") + "/app@sha256:" + strings.Repeat("0", 64))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), image, Options{})
	wantReason(t, err, ReasonUnreachable)
}

// TestPassingFailureIsRepeated: a registry that is overloaded for a moment is no reason to fail.
func TestPassingFailureIsRepeated(t *testing.T) {
	r, image, _ := attacked(t, true)
	var refused atomic.Bool
	r.is(func(w http.ResponseWriter, request *http.Request) bool {
		if !strings.Contains(request.URL.Path, "/referrers/") || refused.Swap(true) {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	if got, _, err := bundles(t.Context(), image, Options{}); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}
