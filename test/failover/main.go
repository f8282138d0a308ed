//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/annals-go/annals/test/fleet"
	"github.com/annals-go/annals/test/harness"
)

func main() {
	harness.LogErrors()
	harness.Main("failover", run)
}

// options are what the command line says.
type options struct {
	harness.Flags
	mode     string // "faults", "rolling", "partition"
	programs fleet.Programs
	rate     float64
	faults   counts
	rounds   int
	cuts     int
}

// counts are how many faults of each kind are made.
type counts struct{ kills, leaderKills, drains, pauses int }

func parse(args []string, tell io.Writer) (options, error) {
	o := options{mode: "faults"}
	if len(args) > 0 && len(args[0]) > 0 && args[0][0] != '-' {
		o.mode, args = args[0], args[1:]
	}
	f := o.NewFlags("failover", tell, "faults and load")
	o.KeepFlag(f)
	f.Usage = func() {
		_, _ = fmt.Fprintln(tell, "usage: failover [rolling | partition] [flags]")
		f.PrintDefaults()
	}
	f.StringVar(&o.programs.Loans, "loans", "", "the loans program (default: build it)")
	f.StringVar(&o.programs.Server, "nats-server", "", "the NATS server program (default: build it)")
	f.Float64Var(&o.rate, "rate", 400, "commands a second")
	f.IntVar(&o.faults.kills, "owner-kills", minOwnerKills, "SIGKILLs of nodes; fewer are invalid")
	f.IntVar(&o.faults.leaderKills, "leader-kills", minLeaderKills, "SIGKILLs of the NATS server that leads the log; fewer are invalid")
	f.IntVar(&o.faults.drains, "drains", minDrains, "drains of nodes; fewer are invalid")
	f.IntVar(&o.faults.pauses, "pauses", minPauses, "pauses of nodes past their lease; fewer are invalid")
	f.IntVar(&o.rounds, "rounds", 4, "rolling: how often each node is restarted; fewer than 2 are invalid")
	f.IntVar(&o.cuts, "cuts", 2, "partition: how many cuts; fewer than 2 are invalid")
	if err := harness.Parse(f, args); err != nil {
		return o, err
	}
	if o.rate <= 0 || min(o.faults.kills, o.faults.leaderKills, o.faults.drains, o.faults.pauses, o.rounds, o.cuts) < 0 {
		return o, errors.New("the rate must be positive, and no count negative")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, tell io.Writer) error {
	o, err := parse(args, tell)
	if err != nil {
		return err
	}
	switch o.mode {
	case "faults":
		return runFaults(ctx, o, out, tell)
	case "rolling":
		return runRolling(ctx, o, out, tell)
	case "partition":
		return runPartition(ctx, o, out, tell)
	}
	return fmt.Errorf("unknown mode %q; there are rolling and partition, and none for the faults", o.mode)
}
