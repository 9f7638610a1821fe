package wire

import (
	"encoding/binary"
	"net/netip"
)

// Link types, as in the registry of tcpdump.org.
const (
	LinkNull     = 0
	LinkEthernet = 1
	LinkRaw12    = 12
	LinkRaw14    = 14
	LinkRaw      = 101
	LinkLoop     = 108
	LinkSLL      = 113
	LinkIPv4     = 228
	LinkIPv6     = 229
	LinkSLL2     = 276
)

// Known reports whether [Decode] knows the link type.
func Known(link uint16) bool {
	switch link {
	case LinkNull, LinkEthernet, LinkRaw12, LinkRaw14, LinkRaw, LinkLoop, LinkSLL, LinkIPv4, LinkIPv6, LinkSLL2:
		return true
	}
	return false
}

// IP protocols.
const (
	ProtoICMP   = 1
	ProtoIGMP   = 2
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)

// Flags of TCP.
const (
	FIN = 1
	SYN = 2
	RST = 4
	ACK = 16
)

// Outcome says how far [Decode] came.
type Outcome int

// The outcomes.
const (
	// Decoded: addresses, protocol and, where the protocol has them, ports.
	Decoded Outcome = iota
	// NotIP: ARP and what else keeps a link running. No peer of anybody.
	NotIP
	// Unknown: a frame or header that is not understood.
	Unknown
	// Cut: the capture does not have all of the headers.
	Cut
)

// Fragment says which part of a packet this is.
type Fragment uint8

// The fragments.
const (
	Whole Fragment = iota
	First
	Later
)

// Addr is an IP address in 16 bytes, IPv4 mapped into IPv6: a key that costs little.
type Addr [16]byte

// Netip converts.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// Packet is a decoded packet.
type Packet struct {
	Src, Dst         Addr
	SrcPort, DstPort uint16
	Proto            uint8
	HopLimit         uint8
	Flags            uint8 // TCP
	Fragment         Fragment
	FragmentID       uint32
	Seq              uint32 // TCP
	ICMPType         uint8
	// Payload is what was captured of the transport's payload, Length how long it is.
	Payload []byte
	Length  int
}

var be = binary.BigEndian

const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherARP  = 0x0806
	etherRARP = 0x8035
	etherLLDP = 0x88cc
	etherEAP  = 0x888e
	// Of IEEE 802.3 frames, the type is a length.
	etherLeast = 0x0600
	maxTags    = 4
)

// Decode reads a frame. length is its length on the wire.
func Decode(link uint16, data []byte, length int, p *Packet) Outcome {
	n, etherType := 0, uint16(0)
	switch link {
	case LinkEthernet:
		if len(data) < 14 {
			return Cut
		}
		n, etherType = 14, be.Uint16(data[12:])
	case LinkSLL:
		if len(data) < 16 {
			return Cut
		}
		n, etherType = 16, be.Uint16(data[14:])
	case LinkSLL2:
		if len(data) < 20 {
			return Cut
		}
		n, etherType = 20, be.Uint16(data)
	case LinkNull, LinkLoop:
		if len(data) < 4 {
			return Cut
		}
		n = 4
	}
	if etherType == 0 {
		return decodeIP(data[n:], length-n, p)
	}
	for range maxTags {
		if etherType != 0x8100 && etherType != 0x88a8 && etherType != 0x9100 {
			break
		}
		if len(data) < n+4 {
			return Cut
		}
		etherType = be.Uint16(data[n+2:])
		n += 4
	}
	switch etherType {
	case etherIPv4, etherIPv6:
		return decodeIP(data[n:], length-n, p)
	case etherARP, etherRARP, etherLLDP, etherEAP:
		return NotIP
	}
	if etherType < etherLeast { // 802.2: spanning tree and the like
		return NotIP
	}
	return Unknown
}

func decodeIP(b []byte, length int, p *Packet) Outcome {
	if len(b) == 0 {
		return Cut
	}
	switch b[0] >> 4 {
	case 4:
		return decode4(b, length, p)
	case 6:
		return decode6(b, length, p)
	}
	return Unknown
}

func decode4(b []byte, length int, p *Packet) Outcome {
	if len(b) < 20 {
		return Cut
	}
	header, total := int(b[0]&0xf)*4, int(be.Uint16(b[2:]))
	if total == 0 { // segmentation offload: the length was yet to be written
		total = length
	}
	if header < 20 || total < header {
		return Unknown
	}
	if len(b) < header {
		return Cut
	}
	p.Src, p.Dst = Addr{10: 0xff, 11: 0xff}, Addr{10: 0xff, 11: 0xff}
	copy(p.Src[12:], b[12:16])
	copy(p.Dst[12:], b[16:20])
	p.HopLimit, p.Proto = b[8], b[9]
	p.Fragment, p.FragmentID = Whole, uint32(be.Uint16(b[4:]))
	if field := be.Uint16(b[6:]); field&0x1fff != 0 {
		p.Fragment = Later
	} else if field&0x2000 != 0 {
		p.Fragment = First
	}
	return transport(b[header:min(len(b), total)], total-header, p)
}

// maxExtensions bounds the chain of IPv6 extension headers.
const maxExtensions = 16

func decode6(b []byte, length int, p *Packet) Outcome {
	const header = 40
	if len(b) < header {
		return Cut
	}
	rest := int(be.Uint16(b[4:]))
	if rest == 0 { // a jumbogram, or segmentation offload
		rest = length - header
	}
	p.HopLimit, p.Proto, p.Fragment, p.FragmentID = b[7], b[6], Whole, 0
	copy(p.Src[:], b[8:24])
	copy(p.Dst[:], b[24:40])
	b = b[header:]
	if len(b) > rest {
		b = b[:max(rest, 0)]
	}
	for range maxExtensions {
		size := 8
		switch p.Proto {
		case 0, 43, 60, 135, 139, 140: // options, routing, mobility, HIP, shim6
			if len(b) < 8 {
				return Cut
			}
			size = 8 + int(b[1])*8
		case 51: // authentication
			if len(b) < 8 {
				return Cut
			}
			size = 8 + int(b[1])*4
		case 44:
			if len(b) < 8 {
				return Cut
			}
			if field := be.Uint16(b[2:]); field&0xfff8 != 0 {
				p.Fragment = Later
			} else if field&1 != 0 {
				p.Fragment = First
			}
			p.FragmentID = be.Uint32(b[4:])
		default:
			return transport(b, rest, p)
		}
		next := b[0]
		if rest -= size; rest < 0 {
			return Unknown
		}
		if len(b) < size {
			return Cut
		}
		b, p.Proto = b[size:], next
		if p.Fragment == Later {
			return transport(b, rest, p)
		}
	}
	return Unknown
}

// transport reads the ports. b is what was captured, length what there was.
func transport(b []byte, length int, p *Packet) Outcome {
	p.SrcPort, p.DstPort, p.Flags, p.Seq, p.ICMPType = 0, 0, 0, 0, 0
	header := 0
	if p.Fragment != Later {
		switch p.Proto {
		case ProtoTCP:
			if len(b) < 20 {
				return Cut
			}
			header = int(b[12]>>4) * 4
			if header < 20 || header > length {
				return Unknown
			}
			p.Seq, p.Flags = be.Uint32(b[4:]), b[13]
			p.SrcPort, p.DstPort = be.Uint16(b), be.Uint16(b[2:])
		case ProtoUDP, ProtoSCTP:
			if header = 8; p.Proto == ProtoSCTP {
				header = 12
			}
			if len(b) < header {
				return Cut
			}
			p.SrcPort, p.DstPort = be.Uint16(b), be.Uint16(b[2:])
		case ProtoICMP, ProtoICMPv6:
			if len(b) < 8 {
				return Cut
			}
			header, p.ICMPType = 8, b[0]
		}
	}
	p.Length = max(length-header, 0)
	p.Payload = b[min(header, len(b)):]
	return Decoded
}

// Embedded reads the packet that an ICMP error is about. It reports whether p
// is one. What it returns has addresses and, if they were sent, ports.
func Embedded(p *Packet) (about Packet, ok bool) {
	switch {
	case p.Proto == ProtoICMP && (p.ICMPType == 3 || p.ICMPType == 4 || p.ICMPType == 5 || p.ICMPType == 11 || p.ICMPType == 12):
	case p.Proto == ProtoICMPv6 && p.ICMPType >= 1 && p.ICMPType <= 4:
	default:
		return about, false
	}
	b := p.Payload
	if len(b) == 0 {
		return about, false
	}
	switch b[0] >> 4 {
	case 4:
		header := int(b[0]&0xf) * 4
		if header < 20 || len(b) < header {
			return about, false
		}
		about.Src, about.Dst = Addr{10: 0xff, 11: 0xff}, Addr{10: 0xff, 11: 0xff}
		copy(about.Src[12:], b[12:16])
		copy(about.Dst[12:], b[16:20])
		about.Proto, b = b[9], b[header:]
	case 6:
		if len(b) < 40 {
			return about, false
		}
		copy(about.Src[:], b[8:24])
		copy(about.Dst[:], b[24:40])
		about.Proto, b = b[6], b[40:]
	default:
		return about, false
	}
	switch about.Proto {
	case ProtoTCP, ProtoUDP, ProtoSCTP:
		if len(b) < 4 {
			return about, false
		}
		about.SrcPort, about.DstPort = be.Uint16(b), be.Uint16(b[2:])
	}
	return about, true
}

// Housekeeping reports whether a packet keeps the link running and can carry
// nothing to anybody beyond it: neighbour discovery, group membership.
func Housekeeping(p *Packet) bool {
	dst := p.Dst.Netip()
	local := dst.IsLinkLocalUnicast() || dst.IsLinkLocalMulticast() || dst.IsInterfaceLocalMulticast()
	switch p.Proto {
	case ProtoIGMP:
		return dst.IsMulticast()
	case ProtoICMPv6:
		discovery := p.ICMPType >= 133 && p.ICMPType <= 137 && (p.HopLimit == 255 || local)
		return discovery || (p.ICMPType >= 130 && p.ICMPType <= 132 || p.ICMPType == 143) && local
	}
	return false
}
