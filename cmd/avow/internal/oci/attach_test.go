package oci

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
)

// TestAttachAndRead: what is attached is found, byte for byte, beside an image and beside an index of images.
func TestAttachAndRead(t *testing.T) {
	world := bundletest.NewWorld(t)
	both(t, func(t *testing.T, r *testRegistry) {
		for _, index := range []bool{false, true} {
			image := r.push(t, index)
			flows, claims := bundleAbout(t, world, image, "data-flows"), bundleAbout(t, world, image, "no-backdoor")
			c := open1(t, image, Options{Push: true})
			places := []*Attached{attach(t, c, flows, predicate.DataFlowsType), attach(t, c, claims, predicate.NoBackdoorType)}
			got, ignored, err := open1(t, image, Options{}).Bundles(t.Context(), declarations)
			if err != nil || len(ignored) > 0 || len(got) != 2 {
				t.Fatalf("got %d bundles, ignored %v, %v", len(got), ignored, err)
			}
			for i, want := range [][]byte{flows, claims} {
				found := false
				for _, b := range got {
					found = found || b.Digest == places[i].Digest && bytes.Equal(b.Data, want)
				}
				if !found || places[i].Before {
					t.Errorf("bundle %d is not there as it was attached: %v", i, places[i])
				}
			}
		}
	})
}

// TestAttachTwiceLeavesOne, also where cosign attached it before, with its own manifest.
func TestAttachTwiceLeavesOne(t *testing.T) {
	world := bundletest.NewWorld(t)
	both(t, func(t *testing.T, r *testRegistry) {
		image := r.push(t, false)
		bundle := bundleAbout(t, world, image, "data-flows")
		first := attach(t, open1(t, image, Options{Push: true}), bundle, predicate.DataFlowsType)
		second := attach(t, open1(t, image, Options{Push: true}), bundle, predicate.DataFlowsType)
		if !second.Before || second.Digest != first.Digest {
			t.Errorf("got %+v after %+v", second, first)
		}
		claims := bundleAbout(t, world, image, "no-backdoor")
		digest := attachLikeCosign(t, image, claims, predicate.NoBackdoorType)
		third := attach(t, open1(t, image, Options{Push: true}), claims, predicate.NoBackdoorType)
		if !third.Before || third.Digest != digest {
			t.Errorf("got %+v, cosign attached it as %s", third, digest)
		}
		got, ignored, err := open1(t, image, Options{}).Bundles(t.Context(), anyType)
		if err != nil || len(got) != 2 || len(ignored) != 0 {
			t.Errorf("got %d bundles, ignored %v, %v", len(got), ignored, err)
		}
	})
}

// TestAttachedBeforeIsSeenInTheList, without reading what is listed.
func TestAttachedBeforeIsSeenInTheList(t *testing.T) {
	r, image, attached := attacked(t, true)
	listed, _, err := bundles(t.Context(), image, Options{})
	if err != nil || len(listed) != 1 {
		t.Fatal(listed, err)
	}
	read := len(r.got("/manifests/" + attached.Digest))
	attach(t, open1(t, image, Options{Push: true}), listed[0].Data, predicate.DataFlowsType)
	if n := len(r.got("/manifests/" + attached.Digest)); n != read {
		t.Errorf("the manifest was read %d times more", n-read)
	}
}

// attachLikeCosign writes what cosign 3 writes: the same layers under a manifest with a time, and the artifact type at
// the configuration, too.
func attachLikeCosign(t *testing.T, image Image, bundle []byte, predicateType string) string {
	t.Helper()
	subject, err := remote.Head(image.digest)
	if err != nil {
		t.Fatal(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(referrer(subject, bundle, predicateType), &m); err != nil {
		t.Fatal(err)
	}
	m.Config.ArtifactType = BundleType
	m.Annotations["org.opencontainers.image.created"] = bundletest.Epoch.Format(time.RFC3339)
	return putManifest(t, image, m, bundle)
}

// putManifest writes a manifest with its blobs and returns its digest.
func putManifest(t *testing.T, image Image, m v1.Manifest, blobs ...[]byte) string {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range append(blobs, empty) {
		if err := remote.WriteLayer(image.digest.Context(), static.NewLayer(blob, BundleType)); err != nil {
			t.Fatal(err)
		}
	}
	digest := "sha256:" + hexSum(data)
	if err := remote.Put(image.digest.Context().Digest(digest), written(data)); err != nil {
		t.Fatal(err)
	}
	return digest
}

// TestManifest: the manifest is the one of cosign's bundle specification, and the same each time.
func TestManifest(t *testing.T) {
	subject := &v1.Descriptor{MediaType: indexType, Size: 7, Digest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("ab", 32)}}
	const want = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,` +
		`"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},` +
		`"layers":[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","size":6,` +
		`"digest":"sha256:1e6ed65d77d6364eeaed5a745ba5c4985ae2b700dd85d7cf7f027bdf294a33fc"}],` +
		`"annotations":{"dev.sigstore.bundle.content":"dsse-envelope","dev.sigstore.bundle.predicateType":"urn:x"},` +
		`"subject":{"mediaType":"application/vnd.oci.image.index.v1+json","size":7,` +
		`"digest":"sha256:abababababababababababababababababababababababababababababababab"},` +
		`"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`
	if got := string(referrer(subject, []byte("bundle"), "urn:x")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestAttachNeedsTheImage: there is no referrer of an image that is not there.
func TestAttachNeedsTheImage(t *testing.T) {
	both(t, func(t *testing.T, r *testRegistry) {
		r.push(t, false)
		image, err := ParseImage(r.host + "/team/app@sha256:" + strings.Repeat("0", 64))
		if err != nil {
			t.Fatal(err)
		}
		_, err = open1(t, image, Options{Push: true}).Attach(t.Context(), []byte("{}"), "urn:x")
		wantReason(t, err, ReasonNotFound)
		_, _, err = open1(t, image, Options{}).Bundles(t.Context(), anyType)
		wantReason(t, err, ReasonNotFound)
	})
}

func TestAttachLimits(t *testing.T) {
	image := startRegistry(t, true).push(t, false)
	c := open1(t, image, Options{Push: true})
	for _, size := range []int{0, MaxBundleBytes + 1} {
		_, err := c.Attach(t.Context(), make([]byte, size), "urn:x")
		wantReason(t, err, ReasonTooLarge)
	}
	attach(t, c, make([]byte, MaxBundleBytes), "urn:x")
}

// TestAttachIsCheckedInTheList: another client replaces the list at the same moment and loses the entry. It is entered
// again, and a registry that never lists it is an error.
func TestAttachIsCheckedInTheList(t *testing.T) {
	for _, lost := range []int{1, attachTries} {
		r := startRegistry(t, false)
		image := r.push(t, false)
		r.is(func(w http.ResponseWriter, request *http.Request) bool {
			if request.Method != http.MethodPut || !strings.HasSuffix(request.URL.Path, "/manifests/sha256-"+image.SHA256()) {
				return false
			}
			lost--
			if lost < 0 {
				return false
			}
			w.WriteHeader(http.StatusCreated) // and forgets it
			return true
		})
		fails := lost == attachTries
		attached, err := open1(t, image, Options{Push: true}).Attach(t.Context(), []byte("{}"), "urn:x")
		if fails {
			wantReason(t, err, ReasonNotListed)
		} else if err != nil || attached.Before {
			t.Errorf("got %v, %v", attached, err)
		}
	}
}

// TestResolve tells what a tag names now, by the hash of what is served.
func TestResolve(t *testing.T) {
	r := startRegistry(t, true)
	image := r.push(t, true)
	got, err := Resolve(t.Context(), Scheme+r.host+"/team/app:1.2.3", Options{})
	if err != nil || got.String() != image.String() {
		t.Errorf("got %v, %v, want %v", got, err, image)
	}
	_, err = Resolve(t.Context(), r.host+"/team/app", Options{}) // the tag latest
	wantReason(t, err, ReasonNotFound)
	if tag, err := name.NewTag(r.host + "/team/app:latest"); err != nil {
		t.Fatal(err)
	} else if d, err := remote.Get(image.digest); err != nil {
		t.Fatal(err)
	} else if err := remote.Tag(tag, d); err != nil {
		t.Fatal(err)
	}
	if got, err = Resolve(t.Context(), r.host+"/team/app", Options{}); err != nil || got.String() != image.String() {
		t.Errorf("got %v, %v, want %v", got, err, image)
	}
}
