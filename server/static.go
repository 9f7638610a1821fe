package server

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/avow-dev/avow/api"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/statements"
)

// routes puts the static and the generated parts of the HTTP port together. Everything passes the caller's rate; the
// REST calls have theirs taken by the interceptors.
func (s *Server) routes(gateway http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", limitBody(gateway))
	mux.Handle("GET /api/openapi.json", s.limited(http.HandlerFunc(serveOpenAPI)))
	if h := s.cfg.TimestampHandler; h != nil {
		mux.Handle("POST /api/v1/timestamp", s.limited(h))
	}
	if h := s.cfg.TUFHandler; h != nil {
		mux.Handle("/tuf/", s.limited(http.StripPrefix("/tuf", h)))
	}
	mux.Handle("POST /api/v2/signingCert", limitBody(headerToken(gateway)))
	if c := s.cfg.Certificates; c != nil && c.Log != nil {
		mux.Handle("/ct/", http.StripPrefix("/ct", s.limited(c.Log.Handler())))
	}
	if c := s.cfg.Standing; c != nil {
		mux.Handle("/index/", http.StripPrefix("/index", s.limited(c.Roots.Handler())))
	}
	log := s.limited(s.cfg.Log.Handler())
	mux.Handle("/checkpoint", log)
	mux.Handle("/tile/", log)
	rekor := http.StripPrefix("/api/v2", log)
	mux.Handle("/api/v2/checkpoint", rekor)
	mux.Handle("/api/v2/tile/", rekor)
	mux.Handle("GET /statements/sha256/{digest}", s.limited(http.HandlerFunc(s.serveStatement)))
	mux.Handle("GET /statements/by-index/{index}", s.limited(http.HandlerFunc(s.serveStatementAt)))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeRefusal(w, r, refuse(reasonRouteUnknown, "there is nothing at this path"))
	})
	return s.guard(mux)
}

// guard is the outermost handler: a panic becomes an answer, and no answer is taken for another type than it is.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler { //nolint:errorlint // net/http panics with this very value
					panic(v)
				}
				writeRefusal(w, r, s.panicked(r.Context(), r.Pattern, v))
			}
		}()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// limited takes one unit of the caller's rate, counted apart from the caller's API calls: a mirror that reads tiles
// as fast as it may does not keep its neighbour behind the same address from issuing.
func (s *Server) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			writeRefusal(w, r, refuse(reasonShuttingDown, "the service is stopping; repeat the call"))
			return
		}
		key := "static " + networkOf(s.clientAddress(r))
		if err := s.rates.take(key, 1, s.cfg.Clock()); err != nil {
			s.metrics.refusals.WithLabelValues(reasonName(reasonRateLimited)).Inc()
			writeRefusal(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(api.OpenAPI()) // the client went away
}

// serveStatement answers the bytes of a committed statement. They are named by their digest, so they may be cached
// for ever and by anybody. A statement that is not there may be there in a moment: that answer is not cached.
func (s *Server) serveStatement(w http.ResponseWriter, r *http.Request) {
	digest := r.PathValue("digest")
	if len(digest) != 64 || !isHex(digest) {
		writeRefusal(w, r, invalidField("digest", "want 64 lower-case hexadecimal digits"))
		return
	}
	s.writeStatement(w, r, "sha256:"+digest)
}

// serveStatementAt answers the bytes of the committed statement of a log entry. A leaf holds only the digest of a
// statement's encoding, from which nobody can compute the statement's id: this is how a monitor that reads the log
// asks for what an entry speaks of.
func (s *Server) serveStatementAt(w http.ResponseWriter, r *http.Request) {
	path := r.PathValue("index")
	index, err := strconv.ParseInt(path, 10, 64)
	if err != nil || index < 0 || strconv.FormatInt(index, 10) != path {
		writeRefusal(w, r, invalidField("index", "want a log index, decimal without leading zeros"))
		return
	}
	page, _, err := s.cfg.Store.List(r.Context(), statements.Query{From: uint64(index), Limit: 1})
	if err == nil && (len(page) == 0 || page[0].LogIndex != uint64(index)) {
		err = refuse(reasonStatementNotFound, "no statement of log entry %d", index)
	}
	if err != nil {
		s.answerStatic(w, r, err)
		return
	}
	s.writeStatement(w, r, page[0].StatementID)
}

// writeStatement answers the bytes of a committed statement.
func (s *Server) writeStatement(w http.ResponseWriter, r *http.Request, id string) {
	records, err := committedRecords(r.Context(), s.cfg.Store, id)
	if err != nil {
		s.answerStatic(w, r, err)
		return
	}
	env, err := reopen(&records[0])
	if err != nil {
		s.answerStatic(w, r, err)
		return
	}
	payload, digest := env.Statement().Payload(), strings.TrimPrefix(id, "sha256:")
	h := w.Header()
	h.Set("Content-Type", predicate.PayloadType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+digest+`"`)
	if strings.Contains(r.Header.Get("If-None-Match"), digest) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(payload)))
	_, _ = w.Write(payload) // the client went away
}

// answerStatic logs and answers an error of a static path.
func (s *Server) answerStatic(w http.ResponseWriter, r *http.Request, err error) {
	refused := toRefusal(err)
	if refused.reason != reasonStatementNotFound {
		s.cfg.Logger.ErrorContext(r.Context(), "static", slog.String("path", r.Pattern), slog.Any("refused", refused))
	}
	w.Header().Set("Cache-Control", "no-store")
	writeRefusal(w, r, refused)
}
