package command

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// reportFile is where a report goes: to standard output as it is made, or to a file that appears when it is whole.
// Until then the report is in a file without a name, which the system takes back however the program ends: not even
// kill -9 leaves a part of a report behind that could be taken for all of it.
type reportFile struct {
	io.Writer
	path       string
	buffer     *bufio.Writer
	unfinished *os.File // nil for standard output, and once it was committed or discarded
	a          *app
}

func (a *app) newReportFile(path string) (*reportFile, error) {
	if path == "" || path == "-" {
		return &reportFile{Writer: a.env.Stdout}, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".avow-report-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil { // some systems keep the names of open files
		return nil, errors.Join(err, f.Close())
	}
	buffer := bufio.NewWriter(f)
	return &reportFile{Writer: buffer, path: path, buffer: buffer, unfinished: f, a: a}, nil
}

// commit makes the report appear under its name, in place of an earlier one.
func (r *reportFile) commit() error {
	if r.unfinished == nil {
		return nil
	}
	err := r.buffer.Flush()
	if err == nil {
		_, err = r.unfinished.Seek(0, io.SeekStart)
	}
	if err == nil {
		err = writeFrom(r.path, r.unfinished, 0o644)
	}
	if err == nil {
		r.a.note("wrote %s", r.path)
	}
	return errors.Join(err, r.discard())
}

// discard throws an unfinished report away.
func (r *reportFile) discard() error {
	if r.unfinished == nil {
		return nil
	}
	f := r.unfinished
	r.unfinished = nil
	return f.Close()
}
