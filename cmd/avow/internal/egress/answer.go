package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Limits of an answer.
const (
	// maxMessage is the largest message over TCP; its length has two bytes.
	maxMessage = 1<<16 - 1
	// maxRecords bounds the records of an answer that are read.
	maxRecords = 512
	// maxChain bounds the aliases between a name and its addresses.
	maxChain = 16
	// maxAddresses bounds the addresses of a name that count, for each family.
	maxAddresses = 64
	// maxTTL bounds how long an answer is believed.
	maxTTL = time.Hour
)

// record is an address of a name and for how long it holds.
type record struct {
	addr netip.Addr
	ttl  time.Duration
}

// errTruncated asks for the same question over TCP.
var errTruncated = errors.New("the answer is truncated")

// errForeign is a message that does not answer the question: another's answer, or a forged one.
var errForeign = errors.New("the message does not answer the question")

// question is what is asked.
type question struct {
	id   uint16
	name dnsmessage.Name
	kind dnsmessage.Type
}

// pack returns the question as a message.
func (q question) pack() ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: q.id, RecursionDesired: true})
	b.EnableCompression()
	if err := errors.Join(b.StartQuestions(), b.Question(dnsmessage.Question{Name: q.name, Type: q.kind, Class: dnsmessage.ClassINET}), b.StartAdditionals()); err != nil {
		return nil, err
	}
	var edns dnsmessage.ResourceHeader
	if err := edns.SetEDNS0(udpSize, dnsmessage.RCodeSuccess, false); err != nil {
		return nil, err
	}
	if err := b.OPTResource(edns, dnsmessage.OPTResource{}); err != nil {
		return nil, err
	}
	return b.Finish()
}

// answer reads a message that answers the question. A name that does not exist has no addresses. The time of an address is the
// shortest in the chain of aliases that leads to it.
func (q question) answer(message []byte) ([]record, error) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil || header.ID != q.id || !header.Response {
		return nil, errForeign
	}
	asked, err := p.Question()
	if err != nil || asked.Type != q.kind || asked.Class != dnsmessage.ClassINET || !sameName(asked.Name, q.name) {
		return nil, errForeign
	}
	if header.Truncated {
		return nil, errTruncated
	}
	switch header.RCode {
	case dnsmessage.RCodeSuccess:
	case dnsmessage.RCodeNameError:
		return nil, nil
	default:
		return nil, fmt.Errorf("the resolver answered %s", strings.TrimPrefix(header.RCode.String(), "RCode"))
	}
	if err := p.SkipAllQuestions(); err != nil {
		return nil, err
	}
	return q.records(&p)
}

// alias is one step of a chain.
type alias struct {
	to  string
	ttl time.Duration
}

// records reads the answer section and follows the aliases from the name that was asked for.
func (q question) records(p *dnsmessage.Parser) ([]record, error) {
	aliases, addresses := map[string]alias{}, map[string][]record{}
	for n := 0; ; n++ {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil {
			return nil, err
		}
		if n == maxRecords {
			return nil, fmt.Errorf("the answer has more than %d records", maxRecords)
		}
		if err := readRecord(p, h, q.kind, aliases, addresses); err != nil {
			return nil, err
		}
	}
	name, shortest := key(q.name), maxTTL
	for range maxChain {
		if found := addresses[name]; len(found) > 0 {
			found = found[:min(len(found), maxAddresses)]
			for i := range found {
				found[i].ttl = min(found[i].ttl, shortest)
			}
			return found, nil
		}
		next, ok := aliases[name]
		if !ok {
			return nil, nil
		}
		name, shortest = next.to, min(shortest, next.ttl)
	}
	return nil, fmt.Errorf("the chain of aliases has more than %d steps", maxChain)
}

func readRecord(p *dnsmessage.Parser, h dnsmessage.ResourceHeader, kind dnsmessage.Type, aliases map[string]alias, addresses map[string][]record) error {
	ttl := time.Duration(h.TTL) * time.Second
	if h.TTL > 1<<31-1 {
		ttl = 0 // RFC 2181, section 8: a TTL with the highest bit set is taken as zero
	}
	owner := key(h.Name)
	switch {
	case h.Class != dnsmessage.ClassINET:
		return p.SkipAnswer()
	case h.Type == dnsmessage.TypeCNAME:
		r, err := p.CNAMEResource()
		if err != nil {
			return err
		}
		aliases[owner] = alias{key(r.CNAME), ttl}
		return nil
	case h.Type != kind:
		return p.SkipAnswer()
	case h.Type == dnsmessage.TypeA:
		r, err := p.AResource()
		if err != nil {
			return err
		}
		addresses[owner] = append(addresses[owner], record{netip.AddrFrom4(r.A), ttl})
		return nil
	}
	r, err := p.AAAAResource()
	if err != nil {
		return err
	}
	addresses[owner] = append(addresses[owner], record{netip.AddrFrom16(r.AAAA), ttl})
	return nil
}

func key(n dnsmessage.Name) string { return strings.ToLower(n.String()) }

func sameName(a, b dnsmessage.Name) bool { return key(a) == key(b) }
