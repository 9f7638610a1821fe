package witness

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/avow-dev/avow/internal/filelock"
)

const (
	// stateHeader is the first line of a state file. A change of the format changes it.
	stateHeader = "avow.dev/witness-state/v1"
	// maxStateBytes is the largest state file that is read.
	maxStateBytes = 4 << 10
	lockFile      = "lock"
)

// emptyHead is what a witness knows about a log of which it has cosigned nothing.
func emptyHead(origin string) head {
	return head{origin: origin, root: [sha256.Size]byte(rfc6962.DefaultHasher.EmptyRoot())}
}

// stateName is the file of a log. Origins may hold any character, so it is a digest.
func stateName(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:]) + ".state"
}

// marshalState writes a head as text: header, origin, size, root, and the SHA-256 of these lines.
func marshalState(h head) []byte {
	text := fmt.Sprintf("%s\n%s\n%d\n%s\n", stateHeader, h.origin, h.size, base64.StdEncoding.EncodeToString(h.root[:]))
	sum := sha256.Sum256([]byte(text))
	return []byte(text + base64.StdEncoding.EncodeToString(sum[:]) + "\n")
}

// parseState is the strict inverse of marshalState.
func parseState(data []byte) (head, error) {
	lines := strings.Split(string(data), "\n")
	if len(lines) != 6 || lines[0] != stateHeader {
		return head{}, fmt.Errorf("not a state of five lines that begins with %q", stateHeader)
	}
	size, err := parseSize(lines[2])
	if err != nil {
		return head{}, fmt.Errorf("line 3: %w", err)
	}
	root, err := parseHash(lines[3])
	if err != nil {
		return head{}, fmt.Errorf("line 4: %w", err)
	}
	h := head{origin: lines[1], size: size, root: root}
	if string(marshalState(h)) != string(data) {
		return head{}, errors.New("the checksum does not match: the state was changed")
	}
	return h, nil
}

func readState(dir, origin string) (head, error) {
	path := filepath.Join(dir, stateName(origin))
	f, err := os.Open(path)
	if err != nil {
		return head{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxStateBytes+1))
	if err != nil {
		return head{}, err
	}
	h, err := parseState(data)
	if err != nil {
		return head{}, fmt.Errorf("%s: %w", path, err)
	}
	if h.origin != origin {
		return head{}, fmt.Errorf("%s: state of the log %q, want %q", path, h.origin, origin)
	}
	return h, nil
}

// writeState replaces a log's state durably: when it returns nil, a power cut finds the new one; before that, the old or
// the new one, never a mixture.
func writeState(dir string, h head) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	path := filepath.Join(dir, stateName(h.origin))
	tmp := path + ".new" // one writer, which has the lock; a leftover of a crash is overwritten
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_SYNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(marshalState(h)); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return d.Sync()
}

// Enrol makes the state of each log of which the witness in dir knows nothing, and returns their origins. It is the only
// way in which a state comes into being; run for a log that was witnessed before, it would make the witness forget.
func Enrol(dir string, origins []string) (enrolled []string, err error) {
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	for _, origin := range origins {
		if err := validateOrigin(origin); err != nil {
			return enrolled, err
		}
		_, err := readState(dir, origin)
		if err == nil {
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return enrolled, err
		}
		if err := writeState(dir, emptyHead(origin)); err != nil {
			return enrolled, err
		}
		enrolled = append(enrolled, origin)
	}
	return enrolled, nil
}

// ErrLocked is returned where another process is the witness of this directory.
var ErrLocked = errors.New("another process serves this witness")

func lockDir(dir string) (*os.File, error) {
	f, err := filelock.Lock(filepath.Join(dir, lockFile))
	if errors.Is(err, filelock.ErrHeld) {
		err = ErrLocked
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return f, nil
}
