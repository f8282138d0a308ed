package kv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Config says where read models are kept. Conn and Namespace are needed.
type Config struct {
	// Conn is the connection that is used; it stays the caller's.
	Conn *nats.Conn
	// Namespace is the application's: lower case letters, digits and hyphens.
	Namespace string
	// Replicas is how many servers keep each bucket, when one is created.
	// Default 1; production wants 3.
	Replicas int
	// InMemory keeps new buckets in the servers' memory. Default false.
	InMemory bool
	// Barrier returns when everything that the server had acknowledged before
	// the call has reached the disk. One call may serve many that wait; it is the
	// same as the log's. Default nil: an acknowledgement is as durable as it gets,
	// which is true of replicated buckets and of servers that sync each write.
	// Buckets in memory do not wait for it.
	Barrier func(context.Context) error
}

// Store is a [projector.Store] on NATS KV.
type Store struct {
	cfg Config

	mu    sync.Mutex
	inbox *inbox // nil until the first Open
}

// New returns a store. It asks nobody yet: what is wrong with the
// configuration is told by Open.
func New(cfg Config) *Store {
	if cfg.Replicas == 0 {
		cfg.Replicas = 1
	}
	return &Store{cfg: cfg}
}

// createWait bounds the creation of a bucket: the cluster may have to elect a leader first.
const createWait = 10 * time.Second

// Open implements [projector.Store]. The bucket ANNALS_<namespace>_view_<view>_v<version>
// is created if it is not there. One that keeps a single value of each key is
// changed to keep two. One that was made by other means is refused with
// [store.ErrInvalid] if it cannot do what a view needs.
func (s *Store) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	name := layout.View
	if err := s.validate(name); err != nil {
		return nil, err
	}
	box, err := s.answers()
	if err != nil {
		return nil, unavailable("open view "+name, err)
	}
	v := &view{name: name, names: namesOf(s.cfg.Namespace, layout.Model), conn: s.cfg.Conn, inbox: box}
	ctx, cancel := context.WithTimeout(ctx, createWait)
	defer cancel()
	storage, err := s.ensure(ctx, v.names)
	if err != nil {
		return nil, err
	}
	if storage == jetstream.FileStorage {
		v.barrier = s.cfg.Barrier
	}
	return v, nil
}

func (s *Store) validate(view string) error {
	if s.cfg.Conn == nil {
		return &store.InvalidError{What: "kv config", Value: "Conn", Reason: "is missing"}
	}
	if err := store.ValidateName("namespace", s.cfg.Namespace); err != nil {
		return err
	}
	return store.ValidateName("view name", view)
}

func (s *Store) answers() (*inbox, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inbox == nil {
		box, err := newInbox(s.cfg.Conn)
		if err != nil {
			return nil, err
		}
		s.inbox = box
	}
	return s.inbox, nil
}

// ensure creates the bucket, or makes sure that the one that is there will do,
// and returns where it is stored.
func (s *Store) ensure(ctx context.Context, n names) (jetstream.StorageType, error) {
	js, err := jetstream.New(s.cfg.Conn)
	if err != nil {
		return 0, unavailable("open bucket "+n.bucket, err)
	}
	var stream jetstream.Stream
	err = repeated(ctx, func(ctx context.Context) error {
		stream, err = js.Stream(ctx, n.stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = js.CreateStream(ctx, s.settings(n))
		}
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			stream, err = js.Stream(ctx, n.stream) // somebody else was faster, and wants another number of replicas
		}
		return err
	})
	if err != nil {
		return 0, unavailable("open bucket "+n.bucket, err)
	}
	cfg := stream.CachedInfo().Config
	if err := fits(n.bucket, cfg); err != nil {
		return 0, err
	}
	if cfg.MaxMsgsPerSubject != history {
		cfg.MaxMsgsPerSubject = history
		if _, err := js.UpdateStream(ctx, cfg); err != nil {
			return 0, unavailable("keep two values in bucket "+n.bucket, err)
		}
	}
	return cfg.Storage, nil
}

// repeated asks again as long as there is no answer, until ctx ends: while a
// stream has no leader nobody hears the question. Each time it waits longer, in
// case somebody does and is slow.
func repeated(ctx context.Context, ask func(context.Context) error) error {
	for wait := askAgain; ; wait *= 2 {
		once, cancel := context.WithTimeout(ctx, wait)
		err := ask(once)
		cancel()
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
}

// Drop implements [projector.Store]: it deletes the bucket.
func (s *Store) Drop(ctx context.Context, model projector.Model) error {
	if err := s.validate(model.View); err != nil {
		return err
	}
	n := namesOf(s.cfg.Namespace, model)
	js, err := jetstream.New(s.cfg.Conn)
	if err != nil {
		return unavailable("drop bucket "+n.bucket, err)
	}
	ctx, cancel := context.WithTimeout(ctx, createWait)
	defer cancel()
	err = repeated(ctx, func(ctx context.Context) error { return js.DeleteStream(ctx, n.stream) })
	if err == nil || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return unavailable("drop bucket "+n.bucket, err)
}

// history is how many values of each key are kept: the last one, and the one
// before, which is on the disk while the last may not be there yet.
const history = 2

// settings are those of a KV bucket, and that atomic batches are allowed.
func (s *Store) settings(n names) jetstream.StreamConfig {
	storage := jetstream.FileStorage
	if s.cfg.InMemory {
		storage = jetstream.MemoryStorage
	}
	return jetstream.StreamConfig{
		Name:               n.stream,
		Description:        "documents of the view " + n.model.View,
		Subjects:           []string{n.all},
		Storage:            storage,
		Replicas:           s.cfg.Replicas,
		MaxMsgsPerSubject:  history,
		Discard:            jetstream.DiscardNew,
		Duplicates:         2 * time.Minute,
		AllowRollup:        true,
		DenyDelete:         true,
		AllowDirect:        true,
		AllowAtomicPublish: true,
		Metadata: map[string]string{
			"annals.kind":       "view",
			"annals.projection": n.model.View,
			"annals.version":    fmt.Sprint(n.model.Version),
		},
	}
}

// fits refuses what would not work, or would silently become something else.
func fits(bucket string, cfg jetstream.StreamConfig) error {
	invalid := func(reason string) error {
		return &store.InvalidError{What: "bucket", Value: bucket, Reason: reason}
	}
	switch {
	case !cfg.AllowAtomicPublish:
		return invalid("it does not allow atomic batches")
	case !cfg.AllowDirect:
		return invalid("it does not allow direct gets")
	case cfg.MaxMsgsPerSubject != 1 && cfg.MaxMsgsPerSubject != history:
		return invalid("it keeps a history of its keys")
	}
	return nil
}

func unavailable(doing string, cause error) error {
	if errors.Is(cause, store.ErrUnavailable) {
		return fmt.Errorf("%s: %w", doing, cause)
	}
	return fmt.Errorf("%s: %w: %w", doing, store.ErrUnavailable, cause)
}
