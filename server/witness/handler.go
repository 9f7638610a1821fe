package witness

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// sizeType is the content type of a conflict's body.
//
// > "The response MUST have a Content-Type of text/x.tlog.size" (https://c2sp.org/tlog-witness)
const sizeType = "text/x.tlog.size"

// Handler serves POST /add-checkpoint. The server around it must have timeouts.
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", w.serve)
	return mux
}

func (w *Witness) serve(rw http.ResponseWriter, req *http.Request) {
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	default:
		rw.Header().Set("Retry-After", "1")
		http.Error(rw, "too many requests in hand", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, req.Body, MaxRequestBytes))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			http.Error(rw, fmt.Sprintf("more than %d bytes", MaxRequestBytes), http.StatusRequestEntityTooLarge)
			return
		}
		http.Error(rw, "the request could not be read", http.StatusBadRequest)
		return
	}
	line, err := w.AddCheckpoint(req.Context(), body)
	var no *Refusal
	switch {
	case err == nil:
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = rw.Write(line) // a client that is gone asks again
	case !errors.As(err, &no):
		http.Error(rw, "internal error", http.StatusInternalServerError)
	case no.Behind:
		rw.Header().Set("Content-Type", sizeType)
		rw.WriteHeader(no.Status)
		fmt.Fprintf(rw, "%d\n", no.Size)
	default:
		if no.Status == http.StatusTooManyRequests {
			rw.Header().Set("Retry-After", "1")
		}
		http.Error(rw, no.Message, no.Status)
	}
}
