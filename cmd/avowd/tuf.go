package main

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/authority"
	"github.com/avow-dev/avow/server/tufrepo"
)

func newTUFCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tuf",
		Short: "Publish the trusted root as a TUF repository",
		Long: `Publish the trusted root as a TUF repository: static files by which buyers follow rotations and notice old, foreign and changed
roots. The keys of root and targets are held by several people, offline; one online key keeps the repository fresh.

The order: keygen by each holder, init, stage, sign by each holder, publish. docs/rotation.md shows it step by step.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("which command?"), "avowd tuf --help lists the commands"}
		},
	}
	cmd.AddCommand(newTUFKeygenCommand(), newTUFInitCommand(), newTUFStageCommand(), newTUFStageRootCommand(), newTUFSignCommand(),
		newTUFImportCommand(), newTUFPublishCommand(), newTUFRenewCommand(), newTUFStatusCommand())
	return cmd
}

func addTUFDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", "tuf", "directory of the repository")
}

func newTUFKeygenCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "keygen [-o NAME]",
		Short: "Make a holder's key: NAME.key, encrypted, and NAME.pub",
		Long: `Make a holder's ECDSA P-256 key: NAME.key, encrypted with a password in cosign's format as avow keygen writes it, and
NAME.pub. The password comes from AVOW_PASSWORD or is asked for. Keep the key off the machine that serves.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			password, err := keyPassword(name+".key", cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer clear(password)
			key, err := attest.GenerateKey()
			if err != nil {
				return err
			}
			sealed, err := attest.MarshalEncryptedKey(key, password)
			if err != nil {
				return err
			}
			public, err := attest.MarshalPublicKey(key.PublicKey())
			if err != nil {
				return err
			}
			if err := errors.Join(writeNew(name+".key", sealed, 0o600), writeNew(name+".pub", public, 0o644)); err != nil {
				return err
			}
			id, err := attest.KeyID(key.PublicKey())
			fmt.Fprintf(cmd.OutOrStdout(), "wrote %s.key (keep it offline) and %[1]s.pub\nkey id %s\n", name, id)
			return err
		},
	}
	cmd.Flags().StringVarP(&name, "output", "o", "holder", "name of the files NAME.key and NAME.pub")
	return cmd
}

// tufRootFlags describe a root, the first one or a change.
type tufRootFlags struct {
	addRoot, removeRoot, addTargets, removeTargets []string
	online                                         string
	change                                         tufrepo.RootChange
}

func (f *tufRootFlags) register(cmd *cobra.Command) {
	o := cmd.Flags()
	o.StringArrayVar(&f.addRoot, "root-key", nil, "public key file of a holder of the root; may be repeated")
	o.StringArrayVar(&f.addTargets, "targets-key", nil, "public key file of a holder of the targets; may be repeated")
	o.IntVar(&f.change.RootThreshold, "root-threshold", 0, "how many holders must sign a root")
	o.IntVar(&f.change.TargetsThreshold, "targets-threshold", 0, "how many holders must sign the targets")
	o.StringVar(&f.online, "online-key", "", "private key file that signs snapshot and timestamp; made if it is not there")
	o.IntVar(&f.change.Periods.Root, "root-days", 0, "days for which a root is valid")
	o.IntVar(&f.change.Periods.Targets, "targets-days", 0, "days for which the targets are valid")
	o.IntVar(&f.change.Periods.Snapshot, "snapshot-days", 0, "days for which a snapshot is valid")
	o.IntVar(&f.change.Periods.Timestamp, "timestamp-days", 0, "days for which a timestamp is valid: how long an old state can be passed off as the newest")
}

// rootChange reads the keys.
func (f *tufRootFlags) rootChange() (tufrepo.RootChange, error) {
	c := f.change
	for _, x := range []struct {
		to    *[]*ecdsa.PublicKey
		files []string
	}{{&c.AddRoot, f.addRoot}, {&c.RemoveRoot, f.removeRoot}, {&c.AddTargets, f.addTargets}, {&c.RemoveTargets, f.removeTargets}} {
		for _, file := range x.files {
			data, err := readLimited(file, maxKeyFileBytes)
			if err != nil {
				return c, err
			}
			key, err := attest.ParsePublicKey(data)
			if err != nil {
				return c, fmt.Errorf("%s: %w", file, err)
			}
			*x.to = append(*x.to, key)
		}
	}
	if f.online == "" {
		return c, nil
	}
	key, err := makeOnlineKey(f.online)
	if err != nil {
		return c, err
	}
	c.Online = key.Public
	return c, nil
}

// makeOnlineKey opens the online key, or makes it where it is not there.
func makeOnlineKey(path string) (tufrepo.Key, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		text, err := newVerdictKey() // ECDSA P-256, PKCS #8
		if err != nil {
			return tufrepo.Key{}, err
		}
		if err := writeNew(path, text, 0o600); err != nil {
			return tufrepo.Key{}, err
		}
	}
	return openOnlineKey(path)
}

// openOnlineKey opens a P-256 key, PKCS #8 in PEM form, mode 0600.
func openOnlineKey(path string) (tufrepo.Key, error) {
	key, err := readKey(path, authority.ParseKey)
	if err != nil {
		return tufrepo.Key{}, err
	}
	signer := fileKey{key}
	return tufrepo.Key{Public: signer.PublicKey(), Sign: signer.SignDigest}, nil
}

func newTUFInitCommand() *cobra.Command {
	var dir string
	f := &tufRootFlags{}
	cmd := &cobra.Command{
		Use:   "init --root-key PUB... --root-threshold M --online-key KEY",
		Short: "Stage the first root",
		Long: `Stage the first root of a new repository, for its holders to sign. Without --targets-key the holders of the root hold the
targets too, with the same threshold.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(f.addTargets) == 0 {
				f.addTargets = f.addRoot
				if f.change.TargetsThreshold == 0 {
					f.change.TargetsThreshold = f.change.RootThreshold
				}
			}
			if len(f.addRoot) == 0 || f.online == "" {
				return usageError{errors.New("--root-key and --online-key are needed"), cmd.CommandPath() + " --help"}
			}
			c, err := f.rootChange()
			if err != nil {
				return err
			}
			r := tufrepo.Open(dir, time.Now)
			if err := r.Init(c); err != nil {
				return err
			}
			return tufStaged(cmd.OutOrStdout(), r)
		},
	}
	addTUFDirFlag(cmd, &dir)
	f.register(cmd)
	return cmd
}

func newTUFStageRootCommand() *cobra.Command {
	var dir string
	f := &tufRootFlags{}
	cmd := &cobra.Command{
		Use:   "stage-root [--root-key PUB] [--remove-root-key PUB] ...",
		Short: "Stage the next root: other keys or thresholds, or the same for another period",
		Long: `Stage the next root, for the holders of the root before it and of the new one to sign. What is not given stays. Without flags the
root is only made valid for another period. A new --online-key replaces the old one.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.rootChange()
			if err != nil {
				return err
			}
			r := tufrepo.Open(dir, time.Now)
			if err := r.StageRoot(c); err != nil {
				return err
			}
			return tufStaged(cmd.OutOrStdout(), r)
		},
	}
	addTUFDirFlag(cmd, &dir)
	f.register(cmd)
	cmd.Flags().StringArrayVar(&f.removeRoot, "remove-root-key", nil, "public key file of a holder who leaves the root; may be repeated")
	cmd.Flags().StringArrayVar(&f.removeTargets, "remove-targets-key", nil, "public key file of a holder who leaves the targets; may be repeated")
	return cmd
}

// keyPassword reads the password of a holder's key.
func keyPassword(path string, errOut io.Writer) ([]byte, error) {
	if password, ok := os.LookupEnv("AVOW_PASSWORD"); ok {
		return []byte(password), nil
	}
	return promptPassword(path, errOut)
}

func newTUFSignCommand() *cobra.Command {
	var dir, keyFile string
	cmd := &cobra.Command{
		Use:   "sign --key HOLDER.key",
		Short: "Sign what is staged, as a holder",
		Long: `Sign every staged file that the key may sign. A holder works on a copy of the repository's directory, looks at it with status, and
sends the signed file in staged/ back, for avowd tuf import. The password comes from AVOW_PASSWORD or is asked for.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := readSecret(keyFile)
			if err != nil {
				return err
			}
			password, err := keyPassword(keyFile, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer clear(password)
			key, err := attest.LoadKey(text, password)
			if err != nil {
				return fmt.Errorf("%s: %w", keyFile, err)
			}
			r := tufrepo.Open(dir, time.Now)
			roles, err := r.Sign(cmd.Context(), tufrepo.Key{Public: key.PublicKey(), Sign: key.SignDigest})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "signed %s\n", strings.Join(roles, " and "))
			return tufStaged(cmd.OutOrStdout(), r)
		},
	}
	addTUFDirFlag(cmd, &dir)
	cmd.Flags().StringVar(&keyFile, "key", "", "encrypted key file of the holder")
	return cmd
}

func newTUFImportCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Take the signatures of holders' copies of staged files",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("which files?"), cmd.CommandPath() + " --help"}
			}
			r := tufrepo.Open(dir, time.Now)
			for _, path := range args {
				data, err := readLimited(path, tufrepo.MaxMetadataBytes)
				if err != nil {
					return err
				}
				if _, err := r.Import(data); err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
			}
			return tufStaged(cmd.OutOrStdout(), r)
		},
	}
	addTUFDirFlag(cmd, &dir)
	return cmd
}

// tufStaged says what the staged files wait for.
func tufStaged(out io.Writer, r *tufrepo.Repository) error {
	st, err := r.Status()
	if err != nil {
		return err
	}
	printStaged(out, st)
	return nil
}

func printStaged(out io.Writer, st *tufrepo.Status) {
	for _, s := range st.Staged {
		fmt.Fprintf(out, "staged %s version %d, expires %s\n", s.Role, s.Version, s.Expires.Format(time.RFC3339))
		for _, d := range s.Demands {
			fmt.Fprintf(out, "  %s demands %d signatures, there are %d\n", d.By, d.Threshold, len(d.SignedBy))
			if d.Met() {
				continue
			}
			for _, id := range d.Missing {
				fmt.Fprintf(out, "    not yet: %s\n", id)
			}
		}
	}
}

func newTUFStatusCommand() *cobra.Command {
	var dir, format string
	cmd := &cobra.Command{
		Use:   "status [--format json]",
		Short: "Show versions, expiry, who signed and what is missing",
		Long:  `Show versions, expiry, who signed and what is missing. Exit code 1 if something that is published has expired.`,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return usageError{fmt.Errorf("--format: got %q, want text or json", format), ""}
			}
			st, err := tufrepo.Open(dir, time.Now).Status()
			if err != nil {
				return err
			}
			if format == "json" {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				err = encoder.Encode(st)
			} else {
				printTUFStatus(cmd.OutOrStdout(), st)
			}
			for _, p := range st.Published {
				if p.Expires.Before(time.Now()) {
					err = errors.Join(err, fmt.Errorf("%s expired at %s", p.Role, p.Expires.Format(time.RFC3339)))
				}
			}
			return err
		},
	}
	addTUFDirFlag(cmd, &dir)
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func printTUFStatus(out io.Writer, st *tufrepo.Status) {
	if st.Fingerprint == "" {
		fmt.Fprintln(out, "nothing is published yet")
	} else {
		fmt.Fprintf(out, "fingerprint %s\n", st.Fingerprint)
	}
	for _, p := range st.Published {
		fmt.Fprintf(out, "%-9s version %d, expires %s, signed by %d of %d keys, %d needed\n", p.Role, p.Version,
			p.Expires.Format(time.RFC3339), len(p.SignedBy), len(p.Keys), p.Threshold)
		for _, id := range p.SignedBy {
			fmt.Fprintf(out, "  %s\n", id)
		}
	}
	for _, name := range st.Targets {
		fmt.Fprintf(out, "target    %s\n", name)
	}
	printStaged(out, st)
}
