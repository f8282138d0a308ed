//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/test/harness"
)

func main() {
	if isNode(os.Args) {
		node.Main(app)
	}
	harness.Main("rebuild", run)
}

// isNode reports whether this program was started as a node of the fleet.
func isNode(args []string) bool { return len(args) > 1 && args[1] == "node" }

// options are what the command line says.
type options struct {
	harness.Flags
	stores  []string
	rounds  int
	writers int
	history int
}

// allStores are those that views can be kept in.
var allStores = []string{"kv", "sqlite", "postgres"}

func parse(args []string, tell io.Writer) (options, error) {
	var o options
	var stores string
	f := o.NewFlags("rebuild", tell, "the load")
	o.KeepFlag(f)
	f.StringVar(&stores, "stores", strings.Join(allStores, ","), "the stores to try; all to count")
	f.IntVar(&o.rounds, "rounds", 5, "rebuilds of each view in each store")
	f.IntVar(&o.writers, "writers", 8, "writers, each with one command or query at a time")
	f.IntVar(&o.history, "history", 20_000, "events that are there before")
	if err := harness.Parse(f, args); err != nil {
		return o, err
	}
	o.stores = strings.Split(stores, ",")
	for _, s := range o.stores {
		if !slices.Contains(allStores, s) {
			return o, fmt.Errorf("no such store: %q; want some of %s", s, strings.Join(allStores, ","))
		}
	}
	if o.rounds < 1 || o.writers < 1 || o.history < 1 {
		return o, errors.New("counts are at least 1")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, tell io.Writer) error {
	o, err := parse(args, tell)
	if err != nil {
		return err
	}
	total, err := rebuildAll(ctx, o, tell)
	return o.Conclude(out, total, err, func() error { return total.verdict(o) })
}
