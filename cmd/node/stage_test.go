package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// stage is a system whose views are as a test says.
type stage struct {
	url string

	mu      sync.Mutex
	calls   []string
	status  func(looked int) []projector.Status // how often it was looked at
	looked  int
	letters []projector.DeadLetter
	fails   map[string]bool // letters that are still parked after a retry
	silent  string          // a view whose letters cannot be had
	err     error
}

// soonest bounds every wait of these tests.
const soonest = time.Minute

func newStage(t *testing.T) *stage {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(soonest) {
		t.Fatal("the server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	st := &stage{url: s.ClientURL(), fails: map[string]bool{}}
	st.status = func(int) []projector.Status { return []projector.Status{liveModel} }
	g, err := gateway.New(gateway.Config{
		Conn: nc, Namespace: "bank", Node: "n1", Actors: stagedActors{}, Views: st, Operators: st, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("gateway: %v", err)
		}
	})
	<-g.Ready()
	return st
}

// liveModel is a model that has caught up.
var liveModel = projector.Status{
	Name: "totals", Version: 1, Role: projector.RoleLive, State: projector.StateLive, Checkpoint: 2048, Head: 2048, Events: 2,
}

// run runs the command line, as one without a terminal.
func (st *stage) run(ctx context.Context, in string, args ...string) (code int, out, talk string) {
	var stdout, stderr strings.Builder
	code = st.runWith(ctx, Streams{In: strings.NewReader(in), Out: &stdout, Err: &stderr}, args...)
	return code, stdout.String(), stderr.String()
}

func (st *stage) runWith(ctx context.Context, streams Streams, args ...string) int {
	streams.Env = func(name string) string { return map[string]string{"NATS_URL": st.url, "USER": "ann"}[name] }
	app := App{Name: "bank", Projections: []projector.Definition{staged{}}}
	return Run(ctx, app, streams, args...)
}

// asked returns what changes the command line asked for since the last call.
func (st *stage) asked() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	all := strings.Join(st.calls, "; ")
	st.calls = nil
	return all
}

func (st *stage) called(view, format string, args ...any) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if view != "totals" {
		return fmt.Errorf("%w: %q", projector.ErrNoView, view)
	}
	st.calls = append(st.calls, fmt.Sprintf(format, args...))
	return st.err
}

func (st *stage) Get(context.Context, string, string, store.Position) (projector.Document, error) {
	return projector.Document{}, store.ErrNotFound
}

func (st *stage) GetAt(context.Context, string, string, projector.Moment) (projector.Document, error) {
	return projector.Document{}, store.ErrNotFound
}

func (st *stage) List(context.Context, string, string, int, store.Position) ([]projector.Document, string, error) {
	return nil, "", nil
}

// Wait is at position 2048.
func (st *stage) Wait(ctx context.Context, view string, p store.Position) error {
	if view != "totals" {
		return fmt.Errorf("%w: %q", projector.ErrNoView, view)
	}
	if p <= 2048 {
		return nil
	}
	<-ctx.Done()
	return &projector.TimeoutError{View: view, Want: p, Has: 2048, Cause: ctx.Err()}
}

func (st *stage) Status(context.Context) []projector.Status {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.looked++
	return st.status(st.looked)
}

func (st *stage) DeadLetters(_ context.Context, view string) ([]projector.DeadLetter, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch view {
	case "totals":
		return st.letters, nil
	case st.silent:
		return nil, fmt.Errorf("%w: its store is away", store.ErrUnavailable)
	}
	return nil, fmt.Errorf("%w: %q", projector.ErrNoView, view)
}

func (st *stage) Letter(ctx context.Context, view, id string) (projector.DeadLetter, error) {
	all, err := st.DeadLetters(ctx, view)
	for _, l := range all {
		if l.ID == id {
			return l, nil
		}
	}
	return projector.DeadLetter{}, cmp.Or(err, fmt.Errorf("%w: %q of view %s", projector.ErrNoLetter, id, view))
}

func (st *stage) LetterEvents(_ context.Context, _, _ string, limit int) ([]projector.LetterEvent, error) {
	all := []projector.LetterEvent{
		{At: 3, Event: "deposited", Position: 2048, Data: json.RawMessage(`{"cents":-1}`)},
		{At: 4, Event: "withdrawn", Position: 3072, Raw: []byte{0xc1}},
	}
	return all[:min(limit, len(all))], nil
}

func (st *stage) Held(_ context.Context, view, _, _ string, _ int, _ store.Position) (projector.HeldPage, error) {
	return projector.HeldPage{}, fmt.Errorf("held in view %s: %w", view, projector.ErrNoTables)
}

// released takes the letter away, unless it fails again.
func (st *stage) released(id string) (projector.DeadLetter, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, l := range st.letters {
		if l.ID != id {
			continue
		}
		if st.fails[id] {
			l.At, l.Error = 4, "panic: negative"
			return l, nil
		}
		st.letters = append(st.letters[:i:i], st.letters[i+1:]...)
		return projector.DeadLetter{}, nil
	}
	return projector.DeadLetter{}, projector.ErrNoLetter
}

func (st *stage) Retry(_ context.Context, view, id string) (projector.DeadLetter, error) {
	if err := st.called(view, "retry %s", id); err != nil {
		return projector.DeadLetter{}, err
	}
	return st.released(id)
}

func (st *stage) Edit(_ context.Context, view, id string, at uint64, data json.RawMessage, by string) error {
	name, _, _ := strings.Cut(by, "@")
	return st.called(view, "edit %s at %d to %s by %s", id, at, data, name)
}

func (st *stage) Skip(_ context.Context, view, id string, at uint64, reason, by string) (projector.DeadLetter, error) {
	name, _, _ := strings.Cut(by, "@")
	if err := st.called(view, "skip %s at %d for %s by %s", id, at, reason, name); err != nil {
		return projector.DeadLetter{}, err
	}
	return st.released(id)
}

func (st *stage) Skipped(context.Context, string) ([]projector.Skipped, error) {
	return []projector.Skipped{{
		Model: projector.Model{View: "totals", Version: 1}, Stream: store.StreamID{Type: "account", ID: "bob"}, At: 2, Event: "deposited",
		Reason: "sent twice", By: "ann", Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
	}}, nil
}

func (st *stage) Rebuild(_ context.Context, view string, r projector.Rebuild) (projector.Model, error) {
	return projector.Model{View: view, Version: max(r.Version, 1), Build: 1}, st.called(view, "rebuild %+v", r)
}

func (st *stage) Promote(_ context.Context, view string, force bool) error {
	return st.called(view, "promote %v", force)
}
func (st *stage) Rollback(_ context.Context, view string) error { return st.called(view, "rollback") }
func (st *stage) Cancel(_ context.Context, view string) error   { return st.called(view, "cancel") }
func (st *stage) Retire(_ context.Context, view string) error   { return st.called(view, "retire") }
func (st *stage) Pause(_ context.Context, view string) error    { return st.called(view, "pause") }
func (st *stage) Resume(_ context.Context, view string) error   { return st.called(view, "resume") }

func (st *stage) Rewind(_ context.Context, view string, p store.Position) error {
	return st.called(view, "rewind to %d", p)
}

func (st *stage) Verify(_ context.Context, view string, documents bool) (projector.Verification, error) {
	v := projector.Verification{
		Model: projector.Model{View: view, Version: 1},
		Workers: []projector.WorkerVerification{
			{Worker: "0", Stored: projector.Proof{Events: 2}, Log: projector.Proof{Events: 2}, Equal: true},
		},
	}
	if documents {
		v.Documents = &projector.Parity{Compared: 3, Differences: 1, Examples: []projector.Difference{{Key: "bob", Live: "1", Candidate: "2"}}}
	}
	return v, st.called(view, "verify %v", documents)
}

// staged is the definition of the one view.
type staged struct{ projector.Definition }

func (staged) Describe() projector.Description { return projector.Description{Name: "totals"} }

// stagedActors answer commands.
type stagedActors struct{}

// Submit is at position 2048 with accounts, and beyond that with the account late.
func (stagedActors) Submit(_ context.Context, c actor.Command, reply func(actor.Result, error)) {
	r := actor.Result{Version: 1, Position: 2048, Events: []string{"opened"}}
	if c.Stream.ID == "late" {
		r.Position = 4096
	}
	reply(r, nil)
}

func (stagedActors) State(context.Context, store.StreamID, actor.At) (actor.State, error) {
	return actor.State{}, store.ErrNotFound
}

func (stagedActors) Read(context.Context, store.StreamID, bool) (actor.State, error) {
	return actor.State{}, store.ErrNotFound
}

func (stagedActors) Diff(context.Context, store.StreamID, actor.At, actor.At) (actor.Difference, error) {
	return actor.Difference{}, store.ErrNotFound
}

func (stagedActors) Changes(context.Context, store.StreamID, uint64) iter.Seq2[store.Recorded[[]actor.Change], error] {
	return func(func(store.Recorded[[]actor.Change], error) bool) {}
}

func (stagedActors) History(context.Context, store.StreamID, uint64) iter.Seq2[store.Recorded[any], error] {
	return func(func(store.Recorded[any], error) bool) {}
}

func (stagedActors) Definitions() []actor.Definition {
	type command struct{}
	type event struct{}
	return []actor.Definition{actor.Aggregate[int, command, event]{
		Type: "account", Decide: func(int, command) ([]event, error) { return nil, nil }, Evolve: func(i int, _ event) int { return i },
		Commands: store.NewTypes(map[string]command{"open": {}}), Events: store.NewTypes(map[string]event{"opened": {}}),
	}}
}

// lineWriter passes on each write to who waits for it.
type lineWriter struct{ lines chan string }

var _ io.Writer = lineWriter{}

func (w lineWriter) Write(p []byte) (int, error) {
	w.lines <- string(p)
	return len(p), nil
}
