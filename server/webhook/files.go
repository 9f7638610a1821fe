package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/internal/wholefile"
)

// Letter is a message that was given up, as its file holds it.
type Letter struct {
	// ID and Body are those of the message.
	ID   string `json:"id"`
	Body []byte `json:"body"`
	// Tries is how often it was sent, Error why not taken the last time, GivenUp when that was.
	Tries   int       `json:"tries"`
	Error   string    `json:"error"`
	GivenUp time.Time `json:"givenUp"`
}

// Files is what is kept for one endpoint: a directory of its name.
type Files struct{ dir string }

// FilesOf are the files of an endpoint below the state directory. They are made if they are not there.
func FilesOf(state, name string) (Files, error) {
	f := Files{filepath.Join(state, name)}
	return f, os.MkdirAll(filepath.Join(f.dir, "dead"), 0o700)
}

type cursor struct {
	NextLogIndex uint64 `json:"nextLogIndex"`
}

// Next is where the endpoint goes on; ok is false if nothing was told yet.
func (f Files) Next() (next uint64, ok bool, err error) {
	data, err := wholefile.Read(filepath.Join(f.dir, "cursor.json"), maxCursorBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	var c cursor
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	return c.NextLogIndex, err == nil, err
}

func (f Files) setNext(next uint64) error {
	data, err := json.Marshal(cursor{next})
	if err != nil {
		return err
	}
	return wholefile.Replace(filepath.Join(f.dir, "cursor.json"), append(data, '\n'), 0o600)
}

// Dead are the names of the dead letters, in the order of their names.
func (f Files) Dead() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(f.dir, "dead"))
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".json"); ok && !strings.HasPrefix(id, ".") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, err
}

// Letter reads a dead letter.
func (f Files) Letter(id string) (l Letter, err error) {
	if id != filepath.Base(id) {
		return l, fmt.Errorf("%.80q is no name of a dead letter", id)
	}
	data, err := wholefile.Read(f.letterPath(id), maxLetterBytes)
	if err == nil {
		err = json.Unmarshal(data, &l)
	}
	return l, err
}

func (f Files) letterPath(id string) string { return filepath.Join(f.dir, "dead", id+".json") }

func (f Files) bury(l Letter) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return wholefile.Replace(f.letterPath(l.ID), append(data, '\n'), 0o600)
}

// Remove removes a dead letter that was taken.
func (f Files) Remove(id string) error { return os.Remove(f.letterPath(id)) }
