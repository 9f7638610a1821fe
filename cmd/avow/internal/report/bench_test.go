package report

import (
	"io"
	"slices"
	"testing"
)

// BenchmarkWrite writes the largest declaration that fits into a statement, in every format.
func BenchmarkWrite(b *testing.B) {
	items := slices.Values([]Item{acceptedItem(b, manyFlows(b, 210, 40, 10))})
	for _, f := range Formats() {
		b.Run(f, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Write(io.Discard, Format(f), items, meta); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
