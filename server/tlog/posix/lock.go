package posix

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/avow-dev/avow/server/tlog"
)

// locks are held for the life of a log. The kernel drops them with the process, however it ends.
type locks struct {
	once  sync.Once
	files []*os.File
	err   error
}

// lock takes an exclusive lock on each file, or none. The log's directory has one, and so has the anchor: a copy of the
// directory served beside the original would otherwise share its anchor, and both would sign.
func lock(paths ...string) (*locks, error) {
	l := &locks{}
	for _, path := range paths {
		f, err := lockOne(path)
		if err != nil {
			_ = l.release() // the refusal is the news
			return nil, err
		}
		l.files = append(l.files, f)
	}
	return l, nil
}

func lockOne(path string) (*os.File, error) {
	// Open for reading only, although it is locked exclusively: a file that is open for writing would keep an operator
	// from making the file system read-only.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return nil, tlog.Unavailable("opening the log's lock", err)
	}
	// flock belongs to the open file, not to the process: a second Open of the same process is refused too, and closing
	// some other descriptor of the file does not drop it.
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		defer f.Close()
		return nil, &tlog.Error{Code: tlog.CodeLocked, Message: "the log is in use by " + holder(f),
			Hint: "stop that process; if it is another machine's, this directory must not be shared"}
	}
	if err == nil {
		// For whoever is refused.
		err = os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600)
	}
	if err != nil {
		f.Close()
		return nil, tlog.Unavailable("taking the log's lock", err)
	}
	return f, nil
}

// holder names the process that holds a lock.
func holder(f *os.File) string {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return "another process"
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return "another process" // between its lock and its signature
	}
	return fmt.Sprintf("process %d", pid)
}

// release gives the locks back. The files stay: removing one would let two processes lock two files of one name.
func (l *locks) release() error {
	l.once.Do(func() {
		for _, f := range l.files {
			// Closing alone would leave the lock with a child that this process starts right now: between fork and exec
			// it shares the open file.
			l.err = errors.Join(l.err, syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
		}
	})
	return l.err
}
