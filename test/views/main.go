package main

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
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "views:", err)
		stop()
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	kills     int
	seed      uint64
	stores    []string
	history   string
	events    int
	synthetic int
	rounds    int
	dir       string
	child     childOptions
}

// realHistory names a file that is not the project's own to give away.
const realHistory = "ANNALS_BPIC2012"

func parse(args []string, tell io.Writer) (options, error) {
	var o options
	var stores string
	f := flag.NewFlagSet("views", flag.ContinueOnError)
	f.SetOutput(tell)
	f.IntVar(&o.kills, "kills", 50, "kills for each store, at least 50 to count")
	f.Uint64Var(&o.seed, "seed", rand.Uint64N(1<<32), "seed of the moments, to do a run again")
	f.StringVar(&stores, "stores", strings.Join(allStores, ","), "the stores to try; all to count")
	f.StringVar(&o.history, "history", os.Getenv(realHistory), "the bank's file bpic2012.xes.gz (default: $"+realHistory+", or else an invented history of its shape)")
	f.IntVar(&o.events, "events", 262_200, "events of the history")
	f.IntVar(&o.synthetic, "synthetic", 1_000_000, "events of the long log, for the rates alone; 0: none")
	f.IntVar(&o.rounds, "rounds", 3, "how often each rate is measured; the median counts. 0: not at all")
	f.StringVar(&o.dir, "dir", "", "where to put the data (default: the temporary directory)")
	o.child.define(f)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.stores = strings.Split(stores, ",")
	for _, s := range o.stores {
		if !known(s) {
			return o, fmt.Errorf("no such store: %q; want some of %s", s, strings.Join(allStores, ","))
		}
	}
	if f.NArg() > 0 || o.kills < 0 || o.events < 1 || o.synthetic < 0 || o.rounds < 0 {
		return o, errors.New("counts must not be negative, and there are no arguments but flags")
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
	if o.child.role != "" {
		return o.child.run(ctx, out)
	}
	total, err := try(ctx, o, tell)
	if err != nil {
		return fmt.Errorf("seed %d: %w", o.seed, err)
	}
	if err := json.NewEncoder(out).Encode(total); err != nil {
		return err
	}
	return total.verdict(o)
}
