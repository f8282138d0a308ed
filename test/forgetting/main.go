//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/test/canary/people"
	"github.com/annals-go/annals/test/fleet"
	"github.com/annals-go/annals/test/harness"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "node" { // the fleet starts this program as a node
		app := people.App(false, false)
		app.Name = fleet.Namespace
		node.Main(app)
	}
	harness.Main("forgetting", start)
}

type options struct {
	harness.Flags
	controls, random int
}

func start(ctx context.Context, args []string, out, tell io.Writer) error {
	var o options
	set := o.NewFlags("forgetting", tell, "who is forgotten in what order, what is killed and when, and the load")
	o.KeepFlag(set)
	set.IntVar(&o.controls, "controls", 12, "how many persons are not forgotten")
	set.IntVar(&o.random, "random", 3, "how many times a node that was asked, and one that was not, is killed at any moment; 2 or more to count")
	if err := harness.Parse(set, args); err != nil {
		return err
	}
	if o.controls < households || o.random < 0 {
		return errors.New("there are at least as many controls as households")
	}
	harness.LogErrors()
	r, err := run(ctx, o, tell)
	return o.Conclude(out, r, err, func() error { return r.verdict(allMoments(), allSources()) })
}

func allSources() []string {
	var all []string
	for _, s := range sources {
		if s.name != "counts" { // where nothing personal is
			all = append(all, s.name)
		}
	}
	return all
}
