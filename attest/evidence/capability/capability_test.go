package capability_test

import (
	"bytes"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/evidence/capability"
)

func table(t testing.TB) *capability.Table {
	t.Helper()
	tab, err := capability.NewTable()
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// Every public package of the Go version that builds this is classified by somebody, and nothing else is.
func TestTableKnowsTheStandardLibrary(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "std").Output()
	if err != nil {
		t.Fatal(err)
	}
	var std []string
	for p := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		if !strings.HasPrefix(p, "vendor/") && !slices.Contains(strings.Split(p, "/"), "internal") {
			std = append(std, p)
		}
	}
	if len(std) < 100 {
		t.Fatalf("go list std names %d packages", len(std))
	}
	known := table(t).Packages()
	for _, p := range std {
		if !slices.Contains(known, p) {
			t.Errorf("std.txt does not classify %s", p)
		}
	}
	for _, p := range known {
		if !slices.Contains(std, p) {
			t.Errorf("std.txt classifies %s, which is not in this version of Go", p)
		}
		if _, err := path.Match(p, ""); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestTableAnswers(t *testing.T) {
	for _, test := range []struct {
		pkg, name string
		want      []capability.Capability
	}{
		{"net", "Dial", []capability.Capability{capability.Network}},
		{"net", "Dialer.DialContext", []capability.Capability{capability.Network}},
		{"net", "SomethingNew", []capability.Capability{capability.Network}},
		{"net", "ParseIP", nil},
		{"net", "TCPConn.Write", nil},
		{"net/http", "Client.Do", []capability.Capability{capability.Network}},
		{"net/http", "DefaultTransport", []capability.Capability{capability.Network}},
		{"net/http", "Header.Set", nil},
		{"net/http", "Server.ListenAndServe", []capability.Capability{capability.Network}},
		{"os", "ReadFile", nil},
		{"os", "WriteFile", []capability.Capability{capability.FileWrite}},
		{"os", "Root.OpenFile", []capability.Capability{capability.FileWrite}},
		{"os", "StartProcess", []capability.Capability{capability.Exec}},
		{"os", "SomethingNew", []capability.Capability{capability.FileWrite}},
		{"os/exec", "Cmd.Run", []capability.Capability{capability.Exec}},
		{"syscall", "Exec", []capability.Capability{capability.Exec, capability.Syscall}},
		{"reflect", "Value.Call", []capability.Capability{capability.Reflect}},
		{"reflect", "TypeOf", nil},
		{"fmt", "Println", nil},
		{"some/new/package", "F", []capability.Capability{capability.Unclassified}},
	} {
		if got := table(t).Of(test.pkg, test.name); !slices.Equal(got, test.want) {
			t.Errorf("%s.%s gives %v, want %v", test.pkg, test.name, got, test.want)
		}
	}
	if got := (&capability.Table{}).Of("fmt", "Println"); !slices.Equal(got, []capability.Capability{capability.Unclassified}) {
		t.Errorf("the zero table says %v", got)
	}
}

func report(change func(*capability.Report)) *capability.Report {
	r := &capability.Report{Format: capability.Format, Tool: "avow test", Go: "go1.26.8", Mode: capability.ModeCallGraph, Main: "example.com/app",
		Module: "example.com/app", GOOS: "linux", GOARCH: "amd64", Sources: strings.Repeat("0a", 32), Tags: []string{"b", "a"},
		Capabilities: []capability.Use{{Capability: capability.Network, Path: []string{"main", "net.Dial"}}},
		Modules:      []capability.Module{{Path: "example.com/app", Direct: nil, Capabilities: []capability.Capability{capability.Network}}},
		Packages: []capability.Package{{Path: "example.com/app", Module: "example.com/app",
			Capabilities: []capability.Use{{Capability: capability.Network, Path: []string{"main", "net.Dial"}}}}}}
	if change != nil {
		change(r)
	}
	return r
}

func document(t testing.TB, change func(*capability.Report)) []byte {
	t.Helper()
	data, err := report(change).JSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParseReadsWhatJSONWrites(t *testing.T) {
	data := document(t, nil)
	r, err := capability.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, data) || !slices.Equal(r.Tags, []string{"a", "b"}) {
		t.Errorf("came back as %s", again)
	}
}

func TestParseRefuses(t *testing.T) {
	data := string(document(t, nil))
	for name, test := range map[string]struct{ old, new, want string }{
		"another format":     {"go-capabilities/v1", "go-capabilities/v9", "format is"},
		"unknown member":     {`"tool":`, `"x": 1, "tool":`, "unknown field"},
		"unknown capability": {`"network"`, `"networks"`, "no capability"},
		"double member":      {`"tool":`, `"tool": "a", "tool":`, "report:"},
		"mode":               {`"callGraph"`, `"guess"`, "mode is"},
		"no digest":          {"0a0a", "0A0a", "sources is"},
		"no path":            {"\"main\",\n", "", "not in the form"},
		"tags not sorted":    {"\"a\",\n  \"b\"", "\"b\",\n  \"a\"", "not in the form"},
		"other white space":  {`"tool": `, `"tool":  `, "not in the form"},
	} {
		changed := strings.Replace(data, test.old, test.new, 1)
		if name == "no path" {
			changed = strings.Replace(data, "\n", "\r\n", 1)
		}
		if changed == data {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := capability.Parse([]byte(changed)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	if _, err := report(func(r *capability.Report) { r.Packages[0].Module = "other" }).JSON(); err == nil || !strings.Contains(err.Error(), "is not listed") {
		t.Errorf("a package of no module: %v", err)
	}
}

func TestCompare(t *testing.T) {
	exec := capability.Use{Capability: capability.Exec, Path: []string{"f", "os/exec.Cmd.Run"}}
	for name, test := range map[string]struct {
		before, after func(*capability.Report)
		gained        bool
		want          string
	}{
		"nothing":  {nil, nil, false, ""},
		"gained":   {nil, func(r *capability.Report) { r.Packages[0].Capabilities = append(r.Packages[0].Capabilities, exec) }, true, "+exec"},
		"lost":     {func(r *capability.Report) { r.Packages[0].Capabilities = append(r.Packages[0].Capabilities, exec) }, nil, false, "-exec"},
		"now uses": {nil, func(r *capability.Report) { r.Packages[0].Capabilities[0].Direct = true }, true, "+network"},
		"new package": {nil, func(r *capability.Report) {
			r.Packages = append(r.Packages, capability.Package{Path: "example.com/app/x", Module: "example.com/app", Capabilities: []capability.Use{exec}})
		}, true, "+exec new"},
		"removed package": {func(r *capability.Report) {
			r.Packages = append(r.Packages, capability.Package{Path: "example.com/app/x", Module: "example.com/app", Capabilities: []capability.Use{exec}})
		}, nil, false, "-exec gone"},
		"whole program": {nil, func(r *capability.Report) { r.Capabilities = append(r.Capabilities, exec) }, true, "+exec"},
	} {
		d, err := capability.Compare(report(test.before), report(test.after))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, c := range d.Changes {
			got += map[bool]string{true: "+", false: "-"}[c.Gained] + string(c.Capability) + map[bool]string{true: " new"}[c.NewPackage] +
				map[bool]string{true: " gone"}[c.Removed]
		}
		if got != test.want || d.Gained() != test.gained {
			t.Errorf("%s: %q, gained %v", name, got, d.Gained())
		}
	}
	for name, change := range map[string]func(*capability.Report){
		"goos": func(r *capability.Report) { r.GOOS = "windows" }, "mode": func(r *capability.Report) { r.Mode = capability.ModeImports },
		"tags": func(r *capability.Report) { r.Tags = nil }, "main": func(r *capability.Report) { r.Main = "other" },
		"cgo": func(r *capability.Report) { r.CGO = true }, "goarch": func(r *capability.Report) { r.GOARCH = "arm64" },
	} {
		if _, err := capability.Compare(report(nil), report(change)); err == nil || !strings.HasPrefix(err.Error(), name+" is") {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

// FuzzParse: what Parse takes is written again byte for byte, so a document has one digest.
func FuzzParse(f *testing.F) {
	f.Add(document(f, nil))
	f.Add(document(f, func(r *capability.Report) { r.Packages, r.Modules, r.Capabilities = nil, nil, nil }))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := capability.Parse(data)
		if err != nil {
			return
		}
		again, err := r.JSON()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("parsed, but written as %s (%v)", again, err)
		}
		if d, err := capability.Compare(r, r); err != nil || len(d.Changes) != 0 {
			t.Errorf("differs from itself: %v %v", d, err)
		}
	})
}
