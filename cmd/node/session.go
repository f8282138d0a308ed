package node

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/archive"
)

// Session is what a command of the command line works with: the global flags,
// the console by which it talks, and the connection. It belongs to one run of
// one command; its methods may be called once the command runs, not while it is
// being made.
type Session struct {
	*console.Console
	app     App
	flags   globalFlags
	conns   []*nats.Conn
	archive *archive.Archive // that a command opened; nil: none
	refused refusals
	// prepared is set once the command line was understood.
	prepared bool
}

func newSession(app App, streams Streams) *Session {
	return &Session{Console: console.New(streams), app: app}
}

// App returns the application.
func (s *Session) App() App { return s.app }

// Namespace returns the namespace to work on: --ns, by default the
// application's name.
func (s *Session) Namespace() string { return s.flags.namespace }

// Timeout returns how long one request may take.
func (s *Session) Timeout() time.Duration { return s.flags.timeout }

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
