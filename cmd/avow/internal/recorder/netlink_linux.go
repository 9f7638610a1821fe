package recorder

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// netlink changes interfaces, addresses and routes of the namespace in which it
// was opened.
type netlink struct {
	fd  int
	seq uint32
}

func openNetlink() (*netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return &netlink{fd: fd}, nil
}

func (n *netlink) close() { _ = unix.Close(n.fd) }

// message is a request under construction.
type message struct{ b []byte }

var le = binary.NativeEndian

func newMessage(kind, flags uint16) *message {
	m := &message{b: make([]byte, unix.NLMSG_HDRLEN, 256)}
	le.PutUint16(m.b[4:], kind)
	le.PutUint16(m.b[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
	return m
}

func (m *message) raw(b ...byte) *message { m.b = append(m.b, b...); return m }
func (m *message) u32(v uint32) *message  { m.b = le.AppendUint32(m.b, v); return m }

// attr appends an attribute with padding.
func (m *message) attr(kind uint16, value []byte) *message {
	m.b = le.AppendUint16(m.b, uint16(unix.SizeofRtAttr+len(value)))
	m.b = le.AppendUint16(m.b, kind)
	m.b = append(m.b, value...)
	for len(m.b)%unix.RTA_ALIGNTO != 0 {
		m.b = append(m.b, 0)
	}
	return m
}

func (m *message) attr32(kind uint16, v uint32) *message {
	return m.attr(kind, le.AppendUint32(nil, v))
}

// nest appends an attribute that holds what fill writes.
func (m *message) nest(kind uint16, fill func()) *message {
	at := len(m.b)
	m.b = append(m.b, 0, 0, 0, 0)
	fill()
	le.PutUint16(m.b[at:], uint16(len(m.b)-at))
	le.PutUint16(m.b[at+2:], kind|unix.NLA_F_NESTED)
	return m
}

// do sends a request and waits for its acknowledgement.
func (n *netlink) do(what string, m *message) error {
	n.seq++
	le.PutUint32(m.b, uint32(len(m.b)))
	le.PutUint32(m.b[8:], n.seq)
	if err := unix.Sendto(n.fd, m.b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	buf := make([]byte, 64<<10)
	for {
		size, _, err := unix.Recvfrom(n.fd, buf, 0)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if size < unix.NLMSG_HDRLEN+4 || le.Uint16(buf[4:]) != unix.NLMSG_ERROR || le.Uint32(buf[8:]) != n.seq {
			continue
		}
		if code := int32(le.Uint32(buf[unix.NLMSG_HDRLEN:])); code != 0 {
			return fmt.Errorf("%s: %w", what, unix.Errno(-code))
		}
		return nil
	}
}

// link begins a message about an interface; index 0 is none yet.
func link(kind, flags uint16, index int, set, mask uint32) *message {
	return newMessage(kind, flags).raw(unix.AF_UNSPEC, 0).raw(0, 0).u32(uint32(index)).u32(set).u32(mask)
}

func (n *netlink) up(index int) error {
	return n.do("interface up", link(unix.RTM_NEWLINK, 0, index, unix.IFF_UP, unix.IFF_UP))
}

func zeroed(s string) []byte { return append([]byte(s), 0) }

// vethInfoPeer is VETH_INFO_PEER of linux/veth.h.
const vethInfoPeer = 1

// veth makes a pair of interfaces: host here, peer in the namespace of process pid.
func (n *netlink) veth(host, peer string, pid, mtu int) error {
	m := link(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, 0, 0, 0)
	m.attr(unix.IFLA_IFNAME, zeroed(host)).attr32(unix.IFLA_MTU, uint32(mtu))
	m.nest(unix.IFLA_LINKINFO, func() {
		m.attr(unix.IFLA_INFO_KIND, []byte("veth"))
		m.nest(unix.IFLA_INFO_DATA, func() {
			m.nest(vethInfoPeer, func() {
				m.raw(make([]byte, unix.SizeofIfInfomsg)...)
				m.attr(unix.IFLA_IFNAME, zeroed(peer)).attr32(unix.IFLA_MTU, uint32(mtu)).attr32(unix.IFLA_NET_NS_PID, uint32(pid))
			})
		})
	})
	return n.do("a pair of virtual interfaces", m)
}

// noLinkLocal keeps the kernel from giving an interface, not yet up, an IPv6
// address of its own, and from asking the link for more.
func noLinkLocal(name string) error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/addr_gen_mode", []byte("1"), 0o644)
	if errors.Is(err, os.ErrNotExist) { // there is no IPv6
		return nil
	}
	return err
}

func (n *netlink) deleteLink(index int) error {
	return n.do("removing an interface", link(unix.RTM_DELLINK, 0, index, 0, 0))
}

func family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// address gives an interface an address. Nobody is asked whether it is taken.
func (n *netlink) address(index int, p netip.Prefix) error {
	m := newMessage(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	m.raw(family(p.Addr()), byte(p.Bits()), unix.IFA_F_NODAD, unix.RT_SCOPE_UNIVERSE).u32(uint32(index))
	m.attr(unix.IFA_LOCAL, p.Addr().AsSlice()).attr(unix.IFA_ADDRESS, p.Addr().AsSlice())
	return n.do("address "+p.String(), m)
}

// route sends a block to an interface, by way of a gateway if via is valid. A
// local route takes every address of the block for the namespace's own; packets
// then go out from source.
type route struct {
	to            netip.Prefix
	via, source   netip.Addr
	index         int
	local, onLink bool
}

func (n *netlink) route(r route) error {
	kind, scope, table := byte(unix.RTN_UNICAST), byte(unix.RT_SCOPE_UNIVERSE), byte(unix.RT_TABLE_MAIN)
	switch {
	case r.local:
		kind, scope, table = unix.RTN_LOCAL, unix.RT_SCOPE_HOST, unix.RT_TABLE_LOCAL
	case !r.via.IsValid():
		scope = unix.RT_SCOPE_LINK
	}
	m := newMessage(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	m.raw(family(r.to.Addr()), byte(r.to.Bits()), 0, 0, table, unix.RTPROT_STATIC, scope, kind)
	flags := uint32(0)
	if r.onLink {
		flags = unix.RTNH_F_ONLINK
	}
	m.u32(flags)
	if r.to.Bits() > 0 {
		m.attr(unix.RTA_DST, r.to.Addr().AsSlice())
	}
	if r.via.IsValid() {
		m.attr(unix.RTA_GATEWAY, r.via.AsSlice())
	}
	if r.source.IsValid() {
		m.attr(unix.RTA_PREFSRC, r.source.AsSlice())
	}
	m.attr32(unix.RTA_OIF, uint32(r.index))
	return n.do("route to "+r.to.String(), m)
}
