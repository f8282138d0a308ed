package shared

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/test/bank"
	"github.com/annals-go/annals/test/linear"
)

var seedFlag = flag.Uint64("seed", 0, "replay this seed")

const (
	workers   = 12
	perWorker = 150
	instances = 6
)

func TestTwoSystemsOnMemory(t *testing.T) {
	t.Parallel()
	memory := store.NewMemory(store.MemoryConfig{})
	serve(t, memory, memory, [2]store.Log{memory, memory})
}

func TestTwoSystemsOnJetStream(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(embedded.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	var logs [2]store.Log
	var snapshots store.Snapshots
	for i := range logs {
		nc, err := server.Connect()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		log, err := jetstream.Open(t.Context(), jetstream.Config{Conn: nc, Namespace: "bank", InMemory: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
		logs[i], snapshots = log, log.Snapshots()
	}
	serve(t, logs[0], snapshots, logs)
}

// serve lets clients send commands for the same accounts to two systems, each
// as it likes and some of them twice, and checks what they were told against
// the aggregate's own functions and against the log.
func serve(t *testing.T, audit store.Log, snapshots store.Snapshots, logs [2]store.Log) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d; replay the choices with -seed=%d", seed, seed)
	var senders [2]actor.Sender[bank.Account, bank.Command, bank.Event]
	for i, log := range logs {
		senders[i] = start(t, log, snapshots)
	}
	var h history
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(w)))
			for n := range perWorker {
				h.send(t, senders, random, w, fmt.Sprintf("%d-%d", w, n))
			}
		})
	}
	group.Wait()
	h.check(t)
	h.audit(t, audit)
}

func start(t *testing.T, log store.Log, snapshots store.Snapshots) actor.Sender[bank.Account, bank.Command, bank.Event] {
	system, err := actor.NewSystem(actor.Config{
		Log: log, Snapshots: snapshots, Aggregates: []actor.Definition{bank.Accounts}, Shared: true,
		SnapshotEvery: 10, PassivateAfter: 20 * time.Millisecond, // so that actors come and go
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- system.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return actor.For(system, bank.Accounts)
}

type history struct {
	clock atomic.Int64 // counts calls and returns: their order is all that matters
	mu    sync.Mutex
	ops   []porcupine.Operation
	acked map[string]actor.Result // by instance and command id
	// meanwhile counts the answers after which a command was sent again.
	meanwhile map[error]int
}

func (h *history) send(t *testing.T, senders [2]actor.Sender[bank.Account, bank.Command, bank.Event], random *rand.Rand, worker int, commandID string) {
	id, c := choose(random, commandID)
	call := h.clock.Add(1)
	result, err := senders[random.IntN(2)].ExecuteWith(t.Context(), id, c, actor.Command{ID: commandID})
	end := h.clock.Add(1)
	out := linear.Output{Version: result.Version, Events: result.Events}
	switch {
	case errors.Is(err, actor.ErrRejected):
		out.Rejected = err.Error()
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrUnknown):
		out.Unknown = true
	case err != nil:
		t.Errorf("%s %T: %v", id, c, err)
	case random.IntN(5) == 0:
		again, err := senders[random.IntN(2)].ExecuteWith(t.Context(), id, c, actor.Command{ID: commandID})
		if err != nil || !again.Duplicate || again.Version != result.Version || again.Position != result.Position {
			t.Errorf("%s %T again: %+v, %v; the first time %+v", id, c, again, err, result)
		}
	}
	h.add(porcupine.Operation{
		ClientId: worker, Input: linear.Input[bank.Command]{ID: id, Command: &c}, Call: call, Output: out, Return: end,
	})
	if err == nil {
		h.ack(id+" "+commandID, result)
	}
}

func choose(random *rand.Rand, commandID string) (id string, c bank.Command) {
	id = fmt.Sprintf("account-%d", random.IntN(instances))
	switch random.IntN(8) {
	case 0:
		return id, bank.Open{Owner: commandID}
	case 1, 2, 3:
		return id, bank.Deposit{Cents: 1 + random.Int64N(50)}
	default:
		return id, bank.Withdraw{Cents: 1 + random.Int64N(50)}
	}
}

func (h *history) add(op porcupine.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

func (h *history) ack(key string, result actor.Result) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.acked == nil {
		h.acked = make(map[string]actor.Result)
	}
	h.acked[key] = result
}

func (h *history) check(t *testing.T) {
	rejected, unknown := 0, 0
	for i := range h.ops {
		switch out := h.ops[i].Output.(linear.Output); {
		case out.Unknown:
			unknown++
			h.ops[i].Return = math.MaxInt64 // its effect may come at any time
		case out.Rejected != "":
			rejected++
		}
	}
	t.Logf("%d operations: %d accepted, %d rejected, %d unknown", len(h.ops), len(h.acked), rejected, unknown)
	if len(h.acked) < len(h.ops)/4 || rejected < len(h.ops)/20 {
		t.Fatal("the run proves too little: too few commands of a kind")
	}
	if result := porcupine.CheckOperationsTimeout(linear.Model(bank.Accounts), h.ops, time.Minute); result != porcupine.Ok {
		t.Fatalf("linearizable: %s", result)
	}
}

// audit reads every stream and looks for what was acknowledged, exactly once
// and where it was said to be, and for epochs that went down; Read itself proves
// versions and the chain.
func (h *history) audit(t *testing.T, log store.Log) {
	seen := make(map[string]int)
	for n := range instances {
		id, epoch := fmt.Sprintf("account-%d", n), uint64(0)
		for c, err := range log.Read(t.Context(), store.StreamID{Type: "account", ID: id}, store.Head{}) {
			if err != nil {
				t.Fatal(err)
			}
			if c.Epoch < epoch {
				t.Errorf("%s: a commit of epoch %d follows one of epoch %d", id, c.Epoch, epoch)
			}
			epoch = c.Epoch
			for r := range c.Recorded() {
				key := id + " " + r.Command.ID
				if seen[key]++; seen[key] > 1 {
					t.Errorf("%s: stored twice", key)
				}
				if acked, ok := h.acked[key]; ok && (acked.Version != r.Version || acked.Position != r.Position) {
					t.Errorf("%s: acknowledged at version %d, position %d; stored at %d, %d", key, acked.Version, acked.Position, r.Version, r.Position)
				}
			}
		}
	}
	for key := range h.acked {
		if seen[key] != 1 {
			t.Errorf("%s: acknowledged, and %d times in the log", key, seen[key])
		}
	}
}
