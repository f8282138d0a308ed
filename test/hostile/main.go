package main

import (
	"context"
	"io"
	"time"

	"github.com/annals-go/annals/test/harness"
)

func main() { harness.Main("hostile", run) }

// options are what the command line says.
type options struct {
	harness.Flags
	// turn is how long each latency is measured at a time, turns how often.
	turn  time.Duration
	turns int
}

func run(ctx context.Context, args []string, out, tell io.Writer) error {
	var o options
	set := o.NewFlags("hostile", tell, "what the enemy guesses")
	set.DurationVar(&o.turn, "turn", 4*time.Second, "how long to measure at a time")
	set.IntVar(&o.turns, "turns", 3, "how often")
	if err := harness.Parse(set, args); err != nil {
		return err
	}
	harness.LogErrors()
	r, err := try(ctx, o, tell)
	return o.Conclude(out, r, err, func() error { return r.verdict() })
}
