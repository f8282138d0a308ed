package kv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// buckets opens the buckets of one configuration.
type buckets struct {
	cfg Config

	mu    sync.Mutex
	inbox *inbox // nil until the first is opened
}

// open returns the bucket at a place, which it creates as describe says if it
// is not there.
func (o *buckets) open(ctx context.Context, title string, at places, describe func(*jetstream.StreamConfig)) (b bucket, err error) {
	b = bucket{title: title, at: at, conn: o.cfg.Conn}
	if b.inbox, err = o.answers(); err != nil {
		return b, unavailable("open "+title, err)
	}
	if b.js, err = jetstream.New(o.cfg.Conn); err != nil {
		return b, unavailable("open "+title, err)
	}
	settings := o.settings(at)
	describe(&settings)
	ctx, cancel := context.WithTimeout(ctx, createWait)
	defer cancel()
	storage, err := b.ensure(ctx, settings)
	if err == nil && storage == jetstream.FileStorage {
		b.barrier = o.cfg.Barrier
	}
	return b, err
}

func (o *buckets) answers() (*inbox, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.inbox == nil {
		box, err := newInbox(o.cfg.Conn)
		if err != nil {
			return nil, err
		}
		o.inbox = box
	}
	return o.inbox, nil
}

// ensure creates the bucket, or makes sure that the one that is there will do,
// and returns where it is stored.
func (b *bucket) ensure(ctx context.Context, settings jetstream.StreamConfig) (jetstream.StorageType, error) {
	var stream jetstream.Stream
	err := repeated(ctx, func(ctx context.Context) (err error) {
		stream, err = b.js.Stream(ctx, settings.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = b.js.CreateStream(ctx, settings)
		}
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			stream, err = b.js.Stream(ctx, settings.Name) // somebody else was faster
		}
		return err
	})
	if err != nil {
		return 0, unavailable("open bucket "+b.at.bucket, err)
	}
	cfg := stream.CachedInfo().Config
	if err := fits(b.at.bucket, cfg); err != nil {
		return 0, err
	}
	if cfg.MaxMsgsPerSubject != history {
		cfg.MaxMsgsPerSubject = history
		if _, err := b.js.UpdateStream(ctx, cfg); err != nil {
			return 0, unavailable("keep two values in bucket "+b.at.bucket, err)
		}
	}
	return cfg.Storage, nil
}

// history is how many values of each key are kept: the last one, and the one
// before, which is on the disk while the last may not be there yet.
const history = 2

// firstSequence is that of a bucket made at that time. A bucket that is dropped
// and made anew begins beyond all that the old one had, so that a checkpoint's
// revision means one write for ever: no server stores a million messages a
// second in one stream. Microseconds fit into the 53 bits of a JSON number.
func firstSequence(at time.Time) uint64 { return uint64(at.UnixMicro()) }

// settings are those of a KV bucket, and that atomic batches are allowed.
func (o *buckets) settings(at places) jetstream.StreamConfig {
	storage := jetstream.FileStorage
	if o.cfg.InMemory {
		storage = jetstream.MemoryStorage
	}
	return jetstream.StreamConfig{
		Name:               at.stream,
		Subjects:           []string{at.all},
		Storage:            storage,
		Replicas:           o.cfg.Replicas,
		MaxMsgsPerSubject:  history,
		Discard:            jetstream.DiscardNew,
		FirstSeq:           firstSequence(time.Now()),
		Duplicates:         2 * time.Minute,
		AllowRollup:        true,
		DenyDelete:         true,
		AllowDirect:        true,
		AllowAtomicPublish: true,
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

func unavailable(doing string, cause error) error {
	if errors.Is(cause, store.ErrUnavailable) {
		return fmt.Errorf("%s: %w", doing, cause)
	}
	return fmt.Errorf("%s: %w: %w", doing, store.ErrUnavailable, cause)
}
