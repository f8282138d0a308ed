package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/views"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/harness"
)

// pair is a figure with a projection that is blocked for ever, and without: the
// median of the rounds, and the worst round of those without.
type pair struct {
	Blocked float64 `json:"blocked_ms"`
	Free    float64 `json:"free_ms"`
	Noise   float64 `json:"free_worst_ms"`
}

// noticed reports whether blocked is beyond what rounds without it come to.
func (p pair) noticed() bool {
	const margin = 1.25 // of the worst of a few rounds
	return p.Blocked > margin*p.Noise
}

// neighbours is what a blocked projection does to everybody else.
type neighbours struct {
	AppendP99 pair `json:"append_p99"`
	// LagP99 is how long an event takes from its append until all other views have it.
	LagP99 pair `json:"lag_p99"`
}

const (
	blockedRounds  = 5 // of each kind, taking turns
	blockedFor     = 2500 * time.Millisecond
	blockedWriters = 16
	blockedPace    = 4 * time.Millisecond // between two appends of a writer
	lagEvery       = 10 * time.Millisecond
)

// blocked measures appends and the lag of the four views, with a fifth whose
// Fold does not return, and with the same one that does.
func (r *runner) blocked(ctx context.Context) (n neighbours, err error) {
	var appends, lags [2][]float64
	for round := range 2 * blockedRounds {
		kind := round % 2 // 1: blocked
		a, l, err := r.blockedRound(ctx, round, kind == 1)
		if err != nil {
			return n, fmt.Errorf("a blocked projection, round %d: %w", round, err)
		}
		r.say("neighbours of a projection (blocked: %v): append p99 %.2f ms, lag p99 %.2f ms", kind == 1, a, l)
		appends[kind], lags[kind] = append(appends[kind], a), append(lags[kind], l)
	}
	return neighbours{AppendP99: pairOf(appends), LagP99: pairOf(lags)}, nil
}

func pairOf(rounds [2][]float64) pair {
	for i := range rounds {
		slices.Sort(rounds[i])
	}
	free := rounds[0]
	return pair{Free: free[len(free)/2], Noise: free[len(free)-1], Blocked: rounds[1][len(rounds[1])/2]}
}

// stuck is a view that folds nothing any more once hold is there to be waited for.
func stuck(hold <-chan struct{}) projector.Definition {
	v := views.Outcomes
	v.Name = "stuck"
	v.Keys = func(e store.Recorded[application.Event]) []string { return []string{e.Stream.ID} }
	v.Fold = func(_ string, d views.Sum, _ store.Recorded[application.Event]) views.Sum {
		<-hold
		return d
	}
	return v
}

func (r *runner) blockedRound(ctx context.Context, round int, block bool) (appendP99, lagP99 float64, err error) {
	log, err := r.bench.log(ctx, "blocked")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = log.Close() }()
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	if !block {
		release()
	}
	keyring, err := harness.Keyring()
	if err != nil {
		return 0, 0, err
	}
	group, err := projector.NewGroup(projector.Config{
		Log: log, Store: kv.New(kv.Config{Conn: r.bench.conn, Namespace: "blocked"}), Keyring: keyring, Projections: append(views.All(), stuck(hold)),
	})
	if err != nil {
		return 0, 0, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- group.Run(running) }()
	defer func() {
		release()
		stop()
		err = errors.Join(err, <-ended)
	}()
	w := &appender{log: log, name: "round-" + strconv.Itoa(round)}
	if err := w.once(ctx, "first", 0); err != nil { // before that, there is nothing to be blocked at
		return 0, 0, err
	}
	if err := covered(ctx, group, w.latest()); err != nil {
		return 0, 0, err
	}
	return w.measure(ctx, group)
}

// covered waits until the four views have the event at a position.
func covered(ctx context.Context, group *projector.Group, p store.Position) error {
	for _, d := range views.All() {
		if err := group.Wait(ctx, d.Describe().Name, p); err != nil {
			return err
		}
	}
	return nil
}

// appender appends events and notes how long that takes.
type appender struct {
	log  store.Log
	name string

	mu   sync.Mutex
	took []time.Duration
	tip  store.Position
	err  error
}

func (w *appender) latest() store.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tip
}

// once appends the first event of an application.
func (w *appender) once(ctx context.Context, who string, n int) error {
	submitted, err := application.Applications.Events.Encode(w.log.Codec(), application.Submitted{Amount: 1000})
	if err != nil {
		return err
	}
	id := fmt.Sprintf("%s-%s-%d", w.name, who, n)
	c := &store.Commit{
		Stream: store.StreamID{Type: application.Applications.Type, ID: id}, ID: uuid.New(), Time: time.Now().UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: id, Name: "submit"}}, Events: []store.Event{submitted.Event(0)},
	}
	began := time.Now()
	if _, err := w.log.Append(ctx, c); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.took, w.tip = append(w.took, time.Since(began)), max(w.tip, c.Last())
	return nil
}

// measure appends for a while, and asks meanwhile how long an event takes to be
// in all views.
func (w *appender) measure(ctx context.Context, group *projector.Group) (appendP99, lagP99 float64, err error) {
	until := time.Now().Add(blockedFor)
	var all sync.WaitGroup
	for i := range blockedWriters {
		all.Go(func() {
			for n := 0; time.Now().Before(until); n++ {
				if err := w.once(ctx, strconv.Itoa(i), n); err != nil {
					w.mu.Lock()
					w.err = err
					w.mu.Unlock()
					return
				}
				rest(blockedPace)
			}
		})
	}
	var lags []time.Duration
	for err == nil && time.Now().Before(until) {
		rest(lagEvery)
		began := time.Now()
		err = covered(ctx, group, w.latest())
		lags = append(lags, time.Since(began))
	}
	all.Wait()
	return percentile(w.took), percentile(lags), errors.Join(err, w.err)
}

func rest(d time.Duration) { <-time.After(d) }

// percentile returns the 99th, in milliseconds.
func percentile(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)*99/100].Microseconds()) / 1000
}
