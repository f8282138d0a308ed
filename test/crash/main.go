//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/test/harness"
)

func main() {
	if app, is := builds[first(os.Args[1:])]; is {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		streams := node.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}
		code := node.Run(ctx, app, streams, os.Args[2:]...)
		stop()
		os.Exit(code)
	}
	harness.Main("crash", run)
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// options are what the command line says.
type options struct {
	harness.Flags
	kills    int
	streams  int
	commands int
	only     []string
}

func parse(args []string, tell io.Writer) (options, error) {
	var o options
	var only string
	f := o.NewFlags("crash", tell, "the moments")
	o.KeepFlag(f)
	f.IntVar(&o.kills, "kills", 20, "kills during each operation")
	f.IntVar(&o.streams, "streams", 40, "streams of the history")
	f.IntVar(&o.commands, "commands", 250, "commands to each stream")
	f.StringVar(&only, "only", strings.Join(operationNames(), ","), "the operations to try; all to count")
	if err := harness.Parse(f, args); err != nil {
		return o, err
	}
	o.only = strings.Split(only, ",")
	for _, name := range o.only {
		if !slices.Contains(operationNames(), name) {
			return o, fmt.Errorf("no such operation: %q; want some of %s", name, strings.Join(operationNames(), ","))
		}
	}
	if o.kills < 1 || o.streams < 1 || o.commands < 1 {
		return o, errors.New("counts are at least 1")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, tell io.Writer) error {
	o, err := parse(args, tell)
	if err != nil {
		return err
	}
	total, err := crashAll(ctx, o, tell)
	return o.Conclude(out, total, err, func() error { return total.verdict(o) })
}
