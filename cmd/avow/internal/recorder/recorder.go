package recorder

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"time"
)

// Way is how the program reaches the outside.
type Way string

// The ways.
const (
	// WayNAT: a pair of virtual interfaces and address translation, as root.
	WayNAT Way = "nat"
	// WayPasta and WaySlirp: a program in user space carries packets.
	WayPasta Way = "pasta"
	WaySlirp Way = "slirp4netns"
	// WayOffline: none. Everything that is tried is refused, and recorded.
	WayOffline Way = "offline"
)

// Resolver is where the program of a run asks for names: a loopback address of
// its own namespace, which no host uses for a peer.
var Resolver = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 53}), 53)

// Options say what to run. Command, Helper, Packets, Now and Logger are required.
type Options struct {
	// Command is the program with its arguments. It is looked up on the PATH of
	// this process, and gets the standard streams below.
	Command        []string
	Dir            string
	Environ        []string
	Stdin          *os.File
	Stdout, Stderr *os.File
	// Helper are the arguments, beginning with the program's name, with which this
	// executable, started again, calls [Inside].
	Helper []string
	// Packets is called once, before the program starts, with the addresses that are
	// the program's. What it returns takes the capture: a pcap file, in pieces, with
	// the link type raw IP. An error of it ends the run.
	Packets func(local []netip.Addr) (io.Writer, error)
	// Offline asks for [WayOffline].
	Offline bool
	// Names are answers of the resolver, offline only: by the name in lower case
	// without the last dot. Any other name does not exist.
	Names map[string][]netip.Addr
	// AnyName: each name that is not in Names gets an address of its own from the
	// blocks for benchmarks (RFC 2544, RFC 5180), so that it is seen what a program
	// would do there.
	AnyName bool
	// Programs asks which program has which socket, for [Result.Sockets].
	Programs bool
	// For ends the program after this time; 0 lets it end by itself.
	For time.Duration
	Now func() time.Time
	// Logger tells of what is worth knowing about the surroundings.
	Logger *slog.Logger
}

// Result is what is known after a run beside the packets.
type Result struct {
	Way Way
	// Start is just before the program started, End just after it ended.
	Start, End time.Time
	// Program is the file that was run: the absolute path.
	Program string
	// ExitCode is the program's, 128 and the signal if one ended it. Stopped says
	// that its time was over and the recorder ended it.
	ExitCode int
	Stopped  bool
	// Packets were recorded, Dropped were lost by the kernel for want of space.
	Packets, Dropped int64
	// Queries are the names that the program's resolver was asked for, with what it
	// answered.
	Queries Queries
	// Sockets are those of which it is known whose they were. One that was open for
	// a few milliseconds only may be missing.
	Sockets []Socket
	// Gaps are things that this run could not show, in sentences.
	Gaps []Gap
}

// Socket is what one program has, as far as it could be seen while it was open:
// sockets that are connected to the same peer, or those that listen at one port.
type Socket struct {
	Transport string // tcp or udp
	// Remote is the peer; Listening is the port that is listened at, if there is none.
	Remote    netip.AddrPort `json:",omitzero"`
	Listening uint16         `json:",omitempty"`
	// Program is the name of the file that runs, without its directory: of a script
	// the interpreter's.
	Program string
	// Count is how many sockets were seen.
	Count int
}

// Gap is something that the run could not show.
type Gap struct {
	Code, Detail string
	Count        int64
}

// The codes of gaps, see docs/observing-run.md.
const (
	// GapNotResolved: a name that the program asked for and that has no address. It
	// had no connection that could be seen.
	GapNotResolved = "notResolved"
	// GapNoResolver: the host has no resolvers.
	GapNoResolver = "noResolver"
	// GapNoIPv6: no way out by IPv6.
	GapNoIPv6 = "noIPv6"
	// GapForwardPolicy: the host's firewall drops what it forwards for the program.
	GapForwardPolicy = "forwardPolicy"
	// GapNamespace: something of the host that could not be covered.
	GapNamespace = "namespace"
	// GapDropped: packets that the kernel had no space for.
	GapDropped = "dropped"
	// GapNamesLimit: queries for more names than are kept.
	GapNamesLimit = "namesLimit"
)

// GapCodes returns all codes.
func GapCodes() []string {
	return []string{GapNotResolved, GapNoResolver, GapNoIPv6, GapForwardPolicy, GapNamespace, GapDropped, GapNamesLimit}
}

// Errors that a caller can tell apart. All of them are wrapped with what to do.
var (
	// ErrSystem: this operating system has no network namespaces.
	ErrSystem = errors.New("programs can be recorded on Linux only")
	// ErrNamespace: the kernel refuses the namespace.
	ErrNamespace = errors.New("a network namespace cannot be made here")
	// ErrWayOut: there is a namespace, but no way out of it.
	ErrWayOut = errors.New("there is no way from the namespace to the network")
	// ErrCommand: the program could not be started.
	ErrCommand = errors.New("the program cannot be started")
)

// HintError carries what to do about an error.
type HintError struct {
	Err  error
	Hint string
}

func (e *HintError) Error() string { return e.Err.Error() }
func (e *HintError) Unwrap() error { return e.Err }

// Validate says what is missing or contradicts itself.
func (o *Options) Validate() error {
	switch {
	case len(o.Command) == 0 || o.Command[0] == "":
		return errors.New("recorder: no program to run")
	case len(o.Helper) == 0 || o.Packets == nil || o.Now == nil || o.Logger == nil:
		return errors.New("recorder: Helper, Packets, Now and Logger are required")
	case o.For < 0:
		return fmt.Errorf("recorder: a run of %s", o.For)
	case !o.Offline && (len(o.Names) > 0 || o.AnyName):
		return errors.New("recorder: answers of one's own are for runs without a way out: a name with another address online would be a false observation")
	case len(o.Names) > maxNames:
		return fmt.Errorf("recorder: %d names, the limit is %d", len(o.Names), maxNames)
	}
	for name, addrs := range o.Names {
		for _, a := range addrs {
			if !a.IsValid() || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
				return fmt.Errorf("recorder: %s for %s: want the address of another machine", a, name)
			}
		}
	}
	return nil
}
