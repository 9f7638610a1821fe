package tlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// anchorHeader is the first line of an anchor. A change of the format changes it.
const anchorHeader = "avow.dev/log-anchor/v1"

// anchor is the memory of the last tree that was signed: the compact range from which the next tree must grow. It is
// bound to the log's origin and key by the log id, so that the anchor of another log is not mistaken for this one's.
//
// The file is text: header, origin, log id, size, the hashes of the compact range from left to right, and the SHA-256
// of everything before it, one per line, binary values in base64.
type anchor struct {
	origin string
	logID  hash
	size   uint64
	nodes  []hash
}

// marshal returns the file's bytes.
func (a anchor) marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s\n%s\n%d\n", anchorHeader, a.origin, encode(a.logID), a.size)
	for _, n := range a.nodes {
		fmt.Fprintf(&b, "%s\n", encode(n))
	}
	sum := sha256.Sum256(b.Bytes())
	fmt.Fprintf(&b, "%s\n", encode(sum))
	return b.Bytes()
}

func encode(h hash) string { return base64.StdEncoding.EncodeToString(h[:]) }

// parseAnchor is the strict inverse of marshal: what it accepts marshals to the same bytes.
func parseAnchor(data []byte) (anchor, error) {
	if len(data) > MaxAnchorBytes {
		return anchor{}, fmt.Errorf("anchor of %d bytes, want at most %d", len(data), MaxAnchorBytes)
	}
	lines := strings.Split(string(data), "\n")
	if len(lines) < 6 || lines[len(lines)-1] != "" {
		return anchor{}, errors.New("anchor is cut short")
	}
	if lines[0] != anchorHeader {
		return anchor{}, fmt.Errorf("anchor begins with %.40q, want %q", lines[0], anchorHeader)
	}
	a := anchor{origin: lines[1]}
	var err error
	if a.logID, err = decode(lines[2]); err != nil {
		return anchor{}, fmt.Errorf("line 3: %w", err)
	}
	if a.size, err = strconv.ParseUint(lines[3], 10, 64); err != nil {
		return anchor{}, fmt.Errorf("line 4: %w", err)
	}
	nodes := lines[4 : len(lines)-2]
	if got, want := len(nodes), bits.OnesCount64(a.size); got != want {
		return anchor{}, fmt.Errorf("anchor of %d leaves: got %d hashes, want %d", a.size, got, want)
	}
	for i, line := range nodes {
		n, err := decode(line)
		if err != nil {
			return anchor{}, fmt.Errorf("line %d: %w", 5+i, err)
		}
		a.nodes = append(a.nodes, n)
	}
	if !bytes.Equal(a.marshal(), data) {
		return anchor{}, errors.New("checksum or form does not match: the anchor was changed")
	}
	return a, nil
}

func decode(s string) (hash, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return hash{}, err
	}
	if len(b) != sha256.Size {
		return hash{}, fmt.Errorf("got %d bytes, want %d", len(b), sha256.Size)
	}
	return hash(b), nil
}

// readAnchor returns the anchor and its bytes, or an error that wraps fs.ErrNotExist if there is none.
func readAnchor(path string, id identity) (anchor, []byte, error) {
	data, err := readAtMost(path, MaxAnchorBytes)
	if err != nil {
		return anchor{}, nil, err
	}
	a, err := parseAnchor(data)
	if err != nil {
		return anchor{}, nil, &Error{Code: CodeAnchorInvalid, Message: "the anchor does not parse", Hint: hintAnchor, Err: err}
	}
	if a.origin != id.origin {
		return anchor{}, nil, &Error{Code: CodeAnchorInvalid, Hint: hintAnchor,
			Message: fmt.Sprintf("the anchor belongs to the log %q, not to %q", a.origin, id.origin)}
	}
	if a.logID != id.logID {
		return anchor{}, nil, &Error{Code: CodeAnchorInvalid, Hint: hintAnchor,
			Message: fmt.Sprintf("the anchor belongs to another key: log id %x, not %x", a.logID[:4], id.logID[:4])}
	}
	return a, data, nil
}

// readAtMost reads a file of at most limit bytes, and one byte more so that a larger one is noticed.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// writeAnchor replaces the anchor durably: when it returns nil, a power cut finds the new one; before that, the old or
// the new one, never a mixture. The temporary file is written with O_SYNC, renamed, and the directory is synced, in
// that order.
func writeAnchor(path string, data []byte) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	// The name is fixed: the anchor has one writer, and a leftover of a crash is overwritten.
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_SYNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return dir.Sync()
}

// anchorMissing says why a log without an anchor is not opened.
func anchorMissing(err error) *Error {
	if !errors.Is(err, fs.ErrNotExist) {
		return Unavailable("reading the anchor", err)
	}
	return &Error{Code: CodeAnchorMissing, Hint: hintAnchor, Err: err,
		Message: "the log is there, but not its anchor: nothing shows that it is the latest that was signed"}
}

// hintAnchor is what an operator does without a usable anchor.
const hintAnchor = "do not copy an anchor from a backup; rebuild it from the largest checkpoint that any witness or client holds"
