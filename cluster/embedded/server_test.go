package embedded

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestInMemoryServerLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := start(t, Config{})
	nc, err := s.Connect()
	js := streams(t, nc, err)
	createStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: jetstream.MemoryStorage})
	if ack := publish(t, js, "s", "x"); ack.Sequence != 1 {
		t.Fatalf("sequence %d, want 1", ack.Sequence)
	}
	if s.Barrier() != nil {
		t.Error("a barrier where nothing is kept")
	}
	s.Shutdown()
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

func TestServerTakesClientsOverTheNetworkAndInProcess(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	if !strings.HasPrefix(s.URL(), "nats://127.0.0.1:") {
		t.Fatalf("URL %q", s.URL())
	}
	for name, connect := range map[string]func() (*nats.Conn, error){
		"network":    func() (*nats.Conn, error) { return nats.Connect(s.URL()) },
		"in process": func() (*nats.Conn, error) { return s.Connect() },
	} {
		nc, err := connect()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := nc.MaxPayload(); got != 1<<20 {
			t.Errorf("%s: largest payload %d, want 1 MiB", name, got)
		}
		nc.Close()
	}
}

func TestServerWithoutListenerIsReachedInProcess(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Port: NoListener})
	if s.URL() != "" {
		t.Errorf("URL %q of a server that does not listen", s.URL())
	}
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	address := l.Addr().(*net.TCPAddr)

	_, err = Start(Config{Dir: t.TempDir(), Port: address.Port, Logger: quiet})
	var taken *PortError
	if !errors.Is(err, ErrPortInUse) || !errors.As(err, &taken) || taken.Address != address.String() {
		t.Fatalf("error %v, want a PortError for %s", err, address)
	}
}

// A port may be taken after it was looked at; then it is the server that finds
// out, of the port for other servers long after it was started.
func TestPortTakenMeanwhileIsNamed(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(opts *natsserver.Options, port int){
		"for clients": func(opts *natsserver.Options, port int) { opts.Port = port },
		"for servers": func(opts *natsserver.Options, port int) {
			opts.Cluster = natsserver.ClusterOpts{Name: "c", Host: loopback, Port: port}
			opts.Routes = []*url.URL{{Scheme: "nats", Host: net.JoinHostPort(loopback, "1")}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			cfg := Config{ReadyTimeout: 10 * time.Minute, Logger: quiet}.withDefaults()
			opts, _, err := options(cfg, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			take(opts, l.Addr().(*net.TCPAddr).Port)
			s := &Server{log: &logger{to: quiet}}
			defer s.Shutdown()
			err = s.run(cfg, opts)
			if taken, is := errors.AsType[*PortError](err); !is || taken.Address != l.Addr().String() {
				t.Fatalf("error %v, want a PortError for %s", err, l.Addr())
			}
		})
	}
}

func TestDirectoryBelongsToOneServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first := start(t, Config{Dir: dir})

	_, err := Start(Config{Dir: dir, Logger: quiet})
	var used *DirError
	if !errors.Is(err, ErrDirInUse) || !errors.As(err, &used) || used.Dir != dir || used.PID != os.Getpid() {
		t.Fatalf("error %v, want a DirError with this process's id", err)
	}

	first.Shutdown()
	start(t, Config{Dir: dir})
}

func TestFailedStartGivesTheDirectoryUp(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dir := t.TempDir()
	if _, err := Start(Config{Dir: dir, Port: l.Addr().(*net.TCPAddr).Port, Logger: quiet}); err == nil {
		t.Fatal("started on a taken port")
	}
	start(t, Config{Dir: dir})
}

func TestKeptDataIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	for _, sync := range []Sync{SyncBarrier, SyncAlways, SyncNone} {
		t.Run(string(sync), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := start(t, Config{Dir: dir, Sync: sync})
			nc, err := s.Connect()
			js := streams(t, nc, err)
			createStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
			publish(t, js, "s", "kept")
			if b := s.Barrier(); b != nil {
				if err := b(within(t, 30*time.Second)); err != nil {
					t.Fatal(err)
				}
			}
			s.Shutdown()

			nc, err = start(t, Config{Dir: dir, Sync: sync}).Connect()
			stream, err := streams(t, nc, err).Stream(within(t, 30*time.Second), "S")
			if err != nil {
				t.Fatal(err)
			}
			message, err := stream.GetMsg(within(t, 30*time.Second), 1)
			if err != nil || string(message.Data) != "kept" {
				t.Fatalf("got %v, %v", message, err)
			}
		})
	}
}

func TestBarrierExistsWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		cfg  Config
		want bool
	}{
		{"kept, default", Config{Dir: t.TempDir()}, syncfsAvailable},
		{"kept, barrier", Config{Dir: t.TempDir(), Sync: SyncBarrier}, syncfsAvailable},
		{"kept, always", Config{Dir: t.TempDir(), Sync: SyncAlways}, false},
		{"kept, none", Config{Dir: t.TempDir(), Sync: SyncNone}, false},
		{"in memory", Config{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.cfg.Port = NoListener
			if got := start(t, c.cfg).Barrier() != nil; got != c.want {
				t.Errorf("barrier: %v, want %v", got, c.want)
			}
		})
	}
}

func TestBarrierFailsAfterShutdown(t *testing.T) {
	t.Parallel()
	if !syncfsAvailable {
		t.Skip("SKIPPED, NOT PASSED: this system has no syncfs, so there is no barrier to test")
	}
	s := start(t, Config{Dir: t.TempDir(), Port: NoListener})
	wait := s.Barrier()
	if err := wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
	s.Shutdown()
	if err := wait(context.Background()); !errors.Is(err, ErrNotDurable) {
		t.Errorf("error %v, want ErrNotDurable", err)
	}
}

func TestConfigRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"unknown sync":       {Sync: "sometimes"},
		"port too small":     {Port: -2},
		"port too big":       {Port: 65536},
		"negative payload":   {MaxPayloadBytes: -1},
		"negative memory":    {MaxMemoryBytes: -1},
		"negative store":     {MaxStoreBytes: -1},
		"negative clients":   {MaxConnections: -1},
		"negative time":      {ReadyTimeout: -1},
		"payload over int32": {MaxPayloadBytes: 1 << 31},
		"mapping of nothing": {Mappings: map[string]string{"a b": "c"}},
		"mapping that grows": {Mappings: map[string]string{"a.*": "b.{{wildcard(2)}}"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if s, err := Start(cfg); err == nil {
				s.Shutdown()
				t.Error("started")
			}
		})
	}
}

func TestServerTellsItsLifeAtDebugLevelOnly(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s, err := Start(Config{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	if err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
	if out.Len() != 0 {
		t.Errorf("at info level it said: %s", out.String())
	}
}

// What the barrier rests on: when a publish to a stream with one replica and
// file storage is acknowledged, the server has handed the bytes to the
// operating system. A version that flushes later fails here.
func TestAcknowledgedBytesAreInTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nc, err := start(t, Config{Dir: dir}).Connect()
	js := streams(t, nc, err)
	// A small limit makes small block files, so that the test crosses many.
	createStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, MaxBytes: 4 << 20, AllowAtomicPublish: true})
	padding := strings.Repeat("-", 4096)
	for i := range 500 {
		mark := nats.NewInbox()
		publish(t, js, "s", mark+padding)
		if !written(t, dir, mark) {
			t.Fatalf("message %d was acknowledged before it was written", i+1)
		}
	}
}

func TestAcknowledgedBatchIsInTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nc, err := start(t, Config{Dir: dir}).Connect()
	js := streams(t, nc, err)
	createStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}, AllowAtomicPublish: true})
	for i := range 20 {
		marks := []string{nats.NewInbox(), nats.NewInbox(), nats.NewInbox()}
		commitBatch(t, nc, marks)
		for _, mark := range marks {
			if !written(t, filepath.Join(dir, "jetstream", "$G", "streams", "S", "msgs"), mark) {
				t.Fatalf("batch %d was acknowledged before it was written", i+1)
			}
		}
	}
}

// commitBatch publishes the texts as one atomic batch and waits for its acknowledgement.
func commitBatch(tb testing.TB, nc *nats.Conn, texts []string) {
	tb.Helper()
	id := nats.NewInbox()
	for i, text := range texts {
		m := nats.NewMsg("s.x")
		m.Data = []byte(text)
		m.Header.Set("Nats-Batch-Id", id)
		m.Header.Set("Nats-Batch-Sequence", string(rune('1'+i)))
		if i == len(texts)-1 {
			m.Header.Set("Nats-Batch-Commit", "1")
		}
		reply, err := nc.RequestMsg(m, 30*time.Second)
		if err != nil || strings.Contains(string(reply.Data), "error") {
			tb.Fatalf("batch message %d: %v, %v", i+1, reply, err)
		}
	}
}

// written reports whether a block file below dir holds the mark.
func written(tb testing.TB, dir, mark string) bool {
	tb.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || found || filepath.Ext(path) != ".blk" {
			return err
		}
		content, err := os.ReadFile(path)
		found = bytes.Contains(content, []byte(mark))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return found
}
