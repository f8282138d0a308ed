package shared

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/bank"
	"github.com/annals-go/annals/test/linear"
)

// office gives each partition to one of two systems at a time, as a cluster
// does. Each system sees its own page of the book.
type office struct {
	mu    sync.Mutex
	epoch uint64
	pages [2]map[int]holding
}

type holding struct {
	epoch uint64
	valid bool
}

// desk is the office as one system sees it.
type desk struct {
	*office
	side int
}

func (d desk) Epoch(partition int) (uint64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.pages[d.side][partition]
	return h.epoch, h.valid
}

func (d desk) Confirm(_ context.Context, partition int, epoch uint64) error {
	time.Sleep(time.Millisecond)
	if now, valid := d.Epoch(partition); !valid || now != epoch {
		return errors.New("the partition is not held under this epoch")
	}
	return nil
}

// give makes a side the holder under a new epoch.
func (o *office) give(partition, side int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.epoch++
	o.pages[side][partition] = holding{o.epoch, true}
}

// take ends what a side may believe.
func (o *office) take(partition, side int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pages[side][partition] = holding{o.pages[side][partition].epoch, false}
}

// renew makes the same holding valid again.
func (o *office) renew(partition, side int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pages[side][partition] = holding{o.pages[side][partition].epoch, true}
}

// slowLog takes its time before and after an append, so that leases end in the
// middle of it.
type slowLog struct{ store.Log }

func (l slowLog) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	time.Sleep(rand.N(2 * time.Millisecond))
	head, err := l.Log.Append(ctx, c)
	time.Sleep(rand.N(2 * time.Millisecond))
	return head, err
}

// pair is two systems on one log, with the office between them.
type pair struct {
	office  *office
	systems [2]*actor.System
	senders [2]actor.Sender[bank.Account, bank.Command, bank.Event]
}

// newPair returns two systems in a bubble of synctest, all partitions with the first.
func newPair(t *testing.T, memory *store.Memory) (p *pair, stop func()) {
	p = &pair{office: &office{pages: [2]map[int]holding{{}, {}}}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for side := range p.systems {
		system, err := actor.NewSystem(actor.Config{
			Log: slowLog{memory}, Snapshots: memory, Aggregates: []actor.Definition{bank.Accounts}, Leases: desk{p.office, side},
			SnapshotEvery: 10, PassivateAfter: 20 * time.Millisecond,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { _ = system.Run(ctx) })
		p.systems[side], p.senders[side] = system, actor.For(system, bank.Accounts)
	}
	for partition := range memory.Partitions() {
		p.office.give(partition, 0)
		p.systems[0].Open(partition)
	}
	return p, func() { cancel(); running.Wait() }
}

// moves are the ways in which a partition leaves one side.
var moves = []struct {
	name string
	do   func(p *pair, partition, from int)
}{
	{"released", func(p *pair, partition, from int) {
		p.systems[from].Release(context.Background(), partition)
		p.office.take(partition, from)
		p.office.give(partition, 1-from)
		p.systems[1-from].Open(partition)
	}},
	{"lost", func(p *pair, partition, from int) {
		p.office.take(partition, from)
		p.office.give(partition, 1-from)
		p.systems[1-from].Open(partition)
		time.Sleep(rand.N(5 * time.Millisecond))
		p.systems[from].Drop(partition)
	}},
	{"renewed late", func(p *pair, partition, from int) {
		p.office.take(partition, from)
		time.Sleep(rand.N(3 * time.Millisecond))
		p.office.renew(partition, from)
	}},
	{"lost and won back", func(p *pair, partition, from int) { // before it was told of the loss
		p.office.take(partition, from)
		p.office.give(partition, 1-from)
		p.systems[1-from].Open(partition)
		time.Sleep(rand.N(10 * time.Millisecond))
		p.office.take(partition, 1-from)
		p.systems[1-from].Drop(partition)
		p.office.give(partition, from)
	}},
}

// believed is what no cluster may let happen: the old holder goes on believing
// that it holds the partition.
func believed(p *pair, partition, from int) {
	p.office.give(partition, 1-from)
	p.systems[1-from].Open(partition)
	time.Sleep(rand.N(10 * time.Millisecond))
	p.office.take(partition, from)
	p.systems[from].Drop(partition)
}

const (
	movedWorkers = 10
	movedEach    = 600
)

// TestPartitionsMoveUnderLoad hands the partitions of busy accounts to and fro
// in every way that a cluster knows. Clients send each command until they know
// what became of it.
func TestPartitionsMoveUnderLoad(t *testing.T) {
	t.Parallel()
	memory := store.NewMemory(store.MemoryConfig{})
	var h history
	moved := make(map[string]int)
	synctest.Test(t, func(t *testing.T) {
		h.move(t, memory, func(p *pair, random *rand.Rand, partition, from int) {
			m := moves[random.IntN(len(moves))]
			m.do(p, partition, from)
			moved[m.name]++
		})
	})
	t.Logf("moves: %v; answers that were not the last: %v", moved, h.meanwhile)
	for _, m := range moves {
		if moved[m.name] < 20 {
			t.Errorf("the run proves too little: %s %d times", m.name, moved[m.name])
		}
	}
	for _, answer := range []error{store.ErrUnknown, store.ErrUnavailable, actor.ErrMoved} {
		if h.meanwhile[answer] < 20 {
			t.Errorf("the run proves too little: %v was answered %d times", answer, h.meanwhile[answer])
		}
	}
	h.check(t)
	h.audit(t, memory)
}

// TestBrokenLeasesLoseNothing lets both sides believe that they hold the same
// partition. Their memories may then be out of date; the log may not be wrong.
func TestBrokenLeasesLoseNothing(t *testing.T) {
	t.Parallel()
	memory := store.NewMemory(store.MemoryConfig{})
	var h history
	synctest.Test(t, func(t *testing.T) {
		h.move(t, memory, func(p *pair, _ *rand.Rand, partition, from int) { believed(p, partition, from) })
	})
	if len(h.acked) < len(h.ops)/8 {
		t.Errorf("the run proves too little: %d of %d commands accepted", len(h.acked), len(h.ops))
	}
	h.audit(t, memory)
}

// move runs clients against two systems while partitions move between them.
func (h *history) move(t *testing.T, memory *store.Memory, once func(p *pair, random *rand.Rand, partition, from int)) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d; replay the choices with -seed=%d", seed, seed)
	p, stop := newPair(t, memory)
	defer stop()
	var clients sync.WaitGroup
	for w := range movedWorkers {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(w)))
			for n := range movedEach {
				if random.IntN(4) == 0 {
					h.readUntilKnown(t, p, random, w)
				} else {
					h.sendUntilKnown(t, p, random, w, fmt.Sprintf("%d-%d", w, n))
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { clients.Wait(); close(done) }()
	random := rand.New(rand.NewPCG(seed, movedWorkers))
	for {
		id := store.StreamID{Type: "account", ID: fmt.Sprintf("account-%d", random.IntN(instances))}
		partition := id.Partition(memory.Partitions())
		once(p, random, partition, p.holder(partition))
		select {
		case <-done:
			return
		case <-time.After(rand.N(10 * time.Millisecond)):
		}
	}
}

// holder is the side that holds the partition by the latest epoch.
func (p *pair) holder(partition int) int {
	p.office.mu.Lock()
	defer p.office.mu.Unlock()
	if p.office.pages[0][partition].epoch > p.office.pages[1][partition].epoch {
		return 0
	}
	return 1
}

// patience is in fake time: it runs only while everybody waits.
const patience = time.Minute

// retry calls one side and then the other until the answer is definite.
func (h *history) retry(t *testing.T, random *rand.Rand, what string, call func(side int) error) error {
	deadline := time.Now().Add(patience)
	for side := random.IntN(2); ; side = 1 - side {
		err := call(side)
		switch {
		case err == nil, errors.Is(err, actor.ErrRejected), errors.Is(err, store.ErrNotFound):
			return err
		case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrUnknown), errors.Is(err, store.ErrConflict):
		default:
			t.Errorf("%s: %v", what, err)
			return err
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: no answer in %v, the last one was %v", what, patience, err)
			return err
		}
		h.count(err)
		time.Sleep(rand.N(time.Millisecond))
	}
}

// count notes an answer that says nothing definite.
func (h *history) count(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.meanwhile == nil {
		h.meanwhile = make(map[error]int)
	}
	for _, is := range []error{actor.ErrMoved, store.ErrUnknown, store.ErrUnavailable, store.ErrConflict} {
		if errors.Is(err, is) {
			h.meanwhile[is]++
			return
		}
	}
}

func (h *history) sendUntilKnown(t *testing.T, p *pair, random *rand.Rand, worker int, commandID string) {
	id, c := choose(random, commandID)
	var result actor.Result
	call := h.clock.Add(1)
	err := h.retry(t, random, fmt.Sprintf("%s %T", id, c), func(side int) (err error) {
		result, err = p.senders[side].ExecuteWith(t.Context(), id, c, actor.Command{ID: commandID})
		return err
	})
	end := h.clock.Add(1)
	out := linear.Output{Version: result.Version, Events: result.Events}
	switch {
	case errors.Is(err, actor.ErrRejected):
		out.Rejected = err.Error()
	case err != nil:
		out.Unknown = true
	default:
		h.ack(id+" "+commandID, result)
	}
	h.add(porcupine.Operation{ClientId: worker, Input: linear.Input[bank.Command]{ID: id, Command: &c}, Call: call, Output: out, Return: end})
}

func (h *history) readUntilKnown(t *testing.T, p *pair, random *rand.Rand, worker int) {
	stream := store.StreamID{Type: "account", ID: fmt.Sprintf("account-%d", random.IntN(instances))}
	state, linearizable := actor.State{Value: bank.Account{}}, random.IntN(2) == 0
	call := h.clock.Add(1)
	err := h.retry(t, random, "read "+stream.String(), func(side int) error {
		got, err := p.systems[side].Read(t.Context(), stream, linearizable)
		if err == nil {
			state = got
		}
		return err
	})
	end := h.clock.Add(1)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return // and told already
	}
	out := linear.Output{Version: state.Version, State: linear.Encode(state.Value)}
	h.add(porcupine.Operation{ClientId: worker, Input: linear.Input[bank.Command]{ID: stream.ID}, Call: call, Output: out, Return: end})
}
