package command

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what version prints.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// buildVersion reads what the linker wrote into the binary.
func buildVersion() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// line is what --version says.
func (b build) line() string { return b.Version + " " + b.Go + " " + b.Platform }

func (a *app) version() *cobra.Command {
	var f format
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Example: `  avow version --format json`,
		Args:    arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			b := buildVersion()
			if f.json() {
				return a.printJSON(b)
			}
			w := a.writer()
			w.Line("avow %s", b.line())
			if b.Revision != "" {
				w.Line("revision %s of %s, modified: %t", b.Revision, b.Time, b.Modified)
			}
			return w.Err()
		},
	}
	f.register(c)
	return c
}
