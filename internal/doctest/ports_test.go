package doctest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
)

// ports are the default ports of avowd, as the documents show them, and those that are used in their place.
type ports struct {
	hidden map[string]string // documented -> used
	shown  map[string]string // used -> documented
}

// Where avowd listens by default, in the order of the flags of "avowd init".
var listeners = []struct{ flag, port string }{{"grpc", "8470"}, {"rest", "8471"}, {"admin", "8472"}}

// Free ports are looked for below those that systems give to programs that ask for any port: nobody gets one by chance between
// the look and the use.
const lowestPort, portRange = 20000, 10000

// freePorts chooses a free port for every listener of avowd.
func freePorts() (ports, error) {
	p := ports{map[string]string{}, map[string]string{}}
	for tries := 0; len(p.hidden) < len(listeners); tries++ {
		if tries == 1000 {
			return ports{}, fmt.Errorf("no free ports among %d from %d on", portRange, lowestPort)
		}
		used := fmt.Sprint(lowestPort + rand.IntN(portRange))
		if p.shown[used] != "" {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+used)
		if err != nil {
			continue
		}
		l.Close()
		documented := listeners[len(p.hidden)].port
		p.hidden[documented], p.shown[used] = used, documented
	}
	return p, nil
}

var (
	address  = regexp.MustCompile(`\b(127\.0\.0\.1|localhost):(\d+)\b`)
	initAsIs = regexp.MustCompile(`\bavowd init\b`)
)

// hide puts the used ports into a command, and has "avowd init" configure them.
func (p ports) hide(text string) string {
	if !strings.Contains(text, "--grpc") {
		flags := ""
		for _, l := range listeners {
			flags += fmt.Sprintf(" --%s 127.0.0.1:%s", l.flag, l.port)
		}
		text = initAsIs.ReplaceAllString(text, "$0"+flags)
	}
	return replacePorts(text, p.hidden)
}

// show puts the documented ports into an output.
func (p ports) show(text string) string { return replacePorts(text, p.shown) }

func replacePorts(text string, by map[string]string) string {
	return address.ReplaceAllStringFunc(text, func(found string) string {
		host, port, _ := strings.Cut(found, ":")
		if other, ok := by[port]; ok {
			return host + ":" + other
		}
		return found
	})
}
