package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/archive"
)

// Session is what a command of the command line works with: the global flags,
// the streams, and the connection. It belongs to one run of one command; its
// methods may be called once the command runs, not while it is being made.
type Session struct {
	app     App
	streams Streams
	flags   globalFlags
	logger  *slog.Logger
	filter  *filter // of --jq; nil: none
	conns   []*nats.Conn
	archive *archive.Archive      // that a command opened; nil: none
	refused atomic.Pointer[error] // the first thing that the server did not permit
	// prepared is set once the command line was understood.
	prepared bool
}

func newSession(app App, streams Streams) *Session {
	if streams.Env == nil {
		streams.Env = func(string) string { return "" }
	}
	return &Session{app: app, streams: streams, logger: slog.New(slog.DiscardHandler)}
}

// App returns the application.
func (s *Session) App() App { return s.app }

// Namespace returns the namespace to work on: --ns, by default the
// application's name.
func (s *Session) Namespace() string { return s.flags.namespace }

// Timeout returns how long one request may take.
func (s *Session) Timeout() time.Duration { return s.flags.timeout }

// JSON reports whether data are wanted as JSON, one object a line, on Out.
func (s *Session) JSON() bool { return s.flags.json || s.flags.jq != "" }

// In is where a command reads data from that are not in a file.
func (s *Session) In() io.Reader { return s.streams.In }

// Out is where data go.
func (s *Session) Out() io.Writer { return s.streams.Out }

// Err is where everything goes that is not data.
func (s *Session) Err() io.Writer { return s.streams.Err }

// Interactive reports whether a person watches Err, so that progress may be
// drawn there.
func (s *Session) Interactive() bool { return isTerminal(s.Err()) && !s.flags.quiet }

// Logger returns the logger that --log-level, -v and -q ask for. It writes to
// Err: text on a terminal, JSON otherwise.
func (s *Session) Logger() *slog.Logger { return s.logger }

// Connect connects to NATS as the flags, the environment and the NATS contexts
// say. The session closes the connection when the command ends. The error is a
// [*Failure], or ctx's own.
func (s *Session) Connect(ctx context.Context) (*nats.Conn, error) {
	nc, err := connect(ctx, s)
	if err != nil {
		return nil, err
	}
	s.conns = append(s.conns, nc)
	return nc, nil
}

// Client connects, and returns a client of the gateway of the namespace, which asks under the name of
// --as.
func (s *Session) Client(ctx context.Context) (*gateway.Client, error) {
	nc, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	c, err := gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: s.Namespace(), Principal: s.flags.as, Timeout: s.Timeout()})
	if _, wrong := errors.AsType[*store.InvalidError](err); wrong && s.flags.as != "" {
		return nil, Usage("--as %q: %v", s.flags.as, err)
	}
	return c, err
}

func (s *Session) close() {
	if s.archive != nil {
		_ = s.archive.Close() // it was only read, or its run is over
	}
	for _, nc := range s.conns {
		nc.Close()
	}
}
