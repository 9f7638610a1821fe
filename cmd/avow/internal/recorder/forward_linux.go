package recorder

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Where a host's own firewall lets nothing through but what it knows (Docker sets
// the policy of iptables so), forwarding is on and the program's packets are dropped
// all the same. No rule in a table of ours can accept what another chain drops, and
// a firewall that somebody keeps closed is not ours to open: it is said, with the
// commands that open it for recordings.

// dropper is a chain that drops whatever is forwarded and is not accepted before.
type dropper struct {
	// table is family and name, as nft has them; of iptables it is "ip filter".
	table, chain string
	// into is where rules for recordings belong: chain, or one that it keeps for
	// rules of the administrator.
	into string
	// program changes it: nft or a kind of iptables.
	program string
}

// dockerUser is the chain that Docker asks before its own rules, and leaves alone.
const dockerUser = "DOCKER-USER"

func (d dropper) String() string {
	return fmt.Sprintf("chain %s of table %s drops what it does not accept (policy drop)", d.chain, d.table)
}

// commands let what is recorded through, both ways.
func (d dropper) commands() []string {
	if d.program != "nft" {
		return []string{d.program + " -I " + d.into + " -i " + linkPrefix + "+ -j ACCEPT", d.program + " -I " + d.into + " -o " + linkPrefix + "+ -j ACCEPT"}
	}
	insert := "nft insert rule " + d.table + " " + d.into
	return []string{insert + " iifname '" + linkPrefix + "*' accept", insert + " oifname '" + linkPrefix + "*' accept"}
}

var (
	nftTable  = regexp.MustCompile(`^table (ip|ip6|inet) (\S+) \{`)
	nftChain  = regexp.MustCompile(`^\s+chain (\S+) \{`)
	nftPolicy = regexp.MustCompile(`^\s+type \S+ hook forward .*policy drop;`)
)

// nftDroppers reads what `nft list chains` prints.
func nftDroppers(chains string) []dropper {
	var found []dropper
	var table, chain string
	docker := map[string]bool{} // by table
	for line := range strings.Lines(chains) {
		if strings.HasPrefix(line, "table ") {
			table = "" // of a family that forwards nothing for us
		}
		if m := nftTable.FindStringSubmatch(line); m != nil {
			table = m[1] + " " + m[2]
		}
		if m := nftChain.FindStringSubmatch(line); m != nil {
			chain = m[1]
			docker[table] = docker[table] || chain == dockerUser
		}
		if table != "" && nftPolicy.MatchString(line) {
			found = append(found, dropper{table: table, chain: chain, into: chain, program: "nft"})
		}
	}
	for i := range found {
		if docker[found[i].table] {
			found[i].into = dockerUser
		}
	}
	return found
}

// nftOpen reports whether a table, as `nft list table` prints it, has rules for
// recordings, in whatever chain.
func nftOpen(table string) bool {
	in, out := false, false
	for line := range strings.Lines(table) {
		accepts := strings.Contains(line, " accept")
		in = in || accepts && strings.Contains(line, `iifname "`+linkPrefix+`*"`)
		out = out || accepts && strings.Contains(line, `oifname "`+linkPrefix+`*"`)
	}
	return in && out
}

// iptablesDroppers reads what `iptables -S` prints.
func iptablesDroppers(rules, program string) []dropper {
	d := dropper{table: "ip filter", chain: "FORWARD", into: "FORWARD", program: program}
	drops, in, out := false, false, false
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		drops = drops || line == "-P FORWARD DROP"
		if line == "-N "+dockerUser {
			d.into = dockerUser
		}
		accepts := strings.HasSuffix(line, "-j ACCEPT")
		in = in || accepts && strings.Contains(line, "-i "+linkPrefix+"+ ")
		out = out || accepts && strings.Contains(line, "-o "+linkPrefix+"+ ")
	}
	if !drops || in && out {
		return nil
	}
	return []dropper{d}
}

// droppers are the chains of this host that are in the way of n. Of a firewall that
// cannot be read nothing is known, and nothing said.
func (n *nat) droppers(ctx context.Context) []dropper {
	var found []dropper
	if n.usesNft() {
		found = slices.DeleteFunc(nftDroppers(printed(ctx, n.firewall, "list", "chains")), func(d dropper) bool {
			return strings.HasPrefix(d.table, "ip6 ") && !n.v6.ours.IsValid() ||
				nftOpen(printed(ctx, n.firewall, append([]string{"list", "table"}, strings.Fields(d.table)...)...))
		})
	}
	for _, path := range n.iptablesPrograms() {
		found = append(found, iptablesDroppers(printed(ctx, path, "-w", "-S"), filepath.Base(path))...)
	}
	return found
}

// iptablesPrograms are those to be asked. Rules of the older kernel interface are
// not seen by nft, and asking for them where there are none would load it.
func (n *nat) iptablesPrograms() []string {
	if !n.usesNft() {
		return []string{n.firewall}
	}
	names, err := os.ReadFile("/proc/net/ip_tables_names")
	if err != nil || !slices.Contains(strings.Fields(string(names)), "filter") {
		return nil
	}
	for _, name := range []string{"iptables-legacy", "iptables"} {
		if path := systemProgram(name); path != "" {
			return []string{path}
		}
	}
	return nil
}

// printed is what a program prints, nothing if it fails.
func printed(ctx context.Context, path string, args ...string) string {
	out, err := exec.CommandContext(ctx, path, args...).Output() //nolint:gosec // nft or iptables, with arguments of this file
	if err != nil {
		return ""
	}
	return string(out)
}

// warnOfDroppers says what will be dropped, to whoever runs this and to whoever
// reads what comes out.
func (r *run) warnOfDroppers(ctx context.Context, n *nat) {
	for _, d := range n.droppers(ctx) {
		r.o.Logger.WarnContext(ctx, "the host's firewall may drop what the program sends: it is recorded, and gets no answer then",
			slog.String("firewall", d.String()), slog.String("hint", "let recordings through: "+strings.Join(d.commands(), "; ")))
		r.gap(GapForwardPolicy, 0, d.String()+": unless another of its rules accepts it, nothing from outside answered the program")
	}
}
