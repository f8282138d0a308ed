package actor_test

import (
	"encoding/json"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// A large state takes long to encode: meanwhile nobody else is kept waiting.

type slowState struct{ Count int }

// encoding holds back who encodes a slowState until it is closed; nil: nobody.
var encoding atomic.Pointer[chan struct{}]

func (s slowState) MarshalJSON() ([]byte, error) {
	if held := encoding.Load(); held != nil {
		<-*held
	}
	return json.Marshal(s.Count)
}

func (s *slowState) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &s.Count) }

var slow = actor.Aggregate[slowState, command, event]{
	Type:   "account", // so that ids and commands are those of the others
	Decide: func(_ slowState, _ command) ([]event, error) { return []event{deposited{Cents: 1}}, nil },
	Evolve: func(s slowState, _ event) slowState {
		s.Count++
		return s
	},
	Commands: accounts.Commands, Events: accounts.Events,
}

// It runs alone: the state is made slow for all.
func TestPassivationLetsOthersWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := store.NewMemory(store.MemoryConfig{Codec: store.JSON})
		b := newBenchOn(t, memory, func(c *actor.Config) {
			c.Aggregates = []actor.Definition{slow}
			c.PassivateAfter = time.Minute
		})
		defer b.stop()
		ids := inPartition("a", 2)
		for range 20 {
			b.must(t, "a", deposit{Cents: 1})
		}
		held := make(chan struct{})
		encoding.Store(&held)
		defer encoding.Store(nil)
		time.Sleep(2 * time.Minute) // a sweep has begun to encode the actor's state
		synctest.Wait()
		b.must(t, ids[1], deposit{Cents: 1}) // the neighbour in the same partition
		queued := b.submit(t, deposits("a", "meanwhile"))
		synctest.Wait()
		select {
		case got := <-queued:
			t.Fatalf("the state was used while it is encoded: %+v", got)
		default:
		}
		close(held)
		if got := <-queued; got.err != nil || got.result.Version != 21 {
			t.Fatalf("got %+v", got)
		}
		synctest.Wait()
		if snap, ok := b.snapshot(t, "a"); !ok || snap.Head.Version != 20 {
			t.Fatalf("snapshot %+v", snap)
		}
		if n := b.system.Active(); n != 2 {
			t.Fatalf("%d actors: the one that got work must stay", n)
		}
	})
}
