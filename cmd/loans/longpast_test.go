package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

const (
	longStream = 10_000
	longAsk    = 9_900
)

// A version near the end of a stream of 10,000 events, each a commit of its own,
// is what a fold makes of it, though it comes from a snapshot of the past: the
// stream's own snapshot is of later.
func TestPastOfALongStream(t *testing.T) {
	t.Parallel()
	ask, want := longPast(t)
	for range 3 {
		if got := ask(); got != want {
			t.Fatalf("version %d: %s, want %s", longAsk, got, want)
		}
	}
}

// BenchmarkPastOfALongStream measures the same, over NATS, from a node of its own
// process that keeps its data in files; another application's events lie in between.
func BenchmarkPastOfALongStream(b *testing.B) {
	ask, _ := longPast(b)
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		ask()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
}

// longPast makes the stream in a process that is then started again, and returns
// what asks for the version, and the state that it is to have.
func longPast(t testing.TB) (ask func() string, want string) {
	t.Helper()
	dir := t.TempDir()
	p := startProcess(t, dir)
	states := workOn(t, openLog(t, p.url), "1", longStream)
	client := connectClient(t, p.url)
	id := store.StreamID{Type: application.Applications.Type, ID: "1"}
	if s, err := client.Read(t.Context(), id, false); err != nil || s.Version != longStream {
		t.Fatalf("the actor is at %+v, %v", s, err)
	}
	p.stop() // in good order, so that a snapshot is written if it was not yet
	p = startProcess(t, dir)
	client = connectClient(t, p.url)
	return func() string {
		s, err := client.State(t.Context(), id, actor.At{Version: longAsk})
		if err != nil || s.Version != longAsk {
			t.Fatalf("version %d: %+v, %v", longAsk, s, err)
		}
		return string(s.State)
	}, states[longAsk]
}

// workOn appends n events of one application, each as a commit, with one of
// another in between every third time. It returns the state in JSON at each
// version.
func workOn(t testing.TB, log *jetstream.Log, id string, n int) (states []string) {
	t.Helper()
	state, head, other := application.Application{}, store.Head{}, store.Head{}
	states = []string{""}
	for i := range n {
		e := application.Event(application.Submitted{Amount: 1000})
		if i > 0 {
			e = application.WorkScheduled{Item: fmt.Sprintf("W_%d", i%7)}
		}
		state = state.Evolve(e)
		shown, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, string(shown))
		head = appendEvent(t, log, id, head, e)
		if i%3 == 0 {
			other = appendEvent(t, log, "other", other, e)
		}
	}
	return states
}

func appendEvent(t testing.TB, log *jetstream.Log, id string, after store.Head, e application.Event) store.Head {
	t.Helper()
	encoded, err := application.Applications.Events.Encode(log.Codec(), e)
	if err != nil {
		t.Fatal(err)
	}
	head, err := log.Append(t.Context(), &store.Commit{
		Stream: store.StreamID{Type: application.Applications.Type, ID: id}, ID: uuid.New(), After: after, Time: time.Now().UTC(),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "work"}},
		Events:   []store.Event{encoded.Event(0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return head
}
