package actor_test

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// interceptedLog lets a test stand between a system and its log.
type interceptedLog struct {
	store.Log
	mu      sync.Mutex
	append  func(ctx context.Context, c *store.Commit, next appendFunc) (store.Head, error)
	read    func() // called when a read begins
	appends atomic.Int64
	reads   atomic.Int64
}

type appendFunc func(context.Context, *store.Commit) (store.Head, error)

func (l *interceptedLog) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	l.appends.Add(1)
	l.mu.Lock()
	intercept := l.append
	l.mu.Unlock()
	if intercept == nil {
		return l.Log.Append(ctx, c)
	}
	return intercept(ctx, c, l.Log.Append)
}

func (l *interceptedLog) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	l.reads.Add(1)
	l.mu.Lock()
	reading := l.read
	l.mu.Unlock()
	if reading != nil {
		reading()
	}
	return l.Log.Read(ctx, id, after)
}

// onRead sets what is called when a read begins; nil: nothing.
func (l *interceptedLog) onRead(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read = f
}

// intercept sets what happens to appends from now on; nil: nothing.
func (l *interceptedLog) intercept(f func(context.Context, *store.Commit, appendFunc) (store.Head, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.append = f
}

type bench struct {
	memory *store.Memory
	log    *interceptedLog
	system *actor.System
	sender actor.Sender[account, command, event]
	stop   func() // ends Run and waits for it
}

// newBench runs a system on a fresh Memory, or on the one of another bench.
func newBench(t *testing.T, change func(*actor.Config)) *bench {
	t.Helper()
	return newBenchOn(t, store.NewMemory(store.MemoryConfig{}), change)
}

func newBenchOn(t *testing.T, memory *store.Memory, change func(*actor.Config)) *bench {
	t.Helper()
	b := &bench{memory: memory, log: &interceptedLog{Log: memory}}
	config := actor.Config{
		Log: b.log, Snapshots: memory, Aggregates: []actor.Definition{accounts},
		Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&config)
	}
	var err error
	if b.system, err = actor.NewSystem(config); err != nil {
		t.Fatal(err)
	}
	b.sender = actor.For(b.system, accounts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.system.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(b.stop)
	return b
}

func (b *bench) must(t *testing.T, id string, c command) actor.Result {
	t.Helper()
	r, err := b.sender.Execute(t.Context(), id, c)
	if err != nil {
		t.Fatalf("%T: %v", c, err)
	}
	return r
}

func (b *bench) state(t *testing.T, id string) (account, uint64) {
	t.Helper()
	a, version, err := b.sender.State(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return a, version
}

// commits returns what the log holds of an account.
func (b *bench) commits(t *testing.T, id string) []*store.Commit {
	t.Helper()
	var all []*store.Commit
	for c, err := range b.memory.Read(t.Context(), stream(id), store.Head{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func stream(id string) store.StreamID { return store.StreamID{Type: "account", ID: id} }

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

type reply struct {
	result actor.Result
	err    error
}

// submit queues a command and returns where its reply arrives.
func (b *bench) submit(t *testing.T, c actor.Command) <-chan reply {
	t.Helper()
	replies := make(chan reply, 1)
	var replied atomic.Bool
	b.system.Submit(t.Context(), c, func(r actor.Result, err error) {
		if replied.Swap(true) {
			t.Errorf("a second reply to %s: %+v, %v", c.Name, r, err)
			return
		}
		replies <- reply{r, err}
	})
	return replies
}

// hold makes the next append wait until release is called; entered is closed
// when it has begun.
func (b *bench) hold() (entered <-chan struct{}, release func()) {
	in, out := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	b.log.intercept(func(ctx context.Context, c *store.Commit, next appendFunc) (store.Head, error) {
		if held.CompareAndSwap(false, true) {
			close(in)
			<-out
		}
		return next(ctx, c)
	})
	return in, sync.OnceFunc(func() { close(out) })
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// actortestT stands in for the t of a test in an example.
type actortestT struct {
	testing.TB
	failed bool
}

func (t *actortestT) Helper()               {}
func (t *actortestT) Fatalf(string, ...any) { t.failed = true }
func (t *actortestT) Fatal(...any)          { t.failed = true }
