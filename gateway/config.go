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
	// Of ctx only the deadline counts, and only while the command waits. An error
	// that matches [actor.ErrMoved] says that the partition is not served, and
	// that the command was not tried.
	Submit(ctx context.Context, c actor.Command, reply func(actor.Result, error))
	// State returns the state of a stream, now or as it was. The error matches
	// [store.ErrNotFound] if the stream had no events.
	State(ctx context.Context, id store.StreamID, at actor.At) (actor.State, error)
	// Read returns the state of the live actor, of no moment before the call if
	// linearizable. The error matches [actor.ErrMoved] if the partition is not
	// served, and [store.ErrNotFound] if the stream has no events.
	Read(ctx context.Context, id store.StreamID, linearizable bool) (actor.State, error)
	// History yields the events of a stream from its first.
	History(ctx context.Context, id store.StreamID, after uint64) iter.Seq2[store.Recorded[any], error]
	// Diff returns what became of a stream's state between two moments.
	Diff(ctx context.Context, id store.StreamID, from, to actor.At) (actor.Difference, error)
	// Changes yields what each event that follows a version changed in the state.
	Changes(ctx context.Context, id store.StreamID, after uint64) iter.Seq2[store.Recorded[[]actor.Change], error]
	// Definitions are the aggregates that may be asked for.
	Definitions() []actor.Definition
}

// Views answers queries: [*projector.Group].
type Views interface {
	// Get returns a document once the view has reached min.
	Get(ctx context.Context, view, key string, min store.Position) (projector.Document, error)
	// GetAt returns a document as it was at a moment.
	GetAt(ctx context.Context, view, key string, at projector.Moment) (projector.Document, error)
	// List returns a page of a view once it has reached min.
	List(ctx context.Context, view, cursor string, limit int, min store.Position) (docs []projector.Document, next string, err error)
	// Wait returns once the view has reached p. The error matches
	// projector.ErrNoView at once, whatever ctx is, if there is no such view, and
	// projector.ErrElsewhere if it runs on another node.
	Wait(ctx context.Context, view string, p store.Position) error
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
	// Watches tells what changes in views. Nil: this node serves no watches.
	Watches Watches
	// Operators changes views on request: [*projector.Group]. Nil: this node
	// answers no operator.
	Operators Operators
	// Subjects forgets data subjects. Nil: this node has no personal data.
	Subjects Subjects
	// Maker makes what keeps a new model of a view, for nodes that may make nothing.
	// Nil: this node makes nothing for others.
	Maker Maker
	// Recorder writes down what operators do, before and after they do it. What cannot be written down is
	// not done: [CodeUnavailable]. Nil: nothing is recorded.
	Recorder Recorder
	// Placement says which node serves a partition and runs a view. What is for
	// another node is passed on to it, what is for nobody waits. Nil: everything
	// is served here.
	Placement cluster.Placement
	// Partitions is how many partitions the log has. Needed with a Placement;
	// clients that know it reach a partition's owner without a detour.
	Partitions int
	// Partitioned says that [Gateway.Serve], Hold and Pass will say which
	// partitions are served here. False: those that the Placement says.
	Partitioned bool
	// Inner leaves the door to other nodes: this one takes what is for its
	// partitions and what is for it by name, and not what any node may take, such
	// as commands and queries of clients that do not know who serves them.
	Inner bool
	// Overlap is how long a partition's subject is still listened to after the
	// partition was passed on. Default 1 s: longer than it takes the owner's
	// subscription to be known to all servers.
	Overlap time.Duration

	// Authentication says how it is known who asks. Zero: by the subject, or not at
	// all.
	Authentication Authentication
	// Authorize permits what is asked, or not: any error is a no, [CodeForbidden] with
	// its text, unless it matches [ErrUnauthenticated] or [store.ErrUnavailable]. It is
	// called where requests are taken in, at the first node that a request comes to,
	// and must answer from memory. Nil: whatever the roles of a token and the
	// permissions of the NATS server allow.
	Authorize func(ctx context.Context, ask Ask) error

	// Quotas bound what is asked on somebody's behalf. Zero: nothing does but the
	// limits below, which all share.
	Quotas Quotas

	// Node is this node's name, under which other nodes reach it: at most 64
	// letters, digits, hyphens and underscores. Default "local".
	Node string
	// Version is the application's, as a semantic version. Default "0.0.0".
	Version string

	// Timeout is how long a request may wait for its turn if it names no
	// deadline. Default 4.5 s: NATS clients wait 5 s by default, and the answer to
	// what waited in vain should still find them there.
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
	// MaxReads is how many queries, control requests and commands whose answer waits
	// for views may be under way, each with its goroutine. Default 1,024.
	MaxReads int
	// MaxComparisons is how many differences and pages of changes of aggregates may be
	// worked out at once, each of which holds two whole states beside its answer; one
	// more is answered 429 at once. They do not count as reads. Default 32.
	MaxComparisons int
	// MaxOperations is how many operations may be under way. Default 64: operators are
	// few, and what they ask for is not cheap.
	MaxOperations int
	// MaxPage is the most documents of a page of a view; who asks for more gets no
	// more. Default and most [projector.MaxPage].
	MaxPage int
	// MaxHistoryPage is the most events of a page of a history, likewise. Default and
	// most 1,000.
	MaxHistoryPage int
	// MaxHeaders and MaxHeaderBytes bound the headers of a request, names and values,
	// whosever they are. Defaults 48, which is also the most, and 16 KiB: a token has
	// room, and reading them costs no more than the rest.
	MaxHeaders, MaxHeaderBytes int
	// MaxWatches is how many watches of views may be under way, each with two
	// goroutines. Default 4,096.
	MaxWatches int
	// WatchBeat is how often a watch says that it is alive, at most 5 s. Default
	// 2 s: five of them without a sign of the watcher, and it is dropped; the Go
	// client takes 10 s of silence for a stream that was lost.
	WatchBeat time.Duration
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

// MaxPartitions is the most partitions that a gateway can route to: each that
// it serves is a subscription.
const MaxPartitions = 1 << 16

func isNodeName(name string) bool {
	for _, b := range []byte(name) {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-' && b != '_' {
			return false
		}
	}
	return name != "" && len(name) <= store.MaxNameBytes
}

func (c Config) withDefaults() Config {
	setDefault(&c.Node, "local")
	setDefault(&c.Version, "0.0.0")
	setDefault(&c.Timeout, 4500*time.Millisecond)
	setDefault(&c.MaxTimeout, time.Minute)
	setDefault(&c.MaxInFlight, 8192)
	setDefault(&c.MaxInFlightBytes, 128<<20)
	setDefault(&c.MaxReads, 1024)
	setDefault(&c.MaxComparisons, 32)
	setDefault(&c.MaxCommandBytes, maxCommandBytes)
	setDefault(&c.MaxReplyBytes, 512<<10)
	setDefault(&c.DrainTimeout, 10*time.Second)
	setDefault(&c.Overlap, time.Second)
	setDefault(&c.WatchBeat, 2*time.Second)
	setDefault(&c.MaxWatches, 4096)
	setDefault(&c.MaxOperations, 64)
	setDefault(&c.MaxPage, projector.MaxPage)
	setDefault(&c.MaxHistoryPage, maxHistoryPage)
	setDefault(&c.MaxHeaders, maxHeaders)
	setDefault(&c.MaxHeaderBytes, 16<<10)
	setDefault(&c.Quotas.MaxPrincipals, 10_000)
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
	if (c.Operators != nil || c.Watches != nil) && c.Views == nil {
		return errors.New("gateway config: Operators and Watches need Views")
	}
	if err := errors.Join(c.Quotas.Namespace.validate(), c.Quotas.Principal.validate()); err != nil {
		return err
	}
	switch {
	case c.Quotas.MaxPrincipals < 1:
		return errors.New("gateway config: Quotas.MaxPrincipals is below 1")
	case !isNodeName(c.Node):
		return fmt.Errorf("gateway config: Node %q is not 1 to %d letters, digits, hyphens and underscores", c.Node, store.MaxNameBytes)
	case c.Partitions < 0 || c.Partitions > MaxPartitions:
		return fmt.Errorf("gateway config: Partitions is out of [0, %d]", MaxPartitions)
	case c.Placement != nil && c.Partitions < 1:
		return errors.New("gateway config: a Placement needs Partitions")
	case c.Partitioned && c.Placement == nil:
		return errors.New("gateway config: Partitioned needs a Placement")
	case c.Timeout < 0 || c.MaxTimeout < 0 || c.DrainTimeout < 0 || c.Overlap < 0 || c.WatchBeat < 0:
		return errors.New("gateway config: a duration is negative")
	case c.MaxInFlight < 1 || c.MaxReads < 1 || c.MaxComparisons < 1 || c.MaxWatches < 1 || c.MaxOperations < 1 || c.MaxHeaders < 1 || c.MaxHeaderBytes < 1:
		return errors.New("gateway config: MaxInFlight, MaxReads, MaxComparisons, MaxWatches, MaxOperations, MaxHeaders or MaxHeaderBytes is below 1")
	case c.MaxHeaders > maxHeaders:
		return errors.New("gateway config: MaxHeaders is above 48")
	case c.MaxPage < 1 || c.MaxPage > projector.MaxPage || c.MaxHistoryPage < 1 || c.MaxHistoryPage > maxHistoryPage:
		return errors.New("gateway config: MaxPage or MaxHistoryPage is out of [1, 1000]")
	case c.WatchBeat > 5*time.Second:
		return errors.New("gateway config: WatchBeat is above 5 s")
	case c.MaxCommandBytes < 1 || c.MaxCommandBytes > maxCommandBytes:
		return errors.New("gateway config: MaxCommandBytes is out of [1, 256 KiB]")
	case c.MaxInFlightBytes < c.MaxCommandBytes:
		return errors.New("gateway config: MaxInFlightBytes is below MaxCommandBytes")
	case c.MaxReplyBytes < minReplyBytes:
		return errors.New("gateway config: MaxReplyBytes is below 4 KiB")
	}
	return nil
}
