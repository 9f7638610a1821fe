package verify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// BenchmarkBatch judges 1,000 different bundles on all cores, and next to every
// fifty of them runs bare signature verifications on the same cores. What it
// reports are rates of the batch divided by rates of the bare verifications (1 is
// the limit of physics):
//
//   - all: the denominator is every signature that the checks of one bundle
//     verify, sigstore-go's second opinion included;
//   - min: it is two P-256 signatures, the statement's and the timestamp's, which
//     nobody can do without.
//
// Each by CPU time of the process, which other programs on the machine disturb
// least, and by the clock on the wall. The collector is tuned as in avowd and in
// avow verify --manifest.
func BenchmarkBatch(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	w := bundletest.NewWorld(b)
	inputs := make([]verify.Input, 1000)
	for i := range inputs {
		inputs[i] = differentInput(b, w, i)
	}
	strangers, signers := slices.Clone(inputs), append(otherSigners(b), pinned(w)...)
	for i := range strangers {
		strangers[i].Signers = signers
	}
	// Counted with a counter in crypto/ecdsa and crypto/ed25519: the statement's
	// signature and the timestamp's once, the checkpoint's twice, for sigstore-go
	// verifies it again.
	distinct := signatures{p256: 2, ed25519: 2}
	b.Run("own-checkpoints", func(b *testing.B) { benchmarkBatch(b, w, inputs, false, distinct) })
	b.Run("known-checkpoints", func(b *testing.B) {
		benchmarkBatch(b, w, inputs[:200], true, signatures{p256: 2, ed25519: 1})
	})
	b.Run("256-signers", func(b *testing.B) { benchmarkBatch(b, w, strangers, false, distinct) })
}

func benchmarkBatch(b *testing.B, w *bundletest.World, inputs []verify.Input, known bool, count signatures) {
	const slice = 50
	raw := newRawSignatures(b, slice)
	var batch, all, least meter
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		v := newVerifier(b, w.TrustedRoot())
		if known { // fewer than a verifier keeps
			b.StopTimer()
			acceptAll(b, v, inputs)
			b.StartTimer()
		}
		for part := range slices.Chunk(inputs, slice) {
			batch.run(b, func() { acceptAll(b, v, part) })
			b.StopTimer()
			all.run(b, func() { raw.verify(b, count) })
			least.run(b, func() { raw.verify(b, signatures{p256: 2}) })
			b.StartTimer()
		}
	}
	bundles := float64(b.N * len(inputs))
	b.ReportMetric(all.cpu.Seconds()/batch.cpu.Seconds(), "cpu-ratio-all")
	b.ReportMetric(least.cpu.Seconds()/batch.cpu.Seconds(), "cpu-ratio-min")
	b.ReportMetric(all.wall.Seconds()/batch.wall.Seconds(), "wall-ratio-all")
	b.ReportMetric(least.wall.Seconds()/batch.wall.Seconds(), "wall-ratio-min")
	b.ReportMetric(batch.cpu.Seconds()/bundles*1e6, "cpu-us/bundle")
	b.ReportMetric(bundles/batch.wall.Seconds(), "bundles/s")
}

// signatures counts signature verifications.
type signatures struct{ p256, ed25519 int }

// otherSigners are as many as an input may have besides one.
func otherSigners(b *testing.B) (list []verify.Signer) {
	b.Helper()
	for range verify.MaxSigners - 1 {
		list = append(list, verify.Signer{Key: &verify.Key{PublicKey: &bundletest.NewKey(b).PublicKey}})
	}
	return list
}

// differentInput is a question about a statement, an artifact and a place in the
// log of its own.
func differentInput(tb testing.TB, w *bundletest.World, i int) verify.Input {
	artifact := fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i)))
	payload := bundletest.Statement(tb, []string{"no-backdoor", "data-flows"}[i%2],
		bundletest.ArtifactSHA256, artifact, "urn:uuid:00000000-", fmt.Sprintf("urn:uuid:%08x-", i))
	in := input(w, w.IssueJSON(tb, bundletest.Spec{Payload: payload}))
	in.ArtifactSHA256 = artifact
	return in
}

func acceptAll(b *testing.B, v *verify.Verifier, inputs []verify.Input) {
	type result struct {
		verdict *verify.Verdict
		err     error
	}
	accepted := 0
	for r := range verify.Batch(b.Context(), slices.Values(inputs), func(ctx context.Context, in verify.Input) result {
		verdict, err := v.Verify(ctx, in)
		return result{verdict, err}
	}) {
		if r.err != nil || r.verdict.Outcome != verify.Accepted {
			b.Fatal(r)
		}
		accepted++
	}
	if accepted != len(inputs) {
		b.Fatalf("%d of %d accepted", accepted, len(inputs))
	}
}

// rawSignatures are messages with valid signatures, as many as there are bundles
// in a slice, so that no cache of the machine favours one side.
type rawSignatures struct {
	key     *ecdsa.PublicKey
	digests [][]byte
	ecdsa   [][]byte
	public  ed25519.PublicKey
	ed25519 [][]byte
}

func newRawSignatures(b *testing.B, n int) *rawSignatures {
	b.Helper()
	private := bundletest.NewKey(b)
	public, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	raw := &rawSignatures{key: &private.PublicKey, public: public}
	for i := range n {
		digest := sha256.Sum256(fmt.Append(nil, i))
		sig, err := ecdsa.SignASN1(rand.Reader, private, digest[:])
		if err != nil {
			b.Fatal(err)
		}
		raw.digests, raw.ecdsa = append(raw.digests, digest[:]), append(raw.ecdsa, sig)
		raw.ed25519 = append(raw.ed25519, ed25519.Sign(edwards, digest[:]))
	}
	return raw
}

// verify does for each of the messages as many verifications as counts says, on all cores.
func (r *rawSignatures) verify(b *testing.B, counts signatures) {
	indices := make([]int, len(r.digests))
	for i := range indices {
		indices[i] = i
	}
	for ok := range verify.Batch(b.Context(), slices.Values(indices), func(_ context.Context, i int) bool {
		ok := true
		for range counts.p256 {
			ok = ok && ecdsa.VerifyASN1(r.key, r.digests[i], r.ecdsa[i])
		}
		for range counts.ed25519 {
			ok = ok && ed25519.Verify(r.public, r.digests[i], r.ed25519[i])
		}
		return ok
	}) {
		if !ok {
			b.Fatal("refused")
		}
	}
}

// meter adds up what a part of the benchmark takes.
type meter struct{ cpu, wall time.Duration }

func (m *meter) run(b *testing.B, f func()) {
	b.Helper()
	began, before := time.Now(), processCPU(b)
	f()
	m.cpu += processCPU(b) - before
	m.wall += time.Since(began)
}

// processCPU is the CPU time that this process has used.
func processCPU(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
