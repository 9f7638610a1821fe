package tlog_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	formats "github.com/transparency-dev/formats/log"

	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
)

func TestWitnessQuorum(t *testing.T) {
	servers := []*witnessServer{newWitnessServer(t, 1), newWitnessServer(t, 2), newWitnessServer(t, 3)}
	cfg, logged := witnessedConfig(t, 2, servers...)
	registry := prometheus.NewRegistry()
	cfg.Registerer = registry
	l := open(t, cfg)
	for i, e := range fill(t, l, 0, 3) {
		verify(t, e, leafOf(i))
		if n := count(servers, e.Checkpoint); n < 2 {
			t.Errorf("entry %d: %d cosignatures, want 2 or more", i, n)
		}
	}

	servers[0].stop() // one of three: it goes on
	e, err := l.Append(t.Context(), leafOf(3))
	if err != nil || count(servers[1:], e.Checkpoint) != 2 {
		t.Fatalf("one down: %v, checkpoint\n%s", err, e.Checkpoint)
	}
	if err := l.Health(); err != nil {
		t.Errorf("one down: %v", err)
	}

	servers[1].stop() // two of three: it pauses
	pending := make(chan error, 1)
	go func() {
		entry, err := l.Append(t.Context(), leafOf(4))
		if err == nil && (entry.Index != 4 || count(servers, entry.Checkpoint) < 2) {
			err = fmt.Errorf("index %d, checkpoint\n%s", entry.Index, entry.Checkpoint)
		}
		pending <- err
	}()
	eventually(t, "health names both", func() bool {
		err := l.Health()
		return err != nil && strings.Contains(err.Error(), "w1.example refuses connections (since ") &&
			strings.Contains(err.Error(), "w2.example refuses connections (since ") && !strings.Contains(err.Error(), "w3.example")
	})
	wantCode(t, l.Health(), tlog.CodeUnavailable)
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = l.Append(short, leafOf(4))
	wantCode(t, err, tlog.CodeUnavailable)
	if !strings.Contains(err.Error(), "too few of 3 witnesses cosign") {
		t.Errorf("the caller is not told why: %v", err)
	}
	if _, size, _ := l.Checkpoint(); size != 4 {
		t.Errorf("published %d, want 4", size)
	}
	if r := request(l.Handler(), "GET", "/checkpoint"); r.StatusCode != 200 {
		t.Errorf("reading the checkpoint: %s", r.Status)
	}
	if e, err := l.Prove(t.Context(), 0); err != nil {
		t.Errorf("reading an entry: %v", err)
	} else {
		verify(t, e, leafOf(0))
	}
	got := values(t, registry)
	for i, want := range []float64{0, 0, 1} {
		name := fmt.Sprintf("avow_log_witness_answering{log=%s,witness=%s}", testOrigin, servers[i].name)
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %v (%v), want %v", name, v, ok, want)
		}
	}

	servers[1].start() // one comes back: it resumes by itself, and the waiting leaf is answered
	if err := <-pending; err != nil {
		t.Fatal(err)
	}
	if e, err := l.Append(t.Context(), leafOf(4)); err != nil || e.Index != 4 || l.Size() != 5 {
		t.Errorf("repeated: index %d, size %d, %v", e.Index, l.Size(), err)
	}
	if err := l.Health(); err != nil {
		t.Errorf("after the return: %v", err)
	}
	for part, want := range map[string]int{`"witness does not cosign"`: 2, `"witness answers again"`: 1, "clock may have gone back": 0} {
		if got := logged.count(part); got != want {
			t.Errorf("%d lines %s, want %d", got, part, want)
		}
	}
}

// TestWitnessesOverRestart closes a log that waits for witnesses and opens it again: what was integrated is published
// when they are back, under its index.
func TestWitnessesOverRestart(t *testing.T) {
	s := newWitnessServer(t, 1)
	cfg, _ := witnessedConfig(t, 1, s)
	l, err := posix.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 0, 2)
	s.stop()
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = l.Append(short, leafOf(2))
	wantCode(t, err, tlog.CodeUnavailable)
	eventually(t, "integrated", func() bool { return l.Size() == 3 })
	closing, cancelClosing := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancelClosing()
	if err := l.Close(closing); err == nil {
		t.Error("closed cleanly with an unpublished entry")
	}
	l = open(t, cfg) // while the witness is still down: reads go on
	if _, size, _ := l.Checkpoint(); size != 2 {
		t.Errorf("published %d, want 2", size)
	}
	s.start()
	e, err := l.Prove(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, e, leafOf(2))
	if index, found, err := l.Find(t.Context(), leafOf(2), 0); err != nil || !found || index != 2 || l.Size() != 3 {
		t.Errorf("found %v at %d in %d, %v", found, index, l.Size(), err)
	}
}

func TestSlowWitness(t *testing.T) {
	servers := []*witnessServer{newWitnessServer(t, 1), newWitnessServer(t, 2), newWitnessServer(t, 3)}
	cfg, logged := witnessedConfig(t, 2, servers...)
	release := make(chan struct{})
	defer close(release)
	servers[2].misbehave(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	l := open(t, cfg)
	for _, e := range fill(t, l, 0, 5) {
		if count(servers[:2], e.Checkpoint) != 2 {
			t.Errorf("checkpoint\n%s", e.Checkpoint)
		}
	}
	// It is never waited for, and noticed all the same.
	eventually(t, "noticed", func() bool { return logged.count("did not answer within 500ms") == 1 })
	if err := l.Health(); err != nil {
		t.Error(err)
	}
}

// cosignatureOf signs a text as a witness would, whatever the text says.
func cosignatureOf(s *witnessServer, text string) string {
	sum := sha256.Sum256(append(append([]byte(s.name+"\n"), 4), s.key.Public().(ed25519.PublicKey)...))
	now := uint64(time.Now().Unix())
	sig := binary.BigEndian.AppendUint64(sum[:4:4], now)
	sig = append(sig, ed25519.Sign(s.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", now, text))...)
	return fmt.Sprintf("— %s %s\n", s.name, base64.StdEncoding.EncodeToString(sig))
}

func TestLyingWitness(t *testing.T) {
	forked := string(formats.Checkpoint{Origin: testOrigin, Size: 1, Hash: bytes.Repeat([]byte{7}, 32)}.Marshal())
	for _, test := range []struct {
		name string
		lie  func(liar, honest *witnessServer) http.HandlerFunc
		want string
	}{
		{"signs another root", func(liar, _ *witnessServer) http.HandlerFunc {
			return func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, cosignatureOf(liar, forked)) }
		}, "something else than its cosignature"},
		{"signs a text that goes on", func(liar, _ *witnessServer) http.HandlerFunc {
			return func(rw http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				_, signed, _ := strings.Cut(string(body), "\n\n")
				fmt.Fprint(rw, "more\n\n"+cosignatureOf(liar, signed+"more\n"))
			}
		}, "something else than its cosignature"},
		{"repeats another's cosignature", func(_, honest *witnessServer) http.HandlerFunc {
			return func(rw http.ResponseWriter, r *http.Request) { honest.w.Handler().ServeHTTP(rw, r) }
		}, "something else than its cosignature"},
		{"answers garbage", func(_, _ *witnessServer) http.HandlerFunc {
			return func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "\x1b[31m— no\x00thing\n") }
		}, "something else than its cosignature"},
		{"answers without end", func(_, _ *witnessServer) http.HandlerFunc {
			return func(rw http.ResponseWriter, _ *http.Request) {
				for i := 0; i < 1000; i++ {
					if _, err := rw.Write(bytes.Repeat([]byte("a"), 1024)); err != nil {
						return
					}
				}
			}
		}, "more than 16384 bytes"},
		{"refuses", func(_, _ *witnessServer) http.HandlerFunc {
			return func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "no", http.StatusForbidden) }
		}, "does not know the key"},
		{"redirects", func(_, honest *witnessServer) http.HandlerFunc {
			return func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, "http://"+honest.addr+"/add-checkpoint", http.StatusTemporaryRedirect)
			}
		}, "status 307"},
		{"names a larger tree", func(_, _ *witnessServer) http.HandlerFunc {
			return func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "text/x.tlog.size")
				rw.WriteHeader(http.StatusConflict)
				fmt.Fprintln(rw, 1000)
			}
		}, "larger than this log's 1"},
		{"names a size for ever", func(liar, _ *witnessServer) http.HandlerFunc {
			return func(rw http.ResponseWriter, r *http.Request) {
				liar.w.Handler().ServeHTTP(httptest.NewRecorder(), r) // so that it has a size to name when it comes to reason
				rw.Header().Set("Content-Type", "text/x.tlog.size")
				rw.WriteHeader(http.StatusConflict)
				fmt.Fprintln(rw, 0)
			}
		}, "names another size each time"},
		{"disputes the root", func(_, _ *witnessServer) http.HandlerFunc {
			return func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "conflict", http.StatusConflict) }
		}, "another tree of the same size"},
	} {
		t.Run(test.name, func(t *testing.T) {
			honest, liar := newWitnessServer(t, 1), newWitnessServer(t, 2)
			cfg, logged := witnessedConfig(t, 2, honest, liar)
			liar.misbehave(test.lie(liar, honest))
			l := open(t, cfg)
			pending := make(chan error, 1)
			go func() {
				_, err := l.Append(t.Context(), leafOf(0))
				pending <- err
			}()
			eventually(t, "health tells "+test.want, func() bool {
				err := l.Health()
				return err != nil && strings.Contains(err.Error(), test.want) && strings.Contains(err.Error(), "w2.example")
			})
			if raw, size, _ := l.Checkpoint(); size != 0 {
				t.Fatalf("published with a lie:\n%s", raw)
			}
			if logged.count("\\x1b") > 0 || logged.count("\x1b") > 0 {
				t.Error("the liar's bytes are in the log")
			}
			liar.instead.Store(nil) // it comes to reason: nothing is lost
			if err := <-pending; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestLiarBesideQuorum: two honest witnesses are a quorum, and the third's cosignature of another root is not published.
func TestLiarBesideQuorum(t *testing.T) {
	servers := []*witnessServer{newWitnessServer(t, 1), newWitnessServer(t, 2), newWitnessServer(t, 3)}
	cfg, _ := witnessedConfig(t, 2, servers...)
	lie := cosignatureOf(servers[2], string(formats.Checkpoint{Origin: testOrigin, Size: 1, Hash: make([]byte, 32)}.Marshal()))
	servers[2].misbehave(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, lie) })
	for _, e := range fill(t, open(t, cfg), 0, 5) {
		if strings.Contains(string(e.Checkpoint), "w3.example") || count(servers[:2], e.Checkpoint) != 2 {
			t.Errorf("checkpoint\n%s", e.Checkpoint)
		}
	}
}

// TestWitnessSawFork: the log's key signed another tree, which a witness has cosigned. The log cannot get its cosignature
// any more, and says so.
func TestWitnessSawFork(t *testing.T) {
	s := newWitnessServer(t, 1)
	other := create(t) // a second log with the same name and key
	other.WitnessPolicy = policyOf(1, s)
	l, err := posix.Open(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendAll(t.Context(), [][]byte{[]byte("not the same"), []byte("as there")}); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	cfg, logged := witnessedConfig(t, 1, s)
	l = open(t, cfg)
	short, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	_, err = l.AppendAll(short, leavesOf(0, 4))
	wantCode(t, err, tlog.CodeUnavailable)
	eventually(t, "told", func() bool {
		return l.Health() != nil && strings.Contains(l.Health().Error(), "has cosigned a tree that is not a beginning of this one") &&
			logged.count("witness disputes this log") == 1
	})
	s.misbehave(func(rw http.ResponseWriter, r *http.Request) { // let the test's log end
		body, _ := io.ReadAll(r.Body)
		_, signed, _ := strings.Cut(string(body), "\n\n")
		text, _, _ := strings.Cut(signed, "\n\n")
		fmt.Fprint(rw, cosignatureOf(s, text+"\n"))
	})
}

// TestWitnessesForAnOldLog: a log that was published without witnesses is published anew when it gets them, without
// having grown.
func TestWitnessesForAnOldLog(t *testing.T) {
	s := newWitnessServer(t, 1)
	cfg := create(t)
	l, err := posix.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 0, 300)
	closeLog(t, l)
	cfg.WitnessPolicy = policyOf(1, s)
	l = open(t, cfg)
	eventually(t, "cosigned", func() bool {
		raw, size, _ := l.Checkpoint()
		return size == 300 && s.cosigned(raw)
	})
	if err := l.Fsck(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestFreshCosignatures: a checkpoint that is published anew without growth is served with its younger cosignatures.
func TestFreshCosignatures(t *testing.T) {
	s := newWitnessServer(t, 1)
	cfg, _ := witnessedConfig(t, 1, s)
	l := open(t, cfg)
	fill(t, l, 0, 2)
	old, _, _ := l.Checkpoint()
	eventually(t, "another checkpoint of the same tree", func() bool {
		if err := l.RepublishForTest(); err != nil {
			t.Fatal(err)
		}
		raw, size, _ := l.Checkpoint()
		return size == 2 && !bytes.Equal(raw, old) && s.cosigned(raw)
	})
}
