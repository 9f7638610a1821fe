package binscan

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/avow-dev/avow/attest/predicate"
)

// Options say what to compare with.
type Options struct {
	// Declared is the data-flows statement whose endpoints are declared; nil means that none are.
	Declared *predicate.Statement
	// Tool is what the result names as its maker.
	Tool string
}

// Scan reads a binary.
func Scan(ctx context.Context, path string, o Options) (*Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case info.Size() > MaxBinaryBytes:
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", path, info.Size(), int64(MaxBinaryBytes))
	}
	s, err := newScanner(o, readBuild(f))
	if err != nil {
		return nil, err
	}
	if err := s.read(ctx, io.NewSectionReader(f, 0, info.Size())); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s.finish(), nil
}

// readBuild returns the build info, or nil where there is none.
func readBuild(f *os.File) *Build {
	info, err := buildinfo.Read(f)
	if err != nil {
		return nil
	}
	b := &Build{Go: info.GoVersion, Main: info.Path, Module: Module{info.Main.Path, info.Main.Version, info.Main.Sum},
		Modules: []Module{}, Settings: map[string]string{}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		b.Modules = append(b.Modules, Module{m.Path, m.Version, m.Sum})
	}
	for _, setting := range info.Settings {
		b.Settings[setting.Key] = setting.Value
	}
	return b
}

// scanner looks for everything at once, piece by piece.
type scanner struct {
	result   *Result
	classify *classifier
	hosts    map[hostKey]int // index in result.Hosts
	secrets  map[int64]bool  // offsets that were reported
}

type hostKey struct {
	host, via string
	class     Class
}

func newScanner(o Options, b *Build) (*scanner, error) {
	c, err := newClassifier(o.Declared, b)
	if err != nil {
		return nil, err
	}
	s := &scanner{result: &Result{Format: Format, Tool: o.Tool, Build: b}, classify: c, hosts: map[hostKey]int{}, secrets: map[int64]bool{}}
	if o.Declared != nil {
		s.result.Statement = o.Declared.ID()
	}
	return s, nil
}

// read goes through the file. Each piece begins with the last overlapBytes of the one before; what begins in the last
// overlapBytes of a piece is left to the next, so it is seen whole and once.
func (s *scanner) read(ctx context.Context, r io.Reader) error {
	h := sha256.New()
	buffer := make([]byte, 0, pieceBytes+2*overlapBytes)
	var base int64 // of the buffer in the file
	first := 0     // from where on things may begin
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		filled := len(buffer)
		n, err := io.ReadFull(r, buffer[filled:cap(buffer)])
		buffer = buffer[:filled+n]
		h.Write(buffer[filled:])
		s.result.Size += int64(n)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err
		}
		end := len(buffer)
		if !last {
			end = len(buffer) - overlapBytes
		}
		s.piece(buffer, base, first, end)
		if last {
			s.result.SHA256 = hex.EncodeToString(h.Sum(nil))
			return nil
		}
		keep := end - overlapBytes // what stands before, for whatever looks back
		base += int64(keep)
		buffer = buffer[:copy(buffer[:cap(buffer)], buffer[keep:])]
		first = overlapBytes
	}
}

// piece looks for what begins from first up to end in a buffer.
func (s *scanner) piece(b []byte, base int64, first, end int) {
	s.urls(b, base, first, end)
	s.words(b, base, first, end)
	s.credentials(b, base, first, end)
}

func (s *scanner) host(h Host, path string) {
	if h.Class == "" {
		h.Class, h.Why = s.classify.class(h, path)
	}
	key := hostKey{h.Host, h.Via, h.Class}
	if i, ok := s.hosts[key]; ok {
		s.result.Hosts[i].Count++
		s.result.Hosts[i].Open = s.result.Hosts[i].Open && h.Open
		return
	}
	if len(s.result.Hosts) >= MaxHosts {
		s.result.Truncated = true
		return
	}
	h.Count = 1
	s.hosts[key] = len(s.result.Hosts)
	s.result.Hosts = append(s.result.Hosts, h)
}

// secret adds a credential; what is the secret itself is hashed and forgotten.
func (s *scanner) secret(kind string, at int64, value []byte, guessable bool) {
	if s.secrets[at] {
		return
	}
	if len(s.result.Secrets) >= MaxSecrets {
		s.result.Truncated = true
		return
	}
	s.secrets[at] = true
	found := Secret{Kind: kind, Offset: at, Length: len(value)}
	if !guessable {
		sum := sha256.Sum256(value)
		found.Fingerprint = hex.EncodeToString(sum[:8])
	}
	s.result.Secrets = append(s.result.Secrets, found)
}

func (s *scanner) finish() *Result { return s.result }
