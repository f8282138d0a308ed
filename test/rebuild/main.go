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
	"slices"
	"strings"
	"syscall"

	"github.com/annals-go/annals/cmd/node"
)

func main() {
	if isNode(os.Args) {
		node.Main(app)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "rebuild:", err)
		stop()
		os.Exit(1)
	}
}

// isNode reports whether this program was started as a node of the fleet.
func isNode(args []string) bool { return len(args) > 1 && args[1] == "node" }

// options are what the command line says.
type options struct {
	stores  []string
	rounds  int
	writers int
	history int
	seed    uint64
	dir     string
	keep    bool
}

// allStores are those that views can be kept in.
var allStores = []string{"kv", "sqlite", "postgres"}

func parse(args []string, tell io.Writer) (options, error) {
	var o options
	var stores string
	f := flag.NewFlagSet("rebuild", flag.ContinueOnError)
	f.SetOutput(tell)
	f.StringVar(&stores, "stores", strings.Join(allStores, ","), "the stores to try; all to count")
	f.IntVar(&o.rounds, "rounds", 5, "rebuilds of each view in each store")
	f.IntVar(&o.writers, "writers", 8, "writers, each with one command or query at a time")
	f.IntVar(&o.history, "history", 20_000, "events that are there before")
	f.Uint64Var(&o.seed, "seed", rand.Uint64N(1<<32), "seed of the load, to do a run again")
	f.StringVar(&o.dir, "dir", "", "where to put the data (default: the temporary directory)")
	f.BoolVar(&o.keep, "keep", false, "leave data and logs where they are")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.stores = strings.Split(stores, ",")
	for _, s := range o.stores {
		if !slices.Contains(allStores, s) {
			return o, fmt.Errorf("no such store: %q; want some of %s", s, strings.Join(allStores, ","))
		}
	}
	if f.NArg() > 0 || o.rounds < 1 || o.writers < 1 || o.history < 1 {
		return o, errors.New("counts are at least 1, and there are no arguments but flags")
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
	total, err := rebuildAll(ctx, o, tell)
	if err != nil {
		return fmt.Errorf("seed %d: %w", o.seed, err)
	}
	if err := json.NewEncoder(out).Encode(total); err != nil {
		return err
	}
	return total.verdict(o)
}
