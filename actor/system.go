package actor

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/annals-go/annals/store"
)

// System runs the actors of some aggregates on a log. Its methods may be
// called from many goroutines.
type System struct {
	config  Config
	kinds   map[string]*registered
	table   []atomic.Pointer[partition] // by number
	actors  atomic.Int64
	saves   chan *save
	room    *semaphore.Weighted // bytes of the snapshots that wait to be written
	hands   chan struct{}       // held while a partition that is given away saves an actor
	metrics *metrics

	closed  atomic.Bool    // nothing is opened any more
	running sync.WaitGroup // actors with a goroutine
}

// registered is an aggregate of this system.
type registered struct {
	kind
	names   sharedNames // of its events
	metrics kindMetrics
}

// NewSystem checks the configuration and returns a system that takes commands
// at once, or with leases once partitions are opened. It starts nothing;
// [System.Run] does.
func NewSystem(config Config) (*System, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	setDefault(&config.Partitions, config.Log.Partitions())
	if has := config.Log.Partitions(); config.Partitions != has {
		return nil, fmt.Errorf("actor config: Partitions is %d, the log has %d", config.Partitions, has)
	}
	s := &System{
		config: config,
		kinds:  make(map[string]*registered, len(config.Aggregates)),
		table:  make([]atomic.Pointer[partition], config.Partitions),
		saves:  make(chan *save, maxPendingSaves),
		room:   semaphore.NewWeighted(maxPendingBytes),
		hands:  make(chan struct{}, saveHands),
	}
	s.metrics = newMetrics(s)
	for _, d := range config.Aggregates {
		if err := s.register(d, false); err != nil {
			return nil, err
		}
	}
	for _, d := range config.Builtin {
		if err := s.register(d, true); err != nil {
			return nil, err
		}
	}
	for i := range s.table {
		s.table[i].Store(newPartition(i, config.atFirst()))
	}
	if err := s.metrics.register(config.Registerer); err != nil {
		return nil, err
	}
	return s, nil
}

// Definitions returns the aggregates of Config.Aggregates: those that senders from
// outside may address. The built-in ones are not among them.
func (s *System) Definitions() []Definition { return s.config.Aggregates }

// Active returns the number of actors in memory.
func (s *System) Active() int { return int(s.actors.Load()) }

// Execute sends a command and waits for what it did.
//
// When ctx ends before the command's turn, the command is not executed and
// the error matches [ErrDeadline]. When ctx ends later, the command goes on,
// and the error matches [store.ErrUnknown] and ctx's.
func (s *System) Execute(ctx context.Context, c Command) (Result, error) {
	r, err := s.newRequest(ctx, c)
	if err != nil {
		return Result{}, err
	}
	return s.await(ctx, r)
}

// await sends a request and waits for its answer.
func (s *System) await(ctx context.Context, r *request) (Result, error) {
	type answer struct {
		result Result
		err    error
	}
	answers := make(chan answer, 1)
	r.reply = func(result Result, err error) { answers <- answer{result, err} }
	s.dispatch(r)
	select {
	case a := <-answers:
		return a.result, a.err
	case <-ctx.Done():
		if r.abandon() {
			return Result{}, fmt.Errorf("%w: %w", ErrDeadline, context.Cause(ctx))
		}
	}
	select { // the answer may have come at the same moment
	case a := <-answers:
		return a.result, a.err
	default:
		return Result{}, r.late(context.Cause(ctx))
	}
}

// late is what the sender of a request in its turn is told when its time is over.
func (r *request) late(cause error) error {
	if r.reading != nil {
		return fmt.Errorf("%w: %w", ErrDeadline, cause)
	}
	return &store.UnknownError{Stream: r.command.Stream, Reason: cause}
}

// Submit sends a command and returns at once. reply is called exactly once,
// perhaps before Submit returns and from any goroutine; it must not block.
// ctx's deadline bounds how long the command may wait for its turn; its
// cancellation has no effect.
//
// The errors that reply gets match one of [ErrRejected], [ErrBusy],
// [ErrDeadline], [ErrDuplicateBody], [ErrInternal], [ErrMoved], or of package store
// ErrConflict, ErrInvalid, ErrTooLarge, ErrUnknownType, ErrUnavailable,
// ErrRefused, ErrUnknown, ErrDamaged, ErrAhead.
func (s *System) Submit(ctx context.Context, c Command, reply func(Result, error)) {
	r, err := s.newRequest(ctx, c)
	if err != nil {
		reply(Result{}, err)
		return
	}
	r.reply = reply
	s.dispatch(r)
}

func (s *System) newRequest(ctx context.Context, c Command) (*request, error) {
	k, err := s.kindOf(c.Stream)
	if err != nil {
		return nil, err
	}
	if err := c.Stream.Validate(); err != nil {
		return nil, err
	}
	r := &request{command: c, partition: c.Stream.Partition(len(s.table))}
	if r.decoded, r.command.Name, err = s.decode(k, &c); err != nil {
		return nil, err
	}
	if c.ID == "" {
		r.command.ID = uuid.Must(uuid.NewV7()).String()
	} else {
		r.key, r.bodyHash = keyOf(c.ID), bodyHash(c.Name, s.withoutPersonal(k, &c))
	}
	if err = r.link(); err != nil {
		return nil, err
	}
	if s.config.KeepCommands {
		if r.kept, err = k.encodeCommand(r.decoded); err != nil {
			return nil, named(err, c.Stream, c.Name)
		}
	}
	stored := r.stored()
	if err := stored.Validate(); err != nil {
		return nil, err
	}
	r.command.Body, r.command.value = nil, nil
	r.deadline, _ = ctx.Deadline()
	return r, nil
}

// withoutPersonal returns what of a command's body tells it from others. What is
// personal is no part of that: its hash would outlive it.
func (s *System) withoutPersonal(k *registered, c *Command) []byte {
	if c.value != nil { // see [Sender.ExecuteWith]
		return k.withoutPersonal(store.JSON, c.Name, 0, c.Body)
	}
	return k.withoutPersonal(s.codecOf(c), c.Name, c.Schema, c.Body)
}

func (s *System) codecOf(c *Command) store.Codec {
	if c.Codec == nil {
		return s.config.Log.Codec()
	}
	return c.Codec
}

// decode returns the command and the name that it has in this build: it is stored
// under that, with the schema that belongs to it.
func (s *System) decode(k *registered, c *Command) (decoded any, name string, err error) {
	if c.value != nil {
		return c.value, c.Name, nil
	}
	if decoded, name, err = k.decodeCommand(s.codecOf(c), c.Name, c.Schema, c.Body); err != nil {
		return nil, "", s.reportPanic(named(err, c.Stream, c.Name))
	}
	return decoded, name, nil
}

func (s *System) kindOf(stream store.StreamID) (*registered, error) {
	if k := s.kinds[stream.Type]; k != nil {
		return k, nil
	}
	return nil, &store.UnknownTypeError{What: "aggregate", Name: stream.Type}
}

// dispatch brings a request to its actor. Every request gets its reply: from
// the actor, or from here if it does not get that far.
func (s *System) dispatch(r *request) {
	if err := s.enqueue(r); err != nil {
		r.reply(Result{}, err)
	}
}

var errClosed = fmt.Errorf("%w: shutting down", store.ErrUnavailable)

// run is an actor's goroutine: it takes turns until nothing is queued. What a
// turn left over is not begun when the actor has been forgotten meanwhile.
func (s *System) run(a *actor) {
	defer s.running.Done()
	for batch := a.home.next(a); len(batch) > 0; batch = a.home.next(a) {
		for len(batch) > 0 {
			batch = s.turn(a, batch)
			s.snapshotIfDue(a)
			if len(batch) > 0 && !a.home.has(a) {
				answerAll(batch, ErrMoved)
				break
			}
		}
	}
}
