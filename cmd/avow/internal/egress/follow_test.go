package egress

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/avow-dev/avow/verify/enforce"
)

// step is what a Follower does between two pauses.
type step struct {
	applied []string
	pause   time.Duration
}

// rig runs a Follower on a clock that moves only while it sleeps.
type rig struct {
	follower *Follower
	now      time.Time
	log      strings.Builder
	steps    []step
	applied  []string
	refuse   func(commands string) error
}

// run runs it: before is called after each step, and ends it by answering false.
func (r *rig) run(t *testing.T, p *enforce.Policy, z *zone, next func(n int) bool) error {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r.now = start
	f := &Follower{Policy: p, Resolver: z.listen(t), Interval: 10 * time.Second, Grace: 5 * time.Second,
		Now: func() time.Time { return r.now }, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
		Apply: func(_ context.Context, commands []byte) error {
			if r.refuse != nil {
				if err := r.refuse(string(commands)); err != nil {
					return err
				}
			}
			r.applied = append(r.applied, string(commands))
			return nil
		},
		Sleep: func(ctx context.Context, d time.Duration) error {
			r.steps = append(r.steps, step{r.applied, d})
			r.applied, r.now = nil, r.now.Add(d)
			if !next(len(r.steps)) {
				stop()
			}
			return ctx.Err()
		}}
	if r.follower != nil {
		f.AllowPrivate = r.follower.AllowPrivate
	}
	return f.Run(ctx)
}

func updates(hosts ...string) *zone {
	return &zone{ttl: 20, hosts: map[string][]netip.Addr{"updates.example.com": addrs(hosts...)}}
}

func updatePolicy(t *testing.T) *enforce.Policy {
	return compiled(t, enforce.Scope{Namespace: true}, peerOf("host", "updates.example.com", "tcp", 443), peerOf("cidr", "198.51.100.0/24", "tcp", 8443))
}

func element(set, key, timeout string) string {
	return "add element inet avow-egress flow-update." + set + " { " + key + " . tcp . 443 timeout " + timeout + " }\n"
}

// TestFollow: the ruleset before anything is resolved, then the addresses, then what changes; an old address keeps the time it had.
func TestFollow(t *testing.T) {
	z, r := updates("192.0.2.10", "2001:db8::10"), &rig{}
	p := updatePolicy(t)
	err := r.run(t, p, z, func(n int) bool {
		if n == 1 {
			z.change(func() { z.hosts["updates.example.com"] = addrs("192.0.2.20") })
		}
		return n < 4
	})
	if err != nil || len(r.steps) != 4 {
		t.Fatalf("%v after %d steps", err, len(r.steps))
	}
	first := r.steps[0]
	if len(first.applied) != 2 || first.applied[0] != string(p.Content) || first.pause != 20*time.Second {
		t.Errorf("first step: pause %s, %q", first.pause, first.applied)
	}
	for i, want := range [][]string{
		{element("4", "192.0.2.10", "25s"), element("6", "2001:db8::10", "25s")},
		{element("4", "192.0.2.10", "5s"), element("6", "2001:db8::10", "5s"), element("4", "192.0.2.20", "25s")},
		{element("4", "192.0.2.20", "25s")},
	} {
		got := strings.Join(r.steps[i].applied, "")
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("step %d lacks %s:\n%s", i+1, w, got)
			}
		}
		if n := strings.Count(got, " timeout "); n != len(want) {
			t.Errorf("step %d has %d elements, want %d:\n%s", i+1, n, len(want), got)
		}
	}
	if strings.Contains(r.steps[1].applied[0], "table inet") {
		t.Error("the ruleset is loaded again although it is there")
	}
}

// TestFollowFailsClosed: what is not answered, not public or not there any more.
func TestFollowFailsClosed(t *testing.T) {
	t.Run("resolver fails", func(t *testing.T) {
		z, r := updates("192.0.2.10"), &rig{}
		err := r.run(t, updatePolicy(t), z, func(n int) bool {
			z.change(func() { z.rcode = dnsmessage.RCodeServerFailure })
			return n < 4
		})
		// The first answer holds for 25 s: one more step refers to it, then it is gone.
		last := strings.Join(r.steps[3].applied, "")
		if err != nil || r.steps[1].pause != 10*time.Second || strings.Contains(last, "192.0.2.10") || !strings.Contains(r.log.String(), "name not resolved") {
			t.Errorf("%v, pause %s, last %q\n%s", err, r.steps[1].pause, last, r.log.String())
		}
	})
	t.Run("private addresses", func(t *testing.T) {
		z, r := updates("10.0.0.1", "169.254.169.254", "::1", "192.0.2.10"), &rig{}
		err := r.run(t, updatePolicy(t), z, func(int) bool { return false })
		got := strings.Join(r.steps[0].applied, "")
		if err != nil || strings.Count(got, " timeout ") != 1 || strings.Count(r.log.String(), "it is not public") != 3 {
			t.Errorf("%v %s\n%s", err, got, r.log.String())
		}
		allowed := &rig{follower: &Follower{AllowPrivate: true}}
		if err := allowed.run(t, updatePolicy(t), z, func(int) bool { return false }); err != nil || strings.Count(strings.Join(allowed.steps[0].applied, ""), " timeout ") != 4 {
			t.Errorf("%v %q", err, allowed.steps[0].applied)
		}
	})
	t.Run("table removed", func(t *testing.T) {
		z, r := updates("192.0.2.10"), &rig{}
		p := updatePolicy(t)
		err := r.run(t, p, z, func(n int) bool {
			r.refuse = func(commands string) error {
				if !strings.HasPrefix(commands, string(p.Content)) {
					return errors.New("no such table")
				}
				return nil
			}
			return n < 2
		})
		if err != nil || len(r.steps[1].applied) != 1 || !strings.Contains(r.steps[1].applied[0], element("4", "192.0.2.10", "25s")) {
			t.Errorf("%v %q", err, r.steps[1].applied)
		}
	})
	t.Run("nft fails", func(t *testing.T) {
		r := &rig{refuse: func(string) error { return errors.New("operation not permitted") }}
		if err := r.run(t, updatePolicy(t), updates("192.0.2.10"), func(int) bool { return true }); err == nil || !strings.Contains(err.Error(), "operation not permitted") {
			t.Errorf("%v", err)
		}
	})
	t.Run("time is over", func(t *testing.T) {
		r := &rig{}
		p := updatePolicy(t)
		p.Until = start.Add(15 * time.Second)
		err := r.run(t, p, updates("192.0.2.10"), func(int) bool { return true })
		if !errors.Is(err, ErrEnded) || len(r.steps) != 1 || r.steps[0].pause != 15*time.Second || len(r.applied) != 1 || r.applied[0] != string(p.Content) {
			t.Errorf("%v, %d steps, last %q", err, len(r.steps), r.applied)
		}
	})
}

// TestNFT: commands go over standard input, and a complaint comes back.
func TestNFT(t *testing.T) {
	run := NFT("sh", "-c", `read line; echo "complains about $line" >&2; exit 3`)
	if err := run(t.Context(), []byte("add table x\n")); err == nil || !strings.Contains(err.Error(), "exit status 3: complains about add table x") {
		t.Errorf("%v", err)
	}
	if err := NFT("sh", "-c", `test "$1$2" = -f-`, "sh")(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestFollowKeepsPromises: a later answer with a shorter time does not take back what an earlier one said.
func TestFollowKeepsPromises(t *testing.T) {
	z, r := updates("192.0.2.10"), &rig{}
	z.ttl = 1000
	err := r.run(t, updatePolicy(t), z, func(n int) bool {
		z.change(func() { z.ttl = 20 })
		return n < 2
	})
	// 300 s is the longest pause, after which 705 s of the first answer's time are left.
	if got := strings.Join(r.steps[1].applied, ""); err != nil || !strings.Contains(got, element("4", "192.0.2.10", "705s")) {
		t.Errorf("%v %s", err, got)
	}
}
