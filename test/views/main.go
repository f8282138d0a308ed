package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/annals-go/annals/test/harness"
)

func main() {
	harness.LogErrors()
	harness.Main("views", run)
}

// options are what the command line says.
type options struct {
	harness.Flags
	kills     int
	stores    []string
	history   string
	events    int
	synthetic int
	rounds    int
	child     childOptions
}

// realHistory names a file that is not the project's own to give away.
const realHistory = "ANNALS_BPIC2012"

func parse(args []string, tell io.Writer) (options, error) {
	var o options
	var stores string
	f := o.NewFlags("views", tell, "the moments")
	f.IntVar(&o.kills, "kills", 50, "kills for each store, at least 50 to count")
	f.StringVar(&stores, "stores", strings.Join(allStores, ","), "the stores to try; all to count")
	f.StringVar(&o.history, "history", os.Getenv(realHistory), "the bank's file bpic2012.xes.gz (default: $"+realHistory+", or else an invented history of its shape)")
	f.IntVar(&o.events, "events", 262_200, "events of the history")
	f.IntVar(&o.synthetic, "synthetic", 1_000_000, "events of the long log, for the rates alone; 0: none")
	f.IntVar(&o.rounds, "rounds", 3, "how often each rate is measured; the median counts. 0: not at all")
	o.child.define(f)
	if err := harness.Parse(f, args); err != nil {
		return o, err
	}
	o.stores = strings.Split(stores, ",")
	for _, s := range o.stores {
		if !known(s) {
			return o, fmt.Errorf("no such store: %q; want some of %s", s, strings.Join(allStores, ","))
		}
	}
	if o.kills < 0 || o.events < 1 || o.synthetic < 0 || o.rounds < 0 {
		return o, errors.New("counts must not be negative")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, tell io.Writer) error {
	o, err := parse(args, tell)
	if err != nil {
		return err
	}
	if o.child.role != "" {
		return o.child.run(ctx, out)
	}
	total, err := try(ctx, o, tell)
	return o.Conclude(out, total, err, func() error { return total.verdict(o) })
}
