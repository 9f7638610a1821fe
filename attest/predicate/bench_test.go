package predicate

import "testing"

// The grafana data-flows example: 12.8 KB, 6 flows.
const benchStatement = "v1/data-flows/valid/grafana-data-flows.json"

func BenchmarkStrictJSON(b *testing.B) {
	payload := readVector(b, benchStatement)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := StrictJSON(payload, JSONLimits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	payload := readVector(b, benchStatement)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(payload, Issuance); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAndCheck(b *testing.B) {
	payload := readVector(b, benchStatement)
	tables := EmbeddedTables()
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		s, err := Parse(payload, Issuance)
		if err != nil {
			b.Fatal(err)
		}
		if errs := s.Check(tables).Errors(); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}

func BenchmarkPublicSuffix(b *testing.B) {
	tables := EmbeddedTables()
	b.ReportAllocs()
	for b.Loop() {
		if tables.PublicSuffix("cdn.example.co.uk") != NotSuffix || !tables.AbovePublicSuffix("amazonaws.com") {
			b.Fatal("wrong answer")
		}
	}
}
