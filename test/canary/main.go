//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/test/canary/people"
	"github.com/annals-go/annals/test/harness"
)

// asApplication is the first argument of a process that is not the trial but what is
// on trial. The store of the views follows, and what is planted.
const asApplication = "application"

// plantPlain has a view copy what it says that it does not.
const plantPlain = "plain"

func main() {
	const words = 4
	if len(os.Args) >= words && os.Args[1] == asApplication {
		app := people.App(os.Args[2] != "kv", os.Args[3] == plantPlain)
		os.Args = append(os.Args[:1:1], os.Args[words:]...)
		node.Main(app)
	}
	harness.Main("canary", start)
}

func start(ctx context.Context, args []string, out, tell io.Writer) error {
	var o options
	set := o.NewFlags("canary", tell, "all texts, and of who is forgotten")
	o.KeepFlag(set)
	set.IntVar(&o.subjects, "subjects", 1000, "how many persons there are")
	set.IntVar(&o.forget, "forget", 300, "how many of them are forgotten")
	set.StringVar(&o.plant, "plant", "nothing", "what to plant so that it is found: nothing, or plain for a view that copies a name; then the run has to fail")
	if err := harness.Parse(set, args); err != nil {
		return err
	}
	if o.forget < 1 || o.forget >= o.subjects || o.plant != "nothing" && o.plant != plantPlain {
		return fmt.Errorf("cannot forget %d of %d, planting %q", o.forget, o.subjects, o.plant)
	}
	harness.LogErrors()
	r, err := play(ctx, o, tell)
	return o.Conclude(out, r, err, func() error { return r.verdict(o) })
}
