//go:build linux

package main

import (
	"context"
	"errors"
	"io"

	"github.com/annals-go/annals/test/harness"
)

func main() {
	harness.Main("restore", run)
}

// options are what the command line says.
type options struct {
	harness.Flags
	applications int
	flips        int
}

func parse(args []string, tell io.Writer) (options, error) {
	var o options
	f := o.NewFlags("restore", tell, "what is random")
	f.IntVar(&o.applications, "applications", 13_087, "applications of the history: as many as the bank had")
	f.IntVar(&o.flips, "flips", 3, "bits to flip in block files of a stopped server; as many in those of a running one, but one")
	o.KeepFlag(f)
	if err := harness.Parse(f, args); err != nil {
		return o, err
	}
	if o.applications < 10 || o.flips < 2 {
		return o, errors.New("want at least 10 applications and 2 flips")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, tell io.Writer) error {
	o, err := parse(args, tell)
	if err != nil {
		return err
	}
	total, err := play(ctx, o, tell)
	return o.Conclude(out, total, err, func() error { return total.verdict() })
}
