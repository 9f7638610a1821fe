package tlog

// recentLeaves remembers the indexes of the newest leaves by their hashes, between maxRecent and twice that many. The
// zero value is empty and ready.
type recentLeaves struct {
	young, old map[hash]uint64
}

// index returns the index of a leaf.
func (r *recentLeaves) index(h hash) (uint64, bool) {
	if i, ok := r.young[h]; ok {
		return i, true
	}
	i, ok := r.old[h]
	return i, ok
}

// put remembers a leaf. The first index of a leaf stays: it is the one that its caller was told.
func (r *recentLeaves) put(h hash, index uint64) {
	if _, ok := r.index(h); ok {
		return
	}
	if r.young == nil || len(r.young) >= maxRecent {
		r.young, r.old = make(map[hash]uint64), r.young
	}
	r.young[h] = index
}
