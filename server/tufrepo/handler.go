package tufrepo

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"
)

// published are the names that a repository has: nothing else in its directory is ever served.
var published = regexp.MustCompile(`^(timestamp\.json|[1-9][0-9]{0,9}\.(root|targets|snapshot)\.json|targets/[0-9a-f]{64}\.[a-z0-9][A-Za-z0-9._-]{0,99})$`)

// Handler serves the files of the repository, and no listing. What has its version or hash in its name may be cached for
// ever; timestamp.json and the absence of a file may not: the next root is absent until the moment it is there.
func (r *Repository) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "read only", http.StatusMethodNotAllowed)
			return
		}
		name := strings.TrimPrefix(req.URL.Path, "/")
		if !published.MatchString(name) || !r.serve(w, req, name) {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "there is no such file", http.StatusNotFound)
		}
	})
}

func (r *Repository) serve(w http.ResponseWriter, req *http.Request, name string) bool {
	root, err := os.OpenRoot(r.Public())
	if err != nil {
		return false
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	cache, changed := "public, max-age=31536000, immutable", info.ModTime()
	if name == "timestamp.json" {
		cache, changed = "no-cache", time.Time{} // it may change twice in the second that a date can tell
	}
	w.Header().Set("Cache-Control", cache)
	w.Header().Set("Content-Type", "application/json")
	http.ServeContent(w, req, "", changed, f)
	return true
}
