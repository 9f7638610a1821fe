package command

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// readPublicKey reads a public key in PEM.
func (a *app) readPublicKey(path string) (*ecdsa.PublicKey, error) {
	data, err := a.readLimited(path, attest.MaxKeyFileBytes)
	if err != nil {
		return nil, err
	}
	key, err := attest.ParsePublicKey(data)
	if err != nil {
		return nil, about(path, err)
	}
	return key, nil
}

// readLimited reads a file, or standard input for "-", and refuses more than limit bytes.
func (a *app) readLimited(path string, limit int) ([]byte, error) {
	data, err := a.readUpTo(path, limit+1)
	if err == nil && len(data) > limit {
		return nil, failed("is this the right file?", "%s has more than %d bytes", path, limit)
	}
	return data, err
}

// readUpTo reads at most limit bytes, for readers that judge the size themselves.
func (a *app) readUpTo(path string, limit int) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(a.env.Stdin, int64(limit)))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(limit)))
}

// writeFile writes a file completely or not at all: readers see the old content or the new one.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	return writeFrom(path, bytes.NewReader(data), mode)
}

// writeFrom is writeFile for what is not in memory.
func writeFrom(path string, content io.Reader, mode fs.FileMode) error {
	return writeFileBy(path, mode, func(w io.Writer) error {
		_, err := io.Copy(w, content)
		return err
	})
}

// writeFileBy is writeFile for content that write produces. Where write ends in an error nothing changes.
func writeFileBy(path string, mode fs.FileMode, write func(io.Writer) error) (err error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = buffered(f, write)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// buffered writes in large pieces.
func buffered(to io.Writer, write func(io.Writer) error) error {
	w := bufio.NewWriter(to)
	if err := write(w); err != nil {
		return err
	}
	return w.Flush()
}

// createFile writes a file that must not exist yet.
func createFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return failed("choose another name with -o, or remove the file first", "%s exists already", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// replaceFile writes a file that may exist only with the same content, unless force is given.
func replaceFile(path string, data []byte, force bool) error {
	old, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(old, data):
		return nil
	case err == nil && !force:
		return failed("compare the two, then give --force or another -o", "%s exists and has other content", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return writeFile(path, data, 0o644)
}

// output writes an answer to the file that -o names, or to standard output.
func (a *app) output(path string, data []byte) error {
	if path == "" || path == "-" {
		_, err := a.env.Stdout.Write(data)
		return err
	}
	if err := createFile(path, data, 0o644); err != nil {
		return err
	}
	a.note("wrote %s", path)
	return nil
}

// printJSON prints a value as indented JSON in which every character that a terminal could obey is escaped.
func (a *app) printJSON(v any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	return a.printRawJSON(b.Bytes())
}

// printMessage prints a protobuf message in its JSON form.
func (a *app) printMessage(m proto.Message) error {
	// As the REST interface does: log index 0 is an index like any other.
	data, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return err
	}
	return a.printRawJSON(data)
}

func (a *app) printRawJSON(data []byte) error {
	var indented bytes.Buffer
	if err := json.Indent(&indented, bytes.TrimSpace(data), "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.env.Stdout, text.EscapeJSON(indented.String()))
	return err
}
