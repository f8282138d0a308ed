package embedded

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestClusterStoresThroughTheLossAndReturnOfAServer(t *testing.T) {
	t.Parallel()
	c, err := StartCluster(ClusterConfig{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Shutdown)
	nc, err := c.Connect()
	js := streams(t, nc, err)
	createStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3})
	c.Stop(0)
	if c.Server(0) != nil {
		t.Fatal("a stopped server is still there")
	}
	stored := publishUntilStored(t, js)
	if err := c.Start(0); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReady(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	if last := stored + publishUntilStored(t, js); lastSequence(t, js) < last {
		t.Errorf("the stream ends at %d, after %d were acknowledged", lastSequence(t, js), last)
	}
}

func lastSequence(tb testing.TB, js jetstream.JetStream) uint64 {
	tb.Helper()
	stream, err := js.Stream(within(tb, 30*time.Second), "S")
	if err != nil {
		tb.Fatal(err)
	}
	return stream.CachedInfo().State.LastSeq
}

// publishUntilStored publishes 10 messages through an election: it sends each
// again until it is acknowledged.
func publishUntilStored(tb testing.TB, js jetstream.JetStream) uint64 {
	tb.Helper()
	ctx := within(tb, 2*time.Minute)
	stored := uint64(0)
	for stored < 10 {
		// An acknowledgement may be lost with the server that was to send it.
		try, cancel := context.WithTimeout(ctx, 3*time.Second)
		_, err := js.Publish(try, "s", []byte("x"))
		cancel()
		if err == nil {
			stored++
		} else if ctx.Err() != nil {
			tb.Fatal(err)
		}
	}
	return stored
}

func TestClusterRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]ClusterConfig{
		"two servers":   {Servers: 2},
		"eight servers": {Servers: 8},
		"barrier":       {Sync: SyncBarrier},
		"negative time": {ReadyTimeout: -1},
		"negative port": {Port: -1},
		"port too big":  {Port: 65536},
		"no mapping":    {Mappings: map[string]string{"a b": "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c, err := StartCluster(cfg); err == nil {
				c.Shutdown()
				t.Error("started")
			}
		})
	}
}

// Servers that start and stop one after the other miss each other for a moment.
func TestClusterTellsItsLifeAtDebugLevelOnly(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c, err := StartCluster(ClusterConfig{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	if err != nil {
		t.Fatal(err)
	}
	c.Shutdown()
	if out.Len() != 0 {
		t.Errorf("at info level it said: %s", out.String())
	}
}

func TestClusterKeepsToThePortThatIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	cfg := ClusterConfig{Port: l.Addr().(*net.TCPAddr).Port, Logger: quiet}
	c, err := StartCluster(cfg)
	if err == nil {
		c.Shutdown()
	}
	taken, is := errors.AsType[*PortError](err)
	if !is || taken.Address != l.Addr().String() {
		t.Errorf("error %v, want that %s is taken", err, l.Addr())
	}
}

func TestMemberOnATakenPortIsRefused(t *testing.T) {
	t.Parallel()
	c := &Cluster{cfg: ClusterConfig{Dir: t.TempDir(), Logger: quiet}.withDefaults()}
	if err := c.plan(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", c.members[0].peers[0].Host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := c.Start(0); !errors.Is(err, ErrPortInUse) {
		t.Errorf("error %v, want ErrPortInUse", err)
	}
}
