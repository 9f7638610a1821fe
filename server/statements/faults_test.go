package statements_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/avow-dev/avow/server/statements"
)

// The children of this file are this test binary, run again for one test with
// the path of a store in this variable.
const childVar = "AVOW_TEST_STORE"

func child(t *testing.T, test, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), childVar+"="+path)
	cmd.Stderr = t.Output()
	return cmd
}

// TestCrashChild is not a test of its own: it writes until it is killed, and
// says what was acknowledged.
func TestCrashChild(t *testing.T) {
	path := os.Getenv(childVar)
	if path == "" {
		t.Skip("run by TestKilledWriterLosesNothing")
	}
	s, err := statements.Open(t.Context(), config(t, path))
	if err != nil {
		t.Fatal(err)
	}
	by := newSigner(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 16 {
		wg.Go(func() {
			for {
				p := statement(by, fmt.Sprintf("%x", rnd(8)))
				if _, _, err := s.PutPending(t.Context(), []statements.Pending{p}); err != nil {
					t.Error(err)
					return
				}
				say(&mu, "put", p)
				if err := s.Commit(t.Context(), []statements.Committed{committed(p, indexOf(p))}); err != nil {
					t.Error(err)
					return
				}
				say(&mu, "commit", p)
			}
		})
	}
	wg.Wait()
}

// indexOf gives a statement a log index that follows from its id.
func indexOf(p statements.Pending) uint64 {
	var n uint64
	_, _ = fmt.Sscanf(p.StatementID[len("sha256:"):][:15], "%x", &n)
	return n
}

func say(mu *sync.Mutex, what string, p statements.Pending) {
	mu.Lock()
	defer mu.Unlock()
	fmt.Println("acknowledged", what, p.StatementID, p.KeyID)
}

// TestKilledWriterLosesNothing kills a writing process with SIGKILL, several
// times on one store. Each acknowledged row is there, in the state that was
// acknowledged, the file is sound, and lists agree with the rows.
func TestKilledWriterLosesNothing(t *testing.T) {
	s, path := create(t)
	shut(t, s)
	acked := map[[2]string]string{} // statement and key -> the last thing acknowledged
	for round := range 4 {
		cmd := child(t, "TestCrashChild", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if f := strings.Fields(lines.Text()); len(f) == 4 && f[0] == "acknowledged" {
				acked[[2]string{f[2], f[3]}] = f[1]
			}
			if n == 300*(round+1) {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
	}
	if len(acked) < 500 {
		t.Fatalf("only %d statements acknowledged: the children did not write", len(acked))
	}
	s, err := statements.Open(t.Context(), config(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, s)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	listed := map[string]bool{}
	all, _ := listAll(t, s, statements.Query{Limit: 1000})
	for _, m := range all {
		listed[m.StatementID] = true
	}
	for id, what := range acked {
		rec, err := s.GetBy(t.Context(), id[0], id[1])
		if err != nil {
			t.Errorf("acknowledged %s of %s: %v", what, id[0], err)
			continue
		}
		if done := rec.State == statements.StateCommitted; what == "commit" && !done || done != listed[id[0]] {
			t.Errorf("acknowledged %s of %s: %v, listed %v", what, id[0], rec.State, listed[id[0]])
		}
	}
}

// TestLockChild is run by TestSecondProcessIsRefused.
func TestLockChild(t *testing.T) {
	path := os.Getenv(childVar)
	if path == "" {
		t.Skip("run by TestSecondProcessIsRefused")
	}
	_, err := statements.Open(t.Context(), config(t, path))
	var e *statements.Error
	if errors.As(err, &e) {
		fmt.Println("code", e.Code)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	s, path := create(t)
	out, err := child(t, "TestLockChild", path).Output()
	if err != nil || !strings.Contains(string(out), "code "+statements.Locked) {
		t.Errorf("the second process said %q, %v; want %s", out, err, statements.Locked)
	}
	_, err = statements.Open(t.Context(), config(t, path)) // the same from this process
	wantCode(t, err, statements.Locked)
	put(t, s, statement(newSigner(t), "undisturbed"))
}

func TestOpenRefusals(t *testing.T) {
	t.Run("missing", func(t *testing.T) {
		_, err := statements.Open(t.Context(), config(t, filepath.Join(t.TempDir(), "statements.db")))
		wantCode(t, err, statements.Missing)
	})
	t.Run("missing directory", func(t *testing.T) {
		_, err := statements.Open(t.Context(), config(t, filepath.Join(t.TempDir(), "no", "statements.db")))
		wantCode(t, err, statements.Missing)
	})
	t.Run("exists", func(t *testing.T) {
		s, path := create(t)
		shut(t, s)
		_, err := statements.Create(t.Context(), config(t, path))
		wantCode(t, err, statements.Exists)
	})
	for name, content := range map[string][]byte{
		"empty": nil, "text": []byte(strings.Repeat("not a database ", 1000)), "short": []byte("SQLite format 3\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "statements.db")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := statements.Open(t.Context(), config(t, path))
			wantCode(t, err, statements.Corrupt)
		})
	}
	t.Run("directory", func(t *testing.T) {
		_, err := statements.Open(t.Context(), config(t, t.TempDir()))
		wantCode(t, err, statements.Corrupt)
	})
	t.Run("another application's database", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "statements.db")
		edit(t, path, "CREATE TABLE x (y)")
		_, err := statements.Open(t.Context(), config(t, path))
		wantCode(t, err, statements.Corrupt)
	})
	t.Run("newer", func(t *testing.T) {
		s, path := create(t)
		shut(t, s)
		edit(t, path, "INSERT INTO schema_versions (version_id, is_applied) VALUES (99, 1)")
		_, err := statements.Open(t.Context(), config(t, path))
		wantCode(t, err, statements.Newer)
		if !strings.Contains(err.Error(), "version 99") {
			t.Errorf("%v does not name the version", err)
		}
	})
	t.Run("no logger", func(t *testing.T) {
		_, err := statements.Open(t.Context(), statements.Config{Path: "x"})
		wantCode(t, err, statements.Invalid)
	})
}

// edit changes a database file behind the back of the store.
func edit(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// TestRottenRowsAreNeverAnswers changes one value of one truth row at a time.
func TestRottenRowsAreNeverAnswers(t *testing.T) {
	for name, change := range map[string]string{
		"envelope":    "UPDATE statements SET envelope = CAST('X' || substr(envelope, 2) AS BLOB)",
		"received":    "UPDATE statements SET received = received + 1",
		"log size":    "UPDATE statements SET log_size = log_size + 1",
		"vendor":      "UPDATE statements SET vendor = 'other'",
		"declaration": "UPDATE statements SET declaration = ''",
		"public key":  "UPDATE signers SET public_key = x'00'",
		"entry":       "UPDATE entries SET entry = x'00'",
		"tokens":      "UPDATE entries SET tokens = x'00'",
		"log index":   "UPDATE entries SET log_index = log_index + 1",
		"committed":   "UPDATE entries SET committed = committed + 1",
	} {
		t.Run(name, func(t *testing.T) {
			s, path := create(t)
			p := statement(newSigner(t), "1")
			put(t, s, p)
			commit(t, s, committed(p, 1))
			shut(t, s)
			edit(t, path, change)
			s, err := statements.Open(t.Context(), config(t, path))
			if err != nil {
				t.Fatal(err)
			}
			defer shut(t, s)
			_, err = s.Get(t.Context(), p.StatementID)
			wantCode(t, err, statements.Corrupt)
			wantCode(t, s.Check(t.Context()), statements.Corrupt)
		})
	}
}

// TestCheckCompares removes what must be there, and adds what must not.
func TestCheckCompares(t *testing.T) {
	for name, change := range map[string]struct{ file, sql string }{
		"statement without entry or pending": {"", "DELETE FROM pending"},
		"no facts":                           {"", "DELETE FROM facts WHERE id = 2"},
		"reference":                          {"", "PRAGMA foreign_keys = 0; DELETE FROM signers"},
		"summary":                            {".index", "DELETE FROM summaries"},
		"posting":                            {".index", "DELETE FROM postings WHERE facet = 1"},
		"subject":                            {".index", "DELETE FROM by_subject"},
		"product":                            {".index", "INSERT INTO by_product VALUES ('pkg:generic/never', 1, 1, 1)"},
	} {
		t.Run(name, func(t *testing.T) {
			s, path := create(t)
			by := newSigner(t)
			a, b := statement(by, "a"), statement(by, "b")
			put(t, s, a, b)
			commit(t, s, committed(a, 1))
			s = reopen(t, s, path)
			if err := s.Check(t.Context()); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			shut(t, s)
			edit(t, path+change.file, change.sql)
			s, err := statements.Open(t.Context(), config(t, path))
			if err != nil {
				t.Fatal(err)
			}
			defer shut(t, s)
			wantCode(t, s.Check(t.Context()), statements.Corrupt)
		})
	}
}

// TestIndexIsRebuiltWhenItDoesNotFit: whatever happens to the derived file, the
// next start lists what is stored.
func TestIndexIsRebuiltWhenItDoesNotFit(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, index string){
		"removed":       func(t *testing.T, index string) { remove(t, index) },
		"garbage":       func(t *testing.T, index string) { write(t, index, []byte(strings.Repeat("garbage ", 4096))) },
		"empty":         func(t *testing.T, index string) { write(t, index, nil) },
		"other version": func(t *testing.T, index string) { edit(t, index, "PRAGMA user_version = 77") },
		"other store": func(t *testing.T, index string) {
			edit(t, index, "UPDATE progress SET identity = randomblob(16)")
		},
		"older generation": func(t *testing.T, index string) { edit(t, index, "UPDATE progress SET generation = 0") },
		"ahead":            func(t *testing.T, index string) { edit(t, index, "UPDATE progress SET seq = 1000") },
		"other history":    func(t *testing.T, index string) { edit(t, index, "UPDATE progress SET statement = x'00'") },
		"no progress":      func(t *testing.T, index string) { edit(t, index, "DELETE FROM progress") },
		"lost tail": func(t *testing.T, index string) {
			edit(t, index, "DELETE FROM progress", "PRAGMA user_version = 2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, path := create(t)
			ps := fill(t, s, 30)
			shut(t, s)
			harm(t, path+".index")
			s, err := statements.Open(t.Context(), config(t, path))
			if err != nil {
				t.Fatal(err)
			}
			defer shut(t, s)
			testCombinations(t, s, ps)
			if err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReindex derives everything anew from what is stored, with other facts than before.
func TestReindex(t *testing.T) {
	s, path := create(t)
	ps := fill(t, s, 40)
	waiting := statement(newSigner(t), "waiting")
	put(t, s, waiting)
	for i := range ps {
		ps[i].Vendor, ps[i].PredicateType = ps[i].Vendor+"-renamed", "type-x"
		ps[i].Subjects, ps[i].Products = ps[i].Subjects[:1], append(ps[i].Products, "cpe:new")
	}
	byID := map[string]statements.Pending{}
	for _, p := range append(ps, waiting) {
		byID[p.StatementID] = p
	}
	var last, total uint64
	describe := func(r statements.Record) (statements.Facts, error) {
		p := byID[r.StatementID]
		if string(r.Envelope) != string(p.Envelope) || r.PredicateType != "" || r.Subjects != nil || r.Vendor == "" {
			t.Errorf("described %+v", r)
		}
		return statements.Facts{Vendor: p.Vendor, PredicateType: p.PredicateType, Subjects: p.Subjects, Products: p.Products}, nil
	}
	if err := s.Reindex(t.Context(), describe, func(d, n uint64) { last, total = d, n }); err != nil {
		t.Fatal(err)
	}
	if last != total || total != 81 {
		t.Errorf("progress ended at %d of %d, want 81", last, total)
	}
	for range 2 {
		testCombinations(t, s, ps)
		if page, _, err := s.List(t.Context(), statements.Query{Product: "cpe:new", Vendor: "vendor-0-renamed"}); err != nil || len(page) != 14 {
			t.Errorf("%d with the new facts, %v; want 14", len(page), err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		s = reopen(t, s, path)
	}
	rows, err := s.PendingRows(t.Context(), 0, 0)
	if err != nil || len(rows) != 1 || !reflect.DeepEqual(rows[0].Pending, waiting) {
		t.Errorf("pending: %+v, %v", rows, err)
	}
	commit(t, s, committed(waiting, 12345))
}

func TestReindexThatFailsChangesNothing(t *testing.T) {
	s, _ := create(t)
	ps := fill(t, s, 20)
	ctx, cancel := context.WithCancel(t.Context())
	for name, describe := range map[string]func(statements.Record) (statements.Facts, error){
		"error": func(r statements.Record) (statements.Facts, error) {
			return statements.Facts{}, errors.New("unreadable")
		},
		"facts": func(r statements.Record) (statements.Facts, error) { return statements.Facts{PredicateType: ""}, nil },
		"context": func(r statements.Record) (statements.Facts, error) {
			cancel()
			return statements.Facts{PredicateType: "x"}, nil
		},
	} {
		err := s.Reindex(ctx, describe, nil)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if name != "context" && ctx.Err() == nil {
			wantCode(t, err, statements.Invalid)
		}
		testCombinations(t, s, ps)
	}
	put(t, s, statement(newSigner(t), "still writing"))
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestBackup copies a store that is being written: the copy is a prefix, sound,
// and opens without the index.
func TestBackup(t *testing.T) {
	s, _ := create(t)
	ps := fill(t, s, 50)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		by := newSigner(t)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				put(t, s, statement(by, fmt.Sprint("later ", i)))
			}
		}
	})
	path := filepath.Join(t.TempDir(), "statements.db")
	err := s.Backup(t.Context(), path)
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.Backup(t.Context(), path), statements.Exists)
	copied, err := statements.Open(t.Context(), config(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, copied)
	testCombinations(t, copied, ps)
	if err := copied.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestErrorKeepsItsCauseToItself(t *testing.T) {
	_, err := statements.Open(t.Context(), config(t, filepath.Join(t.TempDir(), "secret-name.db")))
	var e *statements.Error
	if !errors.As(err, &e) || e.Hint == "" || e.Err == nil {
		t.Fatalf("got %#v, want a hint and a cause", err)
	}
	if strings.Contains(e.Error(), "secret-name") || !strings.Contains(e.LogValue().String(), "secret-name") {
		t.Errorf("message %q, for the log %q: the file's name belongs into the second alone", e.Error(), e.LogValue())
	}
}
