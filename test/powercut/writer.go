//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/test/harness"
)

// What the writer and its clients agree on.
const (
	writeSubject  = "write"
	writtenStream = "WRITTEN"
	writtenPrefix = "written."
)

// beWriter is the child of -self: a server that stores each request as
// a message, and answers with its sequence when the barrier has let it through.
func beWriter(ctx context.Context, o options) error {
	s, err := embedded.Start(embedded.Config{Dir: o.writer, Port: o.port, Sync: embedded.Sync(o.sync)})
	if err != nil {
		return err
	}
	defer s.Shutdown()
	nc, err := s.Connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: writtenStream, Subjects: []string{writtenPrefix + ">"}}); err != nil {
		return err
	}
	barrier := s.Barrier()
	if barrier == nil {
		barrier = func(context.Context) error { return nil }
	}
	_, err = nc.Subscribe(writeSubject, func(m *nats.Msg) {
		go func() {
			ack, err := js.Publish(ctx, writtenPrefix+strconv.Itoa(len(m.Data)%7), m.Data)
			if err == nil {
				err = barrier(ctx)
			}
			if err == nil {
				_ = m.Respond([]byte(strconv.FormatUint(ack.Sequence, 10)))
			} // else the client hears nothing, and counts nothing
		}()
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// writerSystem is that child, seen from outside.
type writerSystem struct {
	clients int
	work    string
	port    int

	mu    sync.Mutex
	acked map[string]uint64 // text to sequence
}

func newWriterSystem(o options, work string) *writerSystem {
	w := &writerSystem{clients: o.clients, work: work}
	w.forget()
	return w
}

func (w *writerSystem) forget() { w.acked = map[string]uint64{} }

// rebuilt is never asked: the writer has no views.
func (w *writerSystem) rebuilt(context.Context, float64) error { return nil }

func (w *writerSystem) darken() {} // the writer refuses nothing

// dropViews does nothing: the writer has no views.
func (w *writerSystem) dropViews(context.Context, string) error { return nil }

func (w *writerSystem) acknowledged() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

func (w *writerSystem) start(ctx context.Context, dir string, sync embedded.Sync) (*harness.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ports, err := embedded.FreePorts(1)
	if err != nil {
		return nil, err
	}
	w.port = ports[0]
	p, err := harness.Start(filepath.Join(w.work, "writer.log"), self, "-writer", dir, "-sync", string(sync), "-port", strconv.Itoa(w.port))
	if err != nil {
		return nil, err
	}
	err = p.Ready(ctx, time.Minute, func() error {
		nc, err := w.connect()
		if err != nil {
			return err
		}
		defer nc.Close()
		_, err = w.stream(ctx, nc)
		return err
	})
	if err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

func (w *writerSystem) connect() (*nats.Conn, error) {
	return nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", w.port), nats.NoReconnect(), nats.ErrorHandler(nothing))
}

func (w *writerSystem) stream(ctx context.Context, nc *nats.Conn) (jetstream.Stream, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	return js.Stream(ctx, writtenStream)
}

func (w *writerSystem) load(_, sending context.Context, c cut, began func()) error {
	nc, err := w.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	began()
	var all sync.WaitGroup
	for client := range w.clients {
		all.Go(func() {
			for n := 0; sending.Err() == nil && !nc.IsClosed(); n++ {
				w.write(sending, nc, fmt.Sprintf("%d/%d/%d", c.Seed, client, n))
			}
		})
	}
	all.Wait()
	return nil
}

func (w *writerSystem) write(ctx context.Context, nc *nats.Conn, text string) {
	reply, err := nc.RequestWithContext(ctx, writeSubject, []byte(text))
	if err != nil {
		return
	}
	sequence, err := strconv.ParseUint(string(reply.Data), 10, 64)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked[text] = sequence
}

func (w *writerSystem) check(ctx context.Context) (findings, error) {
	nc, err := w.connect()
	if err != nil {
		return findings{}, err
	}
	defer nc.Close()
	lost, err := w.lost(ctx, nc)
	return findings{lost: lost}, err
}

func (w *writerSystem) lost(ctx context.Context, nc *nats.Conn) (int, error) {
	stored := map[string]uint64{}
	err := eachMessage(ctx, nc, writtenStream, func(m message) error {
		stored[string(m.data)] = m.sequence
		return nil
	})
	if err != nil {
		return 0, err
	}
	lost := 0
	for text, sequence := range w.acked {
		if stored[text] != sequence {
			lost++
			delete(w.acked, text) // found once
		}
	}
	return lost, nil
}
