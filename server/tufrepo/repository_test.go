package tufrepo

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sgtuf "github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/avow-dev/avow/attest"
)

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newKey(t testing.TB) Key {
	t.Helper()
	k := must(attest.GenerateKey())(t)
	return Key{Public: k.PublicKey(), Sign: k.SignDigest}
}

func publics(keys ...Key) []*ecdsa.PublicKey {
	var all []*ecdsa.PublicKey
	for _, k := range keys {
		all = append(all, k.Public)
	}
	return all
}

// world is a repository with three holders, two of whom must sign, and an online key.
type world struct {
	*Repository
	t       testing.TB
	now     time.Time
	holders []Key
	online  Key
	url     string
	first   []byte
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().UTC(), online: newKey(t)}
	w.Repository = Open(t.TempDir(), func() time.Time { return w.now })
	for range 3 {
		w.holders = append(w.holders, newKey(t))
	}
	w.ok(w.Init(RootChange{AddRoot: publics(w.holders...), AddTargets: publics(w.holders...), RootThreshold: 2, TargetsThreshold: 2, Online: w.online.Public}))
	w.stage("trusted_root.json", "version 1")
	w.signAll(w.holders[:2]...)
	must(w.Publish(t.Context(), w.online))(t)
	w.first = must(os.ReadFile(filepath.Join(w.Public(), "1.root.json")))(t)
	srv := httptest.NewServer(http.StripPrefix("/tuf", w.Handler()))
	t.Cleanup(srv.Close)
	w.url = srv.URL + "/tuf"
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) stage(name, content string) {
	w.t.Helper()
	w.ok(w.StageTargets(map[string][]byte{name: []byte(content)}))
}

func (w *world) signAll(keys ...Key) {
	w.t.Helper()
	for _, k := range keys {
		must(w.Sign(w.t.Context(), k))(w.t)
	}
}

// client is a buyer that keeps its files from one update to the next.
type client struct{ dir string }

// fetch runs the TUF client workflow.
func (w *world) fetch(c client) (string, error) {
	cfg, err := config.New(w.url, w.first)
	if err != nil {
		return "", err
	}
	if root, err := os.ReadFile(filepath.Join(c.dir, "root.json")); err == nil {
		cfg.LocalTrustedRoot = root
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = c.dir, c.dir
	u, err := updater.New(cfg)
	if err != nil {
		return "", err
	}
	u.UnsafeSetRefTime(w.now)
	if err := u.Refresh(); err != nil {
		return "", err
	}
	info, err := u.GetTargetInfo("trusted_root.json")
	if err != nil {
		return "", err
	}
	_, data, err := u.DownloadTarget(info, "", "")
	return string(data), err
}

func (w *world) wantFetched(c client, want string) {
	w.t.Helper()
	if got, err := w.fetch(c); err != nil || got != want {
		w.t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// TestSigstoreClient: the client of sigstore-go, which cosign uses too, takes the repository as it is.
func TestSigstoreClient(t *testing.T) {
	w := newWorld(t)
	w.ok(w.StageTargets(map[string][]byte{"signing_config.v0.2.json": []byte("{}")}))
	w.signAll(w.holders[1:]...)
	must(w.Publish(t.Context(), w.online))(t)
	c, err := sgtuf.New(&sgtuf.Options{Root: w.first, RepositoryBaseURL: w.url, CachePath: t.TempDir()})
	w.ok(err)
	for name, want := range map[string]string{"trusted_root.json": "version 1", "signing_config.v0.2.json": "{}"} {
		if got := must(c.GetTarget(name))(t); string(got) != want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// TestThresholds: what too few holders signed, or the wrong ones, is not published.
func TestThresholds(t *testing.T) {
	w := newWorld(t)
	c := client{t.TempDir()}
	if _, err := w.Publish(t.Context(), w.online); !errors.Is(err, ErrNothingStaged) {
		t.Errorf("nothing staged: %v", err)
	}
	if _, err := w.Sign(t.Context(), w.holders[0]); !errors.Is(err, ErrNothingStaged) {
		t.Errorf("nothing to sign: %v", err)
	}
	w.stage("trusted_root.json", "version 2")
	if _, err := w.Publish(t.Context(), w.online); !errors.Is(err, ErrThreshold) {
		t.Errorf("no signature: %v", err)
	}
	w.signAll(w.holders[0], w.holders[0]) // twice is once
	_, err := w.Publish(t.Context(), w.online)
	if !errors.Is(err, ErrThreshold) || !strings.Contains(err.Error(), "targets has 1 of the 2 that the root demands") {
		t.Errorf("one holder twice: %v", err)
	}
	for _, k := range []Key{w.online, newKey(t)} {
		if _, err := w.Sign(t.Context(), k); !errors.Is(err, ErrKey) {
			t.Errorf("a key that is no holder's: %v", err)
		}
	}
	st := must(w.Status())(t)
	if d := st.Staged[0].Demands[0]; d.Met() || len(d.SignedBy) != 1 || len(d.Missing) != 2 {
		t.Errorf("status: %+v", st.Staged)
	}
	w.wantFetched(c, "version 1")
	w.signAll(w.holders[2])
	if _, err := w.Publish(t.Context(), newKey(t)); !errors.Is(err, ErrKey) {
		t.Errorf("another online key: %v", err)
	}
	must(w.Publish(t.Context(), w.online))(t)
	w.wantFetched(c, "version 2")
}

// TestHoldersOnOtherMachines: each holder signs a copy of the directory; the copies come back as files.
func TestHoldersOnOtherMachines(t *testing.T) {
	w := newWorld(t)
	w.stage("trusted_root.json", "version 2")
	signedBy := func(k Key) []byte {
		dir := t.TempDir()
		w.ok(os.CopyFS(dir, os.DirFS(w.dir)))
		must(Open(dir, w.clock).Sign(t.Context(), k))(t)
		return must(os.ReadFile(filepath.Join(dir, "staged", "targets.json")))(t)
	}
	one, two := signedBy(w.holders[0]), signedBy(w.holders[2])
	must(w.Import(one))(t)
	must(w.Import(one))(t)
	must(w.Import(two))(t)
	must(w.Publish(t.Context(), w.online))(t)
	w.wantFetched(client{t.TempDir()}, "version 2")

	w.stage("trusted_root.json", "version 3")
	if _, err := w.Import(one); err == nil || !strings.Contains(err.Error(), "something else than what is staged") {
		t.Errorf("a copy of an older list: %v", err)
	}
	unsigned := must(os.ReadFile(filepath.Join(w.dir, "staged", "targets.json")))(t)
	if _, err := w.Import(unsigned); !errors.Is(err, ErrKey) {
		t.Errorf("a copy that nobody signed: %v", err)
	}
	for _, bad := range []string{"", "{}", `{"signed":{"_type":"timestamp"}}`, strings.Repeat("x", MaxMetadataBytes+1)} {
		if _, err := w.Import([]byte(bad)); err == nil {
			t.Errorf("%.40q was imported", bad)
		}
	}
}

// TestRootRotation: every key is replaced; the next root needs the old holders and the new ones, and clients follow.
func TestRootRotation(t *testing.T) {
	w := newWorld(t)
	c := client{t.TempDir()}
	w.wantFetched(c, "version 1")
	fresh, online := []Key{newKey(t), newKey(t)}, newKey(t)
	w.ok(w.StageRoot(RootChange{AddRoot: publics(fresh...), RemoveRoot: publics(w.holders...), AddTargets: publics(fresh...),
		RemoveTargets: publics(w.holders...), Online: online.Public}))
	w.stage("trusted_root.json", "version 2")
	w.signAll(fresh...)
	_, err := w.Publish(t.Context(), w.online, online)
	if !errors.Is(err, ErrThreshold) || !strings.Contains(err.Error(), "root has 0 of the 2 that the root before it demands") {
		t.Fatalf("without the old holders: %v", err)
	}
	w.signAll(w.holders[:2]...)
	names := must(w.Publish(t.Context(), w.online, online))(t)
	if got := strings.Join(names[len(names)-2:], " "); got != "timestamp.json 2.root.json" {
		t.Errorf("written last: %s; a client with the old root would have no timestamp meanwhile", got)
	}
	w.wantFetched(c, "version 2")
	w.wantFetched(client{t.TempDir()}, "version 2")

	w.stage("trusted_root.json", "version 3")
	if _, err := w.Sign(t.Context(), w.holders[0]); !errors.Is(err, ErrKey) {
		t.Errorf("a holder of before: %v", err)
	}
	if _, err := w.Renew(t.Context(), true, w.online); err == nil {
		t.Error("the online key of before renewed")
	}
}

// TestRootRefused: roots that nobody, or one thief, could use.
func TestRootRefused(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]RootChange{
		"threshold above the keys":  {RootThreshold: 4},
		"negative threshold":        {TargetsThreshold: -1},
		"keys below the threshold":  {RemoveRoot: publics(w.holders[:2]...)},
		"a key that is not there":   {RemoveTargets: publics(newKey(t))},
		"online key as root key":    {AddRoot: publics(w.online)},
		"holder's key as online":    {Online: w.holders[0].Public},
		"period of hundred years":   {Periods: Periods{Timestamp: 36500}},
		"period before the present": {Periods: Periods{Root: -1}},
	} {
		if err := w.StageRoot(c); err == nil {
			t.Errorf("%s: staged", name)
		}
	}
	if err := w.Init(RootChange{}); !errors.Is(err, ErrExists) {
		t.Errorf("init again: %v", err)
	}
	for _, name := range []string{"../x", "a/b", "", ".hidden", "UPPER", strings.Repeat("x", 200)} {
		if err := w.StageTargets(map[string][]byte{name: []byte("x")}); err == nil {
			t.Errorf("target %q: staged", name)
		}
	}
	if err := w.StageTargets(map[string][]byte{"absent": nil}); err == nil {
		t.Error("a target that is not there was taken out")
	}
}

// TestRenewal: the online key keeps the repository alive and nothing more; without it clients refuse.
func TestRenewal(t *testing.T) {
	w := newWorld(t)
	c := client{t.TempDir()}
	w.wantFetched(c, "version 1")
	if renewed := must(w.Renew(t.Context(), false, w.online))(t); renewed {
		t.Error("renewed at once")
	}
	for range 20 { // for longer than a snapshot lives
		w.now = w.now.AddDate(0, 0, 4)
		if !must(w.Renew(t.Context(), false, w.online))(t) {
			t.Fatal("not renewed after half of the period")
		}
		w.wantFetched(c, "version 1")
	}
	w.now = w.now.AddDate(0, 0, 8)
	if _, err := w.fetch(c); err == nil {
		t.Error("an expired timestamp is taken")
	}
	w.now = w.now.AddDate(1, 0, 0)
	w.stage("trusted_root.json", "version 2")
	w.signAll(w.holders[:2]...)
	if _, err := w.Publish(t.Context(), w.online); err == nil || !strings.Contains(err.Error(), "expires at") {
		t.Errorf("published under an expired root: %v", err)
	}
}

// errCrash stops a publication.
var errCrash = errors.New("crash")

// TestCrash stops publications after every file. Clients, new ones and such that have the state before, find a valid
// repository each time, and the same command completes it.
func TestCrash(t *testing.T) {
	for after := 0; ; after++ {
		w := newWorld(t)
		old := client{t.TempDir()}
		w.wantFetched(old, "version 1")
		online := newKey(t)
		w.ok(w.StageRoot(RootChange{RemoveRoot: publics(w.holders[0]), AddRoot: publics(newKey(t)), Online: online.Public}))
		w.stage("trusted_root.json", "version 2")
		w.signAll(w.holders[1], w.holders[2])
		left := after
		w.write = func(path string, data []byte) error {
			if left--; left < 0 {
				return errCrash
			}
			return writeFile(path, data)
		}
		_, err := w.Publish(t.Context(), w.online, online)
		w.write = writeFile
		if err == nil {
			if after < 5 {
				t.Fatalf("published with %d files, want at least 5", after)
			}
			return
		}
		if !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		for name, c := range map[string]client{"the old client": old, "a new client": {t.TempDir()}} {
			if got, err := w.fetch(c); err != nil || got != "version 1" && got != "version 2" {
				t.Fatalf("stopped after %d files: %s gets %q, %v", after, name, got, err)
			}
		}
		must(w.Publish(t.Context(), w.online, online))(t)
		w.wantFetched(old, "version 2")
		w.wantFetched(client{t.TempDir()}, "version 2")
	}
}

// TestWriters: two processes do not write at once.
func TestWriters(t *testing.T) {
	w := newWorld(t)
	unlock := must(w.lock())(t)
	if _, err := w.Renew(t.Context(), true, w.online); err == nil {
		t.Error("renewed under another's lock")
	}
	unlock()
	must(w.Renew(t.Context(), true, w.online))(t)
}

// TestHandler: the files of the repository and nothing else, each with the right life in caches.
func TestHandler(t *testing.T) {
	w := newWorld(t)
	w.ok(os.WriteFile(filepath.Join(w.Public(), "secret.txt"), nil, 0o644))
	w.ok(os.Symlink("/etc/hostname", filepath.Join(w.Public(), "9.root.json")))
	for _, test := range []struct {
		path, cache string
		code        int
	}{
		{"/timestamp.json", "no-cache", 200}, {"/1.root.json", "public, max-age=31536000, immutable", 200},
		{"/1.snapshot.json", "public, max-age=31536000, immutable", 200},
		{"/2.root.json", "no-store", 404}, {"/9.root.json", "no-store", 404}, {"/secret.txt", "no-store", 404}, {"/", "no-store", 404},
		{"/targets/", "no-store", 404}, {"/targets", "no-store", 404}, {"/../staged/targets.json", "no-store", 404},
		{"/%2e%2e/.lock", "no-store", 404}, {"/01.root.json", "no-store", 404},
	} {
		req := must(http.NewRequestWithContext(context.Background(), http.MethodGet, "http://x/", nil))(t)
		req.URL.Path = test.path
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, req)
		if rec.Code != test.code || rec.Header().Get("Cache-Control") != test.cache {
			t.Errorf("%s: got %d, %q", test.path, rec.Code, rec.Header().Get("Cache-Control"))
		}
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodPut, "/timestamp.json", nil))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", rec.Code)
	}
}
