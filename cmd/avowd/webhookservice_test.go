package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// siem is somebody's own system: it believes what is signed by the Standard Webhooks convention and fresh, and nothing else.
type siem struct {
	t      *testing.T
	secret []byte
	refuse chan struct{} // one answer 503 for each
	told   chan told
}

type told struct {
	id    string
	event struct {
		Type string
		Data struct {
			StatementID string `json:"statementId"`
			LogIndex    string `json:"logIndex"`
			Vendor      string `json:"vendor"`
			Bundle      []byte `json:"bundle"`
		}
	}
}

// check is the convention's own text: HMAC-SHA256 over id, timestamp and body, compared in constant time, within 5 minutes.
func (s *siem) check(h http.Header, body []byte) error {
	seconds, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil {
		return err
	}
	if age := time.Since(time.Unix(seconds, 0)).Abs(); age > 5*time.Minute {
		return fmt.Errorf("the message is %s old", age)
	}
	mac := hmac.New(sha256.New, s.secret)
	fmt.Fprintf(mac, "%s.%d.%s", h.Get("webhook-id"), seconds, body)
	for _, signature := range strings.Fields(h.Get("webhook-signature")) {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signature, "v1,"))
		if err == nil && strings.HasPrefix(signature, "v1,") && hmac.Equal(raw, mac.Sum(nil)) {
			return nil
		}
	}
	return fmt.Errorf("no signature of %q is right", h.Get("webhook-signature"))
}

func (s *siem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = s.check(r.Header, body)
	}
	if err != nil {
		s.t.Error(err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if s.check(r.Header, append(bytes.Clone(body), ' ')) == nil {
		s.t.Error("the signature is right for any body")
	}
	select {
	case <-s.refuse:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	default:
	}
	one := told{id: r.Header.Get("webhook-id")}
	if err := json.Unmarshal(body, &one.event); err != nil {
		s.t.Error(err)
	}
	s.told <- one
}

// next is the next event that was not told before: after a restart the last one may come again.
func (s *siem) next(before map[string]bool) told {
	s.t.Helper()
	for {
		select {
		case one := <-s.told:
			if !before[one.id] {
				before[one.id] = true
				return one
			}
		case <-time.After(30 * time.Second):
			s.t.Fatal("nothing is told")
		}
	}
}

// TestWebhookService: a served avowd posts each event, signed, to a receiver on loopback; what was not taken comes again, and after a
// kill nothing is left out. A bundle in it verifies offline.
func TestWebhookService(t *testing.T) {
	receiver := &siem{t: t, secret: bytes.Repeat([]byte{7}, 32), refuse: make(chan struct{}, 1), told: make(chan told, 16)}
	server := httptest.NewServer(receiver)
	defer server.Close()
	w := newWorld(t, filepath.Join(t.TempDir(), "service"), func(c *Config) { c.Webhooks = "webhooks.yaml" })
	must(t, os.WriteFile(filepath.Join(w.dir, "siem.secret"), []byte("whsec_"+base64.StdEncoding.EncodeToString(receiver.secret)+"\n"), 0o600))
	list := "endpoints:\n  - {name: siem, url: \"" + server.URL + "/hooks/avow\", secretFile: siem.secret, vendors: [acme]}\n"
	must(t, os.WriteFile(filepath.Join(w.dir, "webhooks.yaml"), []byte(list), 0o600))

	p, before := w.start(), map[string]bool{}
	want := func(issued *avowv1.IssueResponse) {
		t.Helper()
		one := receiver.next(before)
		d := one.event.Data
		if one.event.Type != "avow.statement" || d.StatementID != issued.GetStatementId() || d.Vendor != "acme" ||
			strings.TrimLeft(d.LogIndex, "0") != strings.TrimLeft(fmt.Sprint(issued.GetLogIndex()), "0") {
			t.Errorf("told %+v, want statement %s", one.event.Data, issued.GetStatementId())
		}
		if e := w.mustVerify(d.Bundle); e.StatementID != issued.GetStatementId() {
			t.Errorf("the bundle is that of %s", e.StatementID)
		}
	}
	issue := func() *avowv1.IssueResponse {
		t.Helper()
		issued, err := w.issue(t.Context(), p, w.envelope())
		must(t, err)
		return issued
	}
	waitForWebhook(t, w)
	want(issue())
	want(issue())
	receiver.refuse <- struct{}{} // once: it is told again
	refused := issue()
	wantWithin(t, "a try", func() error {
		if len(receiver.refuse) > 0 {
			return fmt.Errorf("nothing was sent")
		}
		return nil
	})
	p.kill9() // while it waits to try again
	p = w.start()
	want(refused)
	want(issue())
	p.kill9()
	if code, out, _ := run1(t, "webhook", "list", "--config", filepath.Join(w.dir, configName)); code != exitOK || !strings.Contains(out, "; 0 not taken") {
		t.Errorf("%d: %s", code, out)
	}
}

// waitForWebhook waits until the service knows where its endpoint is: what is issued from then on is told.
func waitForWebhook(t *testing.T, w *world) {
	t.Helper()
	wantWithin(t, "the first progress", func() error {
		code, out, _ := run1(t, "webhook", "list", "--config", filepath.Join(w.dir, configName))
		if code != exitOK || strings.Contains(out, "told nothing yet") {
			return fmt.Errorf("%d: %s", code, out)
		}
		return nil
	})
}
