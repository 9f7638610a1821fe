package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// eachLine reads lines, leaves out those that say nothing (empty, or a comment that begins with #), and yields what parse
// makes of each of the others.
func eachLine(r io.Reader, parse func(line string) Item, yield func(Item) bool) error {
	lines := bufio.NewReaderSize(r, MaxLineBytes+1)
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n')
		var item Item
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if err = skipLine(lines); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			item.Err = fmt.Errorf("the line has more than %d bytes", MaxLineBytes)
		case err != nil && !errors.Is(err, io.EOF):
			return err
		default:
			text := bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			if len(bytes.TrimSpace(text)) == 0 || text[0] == '#' {
				if err != nil {
					return nil
				}
				continue
			}
			item = parse(string(text))
		}
		item.Position = fmt.Sprintf("line %d", number)
		if !yield(item) || err != nil {
			return nil
		}
	}
}

// skipLine reads to the end of a line.
func skipLine(lines *bufio.Reader) error {
	for {
		if _, err := lines.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}
