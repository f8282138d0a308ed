//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/annals-go/annals/test/harness"
)

func main() {
	harness.LogErrors()
	harness.Main("powercut", run)
}

// options are what the command line says.
type options struct {
	harness.Flags
	cuts, controls int
	clients        int
	loans          string
	self           bool
	writer         string
	sync           string
	port           int
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	f := o.NewFlags("powercut", out, "moments and load")
	f.IntVar(&o.cuts, "cuts", 14, "power cuts, at least 10 to count")
	f.IntVar(&o.controls, "controls", 2, "cuts without the barrier, at least 1 to count")
	f.IntVar(&o.clients, "clients", 64, "clients that send commands")
	f.StringVar(&o.loans, "loans", "", "the loans program (default: build it)")
	f.BoolVar(&o.self, "self", false, "cut a small writer instead of the loans example: the barrier alone")
	f.StringVar(&o.writer, "writer", "", "used by -self: be the writer with data in this directory")
	f.StringVar(&o.sync, "sync", "", "used by -self: how the writer syncs")
	f.IntVar(&o.port, "port", 0, "used by -self: where the writer listens")
	if err := harness.Parse(f, args); err != nil {
		return o, err
	}
	if o.cuts < 0 || o.controls < 0 || o.clients < 1 {
		return o, errors.New("counts must not be negative, and it takes a client")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, tell io.Writer) error {
	o, err := parse(args, tell)
	if err != nil {
		return err
	}
	if o.writer != "" {
		return beWriter(ctx, o)
	}
	if lacks := missing(); len(lacks) > 0 {
		return fmt.Errorf("NOTHING WAS TESTED. This machine lacks %s", strings.Join(lacks, "; "))
	}
	total, err := makeCuts(ctx, o, tell)
	return o.Conclude(out, total, err, func() error { return total.verdict() })
}

// makeCuts makes all cuts in a directory of its own, which is gone afterwards.
func makeCuts(ctx context.Context, o options, tell io.Writer) (total report, err error) {
	began := time.Now()
	work, err := os.MkdirTemp(o.Dir, "annals-powercut-")
	if err != nil {
		return total, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	disk, err := newImage(work)
	if err != nil {
		return total, err
	}
	defer func() { err = errors.Join(err, disk.close()) }()
	var s system
	if s, err = newSystem(ctx, o, work, tell); err != nil {
		return total, err
	}
	r := &runner{image: disk, system: s, tell: tell}
	r.say("seed %d", o.Seed)
	if err := r.run(ctx, planCuts(o.Seed, o.cuts, o.controls, !o.self)); err != nil {
		return total, err
	}
	r.total.Seconds, r.total.Seed = time.Since(began).Seconds(), o.Seed
	return r.total, nil
}

func newSystem(ctx context.Context, o options, work string, tell io.Writer) (system, error) {
	if o.self {
		return newWriterSystem(o, work), nil
	}
	return newLoans(ctx, o, work, tell)
}
