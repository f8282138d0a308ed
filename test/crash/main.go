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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if app, is := builds[first(os.Args[1:])]; is {
		streams := node.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}
		os.Exit(node.Run(ctx, app, streams, os.Args[2:]...))
	}
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		stop()
		os.Exit(1)
	}
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// options are what the command line says.
type options struct {
	kills    int
	streams  int
	commands int
	only     []string
	seed     uint64
	dir      string
	keep     bool
}

func parse(args []string, tell io.Writer) (options, error) {
	var o options
	var only string
	f := flag.NewFlagSet("crash", flag.ContinueOnError)
	f.SetOutput(tell)
	f.IntVar(&o.kills, "kills", 20, "kills during each operation")
	f.IntVar(&o.streams, "streams", 40, "streams of the history")
	f.IntVar(&o.commands, "commands", 250, "commands to each stream")
	f.StringVar(&only, "only", strings.Join(operationNames(), ","), "the operations to try; all to count")
	f.Uint64Var(&o.seed, "seed", rand.Uint64N(1<<32), "seed of the moments, to do a run again")
	f.StringVar(&o.dir, "dir", "", "where to put the data (default: the temporary directory)")
	f.BoolVar(&o.keep, "keep", false, "leave data and logs where they are")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.only = strings.Split(only, ",")
	for _, name := range o.only {
		if !slices.Contains(operationNames(), name) {
			return o, fmt.Errorf("no such operation: %q; want some of %s", name, strings.Join(operationNames(), ","))
		}
	}
	if f.NArg() > 0 || o.kills < 1 || o.streams < 1 || o.commands < 1 {
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
	total, err := crashAll(ctx, o, tell)
	if err != nil {
		return fmt.Errorf("seed %d: %w", o.seed, err)
	}
	if err := json.NewEncoder(out).Encode(total); err != nil {
		return err
	}
	return total.verdict(o)
}
