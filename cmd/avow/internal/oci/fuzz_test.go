package oci

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/avow-dev/avow/attest/predicate"
)

func fuzzImage(t testing.TB) Image {
	t.Helper()
	image, err := ParseImage("registry.example/app@sha256:" + strings.Repeat("0a", 32))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// FuzzManifest: a manifest leads to a blob only if it refers to the image, says that it is a bundle, and names exactly
// one blob.
func FuzzManifest(f *testing.F) {
	image := fuzzImage(f)
	subject := &v1.Descriptor{MediaType: manifestType, Size: 1, Digest: v1.Hash{Algorithm: "sha256", Hex: image.SHA256()}}
	f.Add(referrer(subject, []byte("bundle"), predicate.DataFlowsType))
	f.Add([]byte(`{"config":{"mediaType":"` + BundleType + `"},"layers":[{}],"subject":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		blob, left := bundleIn(data, image.digest.DigestStr(), image, declarations)
		if (blob == "") == (left == nil) {
			t.Fatalf("got %q and %v", blob, left)
		}
		if left != nil {
			if left.Reason == "" || len(left.Detail) > maxShown+3 || len(left.Digest) > maxShown+3 {
				t.Errorf("got %+v", left)
			}
			return
		}
		text := string(data)
		if !sha256Digest.MatchString(sha256Prefix+blob) || !strings.Contains(text, blob) {
			t.Errorf("blob %q is not in the manifest", blob)
		}
		if !strings.Contains(text, image.SHA256()) {
			t.Error("the manifest does not name the image")
		}
	})
}

// FuzzList: every entry of a list is either possible, and then has a digest of the right form, or has a reason.
func FuzzList(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"sha256:` + strings.Repeat("0a", 32) + `","artifactType":"` + BundleType + `"}]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"sha512:00","annotations":{"` + contentAnnotation + `":""}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseList(data)
		if err != nil && list != nil {
			t.Fatal("a list and an error")
		}
		for _, d := range list {
			left := d.wanted(declarations)
			if left == nil && !sha256Digest.MatchString(d.Digest) {
				t.Errorf("%q is no digest", d.Digest)
			}
			if left != nil && (left.Reason == "" || left.Detail == "") {
				t.Errorf("got %+v", left)
			}
		}
	})
}

// FuzzNextPage: a list goes on in the same list or not at all.
func FuzzNextPage(f *testing.F) {
	page := &url.URL{Scheme: "https", Host: "registry.example", Path: "/v2/app/referrers/sha256:00"}
	f.Add(`<?page=2>; rel="next"`)
	f.Add(`<https://evil.test/>; rel=next`)
	f.Add(`<//evil.test/v2/app/referrers/sha256:00?x>; rel="next"`)
	f.Fuzz(func(t *testing.T, link string) {
		next, err := nextPage(http.Header{"Link": {link}}, page)
		if err != nil && next != nil || next != nil && (next.Scheme != page.Scheme || next.Host != page.Host || next.Path != page.Path ||
			next.String() == page.String()) {
			t.Errorf("got %v, %v", next, err)
		}
	})
}
