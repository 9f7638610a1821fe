package egress

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// maxComplaint bounds what is kept of nft's complaint.
const maxComplaint = 2000

// NFT returns a function that runs commands by a program, usually nft, with -f -, as one transaction. The commands go over
// standard input: nothing of them is seen by a shell or in a list of processes.
func NFT(program ...string) func(ctx context.Context, commands []byte) error {
	return func(ctx context.Context, commands []byte) error {
		arguments := append(program[1:len(program):len(program)], "-f", "-")
		cmd := exec.CommandContext(ctx, program[0], arguments...) // #nosec G204 -- the caller's own program
		var complaint bytes.Buffer
		cmd.Stdin, cmd.Stderr = bytes.NewReader(commands), &complaint
		if err := cmd.Run(); err != nil {
			text := strings.TrimSpace(complaint.String())
			return fmt.Errorf("%s: %w: %s", program[0], err, text[:min(len(text), maxComplaint)])
		}
		return nil
	}
}
