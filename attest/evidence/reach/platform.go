package reach

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"

	"golang.org/x/tools/go/packages"

	"github.com/avow-dev/avow/attest/evidence/capability"
)

// platform asks the go command for which platform, and with which version, it builds.
func (o *Options) platform(ctx context.Context, r *capability.Report) error {
	command := exec.CommandContext(ctx, "go", "env", "-json", "GOOS", "GOARCH", "GOVERSION")
	command.Dir, command.Env = o.Dir, o.config(ctx, packages.NeedName).Env
	var problem bytes.Buffer
	command.Stderr = &problem
	out, err := command.Output()
	if err != nil {
		return &Error{fmt.Sprintf("go env: %v: %.200s", err, problem.String()), "is the Go toolchain on the path?"}
	}
	var env struct{ GOOS, GOARCH, GOVERSION string }
	if err := json.Unmarshal(out, &env); err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	r.GOOS, r.GOARCH, r.Go = env.GOOS, env.GOARCH, env.GOVERSION
	return nil
}
