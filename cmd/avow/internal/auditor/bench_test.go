package auditor

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	formats "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/indexworld"
	"github.com/avow-dev/avow/verify/index/audit"
)

var benchEntries = flag.Int("entries", 10_000, "entries of the log in benchmarks")

// site is what a server hands out, by path: at a hundred thousand entries a log on disk takes longer to make than to audit.
type site map[string][]byte

func (s site) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, ok := s[r.URL.Path]
	if !ok {
		http.NotFound(rw, r)
		return
	}
	_, _ = rw.Write(body)
}

// publish adds the tiles of a log, with its checkpoint, and returns the log's key.
func (s site) publish(b *testing.B, prefix, origin string, leaves [][]byte) *follow.Logs {
	b.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		b.Fatal(err)
	}
	levels, size, whole := map[uint64][][]byte{}, uint64(len(leaves)), follow.NewRange()
	for _, data := range leaves {
		hash := rfc6962.DefaultHasher.HashLeaf(data)
		levels[0] = append(levels[0], hash)
		if err := whole.Append(hash, func(id compact.NodeID, hash []byte) {
			if level := uint64(id.Level); level > 0 && level%follow.TileHeight == 0 {
				levels[level/follow.TileHeight] = append(levels[level/follow.TileHeight], hash)
			}
		}); err != nil {
			b.Fatal(err)
		}
	}
	for level, hashes := range levels {
		for i := uint64(0); i*follow.TileWidth < uint64(len(hashes)); i++ {
			width := follow.TileWidthAt(level, i, size)
			s[prefix+follow.TilePath(level, i, width)] = bytes.Join(hashes[i*follow.TileWidth:i*follow.TileWidth+width], nil)
		}
	}
	for i := uint64(0); i*follow.TileWidth < size; i++ {
		width := follow.TileWidthAt(0, i, size)
		var data []byte
		for _, l := range leaves[i*follow.TileWidth : i*follow.TileWidth+width] {
			data = append(binary.BigEndian.AppendUint16(data, uint16(len(l))), l...)
		}
		s[prefix+follow.EntriesPath(i, width)] = data
	}
	root, err := follow.RootOf(whole)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		b.Fatal(err)
	}
	text := formats.Checkpoint{Origin: origin, Size: size, Hash: root}.Marshal()
	if s[prefix+"/checkpoint"], err = note.Sign(&note.Note{Text: string(text)}, signer); err != nil {
		b.Fatal(err)
	}
	logs, err := follow.ParseLogKey(vkey)
	if err != nil {
		b.Fatal(err)
	}
	return logs
}

// BenchmarkAudit audits -entries entries of one signer, each about an artifact of its own and 64 to a step, over a loopback connection:
// from nothing, and again with nothing new.
func BenchmarkAudit(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	s := site{}
	var entries, payloads [][]byte
	subject := regexp.MustCompile(`"sha256": *"[0-9a-f]{64}"`)
	for i := range *benchEntries {
		payload := subject.ReplaceAll(indexworld.Declaration(b, i), fmt.Appendf(nil, `"sha256":"%064x"`, i))
		digest := sha256.Sum256(dsse.PAE(predicate.PayloadType, payload))
		sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		if err != nil {
			b.Fatal(err)
		}
		entries, payloads = append(entries, bundletest.Leaf(b, digest[:], sig, &key.PublicKey, nil)), append(payloads, payload)
		s[fmt.Sprintf("/statements/by-index/%d", i)] = payload
	}
	source := audit.Source{Entries: func(_ context.Context, from, to uint64) iter.Seq2[[]byte, error] {
		return func(yield func([]byte, error) bool) {
			for _, e := range entries[from:to] {
				if !yield(e, nil) {
					return
				}
			}
		}
	}, Statement: func(_ context.Context, at uint64, _ []byte) ([]byte, error) { return payloads[at], nil }}
	builder := audit.NewBuilder(indexworld.Origin)
	var leaves [][]byte
	for size := uint64(0); size < uint64(len(entries)); {
		size = min(size+64, uint64(len(entries)))
		if err := builder.Follow(b.Context(), source, size); err != nil {
			b.Fatal(err)
		}
		r, _ := builder.Seal()
		leaves = append(leaves, r.Append(nil))
	}
	keys := builder.Last().Keys
	logs, roots := s.publish(b, "", indexworld.Origin, entries), s.publish(b, "/index", indexworld.IndexOrigin, leaves)
	var read atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		read.Add(int64(len(s[r.URL.Path])))
		s.ServeHTTP(rw, r)
	}))
	defer server.Close()
	base, err := follow.ParseServerURL(server.URL)
	if err != nil {
		b.Fatal(err)
	}
	client := follow.Client{Base: base, Transport: &http.Transport{MaxIdleConnsPerHost: DefaultWorkers}, Sleep: func(context.Context, time.Duration) error { return nil }}
	index := client
	index.Prefix = "/index"
	newAuditor := func(dir string) *Auditor {
		return &Auditor{Statements: &client, Roots: &index, Logs: logs, Index: roots, Dir: dir, Workers: DefaultWorkers, Now: time.Now,
			Report: func(f follow.Finding) error { return fmt.Errorf("found %s: %s", f.Code, f.Detail) }}
	}
	b.Run("from scratch", func(b *testing.B) {
		for b.Loop() {
			a := newAuditor(b.TempDir())
			read.Store(0)
			if sum, err := a.Run(b.Context()); err != nil || sum.Size != uint64(len(entries)) {
				b.Fatalf("%+v, %v", sum, err)
			}
			b.ReportMetric(float64(read.Load())/float64(len(entries)), "read-B/entry")
			snapshots, err := filepath.Glob(filepath.Join(a.Dir, "*.snapshot"))
			if err != nil || len(snapshots) != 1 {
				b.Fatal(snapshots, err)
			}
			info, err := os.Stat(snapshots[0])
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(info.Size())/float64(keys), "snapshot-B/key")
		}
		b.ReportMetric(float64(len(entries)*b.N)/b.Elapsed().Seconds(), "entries/s")
		b.ReportMetric(float64(keys), "keys")
	})
	b.Run("nothing new", func(b *testing.B) {
		dir := b.TempDir()
		if _, err := newAuditor(dir).Run(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		for b.Loop() {
			if _, err := newAuditor(dir).Run(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
