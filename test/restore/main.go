//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "restore:", err)
		stop()
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	applications int
	flips        int
	seed         uint64
	dir          string
	keep         bool
}

func parse(args []string, tell io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("restore", flag.ContinueOnError)
	f.SetOutput(tell)
	f.IntVar(&o.applications, "applications", 13_087, "applications of the history: as many as the bank had")
	f.IntVar(&o.flips, "flips", 3, "bits to flip in block files of a stopped server; as many in those of a running one, but one")
	f.Uint64Var(&o.seed, "seed", rand.Uint64N(1<<32), "seed of what is random, to do a run again")
	f.StringVar(&o.dir, "dir", "", "where to put the data (default: the temporary directory)")
	f.BoolVar(&o.keep, "keep", false, "leave data and logs where they are")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.applications < 10 || o.flips < 2 {
		return o, errors.New("want at least 10 applications and 2 flips, and no arguments but flags")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, tell io.Writer) error {
	o, err := parse(args, tell)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := play(ctx, o, tell)
	if err != nil {
		return fmt.Errorf("seed %d: %w", o.seed, err)
	}
	if err := json.NewEncoder(out).Encode(r); err != nil {
		return err
	}
	return r.verdict()
}
