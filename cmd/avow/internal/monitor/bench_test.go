package monitor

import (
	"crypto/ed25519"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/internal/testworld"
)

// BenchmarkRound checks 4096 new entries, with their signatures and statements, over a loopback connection.
func BenchmarkRound(b *testing.B) {
	const entries = 4096
	key := must(attest.GenerateKey())(b)
	payload := must(os.ReadFile("../../../../testdata/vectors/v1/data-flows/valid/minimal-data-flows.json"))(b)
	envelope := must(must(attest.Prepare(payload, attest.PrepareOptions{}))(b).Sign(b.Context(), key))(b)
	_, logKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	log := forge(b, logKey, slices.Repeat([][]byte{must(envelope.Leaf())(b)}, entries))
	for i := range entries {
		log[fmt.Sprintf("/statements/by-index/%d", i)] = payload
	}
	server := httptest.NewServer(log)
	defer server.Close()
	client := &follow.Client{Base: must(follow.ParseServerURL(server.URL))(b), Transport: http.DefaultTransport, Sleep: noSleep}
	logs := follow.NewLogs(verifierOf(b, logKey, testworld.Origin))
	b.ReportAllocs()
	for b.Loop() {
		m := &Monitor{Client: client, Logs: logs, Dir: b.TempDir(), Sleep: noSleep, Now: time.Now,
			Report: func(f follow.Finding) error { return fmt.Errorf("found %s", f.Code) }}
		if _, err := m.Round(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(entries*b.N)/b.Elapsed().Seconds(), "entries/s")
}
