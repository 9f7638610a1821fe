package observe

import (
	"crypto/sha256"
	"io"
)

const (
	digestChunk  = 128 << 10
	digestChunks = 8
)

// digester hashes beside the reading, because hashing costs more than reading:
// it has copies of what is read in a few buffers that go round.
type digester struct {
	work, free chan []byte
	sum        chan [sha256.Size]byte
}

func newDigester() *digester {
	d := &digester{work: make(chan []byte, digestChunks), free: make(chan []byte, digestChunks), sum: make(chan [sha256.Size]byte, 1)}
	for range digestChunks {
		d.free <- make([]byte, 0, digestChunk)
	}
	go func() {
		h := sha256.New()
		for b := range d.work {
			h.Write(b)
			d.free <- b[:0]
		}
		d.sum <- [sha256.Size]byte(h.Sum(nil))
	}()
	return d
}

func (d *digester) write(b []byte) {
	for len(b) > 0 {
		n := min(len(b), digestChunk)
		d.work <- append(<-d.free, b[:n]...)
		b = b[n:]
	}
}

// end waits for the digest of everything that was written. It must be called
// once, and ends the goroutine.
func (d *digester) end() [sha256.Size]byte {
	close(d.work)
	return <-d.sum
}

// counter counts and hashes what is read through it.
type counter struct {
	r io.Reader
	d *digester // nil: nobody asks for the digest
	n int64
}

// Read implements io.Reader.
func (c *counter) Read(b []byte) (int, error) {
	// A chunk that fits into the processor's cache is there when it is hashed and decoded.
	n, err := c.r.Read(b[:min(len(b), digestChunk)])
	c.n += int64(n)
	if c.d != nil {
		c.d.write(b[:n])
	}
	return n, err
}
