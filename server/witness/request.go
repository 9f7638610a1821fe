package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	formats "github.com/transparency-dev/formats/log"
)

// Limits of a request.
const (
	// MaxRequestBytes is the largest request: 63 hashes, and a checkpoint that carries the cosignatures of others.
	MaxRequestBytes = 64 << 10
	// MaxProofLines is the largest number of hashes.
	//
	// > "The client MUST NOT send more than 63 consistency proof lines" (https://c2sp.org/tlog-witness)
	MaxProofLines = 63
)

// request is the body of an add-checkpoint call.
type request struct {
	old   uint64
	proof [][]byte
	note  []byte // the checkpoint with its signatures, not yet verified
	head  head   // what its first three lines say
}

// head is a tree of a log.
type head struct {
	origin string
	size   uint64
	root   [sha256.Size]byte
}

// parseRequest parses a request strictly: every number and hash in the one form that the specification gives it.
func parseRequest(body []byte) (request, error) {
	if len(body) > MaxRequestBytes {
		return request{}, fmt.Errorf("request of more than %d bytes", MaxRequestBytes)
	}
	preamble, signed, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok {
		return request{}, errors.New("no empty line before the checkpoint")
	}
	lines := strings.Split(string(preamble), "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	if !ok {
		return request{}, errors.New(`the first line does not begin with "old "`)
	}
	r := request{note: signed}
	var err error
	if r.old, err = parseSize(size); err != nil {
		return request{}, fmt.Errorf("old size: %w", err)
	}
	if got := len(lines) - 1; got > MaxProofLines {
		return request{}, fmt.Errorf("got %d lines of proof, want at most %d", got, MaxProofLines)
	}
	for i, line := range lines[1:] {
		h, err := parseHash(line)
		if err != nil {
			return request{}, fmt.Errorf("proof line %d: %w", i+1, err)
		}
		r.proof = append(r.proof, h[:])
	}
	// The text of a note may hold empty lines, that of a checkpoint may not: there is one way to split it.
	text, signatures, ok := bytes.Cut(signed, []byte("\n\n"))
	if !ok || bytes.Contains(signatures, []byte("\n\n")) {
		return request{}, errors.New("the checkpoint is not a text, an empty line and signatures")
	}
	r.head, err = parseHead(append(text[:len(text):len(text)], '\n'))
	return r, err
}

// parseHead reads the first three lines of a checkpoint's text. Further lines are the log's own affair.
func parseHead(text []byte) (head, error) {
	var cp formats.Checkpoint
	rest, err := cp.Unmarshal(text)
	if err != nil {
		return head{}, fmt.Errorf("checkpoint: %w", err)
	}
	if len(cp.Hash) != sha256.Size {
		return head{}, fmt.Errorf("checkpoint: root of %d bytes, want %d", len(cp.Hash), sha256.Size)
	}
	if !bytes.Equal(append(cp.Marshal(), rest...), text) {
		return head{}, errors.New("checkpoint: not in its canonical form")
	}
	return head{origin: cp.Origin, size: cp.Size, root: [sha256.Size]byte(cp.Hash)}, nil
}

// parseSize reads "an ASCII decimal with no leading zeroes" (https://c2sp.org/tlog-witness).
func parseSize(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%.24q is not a decimal without leading zeroes", s)
	}
	return n, nil
}

// parseHash reads the base64 of 32 bytes, in its only form.
func parseHash(s string) ([sha256.Size]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return [sha256.Size]byte{}, errors.New("not standard base64")
	}
	if len(b) != sha256.Size {
		return [sha256.Size]byte{}, fmt.Errorf("got %d bytes, want %d", len(b), sha256.Size)
	}
	return [sha256.Size]byte(b), nil
}
