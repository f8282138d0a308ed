package hostile

import (
	"context"
	"encoding/json"
	"io"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/bank"
)

// soon is how long a test waits for what must happen.
const soon = time.Minute

// balances is a view of the accounts.
var balances = projector.Documents[bank.Event, bank.Account]{
	Name: "balances", Types: []string{bank.Accounts.Type}, Events: bank.Accounts.Events,
	Keys: func(e store.Recorded[bank.Event]) []string { return []string{e.Stream.ID} },
	Fold: func(_ string, a bank.Account, e store.Recorded[bank.Event]) bank.Account { return a.Evolve(e.Data) },
}

var app = node.App{Name: "bank", Aggregates: []actor.Definition{bank.Accounts}, Projections: []projector.Definition{balances}}

// text is a buffer that a process writes while a test reads.
type text struct {
	mu   sync.Mutex
	b    strings.Builder
	line chan string // gets the first line
}

func newText() *text { return &text{line: make(chan string, 1)} }

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.b.Write(p)
	if line, _, whole := strings.Cut(x.b.String(), "\n"); whole {
		select {
		case x.line <- line:
		default:
		}
	}
	return len(p), nil
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// started is what a process says when it is up.
type started struct{ NATS, HTTP string }

// startNode runs the command line of the application until the test ends, and
// returns what it said and its log.
func startNode(t *testing.T, env map[string]string, args ...string) (at started, logged *text) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, talk := newText(), newText()
	ended := make(chan int, 1)
	go func() {
		streams := node.Streams{In: strings.NewReader(""), Out: out, Err: talk, Env: func(name string) string { return env[name] }}
		ended <- node.Run(ctx, app, streams, append(args, "--json", "--log-level", "debug")...)
	}()
	select {
	case line := <-out.line:
		if err := json.Unmarshal([]byte(line), &at); err != nil {
			t.Fatal(err)
		}
	case code := <-ended:
		t.Fatalf("%v ended with exit code %d: %s", args, code, talk)
	}
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("%v: exit code %d: %s", args, code, talk)
		}
	})
	return at, talk
}

func connect(t *testing.T, url string, options ...nats.Option) *nats.Conn {
	t.Helper()
	ignore := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}) // they are made on purpose
	nc, err := nats.Connect(url, append([]nats.Option{ignore}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(soon)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// bystander sends good commands all the while.
type bystander struct {
	sent atomic.Int64
	stop func()
}

func deposit(id string, cents string) gateway.Request {
	return gateway.Request{Stream: store.StreamID{Type: bank.Accounts.Type, ID: id}, Name: "deposit", Codec: store.JSON, Body: []byte(`{"cents":` + cents + `}`)}
}

func opening(id, owner string) gateway.Request {
	return gateway.Request{Stream: store.StreamID{Type: bank.Accounts.Type, ID: id}, Name: "open", Codec: store.JSON, Body: []byte(`{"owner":"` + owner + `"}`)}
}

// watchOver has a bystander send until the test ends, or it is stopped.
func watchOver(t *testing.T, client *gateway.Client) *bystander {
	t.Helper()
	if _, err := client.Send(t.Context(), opening("good", "Ann")); err != nil {
		t.Fatal(err)
	}
	b := &bystander{}
	b.sent.Store(1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		pause := time.NewTicker(5 * time.Millisecond)
		defer pause.Stop()
		for ctx.Err() == nil {
			if _, err := client.Send(context.Background(), deposit("good", "1")); err != nil {
				t.Errorf("a good command: %v", err)
				return
			}
			b.sent.Add(1)
			<-pause.C
		}
	}()
	b.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(b.stop)
	return b
}

// stored lists the streams that the log has, with how many commits.
func stored(t *testing.T, nc *nats.Conn, namespace string) map[string]uint64 {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]uint64{}
	names := js.StreamNames(t.Context(), jetstream.WithStreamListSubject(namespace+".evt.>"))
	for name := range names.Name() {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(namespace+".evt.>"))
		if err != nil {
			t.Fatal(err)
		}
		for subject, n := range info.State.Subjects {
			all[subject] += n
		}
	}
	if err := names.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// onlyTheGood checks that nothing is stored but what the bystander was told of.
func (b *bystander) onlyTheGood(t *testing.T, nc *nats.Conn) {
	t.Helper()
	b.stop()
	all := stored(t, nc, "bank")
	for subject, n := range all {
		if !strings.HasSuffix(subject, ".account.good") || n != uint64(b.sent.Load()) {
			t.Errorf("stored: %s, %d commits; want account good with %d", subject, n, b.sent.Load())
		}
	}
	if len(all) != 1 || b.sent.Load() < 10 {
		t.Errorf("%d streams, %d good commands", len(all), b.sent.Load())
	}
}

// mostBytes is what one bad input may move.
const mostBytes = 32 << 20

func gauge(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// allocated is how many bytes this process has ever allocated.
func allocated() uint64 { return gauge("/gc/heap/allocs:bytes") }

// live is how many bytes it holds.
func live() uint64 {
	runtime.GC()
	return gauge("/gc/heap/live:bytes")
}

// within has one input tried, and checks what it cost.
func within(t *testing.T, what string, try func()) {
	t.Helper()
	before := allocated()
	try()
	if cost := allocated() - before; cost > mostBytes {
		t.Errorf("%s: %d bytes were allocated", what, cost)
	}
}

// discard reads what comes until the end.
func discard(r io.Reader) { _, _ = io.Copy(io.Discard, r) } // the end is what matters
