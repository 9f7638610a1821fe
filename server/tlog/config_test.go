package tlog

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestValidateOrigin(t *testing.T) {
	for _, good := range []string{"log.example", "2026-1.log.example", "localhost", "a", strings.Repeat("a", 63) + ".example"} {
		if err := ValidateOrigin(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"":                              "not set",
		"log.example/2026":              "path",
		"https://log.example":           "path",
		"log.example:8443":              "port",
		"Log.example":                   "upper-case",
		"log.example - 1193050959":      "Rekor v1",
		"log example":                   "host name",
		"log.example.":                  "host name",
		".example":                      "host name",
		"-a.example":                    "host name",
		"log.example\n":                 "host name",
		"log+a.example":                 "host name",
		"bücher.example":                "host name",
		strings.Repeat("a", 64):         "host name",
		strings.Repeat("a.", 127) + "a": "at most 253",
	} {
		err := ValidateOrigin(bad)
		if CodeOf(err) != CodeInvalidConfig || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", bad, err, want)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	good := Config{Dir: "a/log", AnchorPath: "a/anchor", Origin: "log.example", Logger: slog.New(slog.DiscardHandler),
		Signer: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"directory":           func(c *Config) { c.Dir = "" },
		"anchor's path":       func(c *Config) { c.AnchorPath = "" },
		"inside":              func(c *Config) { c.AnchorPath = "a/log/.state/../anchor" },
		"inside the log's":    func(c *Config) { c.AnchorPath = "a/log" },
		"origin":              func(c *Config) { c.Origin = "x/y" },
		"log key":             func(c *Config) { c.Signer = c.Signer[:32] },
		"batch size":          func(c *Config) { c.BatchMaxSize = -1 },
		"batch age":           func(c *Config) { c.BatchMaxAge = -time.Second },
		"checkpoint interval": func(c *Config) { c.CheckpointInterval = 99 * time.Millisecond },
		"proof window":        func(c *Config) { c.ProofWindow = 255 },
		"logger":              func(c *Config) { c.Logger = nil },
	} {
		c := good
		change(&c)
		if err := c.Validate(); CodeOf(err) != CodeInvalidConfig || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	beside := good
	beside.AnchorPath = "a/log-anchor"
	if err := beside.Validate(); err != nil {
		t.Errorf("beside the log: %v", err)
	}
}

func TestUnavailableClassifies(t *testing.T) {
	const path = "/secret/path"
	for _, c := range []struct {
		cause error
		code  Code
		want  string
	}{
		{&os.PathError{Op: "open", Path: path, Err: syscall.ENOSPC}, CodeDiskFull, "no space"},
		{fmt.Errorf("short: %v", &os.PathError{Op: "write", Path: path, Err: syscall.ENOSPC}), CodeDiskFull, "no space"},
		{&os.PathError{Op: "open", Path: path, Err: syscall.EROFS}, CodeUnavailable, "not writable"},
		{&os.PathError{Op: "open", Path: path, Err: syscall.EMFILE}, CodeUnavailable, "descriptors"},
		{&os.PathError{Op: "open", Path: path, Err: syscall.EIO}, CodeUnavailable, "storage error"},
		{context.DeadlineExceeded, CodeUnavailable, "deadline"},
		{rollback(1, 2), CodeRollback, "tree of 2"},
	} {
		err := Unavailable("writing", c.cause)
		if err.Code != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v", c.cause, err)
		}
		if strings.Contains(err.Error(), path) {
			t.Errorf("%q names the path", err)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Error("x", "error", err)
		if strings.Contains(c.cause.Error(), path) && !strings.Contains(log.String(), path) {
			t.Errorf("log line %q lacks the cause", log.String())
		}
	}
}

func TestCodes(t *testing.T) {
	seen := map[Code]bool{}
	for _, code := range Codes() {
		if seen[code] || code == "" {
			t.Errorf("code %q twice or empty", code)
		}
		seen[code] = true
		err := error(&Error{Code: code, Message: "m", Err: errors.New("cause")})
		if !errors.Is(fmt.Errorf("wrapped: %w", err), &Error{Code: code}) || CodeOf(fmt.Errorf("wrapped: %w", err)) != code {
			t.Errorf("%s is not found in a chain", code)
		}
	}
	if CodeOf(errors.New("other")) != CodeUnavailable || CodeOf(nil) != "" {
		t.Error("codes of other errors")
	}
}
