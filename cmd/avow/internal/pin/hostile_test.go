package pin_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/cmd/avow/internal/pin"
	"github.com/avow-dev/avow/internal/bundletest"
)

// TestHostileRepository: every way to hand a buyer something else than the holders signed is refused with its code, and the
// pin stays as it was.
func TestHostileRepository(t *testing.T) {
	first, second := roots(t)
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	target := func(w *world) string {
		_, rest, _ := bytes.Cut(w.File("2.targets.json"), []byte(`"sha256": "`))
		hash, _, _ := bytes.Cut(rest, []byte(`"`))
		return "/targets/" + string(hash) + ".trusted_root.json"
	}
	for name, test := range map[string]struct {
		attack func(w *world)
		want   pin.Code
	}{
		"rollback of the timestamp": {func(w *world) {
			w.tampered["/timestamp.json"] = answer(w.oldTimestamp())
		}, pin.CodeRollback},
		"freeze": {func(w *world) { w.Now = w.Now.AddDate(0, 0, 30) }, pin.CodeExpired},
		"freeze of the root": {func(w *world) {
			w.Now = w.Now.AddDate(2, 0, 0)
		}, pin.CodeExpired},
		"endless timestamp": {func(w *world) {
			w.tampered["/timestamp.json"] = func(rw http.ResponseWriter, _ *http.Request) {
				for line := bytes.Repeat([]byte("x"), 1<<12); ; {
					if _, err := rw.Write(line); err != nil {
						return
					}
				}
			}
		}, pin.CodeTooLarge},
		"root signed by too few": {func(w *world) { w.tampered["/2.root.json"] = answer(w.StagedRoot(1)) }, pin.CodeRoot},
		"root of somebody else": {func(w *world) {
			w.tampered["/2.root.json"] = answer(bytes.Replace(newWorld(w.t, first).File("1.root.json"), []byte(`"version": 1`), []byte(`"version": 2`), 1))
		}, pin.CodeRoot},
		"the same root again as the next": {func(w *world) { w.tampered["/2.root.json"] = answer(w.File("1.root.json")) }, pin.CodeRoot},
		"repository of somebody else": {func(w *world) {
			stranger := newWorld(w.t, second)
			stranger.Renew()
			stranger.Renew()
			stranger.Renew()
			w.tampered["/timestamp.json"] = answer(stranger.File("timestamp.json"))
		}, pin.CodeSignature},
		"snapshot of before": {func(w *world) {
			w.tampered["/2.snapshot.json"] = answer(fit(w.File("1.snapshot.json"), w.File("2.snapshot.json")))
		}, pin.CodeMismatch},
		"targets of before": {func(w *world) {
			w.tampered["/2.targets.json"] = answer(fit(w.File("1.targets.json"), w.File("2.targets.json")))
		}, pin.CodeMismatch},
		"another target of the same length": {func(w *world) {
			changed := slices.Clone(second)
			changed[len(changed)-3] ^= 1
			w.tampered[target(w)] = answer(changed)
		}, pin.CodeMismatch},
		"a shorter target": {func(w *world) { w.tampered[target(w)] = answer(second[:len(second)-1]) }, pin.CodeMismatch},
		"a longer target":  {func(w *world) { w.tampered[target(w)] = answer(append(slices.Clone(second), ' ')) }, pin.CodeTooLarge},
		"redirect": {func(w *world) {
			w.tampered["/timestamp.json"] = func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, other.URL, http.StatusFound) }
		}, pin.CodeRedirect},
		"redirect of the next root": {func(w *world) {
			w.tampered["/2.root.json"] = func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, other.URL, http.StatusMovedPermanently)
			}
		}, pin.CodeRedirect},
		"no metadata": {func(w *world) { w.tampered["/timestamp.json"] = answer([]byte(`{"signed":{}}`)) }, pin.CodeMalformed},
		"no JSON":     {func(w *world) { w.tampered["/timestamp.json"] = answer([]byte("\x1b[2J")) }, pin.CodeMalformed},
		"outage": {func(w *world) {
			w.tampered["/timestamp.json"] = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) }
		}, pin.CodeOutage},
		"a file that is not there":              {func(w *world) { w.tampered["/2.snapshot.json"] = http.NotFound }, pin.CodeOutage},
		"a trusted root that no verifier takes": {func(w *world) { w.Publish([]byte(`{"mediaType":"x"}`)) }, pin.CodeMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, first)
			c, p := w.pinned()
			w.keepTimestamp()
			w.Publish(second)
			if strings.HasPrefix(name, "rollback") {
				r, err := c.Update(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				p = r.Pin
			}
			test.attack(w)
			wantRefused(t, c, p, test.want)
		})
	}
	if elsewhere != 0 {
		t.Errorf("%d requests went to another host", elsewhere)
	}
}

// TestFirstUse: with a fingerprint only that root is pinned; a refused pin leaves no pin.
func TestFirstUse(t *testing.T) {
	first, _ := roots(t)
	w := newWorld(t, first)
	c := w.client()
	_, err := c.Pin(t.Context(), "acme", w.base, nil, "sha256:"+strings.Repeat("0", 64))
	wantCode(t, err, pin.CodeFingerprint)
	w.tampered["/timestamp.json"] = http.NotFound
	_, err = c.Pin(t.Context(), "acme", w.base, nil, "")
	wantCode(t, err, pin.CodeOutage)
	delete(w.tampered, "/timestamp.json")
	if names, err := c.Store.List(); err != nil || len(names) != 0 {
		t.Errorf("refused pins left %v, %v", names, err)
	}
	stranger := newWorld(t, first)
	_, err = c.Pin(t.Context(), "acme", w.base, stranger.File("1.root.json"), "")
	wantCode(t, err, pin.CodeSignature)

	r, err := c.Pin(t.Context(), "acme", w.base, w.File("1.root.json"), pin.Fingerprint(w.File("1.root.json")))
	if err != nil || len(r.Changes) != 4 || r.Pin.RootVersion != 1 {
		t.Fatalf("got %+v, %v", r, err)
	}
	_, err = c.Pin(t.Context(), "acme", w.base, nil, "")
	wantCode(t, err, pin.CodePin)
	if err := c.Store.Remove("acme"); err != nil {
		t.Error(err)
	}
	_, err = c.Store.Load("acme")
	wantCode(t, err, pin.CodePin)
}

// TestServerPin: the trusted root of a service without TUF changes by the buyer's word alone.
func TestServerPin(t *testing.T) {
	first, second := roots(t)
	w := newWorld(t, first)
	c := w.client()
	r, err := c.PinServer("acme", "avow.example:8443", pin.Offer{TrustedRoot: first}, "")
	if err != nil {
		t.Fatal(err)
	}
	if r, err = c.UpdateServer(r.Pin, pin.Offer{TrustedRoot: first}, ""); err != nil || len(r.Changes) != 0 {
		t.Fatalf("the same root: %v, %v", r, err)
	}
	p := r.Pin
	for _, accept := range []string{"", pin.Fingerprint(first)} {
		r, err = c.UpdateServer(p, pin.Offer{TrustedRoot: second}, accept)
		wantCode(t, err, pin.CodeChanged)
		if len(r.Changes) != 1 || !strings.HasPrefix(r.Changes[0].String(), "+ log next.example.test added") {
			t.Errorf("changes: %v", r.Changes)
		}
	}
	if r, err = c.UpdateServer(p, pin.Offer{TrustedRoot: second}, pin.Fingerprint(second)); err != nil {
		t.Fatal(err)
	}
	if data, err := r.Pin.TrustedRoot(); err != nil || !bytes.Equal(data, second) {
		t.Errorf("after accepting: %v", err)
	}
}

// TestServerPinIndexKey: the key of a service's index log is pinned with the root, and changes by the buyer's word alone.
func TestServerPinIndexKey(t *testing.T) {
	first, second := roots(t)
	w := newWorld(t, first)
	c := w.client()
	key, other := bundletest.NewLog(t, "index.example.test", bundletest.Start).VKey(t), bundletest.NewLog(t, "index.example.test", bundletest.Start).VKey(t)
	_, err := c.PinServer("acme", "avow.example:8443", pin.Offer{TrustedRoot: first, IndexKey: "no key"}, "")
	wantCode(t, err, pin.CodeMalformed)
	r, err := c.PinServer("acme", "avow.example:8443", pin.Offer{TrustedRoot: first, IndexKey: key}, "")
	if err != nil || r.Pin.IndexLogKey != key {
		t.Fatal(r, err)
	}
	p := r.Pin
	_, err = c.UpdateServer(p, pin.Offer{TrustedRoot: first, IndexKey: other}, "")
	wantCode(t, err, pin.CodeChanged)
	for _, step := range []struct {
		name   string
		offer  pin.Offer
		accept string
		want   string
	}{
		{"nothing is offered", pin.Offer{TrustedRoot: first}, "", key},
		{"the root is accepted", pin.Offer{TrustedRoot: second, IndexKey: other}, pin.Fingerprint(second), key},
	} {
		if r, err = c.UpdateServer(p, step.offer, step.accept); err != nil || r.Pin.IndexLogKey != step.want {
			t.Errorf("%s: %v, %v", step.name, r, err)
		}
	}
	if r, err = c.UpdateServer(p, pin.Offer{TrustedRoot: second, IndexKey: other}, pin.KeyFingerprint(other)); err != nil || r.Pin.IndexLogKey != other {
		t.Errorf("the key is accepted: %v, %v", r, err)
	}
	if loaded, err := c.Store.Load("acme"); err != nil || loaded.IndexLogKey != other {
		t.Errorf("loaded: %v, %v", loaded, err)
	}
}

// TestDamagedPin: files that were changed beside the program are not used.
func TestDamagedPin(t *testing.T) {
	first, _ := roots(t)
	for name, damage := range map[string]func(dir, generation string) error{
		"trusted root": func(_, g string) error {
			return os.WriteFile(filepath.Join(g, "trusted_root.json"), []byte("{}"), 0o600)
		},
		"no root":      func(_, g string) error { return os.Remove(filepath.Join(g, "root.json")) },
		"no timestamp": func(_, g string) error { return os.Remove(filepath.Join(g, "timestamp.json")) },
		"a key that is none": func(d, _ string) error {
			data, err := os.ReadFile(filepath.Join(d, "pin.json"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(d, "pin.json"), bytes.Replace(data, []byte(`"pinnedAt"`), []byte(`"indexLogKey": "x", "pinnedAt"`), 1), 0o600)
		},
		"half a pin": func(d, _ string) error {
			return os.WriteFile(filepath.Join(d, "pin.json"), []byte(`{"format":1`), 0o600)
		},
	} {
		w := newWorld(t, first)
		c, p := w.pinned()
		dir := filepath.Join(c.Store.Dir, "acme")
		if err := damage(dir, filepath.Join(dir, p.Generation)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Update(t.Context(), p); !isCode(err, pin.CodePin) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// fit gives a file the length of another: signatures vary by a byte or two, and a length alone is refused before the hash.
func fit(data, like []byte) []byte {
	padded := append(slices.Clone(data), bytes.Repeat([]byte(" "), len(like))...)
	return padded[:len(like)]
}

func isCode(err error, code pin.Code) bool {
	var e *pin.Error
	return errors.As(err, &e) && e.Code == code
}

func wantCode(t *testing.T, err error, code pin.Code) {
	t.Helper()
	if !isCode(err, code) {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// FuzzParsePin: what is taken is complete, and reads back the same.
func FuzzParsePin(f *testing.F) {
	f.Add([]byte(`{"format":1,"name":"acme","kind":"server","address":"h:1","fingerprint":"sha256:` + strings.Repeat("0", 64) +
		`","rootVersion":0,"generation":"g-1","trustedRootSha256":"` + strings.Repeat("0", 64) +
		`","pinnedAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z","expires":null}`))
	f.Add([]byte(`{"format":1,"generation":"../../etc"}`))
	f.Add([]byte(`{"format":1,"name":"a","unknown":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := pin.ParsePin(data)
		if err != nil {
			return
		}
		if strings.ContainsAny(p.Name+p.Generation, "/\\\x00") || p.TrustedRootSHA256 == "" || p.UpdatedAt.IsZero() {
			t.Errorf("taken: %+v", p)
		}
	})
}

// TestInterruptedUpdate: what an interrupted update left is neither used nor in the way.
func TestInterruptedUpdate(t *testing.T) {
	first, second := roots(t)
	w := newWorld(t, first)
	c, p := w.pinned()
	left := filepath.Join(c.Store.Dir, "acme", "g-12345")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "trusted_root.json"), second, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := c.Store.Load("acme")
	if err != nil {
		t.Fatal(err)
	}
	if data, err := again.TrustedRoot(); err != nil || !bytes.Equal(data, first) {
		t.Errorf("the interrupted update is used: %v", err)
	}
	if _, err := c.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
