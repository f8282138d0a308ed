//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/annals-go/annals/test/fleet"
)

// rollingReport is the last line of a rolling restart. Times are in
// milliseconds.
type rollingReport struct {
	Commands    int     `json:"commands"`
	Failed      int     `json:"failed"`
	Restarts    int     `json:"restarts"`
	Dirty       int     `json:"dirty_ends"` // processes that did not end in good order
	P50         int64   `json:"p50_ms"`
	P99         int64   `json:"p99_ms"`
	Max         int64   `json:"max_ms"`
	Rejected    int     `json:"rejected"`
	Unknown     int     `json:"unknown"`
	Unavailable int     `json:"unavailable"`
	Unjustified int     `json:"unjustified"`
	Violations  int     `json:"violations"`
	Views       int     `json:"view_differences"`
	Seconds     float64 `json:"seconds"`
	Seed        uint64  `json:"seed"`
}

// What a rolling restart must have done to say anything.
const (
	minRestarts = 6 // two rounds
	minCommands = 5_000
)

// ordinary is how long an ordinary client waits for one command.
const ordinary = 5 * time.Second

func runRolling(ctx context.Context, o options, out, tell io.Writer) error {
	began, restarts := time.Now(), 0
	return setUp(ctx, o, fleet.Config{}, tell, func(ctx context.Context, s *stage) error {
		var rolled fleet.Interval
		err := s.underLoad(ctx, s.fleet.Rotations(clients), fleet.LoadConfig{Rate: o.rate, Deadline: ordinary}, func(ctx context.Context) (err error) {
			if err := s.healthy(ctx); err != nil {
				return err
			}
			rolled.Sent = s.history.Now()
			restarts, err = s.roll(ctx, o.rounds)
			rolled.Done = s.history.Now()
			return err
		})
		if err != nil {
			return err
		}
		v, err := s.judge(ctx)
		if err != nil {
			return err
		}
		f, times := v.findings, s.history.Times(s.applications, rolled)
		at := func(p float64) int64 { return fleet.Percentile(times, p).Milliseconds() }
		r := rollingReport{
			Commands: v.commands, Failed: f.Unknown + f.Unavailable + f.Unexpected + f.Unjustified, Restarts: restarts, Dirty: s.dirty,
			P50: at(0.5), P99: at(0.99), Max: at(1),
			Rejected: f.Rejected, Unknown: f.Unknown, Unavailable: f.Unavailable, Unjustified: f.Unjustified,
			Violations: f.Lost + f.Duplicated + f.Reordered + f.StaleCommits + f.StaleReads + f.Unsettled, Views: len(v.views),
			Seconds: time.Since(began).Seconds(), Seed: o.Seed,
		}
		if err := printLine(out, r); err != nil {
			return err
		}
		return r.verdict()
	})
}

// roll restarts the nodes one after the other, as an operator's tooling does:
// SIGTERM, the end of the process, the start of the next one, and on to the
// next node as soon as this one says that it is ready.
func (s *stage) roll(ctx context.Context, rounds int) (restarts int, err error) {
	for range rounds {
		for _, n := range s.fleet.Nodes {
			from := s.history.Now()
			if err := n.Stop(); err != nil {
				s.say("%v", err)
				s.dirty++
			}
			stopped := s.history.Now()
			if err := n.Start(); err != nil {
				return restarts, err
			}
			if err := fleet.Until(ctx, healLimit, "node "+n.Name+" is ready", func() error { return n.Ready(ctx) }); err != nil {
				return restarts, err
			}
			restarts++
			ready := s.history.Now()
			times := s.history.Times(s.applications, fleet.Interval{Sent: from, Done: ready})
			s.say("restart %d, node %s: handed over in %.1f s, ready again after %.1f s; commands p99 %d, max %d ms of %d", restarts, n.Name,
				(stopped - from).Seconds(), (ready - stopped).Seconds(),
				fleet.Percentile(times, 0.99).Milliseconds(), fleet.Percentile(times, 1).Milliseconds(), len(times))
		}
	}
	return restarts, s.healthy(ctx)
}

// verdict says everything that the run falls short of; nil if nothing.
func (r rollingReport) verdict() error {
	var short []error
	if r.Failed != 0 {
		short = append(short, fmt.Errorf("%d commands failed, want none", r.Failed))
	}
	if r.Dirty != 0 {
		short = append(short, fmt.Errorf("%d of %d processes did not end in good order", r.Dirty, r.Restarts))
	}
	if r.Violations != 0 || r.Views != 0 {
		short = append(short, fmt.Errorf("the audit found %d violations, and %d differences in the views", r.Violations, r.Views))
	}
	if r.Restarts < minRestarts || r.Commands < minCommands {
		short = append(short, fmt.Errorf("INVALID: %d restarts under %d commands, want at least %d and %d to say anything", r.Restarts, r.Commands, minRestarts, minCommands))
	}
	return errors.Join(short...)
}
