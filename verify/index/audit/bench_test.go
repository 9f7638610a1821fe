package audit

import "testing"

// BenchmarkAudit replays a log of 2,000 statements about one artifact of one signer.
func BenchmarkAudit(b *testing.B) {
	const entries = 2000
	w := newWorld(b)
	for i := range entries {
		w.statement(i)
	}
	leaves, v := w.publish(NewBuilder(origin), nil, entries)
	b.ReportMetric(float64(v.Keys()), "keys")
	for b.Loop() {
		if _, _, err := Audit(b.Context(), origin, all(leaves), w.source()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/entries, "us/entry")
}
