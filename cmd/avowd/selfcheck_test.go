//go:build faults && linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate/observation"
)

// needs skips where the self-check cannot be.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s", program)
		}
	}
}

// exits runs a command, and returns its output if it ends with the code.
func exits(t *testing.T, code int, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	_ = cmd.Run() // its code is what counts
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%s: exit %d, want %d: %s%s", cmd, got, code, out.String(), said.String())
	}
	return out.String() + said.String()
}

// serveScript starts the service in the directory $1 and calls each of its
// listeners once it says where it listens; $2 and $3 are the programs.
const serveScript = `set -e
exec 4< <(exec "$2" serve --config "$1/avowd.yaml" 2>&1)
service=$!
while read -r -u 4 line; do case "$line" in *http*metrics) break ;; esac; done
"$3" list "$1/artifact" --server 127.0.0.1:8470 --insecure >/dev/null
for page in 8471/checkpoint 8472/metrics; do
	exec 5<>/dev/tcp/127.0.0.1/${page%%/*}
	printf 'GET /%s HTTP/1.0\r\nHost: localhost\r\n\r\n' "${page#*/}" >&5
	read -r -u 5 status
	case "$status" in *" 200 "*) ;; *) echo "$page: $status"; exit 1 ;; esac
	cat <&5 >/dev/null
	exec 5>&-
done
kill $service
`

// compareOwn compares observations with the statement that the quickstart in dir
// issued about this build.
func compareOwn(t *testing.T, code int, avow, dir string, observed ...string) string {
	t.Helper()
	args := []string{"compare", "--declared", filepath.Join(dir, "data-flows.sigstore.json"), "--trusted-root", filepath.Join(dir, "trusted_root.json"),
		"--key", filepath.Join(dir, "vendor.pub"), "--fail-on-gaps"}
	for _, setting := range []string{"grpc.listen", "rest.listen", "admin.listen"} {
		args = append(args, "--configured", setting+"=127.0.0.1")
	}
	for _, file := range observed {
		args = append(args, "--observed", file)
	}
	return exits(t, code, avow, args...)
}

// TestSelfCheck: what avowd does on the network is what its own statement says. The
// statement that is compared is the issued one, verified, about this very build.
func TestSelfCheck(t *testing.T) {
	needs(t, "bash")
	avow, avowd, work := avowBinary(t), avowdBinary(t), t.TempDir()
	dir := filepath.Join(work, "service")
	in := func(name string) string { return filepath.Join(work, name) }
	record := func(name string, command ...string) {
		exits(t, 0, avow, append([]string{"observe", "run", "--offline", "--subject", avowd, "-o", in(name), "--"}, command...)...)
	}
	record("quickstart.json", avowd, "quickstart", "--dir", dir, "--exit")
	record("serve.json", "bash", "-c", serveScript, "serve", dir, avowd, avow)
	if out := compareOwn(t, 0, avow, dir, in("quickstart.json"), in("serve.json")); !strings.Contains(out, "CLEAN") {
		t.Errorf("exit 0, and not clean: %s", out)
	}
	if got, want := peersOf(t, in("serve.json")), []string{"inbound 127.0.0.1 8470", "inbound 127.0.0.1 8471", "inbound 127.0.0.1 8472"}; !slices.Equal(got, want) {
		t.Errorf("the service had %v, want %v: a listener without a flow, or a flow that nobody tried", got, want)
	}
	// The check can fail: a build that called somebody else would be found.
	record("calling.json", "bash", "-c", `"$1" quickstart --dir "$2" --exit >/dev/null; (exec 3<>/dev/tcp/192.0.2.1/443) || true`, "calling", avowd, in("other"))
	if out := compareOwn(t, 1, avow, dir, in("calling.json")); !strings.Contains(out, "192.0.2.1") {
		t.Errorf("a call to 192.0.2.1 was not found: %s", out)
	}
	t.Run("drafted", func(t *testing.T) { checkDraft(t, dir, in("calling.json"), in("quickstart.json"), in("serve.json")) })
}

func peersOf(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	o, err := observation.Parse(data)
	must(t, err)
	var all []string
	for i := range o.Peers {
		p := &o.Peers[i]
		all = append(all, strings.Replace(p.Key(), "|tcp|", "|", 1))
	}
	for i := range all {
		all[i] = strings.TrimSpace(strings.ReplaceAll(all[i], "|", " "))
	}
	return all
}

// policyScript loads the policy $1 into an empty namespace with a way out, runs the
// quickstart $2 in directory $3 there, calls somebody who is not declared, and
// prints the policy with its counter.
const policyScript = `set -e
ip link set lo up
ip link add up0 type veth peer name up1
ip link set up0 up
ip link set up1 up
ip addr add 203.0.113.1/24 dev up0
ip route add default via 203.0.113.2
nft -f "$1"
"$2" quickstart --dir "$3" --exit >/dev/null
nft list table inet avow-egress
if (exec 3<>/dev/tcp/192.0.2.1/443) 2>/dev/null; then echo "an undeclared call went through"; exit 1; fi
nft list table inet avow-egress
`

// TestQuickstartInsideItsPolicy: the quickstart works inside the policy that is
// compiled from the statement that it issues about itself.
func TestQuickstartInsideItsPolicy(t *testing.T) {
	needs(t, "bash", "unshare", "ip", "nft")
	avow, avowd, work := avowBinary(t), avowdBinary(t), t.TempDir()
	in := func(name string) string { return filepath.Join(work, "service", name) }
	exits(t, 0, "unshare", "-n", "sh", "-c", `ip link set lo up; exec "$@"`, "sh", avowd, "quickstart", "--dir", filepath.Join(work, "service"), "--exit")
	policy := filepath.Join(work, "policy.nft")
	exits(t, 0, avow, "enforce", in("artifact"), "--bundle", in("data-flows.sigstore.json"), "--trusted-root", in("trusted_root.json"),
		"--key", in("vendor.pub"), "--target", "nftables", "--whole-namespace", "--allow-uncompiled", "-o", policy,
		"--configured", "grpc.listen=127.0.0.1:8470", "--configured", "rest.listen=127.0.0.1:8471", "--configured", "admin.listen=127.0.0.1:8472")
	out := exits(t, 0, "unshare", "-n", "bash", "-c", policyScript, "policy", policy, avowd, filepath.Join(work, "inside"))
	tables := strings.SplitN(out, "table inet avow-egress", 3)
	if len(tables) != 3 {
		t.Fatalf("the policy was printed %d times: %s", len(tables)-1, out)
	}
	if !strings.Contains(tables[1], "counter packets 0 bytes 0 reject") {
		t.Errorf("the quickstart itself was refused something: %s", tables[1])
	}
	if !strings.Contains(tables[2], "reject") || strings.Contains(tables[2], "counter packets 0 bytes 0 reject") {
		t.Errorf("the undeclared call was not refused by the policy: %s", tables[2])
	}
}
