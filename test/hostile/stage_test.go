package main

import (
	"context"
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

	"github.com/annals-go/annals/gateway"
)

// startNode runs the command line of the application until the test ends, and
// returns what it said and its log.
func startNode(t *testing.T, args ...string) (at started, logged *text) {
	t.Helper()
	p, err := launch(nil, append(args, "--log-level", "debug")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	return p.at, p.logged
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

// bystander sends good commands all the while.
type bystander struct {
	sent atomic.Int64
	stop func()
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
