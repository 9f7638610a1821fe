package wire

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/avow-dev/avow/attest/observe/internal/record"
)

// The limits of a DNS message.
const (
	maxRecords = 512
	maxChain   = 16
	// maxTTL is the limit that RFC 8767 recommends: a week.
	maxTTL = 7 * 24 * time.Hour
)

// DNS is what a message says about names.
type DNS struct {
	Response bool
	// Answers are the addresses of the name that was asked for, over aliases.
	Answers []record.Answer
	// Odd is how many names there were that no host can have.
	Odd int
}

// ParseDNS reads a message. Addresses count only if a chain of aliases leads to
// them from the name that was asked for: what else an answer brings along was
// not asked. The time of the answers is left to the caller.
func ParseDNS(b []byte) (DNS, error) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		return DNS{}, err
	}
	d := DNS{Response: h.Response}
	q, err := p.Question()
	if err != nil {
		return d, err
	}
	if !h.Response || h.RCode != dnsmessage.RCodeSuccess || q.Class != dnsmessage.ClassINET {
		return d, nil
	}
	if err := p.SkipAllQuestions(); err != nil {
		return d, err
	}
	name, ok := record.HostName(q.Name.String())
	if !ok {
		d.Odd++
		return d, nil
	}
	a := answers{alias: map[string]string{}}
	if err := a.read(&p); err != nil {
		return d, err
	}
	d.Odd += a.odd
	d.Answers = a.from(name)
	return d, nil
}

// answers are the records of a message, before it is known which belong to the
// question.
type answers struct {
	alias map[string]string
	found []record.Answer // Name is the owner
	odd   int
}

func (a *answers) read(p *dnsmessage.Parser) error {
	for range maxRecords {
		h, err := p.AnswerHeader()
		if err == dnsmessage.ErrSectionDone { //nolint:errorlint // the parser returns it bare
			return nil
		}
		if err != nil {
			return err
		}
		owner, ok := record.HostName(h.Name.String())
		if !ok || h.Class != dnsmessage.ClassINET {
			a.odd++
			if err := p.SkipAnswer(); err != nil {
				return err
			}
			continue
		}
		if err := a.take(p, owner, min(time.Duration(h.TTL)*time.Second, maxTTL), h.Type); err != nil {
			return err
		}
	}
	return nil
}

func (a *answers) take(p *dnsmessage.Parser, owner string, ttl time.Duration, kind dnsmessage.Type) error {
	switch kind {
	case dnsmessage.TypeA:
		r, err := p.AResource()
		a.add(owner, netip.AddrFrom4(r.A), ttl, err)
		return err
	case dnsmessage.TypeAAAA:
		r, err := p.AAAAResource()
		a.add(owner, netip.AddrFrom16(r.AAAA).Unmap(), ttl, err)
		return err
	case dnsmessage.TypeCNAME:
		r, err := p.CNAMEResource()
		if err != nil {
			return err
		}
		if to, ok := record.HostName(r.CNAME.String()); ok {
			a.alias[owner] = to
		} else {
			a.odd++
		}
		return nil
	case dnsmessage.TypeHTTPS:
		r, err := p.HTTPSResource()
		if err == nil {
			a.service(owner, &r.SVCBResource, ttl)
		}
		return err
	case dnsmessage.TypeSVCB:
		r, err := p.SVCBResource()
		if err == nil {
			a.service(owner, &r, ttl)
		}
		return err
	}
	return p.SkipAnswer()
}

func (a *answers) add(owner string, addr netip.Addr, ttl time.Duration, err error) {
	if err == nil {
		a.found = append(a.found, record.Answer{Name: owner, Addr: addr, TTL: ttl})
	}
}

// service takes the address hints of RFC 9460.
func (a *answers) service(owner string, r *dnsmessage.SVCBResource, ttl time.Duration) {
	if b, ok := r.GetParam(dnsmessage.SVCParamIPv4Hint); ok {
		for ; len(b) >= 4 && len(a.found) < maxRecords; b = b[4:] {
			a.add(owner, netip.AddrFrom4([4]byte(b[:4])), ttl, nil)
		}
	}
	if b, ok := r.GetParam(dnsmessage.SVCParamIPv6Hint); ok {
		for ; len(b) >= 16 && len(a.found) < maxRecords; b = b[16:] {
			a.add(owner, netip.AddrFrom16([16]byte(b[:16])).Unmap(), ttl, nil)
		}
	}
}

// from follows the aliases from the name that was asked for.
func (a *answers) from(name string) []record.Answer {
	var aliases []string
	var out []record.Answer
	seen := map[string]bool{}
	for at, n := name, 0; n <= maxChain && !seen[at]; n++ {
		seen[at] = true
		if at != name {
			aliases = append(aliases, at)
		}
		for _, f := range a.found {
			if f.Name == at {
				out = append(out, record.Answer{Name: name, Aliases: aliases, Addr: f.Addr, TTL: f.TTL})
			}
		}
		to, ok := a.alias[at]
		if !ok {
			break
		}
		at = to
	}
	return out
}

// NextDNS takes a message of DNS over TCP from the beginning of a stream.
// more: there is not all of it yet.
func NextDNS(stream []byte) (message, rest []byte, more bool) {
	if len(stream) < 2 {
		return nil, stream, true
	}
	n := int(binary.BigEndian.Uint16(stream))
	if len(stream) < 2+n {
		return nil, stream, true
	}
	return stream[2 : 2+n], stream[2+n:], false
}
