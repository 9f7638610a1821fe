package tlog

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/transparency-dev/tessera/api/layout"
)

// Paths of C2SP tlog-tiles.
const (
	checkpointPath = "/checkpoint"
	tilePrefix     = "/tile/"
	entriesPrefix  = "/tile/entries/"
)

// Cache rules of C2SP tlog-tiles: tiles never change, the checkpoint does.
const (
	cacheImmutable = "public, max-age=31536000, immutable"
	cacheNothing   = "no-cache"
)

// Handler serves the published log by C2SP tlog-tiles (https://c2sp.org/tlog-tiles): /checkpoint, /tile/L/N[.p/W] and
// /tile/entries/N[.p/W], for GET and HEAD. Everything else is 404 or 405. It needs no authentication and no session,
// and its answers but the checkpoint may be cached for ever: only what the published checkpoint covers is served,
// because files beyond it may still be replaced after a crash.
//
// The checkpoint comes from memory, verified; tiles and entries come from disk as they are, for the client to verify.
func (l *Log) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", cacheNothing)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			header.Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		// A path with escapes is not in the layout, whatever it decodes to.
		if r.URL.RawPath != "" {
			http.NotFound(w, r)
			return
		}
		if r.URL.Path == checkpointPath {
			l.serveCheckpoint(w)
			return
		}
		l.serveTile(w, r)
	})
}

func (l *Log) serveCheckpoint(w http.ResponseWriter) {
	raw, _, _ := l.Checkpoint()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	_, _ = w.Write(raw) // the client went away: nobody is left to tell
}

func (l *Log) serveTile(w http.ResponseWriter, r *http.Request) {
	t, ok := parseTilePath(r.URL.Path)
	if !ok || !t.within(l.current.Load().tree.size) {
		http.NotFound(w, r)
		return
	}
	data, err := t.read(r, l.storage.Reader)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.NotFound(w, r)
		return
	case err != nil:
		// The cause may hold a path: it goes to the log, not to the client.
		l.cfg.Logger.LogAttrs(r.Context(), levelOf(Unavailable("", err)), "tile not served", attrError(err))
		http.Error(w, "not available now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Cache-Control", cacheImmutable)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // the client went away: nobody is left to tell
}

// tilePath is a parsed path of a tile or an entry bundle.
type tilePath struct {
	entries bool
	level   uint64
	index   uint64
	width   uint8 // 0 is full
}

// parseTilePath accepts exactly the paths that the layout writes: what it parses formats to the same path.
//
// > "the final path element is .p/<W> where <W> is ... between 1 and 255", "<L> is ... between 0 and 63, encoded as a decimal
// ASCII number with no additional leading zeroes" (https://c2sp.org/tlog-tiles)
func parseTilePath(path string) (tilePath, bool) {
	var t tilePath
	var err error
	if rest, ok := strings.CutPrefix(path, entriesPrefix); ok {
		t.entries = true
		t.index, t.width, err = layout.ParseTileIndexPartial(rest)
	} else if rest, ok := strings.CutPrefix(path, tilePrefix); ok {
		level, index, _ := strings.Cut(rest, "/")
		t.level, t.index, t.width, err = layout.ParseTileLevelIndexPartial(level, index)
	} else {
		return tilePath{}, false
	}
	if err != nil || t.String() != path {
		return tilePath{}, false
	}
	return t, true
}

// String returns the path.
func (t tilePath) String() string {
	if t.entries {
		return "/" + layout.EntriesPath(t.index, t.width)
	}
	return "/" + layout.TilePath(t.level, t.index, t.width)
}

// within reports whether a tree of the given size has this tile complete.
func (t tilePath) within(size uint64) bool {
	width := uint64(fullWidth(t.width))
	if t.index > (math.MaxUint64-width)/layout.TileWidth || t.level > 7 {
		return false // no tree of 64-bit size reaches that far
	}
	return t.index*layout.TileWidth+width <= size>>(t.level*layout.TileHeight)
}

// read returns the bytes that the layout demands for the path. A partial tile that was deleted is cut out of the full
// one: what is served under a path that is cached for ever has exactly its width.
func (t tilePath) read(r *http.Request, from Reader) ([]byte, error) {
	if !t.entries {
		data, err := from.ReadTile(r.Context(), t.level, t.index, t.width)
		if n := fullWidth(t.width) * sha256.Size; err == nil && len(data) >= n {
			return data[:n], nil
		} else if err == nil {
			err = &Error{Code: CodeCorrupt, Message: "tile " + t.String() + " is short"}
		}
		return nil, err
	}
	data, err := from.ReadEntryBundle(r.Context(), t.index, t.width)
	if err != nil {
		return nil, err
	}
	entries, err := parseBundle(data)
	if err != nil || len(entries) < fullWidth(t.width) {
		return nil, &Error{Code: CodeCorrupt, Message: "entry bundle " + t.String() + " is short", Err: err}
	}
	n := 0
	for _, entry := range entries[:fullWidth(t.width)] {
		n += 2 + len(entry)
	}
	return data[:n], nil
}
