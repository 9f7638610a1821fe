package egress

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// TestLookup asks a real server on loopback: both families, aliases, and answers that do not fit into a datagram.
func TestLookup(t *testing.T) {
	z := &zone{ttl: 60, hosts: map[string][]netip.Addr{"a.example": addrs("192.0.2.1", "2001:db8::1"), "b.example": addrs("192.0.2.2")},
		aliases: map[string]string{"www.example": "a.example"}}
	r := z.listen(t)
	for name, c := range map[string]struct {
		host   string
		want   string
		change func()
	}{
		"both families": {"a.example", "192.0.2.1 2001:db8::1", func() {}},
		"one family":    {"b.example", "192.0.2.2", func() {}},
		"an alias":      {"www.example", "192.0.2.1 2001:db8::1", func() {}},
		"no such name":  {"none.example", "", func() { z.rcode = dnsmessage.RCodeNameError }},
		"over TCP":      {"a.example", "192.0.2.1 2001:db8::1", func() { z.overTCP = true }},
	} {
		t.Run(name, func(t *testing.T) {
			z.change(c.change)
			found, err := r.lookup(t.Context(), c.host)
			z.change(func() { z.rcode, z.overTCP = dnsmessage.RCodeSuccess, false })
			var got []string
			for _, f := range found {
				if got = append(got, f.addr.String()); f.ttl != time.Minute {
					t.Errorf("%s holds for %s", f.addr, f.ttl)
				}
			}
			if err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("%v %v, want %s", got, err, c.want)
			}
		})
	}
	if !slices.Contains(z.asked, "tcp TypeA a.example.") {
		t.Errorf("never asked over TCP: %v", z.asked)
	}
	z.change(func() { z.rcode = dnsmessage.RCodeServerFailure })
	if found, err := r.lookup(t.Context(), "a.example"); err == nil || !strings.Contains(err.Error(), "a.example A: the resolver answered ServerFailure") {
		t.Errorf("%v %v", found, err)
	}
}

// TestLookupPassesOverStrays: a message that does not answer the question changes nothing.
func TestLookupPassesOverStrays(t *testing.T) {
	for name, stray := range map[string]func(query, answer []byte) []byte{
		"another id":       func(_, a []byte) []byte { b := slices.Clone(a); b[0] ^= 1; b[len(b)-1] = 66; return b },
		"the query itself": func(q, _ []byte) []byte { return q },
		"no message":       func(_, _ []byte) []byte { return []byte("x") },
		"another name":     func(_, a []byte) []byte { b := slices.Clone(a); b[13] = 'z'; b[len(b)-1] = 66; return b },
	} {
		z := &zone{ttl: 60, hosts: map[string][]netip.Addr{"a.example": addrs("192.0.2.1")}, stray: stray}
		found, err := z.listen(t).lookup(t.Context(), "a.example")
		if err != nil || len(found) != 1 || found[0].addr.String() != "192.0.2.1" {
			t.Errorf("%s: %v %v", name, found, err)
		}
	}
}

// message builds an answer from records OWNER TYPE TTL VALUE.
func message(tb testing.TB, q question, records ...string) []byte {
	tb.Helper()
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: q.id, Response: true})
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	must(b.StartQuestions())
	must(b.Question(dnsmessage.Question{Name: q.name, Type: q.kind, Class: dnsmessage.ClassINET}))
	must(b.StartAnswers())
	for _, r := range records {
		var owner, kind, value string
		var ttl uint32
		if _, err := fmt.Sscan(r, &owner, &kind, &ttl, &value); err != nil {
			tb.Fatal(err)
		}
		h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(owner), Class: dnsmessage.ClassINET, TTL: ttl}
		switch kind {
		case "A":
			must(b.AResource(h, dnsmessage.AResource{A: netip.MustParseAddr(value).As4()}))
		case "AAAA":
			must(b.AAAAResource(h, dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(value).As16()}))
		case "CNAME":
			must(b.CNAMEResource(h, dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(value)}))
		}
	}
	out, err := b.Finish()
	must(err)
	return out
}

func ask(name string) question {
	return question{id: 7, name: dnsmessage.MustNewName(name), kind: dnsmessage.TypeA}
}

// TestAnswer: only what the chain from the question leads to counts, for as long as its shortest step holds.
func TestAnswer(t *testing.T) {
	chain := []string{"b.example. CNAME 9 c.example.", "a.example. CNAME 300 b.example.", "c.example. A 60 192.0.2.3"}
	long := []string{"h16.example. A 60 192.0.2.16"}
	for i := range 16 {
		long = append(long, fmt.Sprintf("h%d.example. CNAME 60 h%d.example.", i, i+1))
	}
	for name, c := range map[string]struct {
		host    string
		records []string
		want    string
	}{
		"plain":              {"a.example.", []string{"a.example. A 60 192.0.2.1", "a.example. A 30 192.0.2.2"}, "192.0.2.1/1m0s 192.0.2.2/30s"},
		"chain in any order": {"a.example.", chain, "192.0.2.3/9s"},
		"case":               {"a.example.", []string{"A.Example. A 60 192.0.2.1"}, "192.0.2.1/1m0s"},
		"another's address":  {"a.example.", []string{"b.example. A 60 192.0.2.1"}, ""},
		"another family":     {"a.example.", []string{"a.example. AAAA 60 2001:db8::1"}, ""},
		"a loop":             {"a.example.", []string{"a.example. CNAME 1 b.example.", "b.example. CNAME 1 a.example."}, "the chain of aliases has more than 16 steps"},
		"a long chain":       {"h0.example.", long, "the chain of aliases has more than 16 steps"},
		"a TTL of years":     {"a.example.", []string{"a.example. A 999999999 192.0.2.1"}, "192.0.2.1/1h0m0s"},
		"a negative TTL":     {"a.example.", []string{"a.example. A 4294967295 192.0.2.1"}, "192.0.2.1/0s"},
		"too many addresses": {"a.example.", slices.Repeat([]string{"a.example. A 1 192.0.2.1"}, 100), strings.TrimSpace(strings.Repeat("192.0.2.1/1s ", maxAddresses))},
		"too many records":   {"a.example.", slices.Repeat([]string{"a.example. A 1 192.0.2.1"}, maxRecords+1), "the answer has more than 512 records"},
	} {
		found, err := ask(c.host).answer(message(t, ask(c.host), c.records...))
		var got []string
		for _, f := range found {
			got = append(got, f.addr.String()+"/"+f.ttl.String())
		}
		if err != nil {
			got = append(got, err.Error())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

// FuzzAnswer: whatever a resolver sends, what counts is bounded, and is of the family that was asked for.
func FuzzAnswer(f *testing.F) {
	q := ask("a.example.")
	f.Add(message(f, q, "a.example. A 60 192.0.2.1"))
	f.Add(message(f, q, "a.example. CNAME 60 b.example.", "b.example. A 60 192.0.2.1", "b.example. AAAA 60 2001:db8::1"))
	f.Add(message(f, q, "a.example. CNAME 1 a.example."))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := q.answer(data)
		if err != nil && len(found) > 0 {
			t.Errorf("%d addresses beside %v", len(found), err)
		}
		if len(found) > maxAddresses {
			t.Errorf("%d addresses", len(found))
		}
		for _, r := range found {
			if !r.addr.Is4() || r.ttl < 0 || r.ttl > maxTTL {
				t.Errorf("%s for %s", r.addr, r.ttl)
			}
		}
	})
}

func TestPublic(t *testing.T) {
	for _, s := range []string{"192.0.2.1", "8.8.8.8", "2001:db8::1", "2606:4700::1111"} {
		if !Public(netip.MustParseAddr(s)) {
			t.Errorf("%s is not public", s)
		}
	}
	for _, s := range []string{"127.0.0.1", "::1", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "fe80::1", "fe80::1%eth0",
		"fd00::1", "fec0::1", "100.64.0.1", "192.0.0.192", "224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255", "::ffff:10.0.0.1", "64:ff9b::a00:1",
		"2002:a00:1::1", "2001::1", "::"} {
		if Public(netip.MustParseAddr(s)) {
			t.Errorf("%s is public", s)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}
