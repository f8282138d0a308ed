package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// metaFilledFrom marks a namespace that is being filled from elsewhere and is not
// complete: its value says from what.
const metaFilledFrom = "annals.filled_from"

// ErrUnfinished: the namespace is being filled and is not complete.
var ErrUnfinished = errors.New("not complete")

// UnfinishedError says that a namespace is being filled, by a restore or a
// migration, and is not complete: whoever served it would serve a part of the
// history, and take the rest's places. It matches [ErrUnfinished] and [store.ErrInvalid].
type UnfinishedError struct {
	Namespace string
	// From says what it is filled from, as [Config] FilledFrom did.
	From string
}

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("namespace %s is being filled from %s and is not complete: repeat what fills it, which goes on where it stopped", e.Namespace, e.From)
}

// Unwrap makes the error match [ErrUnfinished] and [store.ErrInvalid].
func (e *UnfinishedError) Unwrap() []error { return []error{ErrUnfinished, store.ErrInvalid} }

// checkMark compares the mark of a namespace with what the configuration says, and
// marks an empty namespace that is to be filled.
func checkMark(ctx context.Context, js natsjs.JetStream, cfg Config, n *names) error {
	stream, err := standing(ctx, js, n.order.name)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	has := info.Config.Metadata[metaFilledFrom]
	switch {
	case has == cfg.FilledFrom:
		return nil
	case cfg.FilledFrom == "":
		return &UnfinishedError{Namespace: cfg.Namespace, From: has}
	case has != "":
		return &store.InvalidError{What: "namespace to fill", Value: cfg.Namespace, Reason: "it is being filled from " + has}
	case info.State.LastSeq > 0:
		return &store.InvalidError{What: "namespace to fill", Value: cfg.Namespace, Reason: "it has events of its own, to which nothing is added: name a namespace without any, or, if these are left over from an earlier filling, delete its streams first"}
	}
	return setMark(ctx, js, info.Config, cfg.FilledFrom)
}

// standing returns a stream that is known to be there. In a cluster the server that
// leads it may say for a moment that it is not: that passes.
func standing(ctx context.Context, js natsjs.JetStream, name string) (natsjs.Stream, error) {
	stream, err := js.Stream(ctx, name)
	if errors.Is(err, natsjs.ErrStreamNotFound) {
		err = fmt.Errorf("%w: stream %s is not opened yet", natsjs.ErrNoStreamResponse, name)
	}
	return stream, err
}

// setMark changes the mark and nothing else; an empty one is none.
func setMark(ctx context.Context, js natsjs.JetStream, config natsjs.StreamConfig, from string) error {
	config.Metadata = maps.Clone(config.Metadata)
	config.Metadata[metaFilledFrom] = from
	if from == "" {
		delete(config.Metadata, metaFilledFrom)
	}
	_, err := js.UpdateStream(ctx, config)
	return err
}

// FilledFrom returns what a namespace is being filled from; empty if it is
// complete. The errors are those of [Existing].
func FilledFrom(ctx context.Context, cfg Config) (string, error) {
	js, err := natsjs.New(cfg.Conn)
	if err != nil {
		return "", fmt.Errorf("look for the log of %s: %w", cfg.Namespace, unavailable(err))
	}
	n := newNames(cfg.Namespace, 0, 1)
	stream, err := js.Stream(ctx, n.order.name)
	switch {
	case errors.Is(err, natsjs.ErrStreamNotFound):
		return "", fmt.Errorf("log of %s: %w: %w", cfg.Namespace, store.ErrNotFound, err)
	case err != nil:
		return "", fmt.Errorf("look for the log of %s: %w", cfg.Namespace, unavailable(err))
	}
	return stream.CachedInfo().Config.Metadata[metaFilledFrom], nil
}

// Finish says that the namespace, opened with [Config] FilledFrom, is complete:
// from now on it is opened like any other. The error matches
// [store.ErrUnavailable].
func (l *Log) Finish(ctx context.Context) error {
	js, err := natsjs.New(l.cfg.Conn)
	if err == nil {
		err = patiently(ctx, func(ctx context.Context) error {
			stream, err := js.Stream(ctx, l.names.order.name)
			if err != nil {
				return err
			}
			return setMark(ctx, js, stream.CachedInfo().Config, "")
		})
	}
	if err == nil && l.cfg.Barrier != nil {
		err = l.cfg.Barrier(ctx)
	}
	if err != nil {
		return fmt.Errorf("finish %s: %w", l.cfg.Namespace, unavailable(err))
	}
	return nil
}
