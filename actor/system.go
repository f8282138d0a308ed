package actor

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// System runs the actors of some aggregates on a log. Its methods may be
// called from many goroutines.
type System struct {
	config  Config
	kinds   map[string]*registered
	table   [tableShards]tableShard
	seed    maphash.Seed
	actors  atomic.Int64
	saves   chan save
	metrics *metrics

	gate    sync.RWMutex // held to read while work begins, to write when it must no more
	closed  bool
	running sync.WaitGroup // actors with a goroutine
}

// registered is an aggregate of this system.
type registered struct {
	kind
	names   sharedNames // of its events
	metrics kindMetrics
}

const tableShards = 256

type tableShard struct {
	mu     sync.Mutex
	actors map[store.StreamID]*actor
}

// NewSystem checks the configuration and returns a system that takes commands
// at once. It starts nothing; [System.Run] does.
func NewSystem(config Config) (*System, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	s := &System{
		config: config,
		kinds:  make(map[string]*registered, len(config.Aggregates)),
		seed:   maphash.MakeSeed(),
		saves:  make(chan save, maxPendingSaves),
	}
	s.metrics = newMetrics(s)
	for _, d := range config.Aggregates {
		k, err := d.bind(config.Log.Codec())
		if err != nil {
			return nil, err
		}
		if s.kinds[k.TypeName()] != nil {
			return nil, fmt.Errorf("actor config: two aggregates of type %q", k.TypeName())
		}
		s.kinds[k.TypeName()] = &registered{kind: k, names: newSharedNames(k.EventNames()), metrics: s.metrics.forKind(k.TypeName())}
	}
	for i := range s.table {
		s.table[i].actors = make(map[store.StreamID]*actor)
	}
	if err := s.metrics.register(config.Registerer); err != nil {
		return nil, err
	}
	return s, nil
}

// Definitions returns the aggregates that the system runs.
func (s *System) Definitions() []Definition { return s.config.Aggregates }

// Active returns the number of actors in memory.
func (s *System) Active() int { return int(s.actors.Load()) }

// Execute sends a command and waits for what it did.
//
// When ctx ends before the command's turn, the command is not executed and
// the error matches [ErrDeadline]. When ctx ends later, the command goes on,
// and the error matches [store.ErrUnknown] and ctx's.
func (s *System) Execute(ctx context.Context, c Command) (Result, error) {
	type answer struct {
		result Result
		err    error
	}
	answers := make(chan answer, 1)
	r, err := s.newRequest(ctx, c, func(result Result, err error) { answers <- answer{result, err} })
	if err != nil {
		return Result{}, err
	}
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
		return Result{}, &store.UnknownError{Stream: c.Stream, Reason: context.Cause(ctx)}
	}
}

// Submit sends a command and returns at once. reply is called exactly once,
// perhaps before Submit returns and from any goroutine; it must not block.
// ctx's deadline bounds how long the command may wait for its turn; its
// cancellation has no effect.
//
// The errors that reply gets match one of [ErrRejected], [ErrBusy],
// [ErrDeadline], [ErrDuplicateBody], [ErrInternal], or of package store
// ErrConflict, ErrInvalid, ErrTooLarge, ErrUnknownType, ErrUnavailable,
// ErrRefused, ErrUnknown, ErrDamaged, ErrAhead.
func (s *System) Submit(ctx context.Context, c Command, reply func(Result, error)) {
	r, err := s.newRequest(ctx, c, reply)
	if err != nil {
		reply(Result{}, err)
		return
	}
	s.dispatch(r)
}

func (s *System) newRequest(ctx context.Context, c Command, reply func(Result, error)) (*request, error) {
	k, err := s.kindOf(c.Stream)
	if err != nil {
		return nil, err
	}
	if err := c.Stream.Validate(); err != nil {
		return nil, err
	}
	r := &request{command: c, reply: reply}
	if r.decoded, err = s.decode(k, &c); err != nil {
		return nil, err
	}
	if c.ID == "" {
		r.command.ID = uuid.Must(uuid.NewV7()).String()
	} else {
		r.key, r.bodyHash = keyOf(c.ID), bodyHash(c.Name, c.Body)
	}
	stored := r.stored()
	if err := stored.Validate(); err != nil {
		return nil, err
	}
	r.command.Body, r.command.value = nil, nil
	r.deadline, _ = ctx.Deadline()
	return r, nil
}

func (s *System) decode(k *registered, c *Command) (any, error) {
	if c.value != nil {
		return c.value, nil
	}
	codec := c.Codec
	if codec == nil {
		codec = s.config.Log.Codec()
	}
	return k.decodeCommand(codec, c.Name, c.Body)
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

func (s *System) enqueue(r *request) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return errClosed
	}
	for {
		a, err := s.actor(r.command.Stream)
		if err != nil {
			return err
		}
		switch a.enqueue(r, s.config.MailboxLen) {
		case starts:
			s.running.Add(1)
			go s.run(a)
			return nil
		case waits:
			return nil
		case full:
			return fmt.Errorf("%w: %d commands wait for %s", ErrBusy, s.config.MailboxLen, r.command.Stream)
		case retired: // passivated since the look-up: the next one finds or makes another
		}
	}
}

var errClosed = fmt.Errorf("%w: shutting down", store.ErrUnavailable)

// actor returns the actor of a stream, not yet activated if it is new.
func (s *System) actor(stream store.StreamID) (*actor, error) {
	shard := s.shard(stream)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if a := shard.actors[stream]; a != nil {
		return a, nil
	}
	if hard := int64(s.config.MaxActors) + int64(s.config.MaxActors)/4; s.actors.Load() >= hard {
		return nil, fmt.Errorf("%w: %d actors are in memory", ErrBusy, hard)
	}
	a := &actor{stream: stream, kind: s.kinds[stream.Type]}
	shard.actors[stream] = a
	s.actors.Add(1)
	return a, nil
}

func (s *System) shard(stream store.StreamID) *tableShard {
	return &s.table[maphash.String(s.seed, stream.ID)%tableShards]
}

// run is an actor's goroutine: it takes turns until nothing is queued.
func (s *System) run(a *actor) {
	defer s.running.Done()
	for batch := a.next(); len(batch) > 0; batch = a.next() {
		for len(batch) > 0 {
			batch = s.turn(a, batch)
			s.snapshotIfDue(a)
		}
	}
}
