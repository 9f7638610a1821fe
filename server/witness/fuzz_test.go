package witness

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// FuzzAddCheckpoint asserts that a request that parses is in its only form, and that nothing is cosigned but the one tree
// that the log's key has signed.
func FuzzAddCheckpoint(f *testing.F) {
	l := newTestLog(10, 10, "")
	f.Add(l.request(0, 5))
	f.Add(l.request(0, 0))
	f.Add(l.request(5, 10))
	f.Add([]byte("old 00\n\nlog.example\n1\nAAAA\n\n— x AAAA\n"))
	f.Add([]byte("old 18446744073709551616\n\n"))
	w := newWitness(f)
	good := string(l.checkpoint(5))
	text, _, _ := strings.Cut(good, "\n\n")
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRequest(data)
		if err == nil {
			again := fmt.Appendf(nil, "old %d\n", r.old)
			for _, h := range r.proof {
				again = fmt.Appendf(again, "%s\n", base64.StdEncoding.EncodeToString(h))
			}
			if again = append(append(again, '\n'), r.note...); !bytes.Equal(again, data) {
				t.Errorf("%q parses, and reads as %q", data, again)
			}
		}
		before := w.logs[testOrigin].last
		line, err := w.AddCheckpoint(t.Context(), data)
		if err == nil && !strings.Contains(string(data), text) && r.head.size != 0 && r.head.size != 10 {
			t.Errorf("cosigned %q: %q", data, line)
		}
		if after := w.logs[testOrigin].last; err != nil && after != before {
			t.Errorf("a refusal changed the state from %v to %v", before, after)
		}
	})
}

// FuzzState asserts that a state that parses is written as the same bytes.
func FuzzState(f *testing.F) {
	f.Add(marshalState(emptyHead(testOrigin)))
	f.Add(marshalState(head{origin: "a", size: 1 << 63}))
	f.Add([]byte(stateHeader + "\n\n\n\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parseState(data)
		if err == nil && !bytes.Equal(marshalState(h), data) {
			t.Errorf("%q reads as %v", data, h)
		}
	})
}
