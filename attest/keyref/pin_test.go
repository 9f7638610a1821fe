package keyref

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestPIN: the file comes first, then the environment, then somebody to ask; no error holds what is in them.
func TestPIN(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, open := file("good", "file-pin\r\n", 0o600), file("open", "file-pin", 0o644)
	set := func(string) (string, bool) { return "variable-pin", true }
	ask := func(string) ([]byte, error) { return []byte("typed-pin"), nil }
	for name, c := range map[string]struct {
		source string
		o      Options
		want   string // empty: refused
	}{
		"file first":           {good, Options{LookupEnv: set, PIN: ask}, "file-pin"},
		"then the environment": {"", Options{LookupEnv: set, PIN: ask}, "variable-pin"},
		"then the terminal":    {"", Options{PIN: ask}, "typed-pin"},
		"nobody to ask":        {"", Options{}, ""},
		"no file":              {filepath.Join(dir, "none"), Options{LookupEnv: set}, ""},
		"a directory":          {dir, Options{LookupEnv: set}, ""},
		"empty":                {file("empty", "\n", 0o600), Options{}, ""},
		"too long":             {file("long", strings.Repeat("file-pin", 99), 0o600), Options{}, ""},
		"zero byte":            {file("zero", "file-pin\x00", 0o600), Options{}, ""},
		"interrupted":          {"", Options{PIN: func(string) ([]byte, error) { return nil, errors.New("interrupted") }}, ""},
	} {
		pin, err := (&tokenURI{token: "a", pinSource: c.source}).pin(c.o)
		if c.want != "" {
			if err != nil || string(pin) != c.want {
				t.Errorf("%s: %q, %v", name, pin, err)
			}
			continue
		}
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != CodePIN || strings.Contains(err.Error(), "-pin") || refused.Hint == "" {
			t.Errorf("%s: %v, want %s", name, err, CodePIN)
		}
	}
	var refused *Error
	if _, err := (&tokenURI{pinSource: open}).pin(Options{}); runtime.GOOS != "windows" && (!errors.As(err, &refused) || refused.Code != CodePIN) {
		t.Errorf("a file that others can read: %v", err)
	}
}

// TestPluginsSeeNoSecretsOfAvow: their environment is the caller's without avow's own variables, also if that is all there is.
func TestPluginsSeeNoSecretsOfAvow(t *testing.T) {
	if got := withoutOwn([]string{"AVOW_PASSWORD=a", "VAULT_TOKEN=b", "AVOW_PKCS11_PIN=c"}); !slices.Equal(got, []string{"VAULT_TOKEN=b"}) {
		t.Errorf("got %q", got)
	}
	if got := withoutOwn([]string{"AVOW_PASSWORD=a"}); got == nil || len(got) != 0 {
		t.Errorf("got %#v: a child with a nil environment would get all of it", got)
	}
}

func TestRedactor(t *testing.T) {
	r := redactor([]string{"VAULT_TOKEN=hvs.CAESIA", "AWS_SECRET_ACCESS_KEY=abcdefgh", "HOME=/home/vendor", "SSH_AUTH_SOCK=on", "X_PIN=12"})
	if got := r.Replace("hvs.CAESIA and abcdefgh on 12 in /home/vendor"); got != "[VAULT_TOKEN] and [AWS_SECRET_ACCESS_KEY] on 12 in /home/vendor" {
		t.Error(got)
	}
}
