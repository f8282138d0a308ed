package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

func TestRunReturnsAfterWhatWasTakenIsAnswered(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	replies := make(chan func(actor.Result, error), 1)
	var first atomic.Bool
	f := &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) {
		if first.CompareAndSwap(false, true) {
			replies <- reply
			return
		}
		reply(actor.Result{}, nil)
	}}
	_, stop := startGateway(t, gateway.Config{Conn: connect(t, s), Actors: f})
	nc := connect(t, s)
	answers := make(chan *nats.Msg, 1)
	go func() {
		m, err := nc.Request("bank.cmd.account.a.touch", nil, soon)
		if err != nil {
			t.Error(err)
		}
		answers <- m
	}()
	reply := receive(t, replies)
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	eventually(t, "nothing new is taken", func() bool {
		_, err := nc.Request("bank.cmd.account.a.touch", nil, soon)
		return errors.Is(err, nats.ErrNoResponders)
	})
	select {
	case err := <-stopped:
		t.Fatalf("Run returned before the command was answered: %v", err)
	default:
	}
	reply(actor.Result{Version: 7}, nil)
	if m := receive(t, answers); status(t, m) != 200 || !strings.Contains(string(m.Data), `"version":7`) {
		t.Errorf("answer %s", m.Data)
	}
	if err := receive(t, stopped); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// Under load, every command that was sent before the gateway left is answered,
// and every later one hears that nobody responds.
func TestNoCommandIsLostWhenTheGatewayLeaves(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	log := store.NewMemory(store.MemoryConfig{})
	_, stop := startGateway(t, gateway.Config{Conn: connect(t, s), Actors: startSystem(t, log)})
	nc := connect(t, s)
	var wait sync.WaitGroup
	var mu sync.Mutex
	answered := 0
	underWay := make(chan struct{})
	for i := range 50 {
		wait.Go(func() {
			for n := 0; ; n++ {
				m, err := nc.Request(fmt.Sprintf("bank.cmd.account.a%d-%d.open", i, n), []byte(`{"owner":"Ann"}`), soon)
				if errors.Is(err, nats.ErrNoResponders) {
					return
				}
				if err != nil || status(t, m) != 200 {
					t.Errorf("%d-%d: %v", i, n, err)
					return
				}
				mu.Lock()
				if answered++; answered == 500 {
					close(underWay)
				}
				mu.Unlock()
			}
		})
	}
	receive(t, underWay)
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	wait.Wait()
	tip, err := log.Tip(t.Context())
	if err != nil || tip.Sequence() != uint64(answered) {
		t.Errorf("%d commits, %d answers: %v", tip.Sequence(), answered, err)
	}
}

// tooShort is a time to drain for what does not end by itself. Everything else
// that a drain has to do fits into it, on a busy machine too.
const tooShort = 5 * time.Second

func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	replies := make(chan func(actor.Result, error), 1)
	f := &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) { replies <- reply }}
	g, err := gateway.New(gateway.Config{Conn: connect(t, s), Namespace: namespace, Actors: f, DrainTimeout: tooShort})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	receive(t, g.Ready())
	if err := connect(t, s).Publish("bank.cmd.account.a.touch", nil); err != nil {
		t.Fatal(err)
	}
	reply := receive(t, replies)
	cancel()
	if err := receive(t, done); err == nil || !strings.Contains(err.Error(), "commands are still under way") {
		t.Errorf("Run: %v", err)
	}
	reply(actor.Result{}, nil) // late, and harmless
}

// A query that waits for its view gives up when the time to drain is over, and
// says so.
func TestWaitingQueriesEndWithTheDrain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	waiting := make(chan struct{}, 1)
	v := &fakeViews{get: func(ctx context.Context, view, key string, min store.Position) (projector.Document, error) {
		waiting <- struct{}{}
		<-ctx.Done()
		return projector.Document{}, &projector.TimeoutError{View: view, Want: min, Cause: context.Cause(ctx)}
	}}
	_, stop := startGateway(t, gateway.Config{Conn: connect(t, s), Actors: &fakeActors{}, Views: v, Timeout: time.Hour, MaxTimeout: time.Hour, DrainTimeout: tooShort})
	answer := ask(t, connect(t, s), "bank.qry.totals.a")
	receive(t, waiting)
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := status(t, receive(t, answer)); got != 504 {
		t.Errorf("answer %d, want 504", got)
	}
}
