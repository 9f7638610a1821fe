package result

import (
	"testing"
	"time"

	"github.com/avow-dev/avow/verify"
)

// BenchmarkOpen is what relying on a verdict costs, beside the verification of two bundles that it saves.
func BenchmarkOpen(b *testing.B) {
	w := newWorld(b)
	bundle, pinned, expect := w.sign(SVR), w.buyer.pinned(), w.expect()
	b.Run("signed-verdict", func(b *testing.B) {
		for b.Loop() {
			if _, err := Open(bundle, pinned, now, expect); err != nil {
				b.Fatal(err)
			}
		}
	})
	v, err := verify.New(verify.Config{Trust: w.trust, Clock: func() time.Time { return now }})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("bundles", func(b *testing.B) {
		for b.Loop() {
			if verdict, err := v.Verify(b.Context(), w.input); err != nil || verdict.Outcome != verify.Accepted {
				b.Fatal(verdict, err)
			}
		}
	})
}
