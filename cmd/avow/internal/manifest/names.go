package manifest

import (
	"errors"
	"hash/maphash"
)

// names finds out which names stand for several digests. It keeps hashes, because names are long and lists are, too.
// Two names or two digests whose hashes collide, once in 2^25 lists of the largest size, make an error of an entry and
// accept nothing.
type names struct {
	seed      maphash.Seed
	digests   map[uint64]uint64 // by name
	conflicts map[uint64]bool
}

func newNames() *names {
	return &names{seed: maphash.MakeSeed(), digests: map[uint64]uint64{}, conflicts: map[uint64]bool{}}
}

func (n *names) add(item Item) {
	if item.Err != nil || item.SHA256 == "" {
		return
	}
	name, digest := maphash.String(n.seed, item.Name), maphash.String(n.seed, item.SHA256)
	if before, ok := n.digests[name]; ok && before != digest {
		n.conflicts[name] = true
		return
	}
	n.digests[name] = digest
}

// conflict is the error of an entry whose name stands for several digests.
func (n *names) conflict(name string) error {
	if n.conflicts[maphash.String(n.seed, name)] {
		return errors.New("the list has this name twice, with different digests; say which one is meant")
	}
	return nil
}
