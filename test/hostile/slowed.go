package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/gateway"
)

// The promise of [quota]: what the honest tenant's slowest hundredth of commands takes
// beside an enemy that asks as fast as it can is at most promisedFactor times what it
// takes alone, and promisedExtra.
const (
	promisedFactor = 4
	promisedExtra  = 25 * time.Millisecond
)

// pace is how long commands took, in order.
type pace []time.Duration

func (p pace) at(percent int) time.Duration { return p[min(len(p)*percent/100, len(p)-1)] }

func (p pace) millis(percent int) float64 {
	return float64(p.at(percent).Microseconds()) / 1000
}

// slowdown is what an enemy costs.
type slowdown struct {
	alone, beside pace
	asked         int64 // by the enemy
	over          int64 // of these, refused by its quota
}

// slow measures the honest tenant alone and beside an enemy, in turns.
func slow(ctx context.Context, c tenancy, bounded bool, turn time.Duration, turns int) (s slowdown, err error) {
	dir, err := os.MkdirTemp("", "annals-hostile-")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	x, err := start(ctx, c, dir, bounded)
	if err != nil {
		return s, err
	}
	err = x.slow(ctx, &s, turn, turns)
	if stopped := x.stop(); err == nil {
		err = stopped
	}
	slices.Sort(s.alone)
	slices.Sort(s.beside)
	return s, err
}

func (x *tenants) slow(ctx context.Context, s *slowdown, turn time.Duration, turns int) error {
	for i := range honest {
		if _, err := x.alice.Send(ctx, opening(fmt.Sprint("a", i), "Ann")); err != nil {
			return err
		}
	}
	if _, err := x.measure(ctx, turn/4); err != nil { // until all is warm
		return err
	}
	for range turns {
		alone, err := x.measure(ctx, turn)
		if err != nil {
			return err
		}
		f := x.enemy.flood(ctx)
		beside, err := x.measure(ctx, turn)
		if ended := f.end(); err == nil {
			err = ended
		}
		if err != nil {
			return err
		}
		s.alone, s.beside = append(s.alone, alone...), append(s.beside, beside...)
		s.asked, s.over = s.asked+f.asked.Load(), s.over+f.over.Load()
	}
	return nil
}

// honest is how many commands the honest tenant has under way, one for each account.
const honest = 4

// measure has the honest tenant at work for a while, and returns what each command took.
func (x *tenants) measure(ctx context.Context, while time.Duration) (pace, error) {
	all, errs := make([]pace, honest), make([]error, honest)
	var wait sync.WaitGroup
	for i := range honest {
		wait.Go(func() {
			for first := time.Now(); time.Since(first) < while && errs[i] == nil; {
				began := time.Now()
				_, errs[i] = x.alice.Send(ctx, deposit(fmt.Sprint("a", i), "1"))
				all[i] = append(all[i], time.Since(began))
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.Concat(all...), nil
}

// flood is an enemy at work.
type flood struct {
	asked, over atomic.Int64
	stop        context.CancelFunc
	wait        sync.WaitGroup
	failed      atomic.Pointer[error]
}

// What the enemy has under way, and how large each is.
const (
	floodAskers = 64
	floodBytes  = 8 << 10
)

// flood asks for whatever it may, and for more than its quota, as fast as answers come.
func (e *enemy) flood(ctx context.Context) *flood {
	ctx, stop := context.WithCancel(ctx)
	f := &flood{stop: stop}
	run := time.Now().UnixNano()
	body := []byte(`{"owner":"` + strings.Repeat("m", floodBytes) + `"}`)
	for i := range floodAskers {
		f.wait.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				subject, body := fmt.Sprintf("%s.as.mallory.cmd.account.m%d-%d-%d.open", e.tenants.hostile, run, i, n), body
				if n%20 == 19 {
					subject, body = e.tenants.hostile+".as.mallory.qry.balances", nil
				}
				m, err := e.conn.Request(subject, body, soon)
				if err != nil {
					err = fmt.Errorf("%.80s: %w", subject, err)
					f.failed.CompareAndSwap(nil, &err)
					return
				}
				f.asked.Add(1)
				if m.Header.Get(gateway.HeaderError) == string(gateway.CodeOverQuota) {
					f.over.Add(1)
				}
			}
		})
	}
	return f
}

func (f *flood) end() error {
	f.stop()
	f.wait.Wait()
	if err := f.failed.Load(); err != nil {
		return fmt.Errorf("the enemy: %w", *err)
	}
	return nil
}
