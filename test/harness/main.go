package harness

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
)

// Main runs a program of that name until it is interrupted, and ends the process: with
// status 1 and the error on standard error, or 0 if there is none or help was asked for.
func Main(name string, run func(ctx context.Context, args []string, out, tell io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Unsupported ends the process with status 2: nothing was tested here, and why.
func Unsupported(name, why string) {
	fmt.Fprintln(os.Stderr, name+": NOTHING WAS TESTED. It needs Linux: "+why)
	os.Exit(2)
}

// LogErrors has the parts that log by default tell of errors alone.
func LogErrors() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
}

// Flags are what most programs of this kind have on their command line.
type Flags struct {
	// Seed is that of all that is random. Default random.
	Seed uint64
	// Dir is where to make a directory for the data. Default the temporary one.
	Dir string
	// Keep leaves data and logs where they are.
	Keep bool
}

// NewFlags makes the flags of a program; seeded says what the seed decides.
func (f *Flags) NewFlags(name string, tell io.Writer, seeded string) *flag.FlagSet {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(tell)
	set.Uint64Var(&f.Seed, "seed", rand.Uint64N(1<<32), "seed of "+seeded+", to do a run again")
	set.StringVar(&f.Dir, "dir", "", "where to put the data (default: the temporary directory)")
	return set
}

// KeepFlag adds -keep.
func (f *Flags) KeepFlag(set *flag.FlagSet) {
	set.BoolVar(&f.Keep, "keep", false, "leave data and logs where they are")
}

// Parse reads a command line of flags and nothing else.
func Parse(set *flag.FlagSet, args []string) error {
	if err := set.Parse(args); err != nil {
		return err
	}
	if set.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	return nil
}

// Conclude prints a report as one line of JSON and returns the verdict on it. If the
// run did not come to a report, err says why, and the error names the seed.
func (f *Flags) Conclude(out io.Writer, report any, err error, verdict func() error) error {
	if err != nil {
		return fmt.Errorf("seed %d: %w", f.Seed, err)
	}
	if err := json.NewEncoder(out).Encode(report); err != nil {
		return err
	}
	return verdict()
}
