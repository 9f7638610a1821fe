// Package wholefile replaces files, and reads them whole: whoever reads one finds the old content or the new, never a mixture.
//
// Purpose: what a program remembers about keys and logs must survive a crash between two of its bytes. A configuration, a pin or
// a published root that is half written is worse than none.
//
// Trust assumptions: the file system renames atomically within a directory, and keeps what was synced. Nobody else writes
// to the directory under the names of temporary files, which begin with a dot.
//
// Contract: after [Replace] returned nil, a power cut does not bring the old content back, as far as the system can promise it
// for a directory; Windows cannot. After an error the file is as it was, and no temporary file is left, unless the process
// ended before it could be removed.
//
// The anchors of logs and witnesses are written by themselves: once for each checkpoint, under a name that the next write
// takes again.
package wholefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Replace writes a file of this mode (permissions alone), whether it is there or not. Its directory must be there.
func Replace(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename last. Windows has no such call for directories.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Read returns the content of a file of at most limit bytes. A larger one is an error, and no more than one byte beyond the limit is read.
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return data, err
}
