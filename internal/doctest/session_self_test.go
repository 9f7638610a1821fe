//go:build unix

package doctest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// document makes a document out of the lines of one console block.
func document(lines ...string) string {
	return "# A document\n\n```console\n" + strings.Join(lines, "\n") + "\n```\n"
}

func TestRunDocument(t *testing.T) {
	for _, c := range []struct {
		name, document string
		err            string // empty: as documented
	}{
		{"as documented", document("$ echo a; echo b >&2", "a", "b"), ""},
		{"wrong output", document("$ echo a", "b"), "4: $ echo a\nthe output differs (- documented, + printed)\n- b\n+ a\n"},
		{"no output", document("$ true", "a"), "- a\n"},
		{"unannounced output", document("$ echo a"), "+ a\n"},
		{"wrong exit code", document("$ false"), "4: $ false\nexit code 1, documented is 0"},
		{"exit code as documented", document("$ sh -c 'exit 3' # exit 3"), ""},
		{"exit code not as documented", document("$ true # exit 1"), "exit code 0, documented is 1"},
		{"a later command is named", document("$ true", "$ echo a", "a", "", "$ echo b"), "8: $ echo b\n"},
		{"nothing runs after a difference", document("$ echo a", "$ exit 9"), "4: $ echo a"},
		{"one session", document("$ mkdir d", "$ cd d", "$ X=1") + document("$ echo $X $(basename $PWD)", "1 d"), ""},
		{"the directory is empty", document("$ ls -A"), ""},
		{"nobody's home", document("$ ls -A $HOME"), ""},
		{"no standard input", document("$ cat"), ""},
		{"a backslash continues", document("$ echo a \\", "    b", "a b"), ""},
		{"an exit code behind a backslash", document("$ sh -c \\", "    'exit 2' # exit 2"), ""},
		{"a here-document", document("$ cat > f <<'EOF'", "$ no command", "EOF", "$ grep -c '[$] no command' f", "1"), ""},
		{"a here-document and an exit code", document("$ grep -q x <<EOF # exit 1", "y", "EOF"), ""},
		{"the shell ends", document("$ exit 3"), "the shell ended"},
		{"a syntax error", document("$ echo 'a"), "$ echo 'a\n"},
		{"not installed", "```console needs=no-such-program\n$ no-such-program\n```\n", ""},
		{"one of two not installed", "```console needs=sh,no-such-program\n$ no-such-program\n```\n", ""},
		{"installed", "```console needs=sh\n$ sh -c 'echo a'\nb\n```\n", "- b\n+ a\n"},
		{"not run", document("$ git clone https://example.com/x", "anything"), ""},
		{"not marked", "```sh\n$ false\n```\n", ""},
		{"in the background", document("$ sh -c 'echo ready; sleep 100' &", "ready", "$ echo next", "next"), ""},
		{"not closed", "```console\n$ true\n", "1: the block is not closed"},
		{"indented", " ```console\n$ true\n```\n", "1: a console block must not be indented"},
		{"output without a command", document("a", "$ true"), `4: output "a" before the first command`},
		{"no end of a here-document", document("$ cat <<EOF", "a"), `4: no line "EOF" ends the here-document`},
		{"unknown mark", "```console need=sh\n$ true\n```\n", `got "need=sh" after console`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := runDocument(t.TempDir(), t.TempDir(), c.document, t.Logf)
			switch {
			case err == nil && c.err != "":
				t.Errorf("it passed, want %q", c.err)
			case err != nil && (c.err == "" || !strings.Contains(err.Error(), c.err)):
				t.Errorf("got %q, want %q", err, c.err)
			}
		})
	}
}

// TestBackgroundEndsWithTheSession starts a program that would outlive its shell.
func TestBackgroundEndsWithTheSession(t *testing.T) {
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	doc := document("$ sh -c 'echo $$ > "+pidFile+"; echo ready; exec sleep 100' &", "ready")
	if err := runDocument(dir, t.TempDir(), doc, t.Logf); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("process %d still runs", pid)
	}
}
