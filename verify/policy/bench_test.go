package policy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/avow-dev/avow/verify"
)

// largeFacts are the statements of the minimal example with many flows, each of
// them as the minimal one but for id and host, and with what the strict profile
// asks for besides.
func largeFacts(t testing.TB, flows int) verify.Facts {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal(vector(t, "minimal-data-flows"), &s); err != nil {
		t.Fatal(err)
	}
	predicate := s["predicate"].(map[string]any)
	first := predicate["flows"].([]any)[0].(map[string]any)
	delete(first, "receives") // with them, 256 flows are larger than a statement may be
	delete(first, "evidence")
	delete(first["recipients"].([]any)[0].(map[string]any), "transferBasis")
	delete(first["recipients"].([]any)[0].(map[string]any), "retention")
	first["purposes"] = []any{"usageAnalytics"}
	one, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	var many, ids []any
	for i := range flows {
		id := fmt.Sprintf("update-%d", i)
		var f any
		if err := json.Unmarshal(bytes.ReplaceAll(one, []byte(`"update"`), []byte(`"`+id+`"`)), &f); err != nil {
			t.Fatal(err)
		}
		many, ids = append(many, f), append(ids, id)
	}
	predicate["flows"] = many
	predicate["evidence"].([]any)[0].(map[string]any)["supports"] = ids
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	f := strictFacts(t)
	f.Evidence[0] = evidence(t, data)
	target := map[string]any{"sha256": f.Evidence[0].Statement.ID()[len("sha256:"):]}
	for i, name := range []string{"minimal-standing", "minimal-assessment"} {
		f.Evidence[3+i] = evidence(t, edited(t, vector(t, name), edit{Pointer: "/predicate/target/digest", Value: target}))
	}
	return f
}

// BenchmarkJudge is one judgement by the strictest profile, with the reading of
// the statements.
func BenchmarkJudge(b *testing.B) {
	for _, flows := range []int{1, 256} {
		b.Run(fmt.Sprintf("strict/%dflows", flows), func(b *testing.B) {
			p, f := builtin(b, "strict", nil), largeFacts(b, flows)
			b.SetBytes(int64(len(f.Evidence[0].Statement.Payload())))
			b.ReportAllocs()
			best := time.Hour // what it takes where nothing else runs
			for b.Loop() {
				start := time.Now()
				result, err := p.Judge(b.Context(), f)
				best = min(best, time.Since(start))
				if err != nil || len(result.Denials()) > 0 {
					b.Fatal(result, err)
				}
			}
			b.ReportMetric(float64(best.Nanoseconds()), "best-ns/op")
		})
	}
	b.Run("strict/256flows-denied", func(b *testing.B) {
		p, f := builtin(b, "strict", map[string]string{"EEA": "FR", "LISTED": "DE"}), largeFacts(b, 256)
		f.At = f.At.Add(1000 * 24 * time.Hour)
		b.ReportAllocs()
		for b.Loop() {
			result, err := p.Judge(b.Context(), f)
			if err != nil || len(result.Denials()) == 0 {
				b.Fatal(result, err)
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		builtin(b, "strict", nil)
	}
}
