package doctest

import (
	"strings"
	"testing"
)

func TestMatchLine(t *testing.T) {
	for _, c := range []struct {
		want, got string
		match     bool
	}{
		{"", "", true},
		{"accepted", "accepted", true},
		{"accepted", "rejected", false},
		{"accepted", "accepted ", false},
		{"key id sha256:…", "key id sha256:ab12", true},
		{"key id sha256:…", "key id sha256:", true},
		{"key id sha256:…", "key id md5:ab12", false},
		{"…", "", true},
		{"… 1", " 1", true},
		{"… 1", "1", false},
		{"entry … of the log …", "entry 7 of the log example", true},
		{"entry … of the log …", "entry 7 of a log", false},
		{"a…b…a", "aba", true},
		{"a…b…a", "aa", false},
		{"ab…ba", "aba", false}, // what stands before and behind must not overlap
		{"(…).*", "(x).y", false},
	} {
		if got := matchLine(c.want, c.got); got != c.match {
			t.Errorf("matchLine(%q, %q) = %v, want %v", c.want, c.got, got, c.match)
		}
	}
}

func TestDiff(t *testing.T) {
	for _, c := range []struct{ name, want, got, diff string }{
		{"nothing", "", "", ""},
		{"equal", "a|b", "a|b", ""},
		{"trailing empty lines", "a", "a||", ""},
		{"any lines", "a|…|z", "a|b|c|z", ""},
		{"any lines: none", "a|…|z", "a|z", ""},
		{"any lines at the end", "a|…", "a|b|c", ""},
		{"any lines: none at the end", "a|…", "a", ""},
		{"any lines twice", "…|b|…|d", "a|b|c|c|d", ""},
		{"only any lines", "…", "", ""},
		{"missing", "a|b", "a", "  a|- b|"},
		{"unannounced", "a", "a|b", "  a|+ b|"},
		{"unannounced output of a silent command", "", "a", "+ a|"},
		{"another", "a|b|c", "a|x|c", "  a|- b|+ x|  c|"},
		{"missing behind any lines", "a|…|z", "a|b|c", "  a|  b|  c|- z|"},
		{"order", "a|b", "b|a", "- a|  b|+ a|"},
	} {
		lines := func(s string) []string { return outputLines(strings.ReplaceAll(s, "|", "\n")) }
		if got := strings.ReplaceAll(diff(lines(c.want), lines(c.got)), "\n", "|"); got != c.diff {
			t.Errorf("%s: got %q, want %q", c.name, got, c.diff)
		}
	}
}

func TestPortsAreReplacedBothWays(t *testing.T) {
	p := ports{map[string]string{"8470": "20001", "8471": "20002", "8472": "20003"}, map[string]string{"20001": "8470", "20002": "8471"}}
	for in, want := range map[string]string{
		"avow list --server 127.0.0.1:8470":   "avow list --server 127.0.0.1:20001",
		"curl http://localhost:8471/healthz":  "curl http://localhost:20002/healthz",
		"127.0.0.1:84700 10.127.0.0.1:8473":   "127.0.0.1:84700 10.127.0.0.1:8473",
		"avowd init --grpc 127.0.0.1:8470 -h": "avowd init --grpc 127.0.0.1:20001 -h",
		"avowd init --dir d":                  "avowd init --grpc 127.0.0.1:20001 --rest 127.0.0.1:20002 --admin 127.0.0.1:20003 --dir d",
	} {
		if got := p.hide(in); got != want {
			t.Errorf("hide(%q) = %q, want %q", in, got, want)
		}
	}
	if got, want := p.show("grpc 127.0.0.1:20001, other 127.0.0.1:20009"), "grpc 127.0.0.1:8470, other 127.0.0.1:20009"; got != want {
		t.Errorf("show: got %q, want %q", got, want)
	}
}

func TestRunnable(t *testing.T) {
	for in, want := range map[string]string{
		"go run ./cmd/avowd quickstart --exit": "avowd quickstart --exit",
		"X=1 go run ./cmd/avow list":           "X=1 avow list",
		"go run ./cmd/other":                   "go run ./cmd/other",
	} {
		if got := runnable(in); got != want {
			t.Errorf("runnable(%q) = %q, want %q", in, got, want)
		}
	}
}
