package observe

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/observe/internal/capture"
	"github.com/avow-dev/avow/attest/observe/internal/logs"
	"github.com/avow-dev/avow/attest/observe/internal/wire"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// DefaultMaxFlows is how many connections are followed at a time.
const DefaultMaxFlows = 200_000

// Options say what was observed, and how to read it.
type Options struct {
	// Subjects are the observed files.
	Subjects []predicate.Subject
	// Vantage is where the observer stood; empty is that of the formats, if they
	// agree.
	Vantage  observation.Vantage
	Host     string // a URI; may be empty
	Event    string
	Settings map[string]string
	// Local are the addresses of the program's side. Without any, the side with
	// the private address is taken, and of two alike the one that opened.
	Local []netip.Prefix
	// Resolvers are the name servers whose answers are believed; empty is any that
	// the program asked.
	Resolvers []netip.Addr
	// Alone says that the captures have everything from the program's beginning, and
	// that nothing but it runs at Local. Then a name in a hello or a Host that was
	// never resolved is the program's word and is not believed, and a connection
	// between two addresses of Local that was answered is one that it serves.
	Alone bool
	// Start is when watching began, where that is known: it may be long before the
	// first packet, and there may be none. Zero is the first time in the inputs.
	// Who knows when it ended sets [observation.Observation.End] in the result.
	Start time.Time
	// MaxFlows and MaxPeers bound memory: connections at a time and peers in all.
	// 0 is [DefaultMaxFlows] and [observation.MaxPeers].
	MaxFlows, MaxPeers int
	// Undigested leaves the digests of the inputs out, which cost more than reading
	// them: for a summary that nobody keeps.
	Undigested bool
}

func (o *Options) local(a netip.Addr) bool {
	return slices.ContainsFunc(o.Local, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (o *Options) resolver(a netip.Addr) bool {
	return len(o.Resolvers) == 0 || slices.Contains(o.Resolvers, a)
}

// Input is a file to read.
type Input struct {
	Name string
	// Format is one of [Formats]; empty is found from the content.
	Format string
	// Open opens the file. It may be called twice if there are several files.
	Open func() (io.ReadCloser, error)
	// Modified stands for the times of a format that has none.
	Modified time.Time
}

// Errors that Observe returns, wrapped with the name of the input.
var (
	// ErrFormat: the content is not of the format, or of none that is known.
	ErrFormat = errors.New("format")
	// ErrNothing: nothing in the input could be read, so that a summary of it
	// would look like one of silence.
	ErrNothing = errors.New("nothing could be read")
	// ErrVantage: the inputs were taken at different places.
	ErrVantage = errors.New("vantage")
)

// Formats returns the names of all formats. Captures come after what names
// their connections.
func Formats() []string {
	all := []string{string(logs.ZeekDNS), string(logs.ZeekSSL), capture.PCAP.String(), capture.PCAPNG.String()}
	for _, f := range []logs.Format{logs.Hubble, logs.Strace, logs.ZeekConn, logs.Conntrack, logs.SS, logs.Envoy, logs.Squid} {
		all = append(all, string(f))
	}
	return all
}

// vantageOf is where the programs that write a format usually stand.
func vantageOf(format string) observation.Vantage {
	switch format {
	case string(logs.Strace):
		return observation.VantageProcess
	case string(logs.Envoy), string(logs.Squid):
		return observation.VantageProxy
	case string(logs.ZeekConn), string(logs.ZeekDNS), string(logs.ZeekSSL), string(logs.Hubble):
		return observation.VantageNetwork
	}
	return observation.VantageHost
}

func isCapture(format string) bool {
	return format == capture.PCAP.String() || format == capture.PCAPNG.String()
}

// Observe reads the inputs and returns their summary. Inputs that name things
// are read before those whose connections they name; beyond that the order is
// that of inputs.
//
// The error wraps [ErrFormat], [ErrNothing] or [ErrVantage], or is one of Open, of
// reading, or of ctx. An input that is damaged after a part could be read is
// not an error: the observation has the part and a gap.
func Observe(ctx context.Context, inputs []Input, o Options) (*observation.Observation, error) {
	if len(inputs) == 0 || len(inputs) > observation.MaxSources {
		return nil, fmt.Errorf("%w: %d inputs, want 1 to %d", ErrNothing, len(inputs), observation.MaxSources)
	}
	ordered, err := detectAll(inputs)
	if err != nil {
		return nil, err
	}
	r := newRun(&o)
	if o.Vantage == "" {
		if o.Vantage, err = commonVantage(ordered); err != nil {
			return nil, err
		}
	}
	captures := 0
	for _, in := range ordered {
		if isCapture(in.Format) {
			captures++
		}
	}
	if captures > 1 { // names first: the answers may be in another file than the connections
		scout := newRun(&o)
		for _, in := range ordered {
			if isCapture(in.Format) {
				if err := scout.read(ctx, in, &counter{}); err != nil {
					return nil, fmt.Errorf("%s: %w", in.Name, err)
				}
			}
		}
		scout.tracker.end()
		r.summary.names = scout.summary.names
	}
	for _, in := range ordered {
		if err := r.source(ctx, in); err != nil {
			return nil, fmt.Errorf("%s: %w", in.Name, err)
		}
	}
	return r.finish(inputs)
}

// Live reads packets in pcap or pcapng while they come in, and returns the
// summary when r ends or ctx does. Whoever ends ctx also has to let a Read of r
// return. That ctx has ended is not an error here: it is how a recording ends,
// and a packet that it cut is none that was lost. name is that of the source.
func Live(ctx context.Context, r io.Reader, name string, o Options) (*observation.Observation, error) {
	if o.Vantage == "" {
		o.Vantage = observation.VantageHost
	}
	run := newRun(&o)
	c, err := capture.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, name, err)
	}
	if err := run.packets(ctx, c, true); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	run.sources = append(run.sources, observation.Source{Kind: c.Format().String(), Name: name})
	return run.finish(nil)
}

// run is the reading of all inputs.
type run struct {
	o       *Options
	summary *summary
	tracker *tracker
	shared  *logs.Shared
	sources []observation.Source
}

func newRun(o *Options) *run {
	if o.MaxFlows <= 0 {
		o.MaxFlows = DefaultMaxFlows
	}
	if o.MaxPeers <= 0 || o.MaxPeers > observation.MaxPeers {
		o.MaxPeers = observation.MaxPeers
	}
	s := newSummary(o)
	return &run{o: o, summary: s, tracker: newTracker(s), shared: &logs.Shared{TLS: map[string]*logs.ZeekTLS{}}}
}

// detectAll finds the formats and the order of reading.
func detectAll(inputs []Input) ([]Input, error) {
	ordered := slices.Clone(inputs)
	for n := range ordered {
		in := &ordered[n]
		if in.Format == "" {
			format, err := detect(in)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", in.Name, err)
			}
			in.Format = format
		}
		if !slices.Contains(Formats(), in.Format) {
			return nil, fmt.Errorf("%s: %w: there is no %q, want one of %s", in.Name, ErrFormat, in.Format, strings.Join(Formats(), ", "))
		}
	}
	slices.SortStableFunc(ordered, func(a, b Input) int {
		return rank(a.Format) - rank(b.Format)
	})
	return ordered, nil
}

// rank keeps the captures, which are of two formats, in their order.
func rank(format string) int {
	if isCapture(format) {
		format = capture.PCAP.String()
	}
	return slices.Index(Formats(), format)
}

func detect(in *Input) (string, error) {
	f, err := in.Open()
	if err != nil {
		return "", err
	}
	defer f.Close()
	head, err := bufio.NewReaderSize(f, logs.HeadBytes).Peek(logs.HeadBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if c := capture.Detect(head); c != capture.None {
		return c.String(), nil
	}
	if l, ok := logs.Detect(head); ok {
		return string(l), nil
	}
	const gzip = "\x1f\x8b"
	if strings.HasPrefix(string(head), gzip) {
		return "", fmt.Errorf("%w: it is compressed; decompress it first", ErrFormat)
	}
	return "", fmt.Errorf("%w: the content is none of %s", ErrFormat, strings.Join(Formats(), ", "))
}

func commonVantage(inputs []Input) (observation.Vantage, error) {
	v := vantageOf(inputs[0].Format)
	for _, in := range inputs[1:] {
		if other := vantageOf(in.Format); other != v {
			return "", fmt.Errorf("%w: %s is usually taken at the %s and %s at the %s; say which it was", ErrVantage, inputs[0].Format, v,
				in.Format, other)
		}
	}
	return v, nil
}

// source reads an input and notes what it was.
func (r *run) source(ctx context.Context, in Input) error {
	c := &counter{}
	if !r.o.Undigested {
		c.d = newDigester()
	}
	err := r.read(ctx, in, c)
	source := observation.Source{Kind: in.Format, Name: clipName(in.Name), Bytes: c.n}
	if c.d != nil {
		sum := c.d.end()
		source.SHA256 = hex.EncodeToString(sum[:])
	}
	r.sources = append(r.sources, source)
	return err
}

func clipName(s string) string {
	if len(s) > observation.MaxText {
		s = s[len(s)-observation.MaxText:]
	}
	return strings.ToValidUTF8(s, "?")
}

// read reads an input through a counter, and to the end even where the content
// stopped making sense: size and digest are of the whole file.
func (r *run) read(ctx context.Context, in Input, c *counter) error {
	f, err := in.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	c.r = f
	if !isCapture(in.Format) {
		err = logs.Read(ctx, c, logs.Format(in.Format), r.shared, r.summary.sink())
		if errors.Is(err, logs.ErrFormat) {
			err = fmt.Errorf("%w: %w", ErrFormat, err)
		}
		return err
	}
	packets, err := capture.NewReader(c)
	var bad *capture.Error
	if errors.As(err, &bad) {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err == nil {
		err = r.packets(ctx, packets, false)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, c)
	}
	return err
}

// checkEvery is how many packets are read between two looks at the context.
const checkEvery = 4096

// packets reads a capture to its end, or to where it stops making sense.
func (r *run) packets(ctx context.Context, c *capture.Reader, live bool) error {
	var p capture.Packet
	var decoded wire.Packet
	var all, good int64
	var unknown [3]int64 // by outcome: Unknown and Cut, and link types
	link := uint16(0)
	for ; ; all++ {
		if live && ctx.Err() != nil && c.Buffered() == 0 {
			break // all that came in before the end is read
		}
		if !live && all%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		err := c.Next(&p)
		if errors.Is(err, io.EOF) || err != nil && live && ctx.Err() != nil {
			break
		}
		var bad *capture.Error
		if errors.As(err, &bad) && all > 0 {
			r.summary.gaps.add(GapTruncated, 1, bad.Error())
			break
		}
		if bad != nil {
			return fmt.Errorf("%w: %w", ErrNothing, bad)
		}
		if err != nil {
			return err
		}
		link = p.Link
		switch outcome := wire.Decode(p.Link, p.Data, p.Length, &decoded); {
		case !wire.Known(p.Link):
			unknown[2]++
		case outcome == wire.Decoded:
			good++
			r.tracker.packet(&decoded, p.Nanos)
		case outcome == wire.NotIP:
			good++
			r.summary.saw(p.Nanos)
		case outcome == wire.Cut:
			unknown[1]++
		default:
			unknown[0]++
		}
	}
	return r.undecoded(c, all, good, unknown, link)
}

// undecoded says what was not understood. If that is everything, there is no
// summary.
func (r *run) undecoded(c *capture.Reader, all, good int64, unknown [3]int64, link uint16) error {
	g := r.summary.gaps
	if n := unknown[0]; n > 0 {
		g.add(GapUndecoded, n, "packets")
	}
	if n := unknown[1]; n > 0 {
		g.add(GapTruncated, n, "packets without all of their headers")
	}
	if n := unknown[2]; n > 0 {
		g.add(GapUndecoded, n, fmt.Sprintf("packets of link type %d", link))
	}
	if n := c.Dropped(); n > 0 {
		g.add(GapDropped, int64(n), "")
	}
	if n := c.BadTimes(); n > 0 {
		g.add(GapBadTime, n, "")
	}
	if all > 0 && good == 0 {
		return fmt.Errorf("%w: none of %d packets, the link type is %d", ErrNothing, all, link)
	}
	return nil
}

// finish makes the observation.
func (r *run) finish(inputs []Input) (*observation.Observation, error) {
	r.tracker.end()
	r.shared.Unused(r.summary.sink())
	s := r.summary
	s.saw(s.nanosOf(r.o.Start))
	for _, in := range inputs {
		if s.first == 0 && !in.Modified.IsZero() {
			s.saw(in.Modified.UnixNano())
		}
	}
	if s.conns == 0 && onlyNames(r.sources) {
		return nil, fmt.Errorf("%w: a log of names has no connections; give the log that has them too", ErrNothing)
	}
	if s.first == 0 {
		return nil, fmt.Errorf("%w: no time, neither in the content nor of the file", ErrNothing)
	}
	out := &observation.Observation{Subjects: r.o.Subjects, Vantage: r.o.Vantage, Host: r.o.Host, Event: r.o.Event, Settings: r.o.Settings,
		Sources: r.sources, Start: timeOf(s.first), End: timeOf(s.last)}
	s.finish(out)
	return out, nil
}

func onlyNames(sources []observation.Source) bool {
	return !slices.ContainsFunc(sources, func(s observation.Source) bool { return s.Kind != string(logs.ZeekDNS) })
}
