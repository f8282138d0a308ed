package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// bank serves applications in memory, one after the other, each command in a
// millisecond; while it is down, commands wait until their time is over.
type bank struct {
	mu     sync.Mutex
	states map[string]application.Application
	sizes  map[string]uint64
	down   bool
}

func (b *bank) Send(ctx context.Context, r gateway.Request) (actor.Result, error) {
	time.Sleep(time.Millisecond) // of the bubble that the test runs in
	b.mu.Lock()
	down := b.down
	b.mu.Unlock()
	if down {
		<-ctx.Done()
		return actor.Result{}, fmt.Errorf("silence: %w", store.ErrUnknown)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := application.Applications.Commands.Decode(store.MsgPack, r.Name, 1, r.Body)
	if err != nil {
		return actor.Result{}, err
	}
	events, err := b.states[r.Stream.ID].Decide(c)
	if err != nil {
		return actor.Result{}, fmt.Errorf("%w", rejection{err})
	}
	b.states[r.Stream.ID] = b.states[r.Stream.ID].Evolve(events[0])
	b.sizes[r.Stream.ID]++
	name, _ := application.Applications.Events.Name(events[0])
	return actor.Result{Version: b.sizes[r.Stream.ID], Events: []string{name}}, nil
}

// rejection reads as the domain's own error, and matches as the gateway's does.
type rejection struct{ error }

func (r rejection) Is(target error) bool { return target == actor.ErrRejected }

func (b *bank) Read(_ context.Context, id store.StreamID, _ bool) (gateway.State, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	state, err := json.Marshal(b.states[id.ID])
	return gateway.State{Version: b.sizes[id.ID], State: state}, err
}

func (b *bank) set(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func newBank() *bank {
	return &bank{states: map[string]application.Application{}, sizes: map[string]uint64{}}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHistory()
		l := NewLoad(LoadConfig{Clients: []Client{newBank()}, Applications: 50, Rate: 100, Seed: 1}, h)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		l.Run(ctx)
		f := Findings{}
		h.Each(f.count)
		if sent := f.Acknowledged + f.Rejected; sent < 5000 || sent > 7000 {
			t.Errorf("%d commands in a minute, want about 6000", sent)
		}
		if f.Rejected < f.Acknowledged/20 || f.Unexpected > 0 || len(h.reads) < 100 {
			t.Errorf("%d rejected, %d acknowledged, %d unexpected, %d reads", f.Rejected, f.Acknowledged, f.Unexpected, len(h.reads))
		}
		Justify(&f, h)
		if f.Unjustified > 0 {
			t.Errorf("%d applications cannot be explained: %q", f.Unjustified, f.Notes)
		}
	})
}

// Those who are hurried send at once, and again until something is
// acknowledged.
func TestHurry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, b := NewHistory(), newBank()
		l := NewLoad(LoadConfig{Clients: []Client{b}, Applications: 50, Rate: 1, Deadline: 2 * time.Second, Readers: 1, Seed: 1}, h)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Run(ctx)
		}()
		all := map[string]bool{}
		for _, id := range l.Applications()[:20] {
			all[id] = true
		}
		time.Sleep(4 * time.Minute) // by then everybody has submitted
		b.set(true)
		before := h.Now()
		l.Hurry(all, 500*time.Millisecond)
		time.Sleep(10 * time.Second)
		b.set(false)
		time.Sleep(3 * time.Second)
		took, missing := h.Returns(l.Applications()[:20], before)
		if len(missing) > 0 {
			t.Errorf("%d were not hurried", len(missing))
		}
		if least := Percentile(took, 0); least < 10*time.Second {
			t.Errorf("acknowledged after %v, by a bank that was closed", least)
		}
		cancel()
		<-done
	})
}

// A deadline that passes leaves an unknown outcome, which sending again settles.
func TestSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, b := NewHistory(), newBank()
		h.Do(t.Context(), b, &Op{Stream: "a", ID: "1", Command: submit}, time.Second)
		b.set(true)
		o := &Op{Stream: "a", ID: "2", Command: work(1)}
		h.Do(t.Context(), b, o, time.Second)
		if o.Outcome != Unknown {
			t.Fatalf("%v after silence", o.Outcome)
		}
		b.set(false)
		h.Settle(t.Context(), []Client{b}, 0, 1)
		if span, a := o.Final(); a.Outcome != OK || span.Sent < o.Done {
			t.Errorf("%v within %v", a, span)
		}
	})
}
