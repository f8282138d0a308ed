package gateway_test

import (
	"bytes"
	"context"
	"iter"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// soon is how long a test waits for what must happen.
const soon = time.Minute

const namespace = "bank"

// startServer runs a NATS server for one test.
func startServer(t testing.TB) *server.Server {
	t.Helper()
	return startWith(t, &server.Options{})
}

// startJetStream runs one that keeps streams.
func startJetStream(t testing.TB) *server.Server {
	t.Helper()
	return startWith(t, &server.Options{JetStream: true, StoreDir: t.TempDir()})
}

func startWith(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", -1, true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(soon) {
		t.Fatal("the server does not start")
	}
	return s
}

func connect(t testing.TB, s *server.Server, options ...nats.Option) *nats.Conn {
	t.Helper()
	ignore := func(*nats.Conn, *nats.Subscription, error) {} // tests make errors on purpose
	nc, err := nats.Connect(s.ClientURL(), append([]nats.Option{nats.ErrorHandler(ignore)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// startSystem runs the accounts on a log in memory.
func startSystem(t testing.TB, log *store.Memory) *actor.System {
	t.Helper()
	s, err := actor.NewSystem(actor.Config{Log: log, Snapshots: log, Aggregates: []actor.Definition{accounts}, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s.Run)
	return s
}

// run runs until the test ends, and fails the test if that fails.
func run(t testing.TB, f func(context.Context) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			cancel()
			err = <-done
		})
		return err
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return stop
}

// startGateway serves config, filled in where the test left it empty.
func startGateway(t testing.TB, config gateway.Config) (g *gateway.Gateway, stop func() error) {
	t.Helper()
	if config.Namespace == "" {
		config.Namespace = namespace
	}
	if config.Logger == nil {
		config.Logger = quiet()
	}
	if config.Timeout == 0 {
		config.Timeout = soon // what waits in a test waits for a condition
	}
	g, err := gateway.New(config)
	if err != nil {
		t.Fatal(err)
	}
	stop = run(t, g.Run)
	receive(t, g.Ready())
	return g, stop
}

// bank is everything at once, for tests that look from outside.
type bank struct {
	server *server.Server
	log    *store.Memory
	system *actor.System
	conn   *nats.Conn // the asker's, not the gateway's
	logged *logBuffer
}

func startBank(t testing.TB, change ...func(*gateway.Config)) *bank {
	t.Helper()
	b := &bank{server: startServer(t), log: store.NewMemory(store.MemoryConfig{}), logged: &logBuffer{}}
	b.system = startSystem(t, b.log)
	config := gateway.Config{
		Conn: connect(t, b.server), Actors: b.system, Partitions: b.log.Partitions(),
		Logger: slog.New(slog.NewTextHandler(b.logged, nil)),
	}
	for _, f := range change {
		f(&config)
	}
	startGateway(t, config)
	b.conn = connect(t, b.server)
	return b
}

func (b *bank) client(t testing.TB) *gateway.Client { return newClient(t, b.conn) }

func newClient(t testing.TB, nc *nats.Conn, change ...func(*gateway.ClientConfig)) *gateway.Client {
	t.Helper()
	// Nothing is sent twice because the machine is busy: who wants that says so.
	config := gateway.ClientConfig{Conn: nc, Namespace: namespace, Timeout: soon, ResendAfter: soon}
	for _, f := range change {
		f(&config)
	}
	c, err := gateway.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// request asks as a stranger would, with nothing but NATS.
func request(t testing.TB, nc *nats.Conn, subject, body string, headers ...string) *nats.Msg {
	t.Helper()
	m := nats.NewMsg(subject)
	m.Data = []byte(body)
	for i := 0; i < len(headers); i += 2 {
		m.Header[headers[i]] = append(m.Header[headers[i]], headers[i+1])
	}
	answer, err := nc.RequestMsg(m, soon)
	if err != nil {
		t.Fatalf("request %s: %v", subject, err)
	}
	return answer
}

// status is the Nats-Service-Error-Code of an answer, 200 without one.
func status(t testing.TB, m *nats.Msg) int {
	t.Helper()
	text := m.Header.Get("Nats-Service-Error-Code")
	if text == "" {
		return 200
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("Nats-Service-Error-Code: %v", err)
	}
	return n
}

func receive[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(soon):
		t.Fatal("nothing came")
	}
	return v
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
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

// givenTime tries with ever more time, until that is enough: how much it takes
// depends on the machine, what comes of it does not.
func givenTime(t testing.TB, what string, try func(most time.Duration) error) {
	t.Helper()
	var err error
	for most := time.Second; most <= soon; most *= 2 {
		if err = try(most); err == nil {
			return
		}
	}
	t.Errorf("%s: %v", what, err)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// logBuffer keeps what was logged.
type logBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

// fakeActors answers commands as a test says.
type fakeActors struct {
	submit  func(ctx context.Context, c actor.Command, reply func(actor.Result, error))
	history func(store.StreamID) iter.Seq2[store.Recorded[any], error]
	read    func(ctx context.Context, id store.StreamID, linearizable bool) (actor.State, error)
	count   atomic.Int64
}

func (f *fakeActors) Submit(ctx context.Context, c actor.Command, reply func(actor.Result, error)) {
	f.count.Add(1)
	f.submit(ctx, c, reply)
}

func (f *fakeActors) State(context.Context, store.StreamID, actor.At) (actor.State, error) {
	return actor.State{}, store.ErrNotFound
}

func (f *fakeActors) Read(ctx context.Context, id store.StreamID, linearizable bool) (actor.State, error) {
	if f.read == nil {
		return actor.State{}, store.ErrNotFound
	}
	return f.read(ctx, id, linearizable)
}

func (f *fakeActors) Diff(context.Context, store.StreamID, actor.At, actor.At) (actor.Difference, error) {
	return actor.Difference{}, store.ErrNotFound
}

func (f *fakeActors) Changes(context.Context, store.StreamID, uint64) iter.Seq2[store.Recorded[[]actor.Change], error] {
	return func(func(store.Recorded[[]actor.Change], error) bool) {}
}

func (f *fakeActors) History(_ context.Context, id store.StreamID, _ uint64) iter.Seq2[store.Recorded[any], error] {
	return f.history(id)
}

func (f *fakeActors) Definitions() []actor.Definition { return []actor.Definition{accounts} }
