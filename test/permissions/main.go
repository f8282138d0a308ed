//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "permissions:", err)
		stop()
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	// plant is the number of a wrong grant that the whole run is made with, from 1;
	// 0: none.
	plant int
	// matrix leaves out what needs nodes.
	matrix bool
	// loans is the example, built already; empty: it is built.
	loans string
}

func parse(args []string, tell io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("permissions", flag.ContinueOnError)
	f.SetOutput(tell)
	f.IntVar(&o.plant, "plant", 0, fmt.Sprintf("run with wrong grant number 1 to %d, which has to fail", len(plants)))
	f.StringVar(&o.loans, "loans", "", "the example, at this `PATH`, instead of building it")
	f.BoolVar(&o.matrix, "matrix", false, "try the matrix and the wrong grants only, and start no node")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.plant < 0 || o.plant > len(plants) {
		return o, fmt.Errorf("want no arguments but flags, and --plant from 1 to %d", len(plants))
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
	r, err := try(ctx, o, tell)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(r); err != nil {
		return err
	}
	return r.verdict(o)
}
