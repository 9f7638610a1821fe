package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
)

// both runs a test against a registry with the referrers API and against one without.
func both(t *testing.T, test func(t *testing.T, r *testRegistry)) {
	t.Helper()
	for _, api := range []bool{true, false} {
		t.Run(fmt.Sprintf("referrers API %t", api), func(t *testing.T) { test(t, startRegistry(t, api)) })
	}
}

// testRegistry is a registry on a loopback port.
type testRegistry struct {
	host string

	mu sync.Mutex
	// hostile answers instead of the registry where it returns true.
	hostile  func(w http.ResponseWriter, r *http.Request) bool
	requests []*http.Request
}

func startRegistry(t *testing.T, referrersAPI bool) *testRegistry {
	t.Helper()
	honest := registry.New(registry.WithReferrersSupport(referrersAPI), registry.Logger(log.New(io.Discard, "", 0)))
	r := &testRegistry{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		r.requests = append(r.requests, request.Clone(context.Background()))
		hostile := r.hostile
		r.mu.Unlock()
		if hostile == nil || !hostile(w, request) {
			honest.ServeHTTP(w, request)
		}
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// is makes the registry hostile from now on.
func (r *testRegistry) is(hostile func(w http.ResponseWriter, r *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hostile = hostile
}

// got are the GET requests so far whose path ends so.
func (r *testRegistry) got(suffix string) []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	var got []*http.Request
	for _, request := range r.requests {
		if request.Method == http.MethodGet && strings.HasSuffix(request.URL.Path, suffix) {
			got = append(got, request)
		}
	}
	return got
}

// push puts an image, or an index of images, into the registry.
func (r *testRegistry) push(t *testing.T, index bool) Image {
	t.Helper()
	var made interface{ Digest() (v1.Hash, error) }
	tag, err := name.NewTag(r.host + "/team/app:1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if index {
		made, err = random.Index(16, 1, 2)
	} else {
		made, err = random.Image(16, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	switch m := made.(type) {
	case v1.ImageIndex:
		err = remote.WriteIndex(tag, m)
	case v1.Image:
		err = remote.Write(tag, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := made.Digest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := ParseImage(Scheme + r.host + "/team/app@" + digest.String())
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func open1(t *testing.T, image Image, o Options) *Client {
	t.Helper()
	o.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	c, err := Open(t.Context(), image, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bundleAbout is a real bundle about the image.
func bundleAbout(t *testing.T, world *bundletest.World, image Image, statement string) []byte {
	t.Helper()
	return world.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, statement, bundletest.ArtifactSHA256,
		image.SHA256())})
}

// attach attaches and expects that it works.
func attach(t *testing.T, c *Client, bundle []byte, predicateType string) *Attached {
	t.Helper()
	attached, err := c.Attach(t.Context(), bundle, predicateType)
	if err != nil {
		t.Fatal(err)
	}
	return attached
}

func anyType(string) bool { return true }

// declarations are the types that the tests ask for.
func declarations(t string) bool {
	return t == predicate.DataFlowsType || t == predicate.NoBackdoorType
}

// wantReason fails unless the error is an *Error with the reason and has a hint.
func wantReason(t *testing.T, err error, want Reason) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Reason != want {
		t.Errorf("got %v, want reason %s", err, want)
		return
	}
	if e.Hint == "" || !strings.HasPrefix(e.Error(), string(want)+": ") {
		t.Errorf("no hint, or another text: %q, hint %q", e.Error(), e.Hint)
	}
}
