package pin_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/pin"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/tufworld"
)

// world is a repository on loopback, of which single files can be answered otherwise.
type world struct {
	*tufworld.World
	t        *testing.T
	base     *url.URL
	tampered map[string]http.HandlerFunc
	kept     []byte // a timestamp of before
}

func newWorld(t *testing.T, trustedRoot []byte) *world {
	t.Helper()
	w := &world{World: tufworld.New(t, bundletest.Epoch, trustedRoot), t: t, tampered: map[string]http.HandlerFunc{}}
	srv := httptest.NewServer(http.StripPrefix("/tuf", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if h, ok := w.tampered[r.URL.Path]; ok {
			h(rw, r)
			return
		}
		w.Handler().ServeHTTP(rw, r)
	})))
	t.Cleanup(srv.Close)
	var err error
	if w.base, err = url.Parse(srv.URL + "/tuf"); err != nil {
		t.Fatal(err)
	}
	return w
}

// client is a buyer's directory of pins.
func (w *world) client() *pin.Client {
	return &pin.Client{Store: pin.Store{Dir: w.t.TempDir()}, Transport: &http.Transport{DisableKeepAlives: true},
		Now: func() time.Time { return w.Now }}
}

// pinned is a client that pinned the repository by its fingerprint.
func (w *world) pinned() (*pin.Client, *pin.Pin) {
	w.t.Helper()
	c := w.client()
	r, err := c.Pin(w.t.Context(), "acme", w.base, nil, pin.Fingerprint(w.File("1.root.json")))
	if err != nil {
		w.t.Fatal(err)
	}
	return c, r.Pin
}

func answer(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
}

// wantRefused asserts the code of a refused update, and that the pin is as it was, to the byte.
func wantRefused(t *testing.T, c *pin.Client, p *pin.Pin, code pin.Code) {
	t.Helper()
	file := filepath.Join(c.Store.Dir, p.Name, "pin.json")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Update(t.Context(), p)
	var refused *pin.Error
	if !errors.As(err, &refused) || refused.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	if refused.Hint == "" {
		t.Error("no hint")
	}
	after, err := os.ReadFile(file)
	if err != nil || string(before) != string(after) {
		t.Errorf("pin.json changed: %v", err)
	}
	again, err := c.Store.Load(p.Name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.TrustedRoot(); err != nil {
		t.Error(err)
	}
	generations, _ := filepath.Glob(filepath.Join(c.Store.Dir, p.Name, "g-*"))
	if len(generations) != 1 {
		t.Errorf("the refused update left %v", generations)
	}
}

// roots are a trusted root and the one after it.
func roots(t *testing.T) (first, second []byte) {
	t.Helper()
	w := bundletest.NewWorld(t)
	next := bundletest.NewLog(t, "next.example.test", bundletest.Start)
	return w.TrustedRoot(), bundletest.TrustedRoot(t, []*bundletest.Log{w.Log, next}, []*bundletest.TSA{w.TSA, w.Foreign}, []*bundletest.CA{w.CA}, nil)
}

func (w *world) keepTimestamp() { w.kept = w.File("timestamp.json") }

func (w *world) oldTimestamp() []byte { return w.kept }
