package recorder

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// nat is the outside half of [WayNAT]: an interface, its routes, and rules that
// translate addresses. What it changes is undone by close.
type nat struct {
	tag      string // names the rules: avow_observe_PID_BEGUN
	iface    string
	v4, v6   link2
	firewall string // nft or iptables
	// changed are settings and the values that they had.
	changed []setting
	undo    []func() error
}

// link2 are the two ends of a link: ours and the program's.
type link2 struct{ ours, theirs netip.Addr }

type setting struct{ path, old string }

const (
	tagPrefix = "avow_observe_"
	// innerName is the program's interface.
	innerName = "eth0"
	// linkPrefix begins the names of the host's ends.
	linkPrefix = "avow"
	sysNet     = "/proc/sys/net/"
)

// openNAT makes the way out for the namespace of process pid.
func openNAT(ctx context.Context, pid int) (_ *nat, err error) {
	firewall, err := findFirewall()
	if err != nil {
		return nil, err
	}
	removeStale(ctx, firewall)
	begun, err := begunAt(os.Getpid())
	if err != nil {
		return nil, err
	}
	n := &nat{tag: fmt.Sprintf("%s%d_%s", tagPrefix, os.Getpid(), begun), iface: linkPrefix + strconv.Itoa(os.Getpid()), firewall: firewall}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	v4, v6, uplinks, err := hostRoutes()
	if err != nil {
		return nil, err
	}
	if n.v4, err = freeLink(os.Getpid(), v4); err != nil {
		return nil, err
	}
	// Addresses of our own that nobody translates would get no answer: iptables has no rule for them here.
	if v6 && n.usesNft() {
		n.v6 = ownIPv6(os.Getpid())
	}
	if err := n.openLink(pid, uplinks); err != nil {
		return nil, err
	}
	if err := n.forward(uplinks); err != nil {
		return nil, err
	}
	return n, n.translate(ctx)
}

// addresses are the program's, with their gateways.
func (n *nat) addresses() (addresses, gateways []string) {
	for _, l := range []link2{n.v4, n.v6} {
		if l.theirs.IsValid() {
			addresses, gateways = append(addresses, l.theirs.String()), append(gateways, l.ours.String())
		}
	}
	return addresses, gateways
}

// close undoes everything, the last thing first.
func (n *nat) close() error {
	var all error
	for _, undo := range slices.Backward(n.undo) {
		all = errors.Join(all, undo())
	}
	n.undo = nil
	return all
}

// openLink makes the pair of interfaces. They end with the namespace by themselves.
func (n *nat) openLink(pid int, uplinks []string) error {
	nl, err := openNetlink()
	if err != nil {
		return err
	}
	defer nl.close()
	if err := nl.veth(n.iface, innerName, pid, mtu(uplinks)); err != nil {
		return err
	}
	i, err := net.InterfaceByName(n.iface)
	if err != nil {
		return err
	}
	n.undo = append(n.undo, func() error {
		nl, err := openNetlink()
		if err != nil {
			return err
		}
		defer nl.close()
		if _, err := net.InterfaceByIndex(i.Index); err != nil {
			return nil // gone with the namespace
		}
		return nl.deleteLink(i.Index)
	})
	if err := errors.Join(noLinkLocal(n.iface), nl.up(i.Index)); err != nil {
		return err
	}
	for _, l := range []link2{n.v4, n.v6} {
		if !l.ours.IsValid() {
			continue
		}
		whole := netip.PrefixFrom(l.ours, l.ours.BitLen())
		if err := errors.Join(nl.address(i.Index, whole),
			nl.route(route{to: netip.PrefixFrom(l.theirs, l.theirs.BitLen()), source: l.ours, index: i.Index})); err != nil {
			return err
		}
	}
	return nil
}

// mtu is the smallest of the uplinks'.
func mtu(uplinks []string) int {
	least := 1500
	for _, name := range uplinks {
		if i, err := net.InterfaceByName(name); err == nil && i.MTU >= 1280 {
			least = min(least, i.MTU)
		}
	}
	return least
}

// hostRoutes says which families lead outside, and by which interfaces.
func hostRoutes() (v4 []byte, v6 bool, uplinks []string, err error) {
	if v4, err = os.ReadFile("/proc/net/route"); err != nil {
		return nil, false, nil, err
	}
	routes6, err := os.ReadFile("/proc/net/ipv6_route")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, false, nil, err
	}
	uplinks = defaultRoutes(v4, routes6)
	slices.Sort(uplinks)
	uplinks = slices.Compact(uplinks)
	v6 = len(defaultRoutes(nil, routes6)) > 0 && canForwardIPv6(uplinks)
	return v4, v6, uplinks, nil
}

// canForwardIPv6: the switch for all interfaces also turns a host into a router,
// which no longer hears of its own routes. It is never touched; newer kernels
// have one for each interface that does no more than it says.
func canForwardIPv6(uplinks []string) bool {
	if value(sysNet+"ipv6/conf/all/forwarding") == "1" {
		return true
	}
	for _, name := range uplinks {
		if value(sysNet+"ipv6/conf/"+name+"/force_forwarding") == "" {
			return false
		}
	}
	return true
}

func value(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// forward lets packets pass between the link and the uplinks, and nothing else.
func (n *nat) forward(uplinks []string) error {
	for _, name := range append(slices.Clone(uplinks), n.iface) {
		if err := n.set(sysNet+"ipv4/conf/"+name+"/forwarding", name); err != nil {
			return fmt.Errorf("%w: forwarding for %s: %w", ErrWayOut, name, err)
		}
		if !n.v6.ours.IsValid() || value(sysNet+"ipv6/conf/all/forwarding") == "1" {
			continue
		}
		if err := n.set(sysNet+"ipv6/conf/"+name+"/force_forwarding", name); err != nil {
			return fmt.Errorf("%w: IPv6 forwarding for %s: %w", ErrWayOut, name, err)
		}
	}
	return nil
}

// set writes 1, and remembers what was there; the link's own settings go with it.
func (n *nat) set(path, iface string) error {
	old := value(path)
	if old == "1" {
		return nil
	}
	if err := os.WriteFile(path, []byte("1"), 0o644); err != nil {
		return err
	}
	if iface != n.iface {
		n.changed = append(n.changed, setting{path, old})
		n.undo = append(n.undo, func() error { return os.WriteFile(path, []byte(old), 0o644) })
	}
	return nil
}

// freeLink finds two addresses that no interface and no route of the host has.
func freeLink(seed int, routes []byte) (link2, error) {
	taken := prefixes(routes)
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return link2{}, err
	}
	for _, a := range interfaces {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			taken = append(taken, p)
		}
	}
	const blocks = 64 * 256
	for k := range blocks {
		at := (seed + k) % blocks
		l := link2{netip.AddrFrom4([4]byte{10, 213, byte(at >> 6), byte(at<<2) | 1}), netip.AddrFrom4([4]byte{10, 213, byte(at >> 6), byte(at<<2) | 2})}
		if !slices.ContainsFunc(taken, func(p netip.Prefix) bool { return p.Overlaps(netip.PrefixFrom(l.ours, 30).Masked()) }) {
			return l, nil
		}
	}
	return link2{}, fmt.Errorf("%w: every block of 10.213.0.0/16 is taken on this host", ErrWayOut)
}

// prefixes reads the destinations of /proc/net/route but the default.
func prefixes(routes []byte) []netip.Prefix {
	var found []netip.Prefix
	for line := range bytes.Lines(routes) {
		f := strings.Fields(string(line))
		if len(f) < 8 {
			continue
		}
		to, err1 := strconv.ParseUint(f[1], 16, 32)
		mask, err2 := strconv.ParseUint(f[7], 16, 32)
		if err1 != nil || err2 != nil || mask == 0 {
			continue
		}
		var b, m [4]byte
		le.PutUint32(b[:], uint32(to))
		le.PutUint32(m[:], uint32(mask))
		ones, _ := net.IPMask(m[:]).Size()
		found = append(found, netip.PrefixFrom(netip.AddrFrom4(b), ones).Masked())
	}
	return found
}

// ownIPv6 are two unique local addresses.
func ownIPv6(seed int) link2 {
	b := [16]byte{0xfd, 'a', 'v', 'o', 'w', byte(seed >> 16), byte(seed >> 8), byte(seed), 15: 1}
	l := link2{ours: netip.AddrFrom16(b)}
	b[15] = 2
	l.theirs = netip.AddrFrom16(b)
	return l
}

func findFirewall() (string, error) {
	for _, name := range []string{"nft", "iptables"} {
		if path := systemProgram(name); path != "" {
			return path, nil
		}
	}
	return "", &HintError{Err: fmt.Errorf("%w: neither nft nor iptables is installed, one of which translates addresses", ErrWayOut),
		Hint: "install nftables, or use --offline"}
}

// systemProgram finds a program of the system, "" if it is not installed. A user's path
// may not have the directories of these.
func systemProgram(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path := filepath.Join(dir, name); executable(path) {
			return path
		}
	}
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func (n *nat) usesNft() bool { return filepath.Base(n.firewall) == "nft" }

// translate adds the rules. Those of nft are a table of its own, whose comment has
// the settings to put back.
func (n *nat) translate(ctx context.Context) error {
	var rules [][]string
	if n.usesNft() {
		rules = [][]string{{"-f", "-"}}
	} else {
		rules = n.iptables("-A")
	}
	for _, args := range rules {
		if err := firewall(ctx, n.firewall, n.nft(), args...); err != nil {
			return fmt.Errorf("%w: %w", ErrWayOut, err)
		}
	}
	n.undo = append(n.undo, func() error {
		ctx := context.WithoutCancel(ctx) // it is undone most of all when the run was cancelled
		if n.usesNft() {
			return firewall(ctx, n.firewall, "", "delete", "table", "inet", n.tag)
		}
		var all error
		for _, args := range n.iptables("-D") {
			all = errors.Join(all, firewall(ctx, n.firewall, "", args...))
		}
		return all
	})
	return nil
}

func (n *nat) nft() string {
	var settings []string
	for _, s := range n.changed {
		settings = append(settings, strings.TrimPrefix(s.path, sysNet)+"="+s.old)
	}
	rule := fmt.Sprintf("ip saddr %s masquerade\n", n.v4.theirs)
	if n.v6.theirs.IsValid() {
		rule += fmt.Sprintf("\t\tip6 saddr %s masquerade\n", n.v6.theirs)
	}
	const comment = 120 // nft's limit is 128
	kept := strings.Join(settings, " ")
	if len(kept) > comment {
		kept = ""
	}
	return fmt.Sprintf("table inet %s {\n\tcomment %q\n\tchain out {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\t\t%s\t}\n}\n",
		n.tag, kept, rule)
}

func (n *nat) iptables(action string) [][]string {
	return [][]string{{"-w", "-t", "nat", action, "POSTROUTING", "-s", n.v4.theirs.String(), "-m", "comment", "--comment", n.tag, "-j", "MASQUERADE"}}
}

// firewall runs nft or iptables.
func firewall(ctx context.Context, path, stdin string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // nft or iptables, with arguments of this file
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(path), strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

var (
	tagged  = regexp.MustCompile(tagPrefix + `([0-9]+)_([0-9]+)`)
	comment = regexp.MustCompile(`comment "([^"]*)"`)
	// kept is a setting in a comment: one of those that forward writes and no other.
	kept = regexp.MustCompile(`^(ipv[46]/conf/[A-Za-z0-9_@-][A-Za-z0-9_@.-]*/(?:force_)?forwarding)=([01])$`)
)

// removeStale removes the rules of runs whose process is gone, and puts back what
// they had changed. What cannot be removed does not keep this run from its own.
func removeStale(ctx context.Context, path string) {
	args := []string{"list", "tables", "inet"}
	if filepath.Base(path) != "nft" {
		args = []string{"-w", "-t", "nat", "-S", "POSTROUTING"}
	}
	out, err := exec.CommandContext(ctx, path, args...).Output()
	if err != nil {
		return
	}
	for line := range strings.Lines(string(out)) {
		m := tagged.FindStringSubmatch(line)
		if m == nil || alive(m[1], m[2]) {
			continue
		}
		if filepath.Base(path) != "nft" {
			rule := strings.Fields(strings.ReplaceAll(strings.Replace(line, "-A", "-D", 1), `"`, ""))
			_ = firewall(ctx, path, "", append([]string{"-w", "-t", "nat"}, rule...)...) // see above
			continue
		}
		list := exec.CommandContext(ctx, path, "list", "table", "inet", m[0]) //nolint:gosec // the name is of this package's pattern
		if table, err := list.Output(); err == nil {
			if c := comment.FindSubmatch(table); c != nil {
				putBack(string(c[1]))
			}
		}
		_ = firewall(ctx, path, "", "delete", "table", "inet", m[0]) // see above
	}
}

func putBack(settings string) {
	for _, s := range strings.Fields(settings) {
		if m := kept.FindStringSubmatch(s); m != nil && !strings.Contains(m[1], "..") {
			_ = os.WriteFile(sysNet+m[1], []byte(m[2]), 0o644) // the interface may be gone
		}
	}
}

// alive reports whether the process that made a rule still runs.
func alive(pid, begun string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return false
	}
	now, err := begunAt(n)
	return err == nil && now == begun
}

// begunAt is when a process began, in the kernel's ticks: with it a number that
// was given again is told from the first.
func begunAt(pid int) (string, error) {
	const field = 22 - 3 // after the name, which may hold anything
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	_, rest, _ := bytes.Cut(b[max(bytes.LastIndexByte(b, ')'), 0):], []byte(" "))
	f := strings.Fields(string(rest))
	if len(f) <= field {
		return "", fmt.Errorf("/proc/%d/stat: %d fields after the name, want more than %d", pid, len(f), field)
	}
	return cmp.Or(f[field], "0"), nil
}
