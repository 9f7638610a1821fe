package attest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/in-toto/in-toto-golang/in_toto"
	"pgregory.net/rapid"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
)

// tree writes files into a new directory and returns it.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func names(subjects []attest.Subject) []string {
	var out []string
	for _, s := range subjects {
		out = append(out, s.Name)
	}
	return out
}

func TestSubjectsFromPaths(t *testing.T) {
	dir := tree(t, map[string]string{"b.bin": "b", "a/z.txt": "az", "a/b/c.txt": "abc", ".hidden": "h"})
	subjects, err := attest.SubjectsFromPaths(t.Context(), []string{dir}, attest.SubjectOptions{SHA512: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(subjects), []string{".hidden", "a/b/c.txt", "a/z.txt", "b.bin"}; !slices.Equal(got, want) {
		t.Errorf("got names %q, want %q", got, want)
	}
	want256, want512 := sha256.Sum256([]byte("abc")), sha512.Sum512([]byte("abc"))
	want := map[string]string{"sha256": hex.EncodeToString(want256[:]), "sha512": hex.EncodeToString(want512[:])}
	if !maps.Equal(subjects[1].Digest, want) {
		t.Errorf("got digests %v, want %v", subjects[1].Digest, want)
	}
	git, err := attest.SubjectsFromPaths(t.Context(), []string{dir}, attest.SubjectOptions{GitBlob: true})
	if err != nil {
		t.Fatal(err)
	}
	// printf abc | git hash-object --stdin, in a repository made by git init --object-format=sha256
	if got, want := git[1].Digest["gitBlob"], "c1cf6e465077930e88dc5136641d402f72a229ddd996f627d60e9639eaba35a6"; got != want {
		t.Errorf("got gitBlob %s, want %s", got, want)
	}
	one, err := attest.SubjectsFromPaths(t.Context(), []string{filepath.Join(dir, "a", "z.txt")}, attest.SubjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(one) != 1 || one[0].Name != "z.txt" || len(one[0].Digest) != 1 {
		t.Errorf("got %v, want z.txt with one digest", one)
	}
}

// TestSubjectsAgreeWithInToto compares names and digests with in-toto-golang's artifact recording.
func TestSubjectsAgreeWithInToto(t *testing.T) {
	dir := tree(t, map[string]string{"app": "\x00\r\n\x01", "lib/x.so": strings.Repeat("x", 3<<20), "lib/y.so": "y\r\n"})
	artifacts, err := in_toto.RecordArtifacts([]string{dir}, []string{"sha256", "sha512"}, nil, []string{dir + "/"}, false,
		false)
	if err != nil {
		t.Fatal(err)
	}
	subjects, err := attest.SubjectsFromPaths(t.Context(), []string{dir}, attest.SubjectOptions{SHA512: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(subjects) != len(artifacts) {
		t.Fatalf("got %d subjects, in-toto has %d artifacts", len(subjects), len(artifacts))
	}
	for _, s := range subjects {
		if !maps.Equal(s.Digest, artifacts[s.Name]) {
			t.Errorf("%s: got %v, in-toto has %v", s.Name, s.Digest, artifacts[s.Name])
		}
	}
}

func TestSubjectsReportProgress(t *testing.T) {
	dir := tree(t, map[string]string{"a": strings.Repeat("a", 3<<20), "b": "b", "empty": ""})
	var last attest.Progress
	seen := map[string]bool{}
	_, err := attest.SubjectsFromPaths(t.Context(), []string{dir}, attest.SubjectOptions{Progress: func(p attest.Progress) {
		if p.Done < last.Done || p.Done > p.Total || p.File < last.File || p.Files != 3 || p.Total != 3<<20+1 {
			t.Errorf("progress goes from %+v to %+v", last, p)
		}
		last, seen[p.Name] = p, true
	}})
	if err != nil {
		t.Fatal(err)
	}
	if last.Done != last.Total || last.File != last.Files || len(seen) != 3 {
		t.Errorf("ends at %+v having seen %v", last, seen)
	}
}

func TestSubjectsKeepOneOfEqualFiles(t *testing.T) {
	dir := tree(t, map[string]string{"a.txt": "same", "b.txt": "same", "c.txt": "other"})
	var left []string
	subjects, err := attest.SubjectsFromPaths(t.Context(), []string{dir}, attest.SubjectOptions{
		Duplicate: func(name, sameAs string) { left = append(left, name+"="+sameAs) }})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(subjects); !slices.Equal(got, []string{"a.txt", "c.txt"}) || !slices.Equal(left, []string{"b.txt=a.txt"}) {
		t.Errorf("got %q, left out %q", got, left)
	}
}

func TestSubjectsFollowThePolicyForLinks(t *testing.T) {
	inside := tree(t, map[string]string{"real": "r", "sub/file": "f"})
	outside := tree(t, map[string]string{"secret": "s"})
	link := func(t *testing.T, target, name string) string {
		t.Helper()
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(inside)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, c := range []struct {
		name, target string
		policy       attest.SymlinkPolicy
		want         []string // nil: refused
	}{
		{"file, default", "real", attest.SymlinkRefuse, nil},
		{"file, skip", "real", attest.SymlinkSkip, []string{"real", "sub/file"}},
		{"file, follow", "sub/file", attest.SymlinkFollowFiles, []string{"a-link", "real"}}, // sub/file has the same content
		{"directory, skip", "sub", attest.SymlinkSkip, []string{"real", "sub/file"}},
		{"directory, follow", "sub", attest.SymlinkFollowFiles, nil},
		{"outside, follow", filepath.Join(outside, "secret"), attest.SymlinkFollowFiles, nil},
		{"upwards, follow", "../" + filepath.Base(outside) + "/secret", attest.SymlinkFollowFiles, nil},
		{"dangling, follow", "nothing", attest.SymlinkFollowFiles, nil},
		{"itself, follow", "a-link", attest.SymlinkFollowFiles, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := link(t, c.target, "a-link")
			subjects, err := attest.SubjectsFromPaths(t.Context(), []string{dir}, attest.SubjectOptions{Symlinks: c.policy})
			if c.want == nil {
				wantCode(t, err, attest.CodeSubject)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := names(subjects); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	t.Run("named itself", func(t *testing.T) {
		dir := link(t, "real", "a-link")
		subjects, err := attest.SubjectsFromPaths(t.Context(), []string{filepath.Join(dir, "a-link")}, attest.SubjectOptions{})
		if err != nil || len(subjects) != 1 || subjects[0].Name != "a-link" {
			t.Errorf("got %v, %v", subjects, err)
		}
	})
}

func TestSubjectsRefuse(t *testing.T) {
	dir := tree(t, map[string]string{"one/app": "1", "two/app": "2"})
	many := map[string]string{}
	for i := range predicate.MaxSubjects + 1 {
		many[fmt.Sprint(i)] = fmt.Sprint(i)
	}
	for _, c := range []struct {
		name  string
		paths []string
	}{
		{"nothing", nil},
		{"empty directory", []string{t.TempDir()}},
		{"same name", []string{filepath.Join(dir, "one", "app"), filepath.Join(dir, "two", "app")}},
		{"same file twice", []string{filepath.Join(dir, "one", "app"), filepath.Join(dir, "one")}},
		{"too many", []string{tree(t, many)}},
		{"control character", []string{tree(t, map[string]string{"a\x1b[2J": "x"})}},
		{"bidirectional override", []string{tree(t, map[string]string{"a\u202egnp.exe": "x"})}},
		{"not NFC", []string{tree(t, map[string]string{"u\u0308": "x"})}},
		{"not UTF-8", []string{tree(t, map[string]string{"\xff": "x"})}},
		{"backslash", []string{tree(t, map[string]string{`..\x`: "x"})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := attest.SubjectsFromPaths(t.Context(), c.paths, attest.SubjectOptions{})
			wantCode(t, err, attest.CodeSubject)
		})
	}
	_, err := attest.SubjectsFromPaths(t.Context(), []string{filepath.Join(dir, "missing")}, attest.SubjectOptions{})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := attest.SubjectsFromPaths(ctx, []string{dir}, attest.SubjectOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context ended it", err)
	}
}

// TestSubjectsNoticeGrowth lets a file grow between listing and hashing.
func TestSubjectsNoticeGrowth(t *testing.T) {
	dir := tree(t, map[string]string{"a": "a", "log": "x"})
	_, err := attest.SubjectsFromPaths(t.Context(), []string{dir}, attest.SubjectOptions{Progress: func(p attest.Progress) {
		if p.Name == "a" && p.Done == 0 {
			if err := os.WriteFile(filepath.Join(dir, "log"), []byte("xx"), 0o600); err != nil {
				t.Error(err)
			}
		}
	}})
	wantCode(t, err, attest.CodeSubject)
}

// TestSubjectsProperties: every tree of files gives sorted, unique, relative names and unique digests of what is in
// them.
func TestSubjectsProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		files := rapid.MapOfN(rapid.StringMatching(`[a-c](/[d-f]){0,2}/[g-i0-9.]{1,3}`), rapid.StringN(0, 8, 8), 1,
			12).Draw(rt, "files")
		for name := range files {
			if strings.Contains(name, "/.") || strings.Contains(name, "./") || strings.HasSuffix(name, ".") {
				delete(files, name)
			}
		}
		if len(files) == 0 {
			rt.Skip()
		}
		dir := tree(t, files)
		subjects, err := attest.SubjectsFromPaths(t.Context(), []string{dir}, attest.SubjectOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		if !slices.IsSorted(names(subjects)) {
			rt.Fatalf("not sorted: %q", names(subjects))
		}
		contents, digests := map[string]bool{}, map[string]bool{}
		for _, content := range files {
			contents[content] = true
		}
		for _, s := range subjects {
			want := sha256.Sum256([]byte(files[s.Name]))
			if s.Digest["sha256"] != hex.EncodeToString(want[:]) || digests[s.Digest["sha256"]] || !fs.ValidPath(s.Name) {
				rt.Fatalf("subject %+v of %q", s, files)
			}
			digests[s.Digest["sha256"]] = true
		}
		if len(digests) != len(contents) {
			rt.Fatalf("got %d subjects for %d contents", len(digests), len(contents))
		}
	})
}

func BenchmarkSubjects(b *testing.B) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "release.img"), bytes.Repeat([]byte("avow"), 16<<20), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := attest.SubjectsFromPaths(b.Context(), []string{dir}, attest.SubjectOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
