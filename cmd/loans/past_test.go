package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/history"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// asked is how many applications are asked for, each at asksOfEach moments.
const (
	asked      = 200
	asksOfEach = 5
)

// TestStatesAtATime: the state of an application at a time is the fold of what
// the file says had happened by then.
func TestStatesAtATime(t *testing.T) {
	t.Parallel()
	path, _ := writeSample(t, 300, 21)
	checkStatesAtATime(t, path)
}

// TestStatesAtATimeOfTheRealHistory does the same with the bank's own event log.
func TestStatesAtATimeOfTheRealHistory(t *testing.T) {
	t.Parallel()
	path := os.Getenv(realHistory)
	if path == "" {
		t.Skipf("SKIPPED, NOT PASSED: no past state of the real history was compared with its events; set %s to the path of bpic2012.xes.gz", realHistory)
	}
	checkStatesAtATime(t, path)
}

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ANNALS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ANNALS_SEED: %v", err)
		}
	}
	t.Logf("ANNALS_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 12))
}

// checkStatesAtATime stores random applications of the file as the bank lived
// them: each event at its time, in the order of time, all of them mingled. Then it
// asks a running node over NATS, and compares with a fold of the file that knows
// neither log nor library.
func checkStatesAtATime(t *testing.T, path string) {
	t.Helper()
	r := seeded(t)
	chosen := chooseTraces(t, path, r)
	book := startLoans(t)
	conn, err := nats.Connect(book.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	stored := relive(t, conn, chosen)
	client := connectClient(t, book.url)
	moments, before, partly := 0, 0, 0
	for _, trace := range chosen {
		for _, at := range someMoments(r, trace) {
			want := foldFile(t, trace, at)
			got, err := stateAt(t.Context(), client, trace.Application, at)
			if err != nil {
				t.Fatalf("application %s at %s: %v", trace.Application, at, err)
			}
			if d := gocmp.Diff(want, got); d != "" {
				t.Fatalf("application %s at %s (-file +annals):\n%s", trace.Application, at, d)
			}
			moments++
			switch {
			case want.Version == 0:
				before++
			case want.Version < uint64(len(trace.Events)):
				partly++
			}
		}
	}
	if len(chosen) != asked || before == 0 || partly < moments/3 {
		t.Errorf("of %d moments of %d applications %d lie before the first event and %d amid the others: too few", moments, len(chosen), before, partly)
	}
	t.Logf("%d applications with %d events, %d moments compared: %d amid the events, %d before the first, 0 mismatches", len(chosen), stored, moments, partly, before)
}

func connectClient(t testing.TB, url string) *gateway.Client {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	client, err := gateway.NewClient(gateway.ClientConfig{Conn: conn, Namespace: app.Name, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func chooseTraces(t *testing.T, path string, r *rand.Rand) []*history.Trace {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []*history.Trace
	for trace, err := range history.Read(file) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, trace)
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(asked, len(all))]
}

// relive appends an event of the file as a commit of its own, at its own time.
func relive(t *testing.T, conn *nats.Conn, traces []*history.Trace) int {
	t.Helper()
	config, err := jetstream.Existing(t.Context(), conn, app.Name)
	if err != nil {
		t.Fatal(err)
	}
	log, err := jetstream.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	type step struct {
		trace *history.Trace
		nth   int
	}
	var steps []step
	for _, trace := range traces {
		for n := range trace.Events {
			steps = append(steps, step{trace, n})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int {
		return cmp.Or(a.trace.Events[a.nth].Time.Compare(b.trace.Events[b.nth].Time), cmp.Compare(a.nth, b.nth))
	})
	lives := map[string]*life{}
	for _, s := range steps {
		l := lives[s.trace.Application]
		if l == nil {
			l = &life{}
			lives[s.trace.Application] = l
		}
		l.append(t, log, s.trace, s.nth)
	}
	return len(steps)
}

// life is an application on its way through the file.
type life struct {
	state application.Application
	head  store.Head
}

func (l *life) append(t *testing.T, log *jetstream.Log, trace *history.Trace, n int) {
	t.Helper()
	if want := uint64(n); l.head.Version != want {
		t.Fatalf("application %s: event %d comes after %d others: the file is not in the order of time", trace.Application, n, l.head.Version)
	}
	event := l.next(t, trace, n)
	encoded, err := application.Applications.Events.Encode(log.Codec(), event)
	if err != nil {
		t.Fatal(err)
	}
	l.head, err = log.Append(t.Context(), &store.Commit{
		Stream: store.StreamID{Type: application.Applications.Type, ID: trace.Application}, ID: uuid.New(), After: l.head,
		Time:     trace.Events[n].Time,
		Commands: []store.Command{{ID: trace.CommandID(n), Name: "relive"}},
		Events:   []store.Event{encoded.Event(0)},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// next decides the n-th event of the file, and folds it.
func (l *life) next(t *testing.T, trace *history.Trace, n int) application.Event {
	t.Helper()
	command, err := trace.Command(n)
	if err != nil {
		t.Fatal(err)
	}
	events, err := l.state.Decide(command)
	if err != nil || len(events) != 1 {
		t.Fatalf("event %d of application %s: decided %d events, %v", n, trace.Application, len(events), err)
	}
	l.state = l.state.Evolve(events[0])
	return events[0]
}

// someMoments are the time of an event, a moment before the first and random
// ones around all of them.
func someMoments(r *rand.Rand, trace *history.Trace) []time.Time {
	first, last := trace.Events[0].Time, trace.Events[len(trace.Events)-1].Time
	span := last.Sub(first)
	moments := []time.Time{trace.Events[r.IntN(len(trace.Events))].Time, first.Add(-time.Microsecond)}
	for len(moments) < asksOfEach {
		moments = append(moments, first.Add(time.Duration(r.Int64N(int64(span)*11/10+1))))
	}
	return moments
}

// past is a state at a time.
type past struct {
	Version uint64
	Time    time.Time // of the last event
	State   application.Application
}

func foldFile(t *testing.T, trace *history.Trace, at time.Time) (p past) {
	t.Helper()
	var l life
	for n, e := range trace.Events {
		if e.Time.After(at) {
			break
		}
		l.next(t, trace, n)
		p = past{Version: uint64(n) + 1, Time: e.Time, State: l.state}
	}
	return p
}

// stateAt asks the running system; the zero past is that of nobody.
func stateAt(ctx context.Context, client *gateway.Client, id string, at time.Time) (p past, err error) {
	s, err := client.State(ctx, store.StreamID{Type: application.Applications.Type, ID: id}, actor.At{Time: at})
	if errors.Is(err, store.ErrNotFound) {
		return past{}, nil
	}
	if err != nil {
		return p, err
	}
	p.Version, p.Time = s.Version, s.Time
	if err := json.Unmarshal(s.State, &p.State); err != nil {
		return p, fmt.Errorf("read the state of %s: %w", id, err)
	}
	return p, nil
}
