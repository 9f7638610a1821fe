package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/avow-dev/avow/server"
)

// LimitsConfig bounds what callers can make the service do; the members are those of server.Limits. Zero means the default.
type LimitsConfig struct {
	BytesInFlight     int64         `yaml:"bytesInFlight"`
	CallsInFlight     int64         `yaml:"callsInFlight"`
	RatePerSecond     float64       `yaml:"ratePerSecond"`
	Burst             int           `yaml:"burst"`
	OpinionsPerHour   float64       `yaml:"opinionsPerHour"`
	Callers           int           `yaml:"callers"`
	ConcurrentStreams uint32        `yaml:"concurrentStreams"`
	DefaultDeadline   time.Duration `yaml:"defaultDeadline"`
	MaxDeadline       time.Duration `yaml:"maxDeadline"`
	IdleTimeout       time.Duration `yaml:"idleTimeout"`
	MaxConnectionAge  time.Duration `yaml:"maxConnectionAge"`
}

// defaultLimits are the server's own.
func defaultLimits() LimitsConfig {
	return LimitsConfig(server.Limits{}.WithDefaults())
}

func (l LimitsConfig) validate() error {
	return server.Limits(l).Validate()
}

// renderLimits writes the members of limits with what they mean, for the configuration that `avowd init` leaves.
func renderLimits(l LimitsConfig) string {
	var b strings.Builder
	for _, x := range []struct {
		comment, name string
		value         any
	}{
		{"Sum of the sizes of all requests in hand; parsing takes up to 20 times as much memory.", "bytesInFlight", l.BytesInFlight},
		{"Requests in hand. More are refused as OVERLOADED, with the time after which a retry helps.", "callsInFlight", l.CallsInFlight},
		{"What one caller (a vendor with credentials, else an address) may use: a read costs 1, an issued statement 2, a\n" +
			"  # verification 4, a batch 8.", "ratePerSecond", l.RatePerSecond},
		{"How much of that at once.", "burst", l.Burst},
		{"Disputes and assessments of others' statements that one vendor may issue per hour, and at once.", "opinionsPerHour", l.OpinionsPerHour},
		{"How many callers are remembered.", "callers", l.Callers},
		{"Calls in hand on one gRPC connection.", "concurrentStreams", l.ConcurrentStreams},
		{"For calls without a deadline, and the longest that a call may ask for.", "defaultDeadline", l.DefaultDeadline},
		{"", "maxDeadline", l.MaxDeadline},
		{"Connections without calls are closed after the first time, all of them after the second.", "idleTimeout", l.IdleTimeout},
		{"", "maxConnectionAge", l.MaxConnectionAge},
	} {
		if x.comment != "" {
			fmt.Fprintf(&b, "  # %s\n", x.comment)
		}
		fmt.Fprintf(&b, "  %s: %v\n", x.name, x.value)
	}
	return b.String()
}

// applyLimits hands the limits and the proxies to the server's configuration.
func (c *Config) applyLimits(sc *server.Config) error {
	proxies, err := c.REST.proxies()
	if err != nil {
		return err
	}
	sc.Limits, sc.TrustedProxies = server.Limits(c.Limits), proxies
	return nil
}

func (r RESTConfig) proxies() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for i, text := range r.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("rest.trustedProxies[%d]: got %q, want a CIDR such as 10.1.2.3/32", i, text)
		}
		all = append(all, prefix)
	}
	return all, nil
}
