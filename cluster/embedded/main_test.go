package embedded

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// start starts a server that the test stops at its end.
func start(tb testing.TB, cfg Config) *Server {
	tb.Helper()
	cfg.Logger = quiet
	s, err := Start(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Shutdown)
	return s
}

// streams returns a JetStream context on a connection of its own.
func streams(tb testing.TB, nc *nats.Conn, err error) jetstream.JetStream {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	return js
}

func within(tb testing.TB, d time.Duration) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	tb.Cleanup(cancel)
	return ctx
}

// createStream asks again while it is refused: right after its start, a leader
// that every server knows may still take one of them for offline.
func createStream(tb testing.TB, js jetstream.JetStream, cfg jetstream.StreamConfig) jetstream.Stream {
	tb.Helper()
	ctx := within(tb, 2*time.Minute)
	for {
		try, cancel := context.WithTimeout(ctx, 10*time.Second)
		stream, err := js.CreateOrUpdateStream(try, cfg)
		cancel()
		if err == nil {
			return stream
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			tb.Fatal(err)
		}
	}
}

func publish(tb testing.TB, js jetstream.JetStream, subject, text string) *jetstream.PubAck {
	tb.Helper()
	ack, err := js.Publish(within(tb, 30*time.Second), subject, []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return ack
}
