package gateway

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Actors executes commands and shows what they did: [*actor.System].
type Actors interface {
	// Submit returns at once and calls reply exactly once, from any goroutine.
	// Of ctx only the deadline counts, and only while the command waits.
	Submit(ctx context.Context, c actor.Command, reply func(actor.Result, error))
	// State returns the state of a stream, now or as it was. The error matches
	// [store.ErrNotFound] if the stream had no events.
	State(ctx context.Context, id store.StreamID, at actor.At) (actor.State, error)
	// History yields the events of a stream from its first.
	History(ctx context.Context, id store.StreamID, after uint64) iter.Seq2[store.Recorded[any], error]
	// Definitions are the aggregates that may be asked for.
	Definitions() []actor.Definition
}

// Views answers queries: [*projector.Group].
type Views interface {
	// Get returns a document once the view has reached min.
	Get(ctx context.Context, view, key string, min store.Position) (projector.Document, error)
	// List returns a page of a view once it has reached min.
	List(ctx context.Context, view, cursor string, limit int, min store.Position) (docs []projector.Document, next string, err error)
	// Status reports on each projection.
	Status(ctx context.Context) []projector.Status
}

// Config says what a [Gateway] serves. Conn, Namespace and Actors are needed.
type Config struct {
	// Conn is the connection to serve on. It is not closed. If it may be lost,
	// let it reconnect: the subscriptions come back with it. Its error handler
	// hears when a flood of requests overruns a subscription.
	Conn *nats.Conn
	// Namespace is the first token of all subjects.
	Namespace string
	// Actors executes the commands.
	Actors Actors
	// Views answers queries. Nil: this node has no query service, and askers
	// hear at once that nobody responds.
	Views Views
	// Placement says which partitions are served here. Nil: all of them.
	Placement cluster.Placement
	// Partitions is how many partitions the log has. Needed with a Placement.
	Partitions int

	// Node is this node's name in what is shown to operators. Default "local".
	Node string
	// Version is the application's, as a semantic version. Default "0.0.0".
	Version string

	// Timeout is how long a request may wait for its turn if it names no
	// deadline. Default 5 s, what NATS clients wait by default or longer.
	Timeout time.Duration
	// MaxTimeout caps the deadline that a request names. Default 1 min: nothing
	// may hold a place in the queues for ever.
	MaxTimeout time.Duration
	// MaxInFlight is how many commands may be under way; one more is answered
	// 429 at once. Default 8,192: some thousand askers, each with one or two.
	MaxInFlight int
	// MaxInFlightBytes bounds the payloads of the commands under way, likewise.
	// Default 128 MiB, at least MaxCommandBytes.
	MaxInFlightBytes int
	// MaxReads is how many queries and control requests may be under way, each
	// with its goroutine. Default 1,024.
	MaxReads int
	// MaxCommandBytes is the largest command payload. Default and most 256 KiB.
	MaxCommandBytes int
	// MaxReplyBytes is the largest answer. Default 512 KiB, at least 4 KiB and
	// at most what the server takes.
	MaxReplyBytes int
	// DrainTimeout bounds how long Run waits, once cancelled, for what is under
	// way. Default 10 s.
	DrainTimeout time.Duration

	// Logger is told of faults behind internal errors. Default slog.Default().
	Logger *slog.Logger
	// Registerer gets the metrics. Nil: none.
	Registerer prometheus.Registerer
}

// maxCommandBytes is the most that Config.MaxCommandBytes may be: a commit must
// have room for the events of a command.
const maxCommandBytes = 256 << 10

// minReplyBytes leaves room for any error answer.
const minReplyBytes = 4 << 10

func (c Config) withDefaults() Config {
	setDefault(&c.Node, "local")
	setDefault(&c.Version, "0.0.0")
	setDefault(&c.Timeout, 5*time.Second)
	setDefault(&c.MaxTimeout, time.Minute)
	setDefault(&c.MaxInFlight, 8192)
	setDefault(&c.MaxInFlightBytes, 128<<20)
	setDefault(&c.MaxReads, 1024)
	setDefault(&c.MaxCommandBytes, maxCommandBytes)
	setDefault(&c.MaxReplyBytes, 512<<10)
	setDefault(&c.DrainTimeout, 10*time.Second)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) validate() error {
	if c.Conn == nil || c.Actors == nil {
		return errors.New("gateway config: Conn and Actors are needed")
	}
	if err := store.ValidateName("namespace", c.Namespace); err != nil {
		return fmt.Errorf("gateway config: %w", err)
	}
	switch {
	case c.Placement != nil && c.Partitions < 1:
		return errors.New("gateway config: a Placement needs Partitions")
	case c.Timeout < 0 || c.MaxTimeout < 0 || c.DrainTimeout < 0:
		return errors.New("gateway config: a duration is negative")
	case c.MaxInFlight < 1 || c.MaxReads < 1:
		return errors.New("gateway config: MaxInFlight or MaxReads is below 1")
	case c.MaxCommandBytes < 1 || c.MaxCommandBytes > maxCommandBytes:
		return errors.New("gateway config: MaxCommandBytes is out of [1, 256 KiB]")
	case c.MaxInFlightBytes < c.MaxCommandBytes:
		return errors.New("gateway config: MaxInFlightBytes is below MaxCommandBytes")
	case c.MaxReplyBytes < minReplyBytes:
		return errors.New("gateway config: MaxReplyBytes is below 4 KiB")
	}
	return nil
}
