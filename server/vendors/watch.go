package vendors

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// WatcherConfig describes a [Watcher].
type WatcherConfig struct {
	// Path is the registry file.
	Path string
	// Interval between two looks at the files; DefaultInterval if 0.
	Interval time.Duration
	// OnReload, if not nil, is told of each reload: the new registry, or nil and
	// the error that kept the old one. It must return soon.
	OnReload func(*Registry, error)
	// Logger receives reloads and errors; required.
	Logger *slog.Logger
}

// Watcher holds the current registry and reloads it when its file, or a key
// file that it names, changes. A bad file never replaces a good registry.
type Watcher struct {
	c       WatcherConfig
	current atomic.Pointer[Registry]
	failure atomic.Pointer[Error]
	cancel  context.CancelFunc
	ended   chan struct{}

	mu    sync.Mutex // one reload at a time; guards what follows
	files map[string]fileState
	looks int
}

// fileState is what one look saw of one file.
type fileState struct {
	size     int64
	modified time.Time
	sum      [sha256.Size]byte
	missing  bool
}

// Watch loads the registry, which must succeed, and watches it until ctx ends
// or Close is called.
func Watch(ctx context.Context, c WatcherConfig) (*Watcher, error) {
	if c.Path == "" || c.Logger == nil {
		return nil, bad(Value, 0, "the watcher wants a path and a logger")
	}
	if c.Interval <= 0 {
		c.Interval = DefaultInterval
	}
	w := &Watcher{c: c, ended: make(chan struct{})}
	r, err := w.load()
	if err != nil {
		return nil, err
	}
	w.current.Store(r)
	ctx, w.cancel = context.WithCancel(ctx)
	go w.loop(ctx)
	return w, nil
}

// Registry returns the last good registry; never nil. Callers take it once for
// each request, so that one request sees one registry.
func (w *Watcher) Registry() *Registry { return w.current.Load() }

// Health returns the error of the last reload while the file is bad, else nil.
func (w *Watcher) Health() error {
	if e := w.failure.Load(); e != nil {
		return e
	}
	return nil
}

// Close stops watching. Registry keeps the last registry.
func (w *Watcher) Close() {
	w.cancel()
	<-w.ended
}

// Reload reads the files now, for instance after SIGHUP. A bad file keeps the
// registry and is returned as the error.
func (w *Watcher) Reload(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reload(ctx)
}

func (w *Watcher) loop(ctx context.Context) {
	defer close(w.ended)
	t := time.NewTicker(w.c.Interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			w.look(ctx)
		}
	}
}

// look reloads if a file has changed: first by size and time, which costs
// nothing; now and then, and where those differ, by content.
func (w *Watcher) look(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	if w.looks%fullLook != 0 && !w.touched() {
		return
	}
	if w.changed() {
		_ = w.reload(ctx) // reported by Health, the log and OnReload
	}
}

func (w *Watcher) touched() bool {
	for path, was := range w.files {
		info, err := os.Stat(path)
		if (err != nil) != was.missing || err == nil && (info.Size() != was.size || !info.ModTime().Equal(was.modified)) {
			return true
		}
	}
	return false
}

func (w *Watcher) changed() bool {
	for path, was := range w.files {
		now, _ := inspect(path)
		if now.missing != was.missing || now.sum != was.sum {
			return true
		}
		w.files[path] = now
	}
	return false
}

// inspect reads a file. Its size and time are taken before its content: if it
// changes in between, the next look sees another time.
func inspect(path string) (fileState, []byte) {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{missing: true}, nil
	}
	state := fileState{size: info.Size(), modified: info.ModTime()}
	data, err := readFile(path, MaxRegistryBytes)
	if err == nil {
		state.sum = sha256.Sum256(data)
	}
	return state, data
}

// reload needs w.mu.
func (w *Watcher) reload(ctx context.Context) error {
	r, err := w.load()
	if w.c.OnReload != nil {
		defer w.c.OnReload(r, err)
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Code: Unreadable, Message: "the registry", Err: err}
		}
		if was := w.failure.Swap(e); was == nil || was.Error() != e.Error() {
			w.c.Logger.ErrorContext(ctx, "the registry of vendors is bad; the last good one stays in force", slog.Any("error", err))
		}
		return err
	}
	w.failure.Store(nil)
	w.current.Store(r)
	w.c.Logger.InfoContext(ctx, "the registry of vendors was reloaded", slog.Int("vendors", len(r.vendors)))
	return nil
}

// load reads everything and remembers which files it has looked at, also where
// it fails: a key file that appears later mends the registry.
func (w *Watcher) load() (*Registry, error) {
	w.files = map[string]fileState{}
	state, data := inspect(w.c.Path)
	w.files[w.c.Path] = state
	if data == nil {
		_, err := readFile(w.c.Path, MaxRegistryBytes)
		return nil, &Error{Code: Unreadable, Message: "the registry", Err: errors.Join(err)}
	}
	dir := filepath.Dir(w.c.Path)
	p := parser{dir: dir, read: func(name string) ([]byte, error) {
		path := resolve(dir, name)
		w.files[path], _ = inspect(path)
		return readFile(path, MaxKeyBytes)
	}}
	r, err := p.parse(data)
	if err != nil {
		return nil, err
	}
	return r, nil
}
