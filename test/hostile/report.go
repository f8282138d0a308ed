package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// report is what is printed in the end.
type report struct {
	// Attempts is how often the enemy tried to see something, Kinds how many ways of it
	// there were, and Refused how many of them the server refused.
	Attempts int   `json:"attempts"`
	Kinds    int   `json:"kinds"`
	Refused  int64 `json:"refused"`
	// Seen is how many messages, and lines of its nodes' logs, held something of the
	// other's; Wrong what else was not as it must be.
	Seen  int `json:"seen"`
	Wrong int `json:"wrong"`
	// ControlSeen is the same where nothing keeps them apart.
	ControlSeen int `json:"control_seen"`
	// Latencies of the honest tenant's commands.
	Commands    int     `json:"commands"`
	Alone50     float64 `json:"alone_p50_ms"`
	Alone99     float64 `json:"alone_p99_ms"`
	Beside50    float64 `json:"beside_p50_ms"`
	Beside99    float64 `json:"beside_p99_ms"`
	Promised99  float64 `json:"promised_p99_ms"`
	Unbounded50 float64 `json:"without_quota_p50_ms"`
	Unbounded99 float64 `json:"without_quota_p99_ms"`
	EnemyAsked  int64   `json:"enemy_asked"`
	EnemyOver   int64   `json:"enemy_over_quota"`
	// EnemyDone is what the enemy had carried out with its quota, EnemyWithout without one.
	EnemyDone    int64   `json:"enemy_done"`
	EnemyWithout int64   `json:"enemy_done_without_quota"`
	Seconds      float64 `json:"seconds"`
}

// try is a whole run.
func try(ctx context.Context, o options, tell io.Writer) (r report, err error) {
	began := time.Now()
	kinds := map[string]bool{}
	for _, c := range []tenancy{namespaces, accounts} {
		s, err := spy(ctx, c)
		if err != nil {
			return r, fmt.Errorf("%s: %w", c.name, err)
		}
		for kind, n := range s.tried {
			kinds[kind], r.Attempts = true, r.Attempts+n
		}
		for _, text := range append(s.lines, s.wrong...) {
			fmt.Fprintf(tell, "WRONG: %s: %.1000s\n", c.name, text)
		}
		r.Seen, r.Wrong, r.Refused = r.Seen+len(s.lines), r.Wrong+len(s.wrong), r.Refused+s.refused
	}
	control, err := spy(ctx, nothing)
	if err != nil {
		return r, fmt.Errorf("%s: %w", nothing.name, err)
	}
	r.Kinds, r.ControlSeen = len(kinds), len(control.lines)
	if err := r.measure(ctx, o); err != nil {
		return r, err
	}
	r.Seconds = time.Since(began).Seconds()
	return r, nil
}

func (r *report) measure(ctx context.Context, o options) error {
	bounded, err := slow(ctx, namespaces, true, o.turn, o.turns)
	if err != nil {
		return err
	}
	without, err := slow(ctx, namespaces, false, o.turn, o.turns)
	if err != nil {
		return err
	}
	r.Commands = len(bounded.beside)
	r.Alone50, r.Alone99 = bounded.alone.millis(50), bounded.alone.millis(99)
	r.Beside50, r.Beside99 = bounded.beside.millis(50), bounded.beside.millis(99)
	r.Promised99 = promisedFactor*r.Alone99 + float64(promisedExtra.Milliseconds())
	r.Unbounded50, r.Unbounded99 = without.beside.millis(50), without.beside.millis(99)
	r.EnemyAsked, r.EnemyOver, r.EnemyWithout = bounded.asked, bounded.over, without.asked-without.over
	r.EnemyDone = bounded.asked - bounded.over
	return nil
}

// quotaWorth is how many times as much the enemy must have carried out without its quota. Latencies do not tell: on
// two cores an enemy without a quota waits for what it asked for, and slows itself down with everybody else.
const quotaWorth = 2

// verdict is nil if all was as it must be.
func (r report) verdict() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if r.Seen > 0 || r.Wrong > 0 {
		bad("%d things were seen that are another's, %d others are wrong", r.Seen, r.Wrong)
	}
	if r.Attempts < 100 || r.Kinds < 10 || r.Refused == 0 || r.ControlSeen == 0 {
		bad("%d attempts of %d kinds, %d refused, and without permissions %d things seen: that proves nothing", r.Attempts, r.Kinds, r.Refused, r.ControlSeen)
	}
	if r.Beside99 > r.Promised99 {
		bad("the 99th percentile is %v ms beside the enemy, more than the %v ms promised", r.Beside99, r.Promised99)
	}
	if r.EnemyDone == 0 || r.EnemyDone*quotaWorth > r.EnemyWithout {
		bad("the enemy has %d requests carried out with a quota and %d without: it is good for nothing", r.EnemyDone, r.EnemyWithout)
	}
	if r.EnemyOver == 0 || r.EnemyOver < r.EnemyAsked/2 {
		bad("%d requests of the enemy, %d over its quota: that is no flood", r.EnemyAsked, r.EnemyOver)
	}
	return errors.Join(errs...)
}
