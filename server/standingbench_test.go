package server

import (
	"flag"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
)

// benchStatements can be 100000, which takes some minutes to issue.
var benchStatements = flag.Int("statements", 1000, "statements in the log in BenchmarkGetStanding")

// BenchmarkGetStanding asks how statements stand, over gRPC on loopback, among -statements others, each about an artifact of its own. Of
// the answers, answer-B is the size of one message, bundle-B of the status bundles in it. cpu-us/op is the CPU time of the
// whole process, the client included.
func BenchmarkGetStanding(b *testing.B) {
	w := newWorld(b)
	ids, artifacts := w.many(*benchStatements)
	for n := range 64 { // about each of these something was said
		w.say(withdrawalOf(b, ids[n]), w.acme)
	}
	waitFor(b, func() bool { return w.index.Current().Root.Size == w.size() })
	rest := len(ids) - 64
	batch := func(n int) *avowv1.BatchGetStandingRequest {
		req := &avowv1.BatchGetStandingRequest{}
		for i := range 64 {
			req.Requests = append(req.Requests, byID(ids[64+(n+i)%rest]))
		}
		return req
	}
	for _, c := range []struct {
		name string
		ask  func(n int) ([]*avowv1.GetStandingResponse, error)
	}{
		{"in force", func(n int) ([]*avowv1.GetStandingResponse, error) { return w.askOne(byID(ids[64+n%rest])) }},
		{"by artifact", func(n int) ([]*avowv1.GetStandingResponse, error) { return w.askOne(byArtifact(artifacts[64+n%rest])) }},
		{"withdrawn", func(n int) ([]*avowv1.GetStandingResponse, error) { return w.askOne(byID(ids[n%64])) }},
		{"the same", func(int) ([]*avowv1.GetStandingResponse, error) { return w.askOne(byID(ids[64])) }},
		{"batch of 64", func(n int) ([]*avowv1.GetStandingResponse, error) {
			resp, err := w.standing().BatchGetStanding(b.Context(), batch(n))
			return resp.GetResponses(), err
		}},
	} {
		b.Run(fmt.Sprintf("%s/statements=%d", c.name, *benchStatements), func(b *testing.B) {
			answers, bundles, count := 0, 0, 0
			b.ReportAllocs()
			before := cpuTime(b)
			for n := 0; b.Loop(); n++ {
				resp, err := c.ask(n)
				if err != nil {
					b.Fatal(err)
				}
				for _, r := range resp {
					answers += proto.Size(r)
					for _, s := range r.GetStandings() {
						bundles += proto.Size(s.GetStatus())
						count++
					}
				}
			}
			b.ReportMetric((cpuTime(b)-before)/float64(b.N)*1e6, "cpu-us/op")
			b.ReportMetric(float64(answers)/float64(b.N), "answer-B")
			b.ReportMetric(float64(bundles)/float64(count), "bundle-B")
		})
	}
}

func (w *world) askOne(req *avowv1.GetStandingRequest) ([]*avowv1.GetStandingResponse, error) {
	resp, err := w.standing().GetStanding(w.t.Context(), req)
	return []*avowv1.GetStandingResponse{resp}, err
}

// many issues statements, each about an artifact of its own, by the steps that every statement takes, without the calls.
func (w *world) many(n int) (ids, artifacts []string) {
	w.t.Helper()
	vendor, _ := w.vendors.Registry().ByName("acme")
	ids, artifacts = make([]string, n), make([]string, n)
	var issuing sync.WaitGroup
	const together = 50
	slots := make(chan struct{}, 16)
	for from := 0; from < n; from += together {
		slots <- struct{}{}
		issuing.Go(func() {
			defer func() { <-slots }()
			var subs []*submission
			for at := from; at < min(from+together, n); at++ {
				artifacts[at] = digestOf(fmt.Appendf(nil, "artifact %d of many", at))
				payload := statement(w.t, "data-flows", func(_, _, whole map[string]any) {
					whole["subject"] = []any{map[string]any{"name": "app", "digest": map[string]any{"sha256": artifacts[at]}}}
				})
				env, err := attest.Reopen(envelope(w.t, payload, w.acme), w.acme.PublicKey())
				if err != nil {
					w.t.Error(err)
					return
				}
				ids[at] = env.StatementID()
				subs = append(subs, &submission{vendor: vendor, envelope: env})
			}
			if _, err := w.server.issuer.issue(w.t.Context(), subs, "", func() {}); err != nil {
				w.t.Error(err)
			}
		})
	}
	issuing.Wait()
	return ids, artifacts
}
