package server

import (
	"crypto/sha256"
	"sync"
)

// digestCache keeps what was made from documents that callers send again and again, by the SHA-256 of the document.
// The oldest goes first.
type digestCache[T any] struct {
	limit int

	mu    sync.Mutex
	known map[[sha256.Size]byte]T
	order [][sha256.Size]byte // the oldest first
}

func newDigestCache[T any](limit int) *digestCache[T] {
	return &digestCache[T]{limit: limit, known: make(map[[sha256.Size]byte]T)}
}

// get returns what the document makes. Two callers that bring a new document at the same time both make it, so that
// nobody waits for another's document; what could not be made is not kept.
func (c *digestCache[T]) get(document []byte, makeIt func() (T, error)) (T, error) {
	key := sha256.Sum256(document)
	c.mu.Lock()
	known, ok := c.known[key]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	made, err := makeIt()
	if err != nil {
		return made, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.known[key]; !ok {
		if len(c.order) >= c.limit {
			delete(c.known, c.order[0])
			c.order = c.order[1:]
		}
		c.order = append(c.order, key)
	}
	c.known[key] = made
	return made, nil
}
