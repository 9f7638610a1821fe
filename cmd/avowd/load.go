package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	// warmUp is the number of statements before the clock starts: connections, caches, the first checkpoint.
	warmUp = 64
	// clockTicks is USER_HZ, in which /proc counts CPU time. It is 100 on every architecture that Go supports.
	clockTicks = 100
)

// send is one request that was prepared beforehand, so that only the server's path is timed.
type send func(context.Context, *grpc.ClientConn) error

// loader drives one service.
type loader struct {
	name    string // of the service, in the table
	flags   benchFlags
	pid     int
	prepare func(ctx context.Context, n int) ([]send, error)
	conns   []*grpc.ClientConn
	admin   string // URL of the service's admin port, for a profile
	profile bool   // of this level
}

func newLoader(name, address string, pid int, f benchFlags, prepare func(context.Context, int) ([]send, error)) (*loader, error) {
	l := &loader{name: name, flags: f, pid: pid, prepare: prepare}
	for range f.connections {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, conn)
	}
	return l, nil
}

func (l *loader) close() {
	for _, conn := range l.conns {
		_ = conn.Close()
	}
}

// measured is what one level measured.
type measured struct {
	answered, failed int
	firstError       error
	elapsed          time.Duration
	latencies        []time.Duration // sorted
	cpu              time.Duration   // of the server; negative: not known
}

func (r measured) rate() float64 { return float64(r.answered) / r.elapsed.Seconds() }

func (r measured) percentile(p int) time.Duration {
	if len(r.latencies) == 0 {
		return 0
	}
	return r.latencies[min(len(r.latencies)*p/100, len(r.latencies)-1)].Round(100 * time.Microsecond)
}

func (r measured) cpuEach() string {
	if r.cpu < 0 || r.answered == 0 {
		return "unknown"
	}
	return (r.cpu / time.Duration(r.answered)).Round(time.Microsecond).String()
}

// level runs closed loops of so many callers until the time or the statements run out.
func (l *loader) level(ctx context.Context, callers int) (measured, error) {
	// A caller alone cannot use many statements: one per checkpoint interval. Signing more would only take time.
	need := min(l.flags.maximum, warmUp+callers*int(l.flags.duration/(60*time.Millisecond)+1))
	requests, err := l.prepare(ctx, need)
	if err != nil {
		return measured{}, err
	}
	var warm measured
	cut := min(warmUp, len(requests)/4)
	l.drive(ctx, min(callers, warmUp), requests[:cut], l.flags.duration, &warm)
	if warm.failed > 0 {
		return measured{}, fmt.Errorf("%s: warm-up: %w", l.name, warm.firstError)
	}
	r := measured{}
	profiled := l.startProfile(ctx)
	before := cpuTime(l.pid)
	began := time.Now()
	l.drive(ctx, callers, requests[cut:], l.flags.duration, &r)
	r.elapsed = time.Since(began)
	if r.cpu = cpuTime(l.pid) - before; before < 0 {
		r.cpu = -1
	}
	slices.Sort(r.latencies)
	return r, errors.Join(<-profiled, ctx.Err())
}

// startProfile asks the service for a profile of half a level, where one was asked for.
func (l *loader) startProfile(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	if !l.profile || l.flags.profile == "" || l.admin == "" {
		close(done)
		return done
	}
	go func() {
		done <- func() error {
			seconds := max(1, int(l.flags.duration.Seconds()/2))
			url := fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", l.admin, seconds)
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			data, err := io.ReadAll(response.Body)
			if err != nil {
				return err
			}
			return os.WriteFile(l.flags.profile, data, 0o644)
		}()
	}()
	return done
}

// drive sends the requests, each once, until they or the time run out. An accepted call is waited for.
func (l *loader) drive(ctx context.Context, callers int, requests []send, limit time.Duration, r *measured) {
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	deadline := time.Now().Add(limit)
	for i := range callers {
		conn := l.conns[i%len(l.conns)]
		wg.Go(func() {
			var mine []time.Duration
			failed, firstError := 0, error(nil)
			for time.Now().Before(deadline) && ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(requests) {
					break
				}
				began := time.Now()
				if err := requests[n](ctx, conn); err != nil {
					failed, firstError = failed+1, err
					continue
				}
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			r.latencies, r.answered, r.failed = append(r.latencies, mine...), r.answered+len(mine), r.failed+failed
			if r.firstError == nil {
				r.firstError = firstError
			}
		})
	}
	wg.Wait()
}

// benchStatement is the data-flows statement with so many flows, and a mark in the place of the file's digest.
func (b *bench) benchStatement() (payload, mark []byte, err error) {
	const subject = "<<subject>>"
	full, err := renderStatement("data-flows", statementValues{
		ArtifactSHA256: subject, Version: "1.0.0", PURL: b.flags.product + "@1.0.0",
		Declarant: b.flags.declarant, Country: b.flags.country, SignatoryFunction: "load generator",
	}, time.Now())
	if err != nil {
		return nil, nil, err
	}
	var statement map[string]any
	if err := json.Unmarshal(full, &statement); err != nil {
		return nil, nil, err
	}
	predicate, ok := statement["predicate"].(map[string]any)
	if !ok {
		return nil, nil, errors.New("the data-flows statement has no predicate")
	}
	flows, ok := predicate["flows"].([]any)
	if !ok || len(flows) < b.flags.flows {
		return nil, nil, fmt.Errorf("the data-flows statement has %d flows, want %d", len(flows), b.flags.flows)
	}
	predicate["flows"] = flows[:b.flags.flows]
	if payload, err = json.MarshalIndent(statement, "", "  "); err != nil {
		return nil, nil, err
	}
	encoded, err := jsonText(subject)
	return payload, []byte(encoded), err
}

// signStatements makes n distinct statements of the size of a real declaration and signs them, on all cores.
func (b *bench) signStatements(ctx context.Context, n int) ([]send, error) {
	payload, mark, err := b.benchStatement()
	if err != nil {
		return nil, err
	}
	return prepareAll(n, func() (send, error) {
		digest := make([]byte, 32)
		if _, err := rand.Read(digest); err != nil {
			return nil, err
		}
		p, err := attest.Prepare(bytes.Replace(payload, mark, fmt.Appendf(nil, `"%x"`, digest), 1), attest.PrepareOptions{})
		if err != nil {
			return nil, err
		}
		e, err := p.Sign(ctx, b.key)
		if err != nil {
			return nil, err
		}
		request := &avowv1.IssueRequest{Content: &avowv1.IssueRequest_SignedEnvelope{
			SignedEnvelope: &avowv1.SignedEnvelope{Envelope: e.JSON(), KeyId: e.KeyID()}}}
		return func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := avowv1.NewAttestationServiceClient(conn).Issue(ctx, request)
			return err
		}, nil
	})
}

func prepareAll(n int, one func() (send, error)) ([]send, error) {
	all := make([]send, n)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range all {
		g.Go(func() (err error) {
			all[i], err = one()
			return err
		})
	}
	return all, g.Wait()
}

// cpuTime is the CPU time that a process of this machine has used, or -1.
func cpuTime(pid int) time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if pid == 0 || err != nil {
		return -1
	}
	// The second field is the program's name in parentheses, and may hold spaces.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 13 {
		return -1
	}
	ticks := 0
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(string(field))
		if err != nil {
			return -1
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks
}
