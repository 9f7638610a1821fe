package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// webhookDir is a configuration with one webhook.
func webhookDir(t *testing.T, url, list string) (config string) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "avowd.yaml"), []byte("origin: log.example\nwebhooks: webhooks.yaml\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "siem.secret"), []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600))
	if list == "" {
		list = "endpoints:\n  - {name: siem, url: \"" + url + "\", secretFile: siem.secret, vendors: [acme]}\n"
	}
	must(t, os.WriteFile(filepath.Join(dir, "webhooks.yaml"), []byte(list), 0o600))
	return filepath.Join(dir, "avowd.yaml")
}

// TestWebhookCommands: a message is tried out, and what was not taken is listed and sent again.
func TestWebhookCommands(t *testing.T) {
	var got []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Header.Get("webhook-id")+" "+string(body))
	}))
	defer receiver.Close()
	config := webhookDir(t, receiver.URL, "")
	avowd := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := run(t.Context(), append(args, "--config", config), strings.NewReader(""), &out, &out)
		return code, out.String()
	}
	if code, out := avowd("webhook", "test", "siem"); code != exitOK || len(got) != 1 || !strings.Contains(got[0], `"type":"avow.test"`) {
		t.Fatalf("%d: %s: %v", code, out, got)
	}
	dead := filepath.Join(filepath.Dir(config), "webhooks.state", "siem", "dead")
	must(t, os.MkdirAll(dead, 0o700))
	must(t, os.WriteFile(filepath.Join(dead, "evt_1.json"), []byte(`{"id":"evt_1","body":"e30=","tries":7,"error":"the answer is HTTP 503","givenUp":"2026-09-01T09:00:00Z"}`), 0o600))
	if code, out := avowd("webhook", "list"); code != exitOK || !strings.Contains(out, "siem: told nothing yet; 1 not taken\n  evt_1  given up 2026-09-01T09:00:00Z after 7 tries: the answer is HTTP 503\n") {
		t.Errorf("%d: %s", code, out)
	}
	if code, _ := avowd("webhook", "retry", "siem", "evt_2"); code != exitNotDone {
		t.Errorf("a letter that is not there: exit code %d", code)
	}
	if code, out := avowd("webhook", "retry", "siem"); code != exitOK || len(got) != 2 || got[1] != "evt_1 {}" {
		t.Errorf("%d: %s: %v", code, out, got)
	}
	if _, err := os.Stat(filepath.Join(dead, "evt_1.json")); !os.IsNotExist(err) {
		t.Error("what was taken is still a dead letter")
	}
	if code, _ := avowd("webhook", "test", "nobody"); code != exitUsage {
		t.Errorf("an endpoint that is not there: exit code %d", code)
	}
}

// TestWebhookList: what cannot be right is refused before anything is started, without repeating an address.
func TestWebhookList(t *testing.T) {
	for name, list := range map[string]string{
		"unknown member": "endpoint: []\n", "without TLS": "endpoints:\n  - {name: a, url: \"http://siem.example/tok3n\", secretFile: siem.secret}\n",
		"no secret": "endpoints:\n  - {name: a, url: \"https://siem.example\"}\n", "missing secret": "endpoints:\n  - {name: a, url: \"https://siem.example\", secretFile: none}\n",
	} {
		c, err := loadConfig(webhookDir(t, "", list))
		must(t, err)
		if _, _, err := c.webhooks(); err == nil || strings.Contains(err.Error(), "tok3n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := loadConfig(webhookDir(t, "https://siem.example", ""))
	must(t, err)
	must(t, os.Chmod(c.path("siem.secret"), 0o644))
	if _, _, err := c.webhooks(); err == nil {
		t.Error("a secret that others can read is taken")
	}
}
