package server

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// rateLimiter counts what each caller uses. Its memory is bounded: the caller that was seen longest ago is forgotten
// first, which gives that caller its burst back and nothing more.
type rateLimiter struct {
	limit rate.Limit
	burst int
	max   int

	mu      sync.Mutex
	order   *list.List // of *callerRate, the most recent first
	callers map[string]*list.Element
}

type callerRate struct {
	key     string
	limiter *rate.Limiter
}

func newRateLimiter(l Limits) *rateLimiter {
	return &rateLimiter{
		limit: rate.Limit(l.RatePerSecond), burst: l.Burst, max: l.Callers,
		order: list.New(), callers: make(map[string]*list.Element),
	}
}

// take uses cost units of the caller's rate, or refuses and says after which time there will be enough.
func (l *rateLimiter) take(key string, cost int, now time.Time) error {
	if cost == 0 {
		return nil
	}
	r := l.of(key).ReserveN(now, cost)
	if !r.OK() {
		return refuse(reasonRateLimited, "the call costs %d units, the burst is %d", cost, l.burst)
	}
	delay := r.DelayFrom(now)
	if delay == 0 {
		return nil
	}
	r.CancelAt(now)
	refused := refuse(reasonRateLimited, "the caller's rate of %v units per second is used up", float64(l.limit))
	// Rounded up to whole milliseconds: a caller that comes back a nanosecond early would be refused again.
	refused.retry = (delay + time.Millisecond).Truncate(time.Millisecond)
	return refused
}

// of returns the caller's limiter and makes it the most recent one.
func (l *rateLimiter) of(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.callers[key]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*callerRate).limiter
	}
	if l.order.Len() >= l.max {
		oldest := l.order.Back()
		l.order.Remove(oldest)
		delete(l.callers, oldest.Value.(*callerRate).key)
	}
	c := &callerRate{key: key, limiter: rate.NewLimiter(l.limit, l.burst)}
	l.callers[key] = l.order.PushFront(c)
	return c.limiter
}

// size is the number of callers that are remembered.
func (l *rateLimiter) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.order.Len()
}

// admission bounds what is in hand at one time, in requests and in bytes. It refuses at once instead of queueing: a
// caller that waits in a queue holds its message in memory.
type admission struct {
	maxBytes, maxCalls int64
	bytes, calls       atomic.Int64
}

// enter admits a request of n bytes and returns what must be called when it is done.
func (a *admission) enter(n int64) (leave func(), err error) {
	calls, bytes := a.calls.Add(1), a.bytes.Add(n)
	leave = func() {
		a.calls.Add(-1)
		a.bytes.Add(-n)
	}
	if calls > a.maxCalls || bytes > a.maxBytes {
		leave()
		return nil, refuse(reasonOverloaded, "the service has as much in hand as it admits")
	}
	return leave, nil
}
