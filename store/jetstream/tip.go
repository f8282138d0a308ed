package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/annals-go/annals/store"
)

// Tip returns the position of the log's last event as [store.Log] says. For
// all types, and as long as the last commit is of one of the types that are
// asked for, it costs two requests. Otherwise the server looks through all
// subjects of each type, which takes it about a tenth of a second for a million.
func (l *Log) Tip(ctx context.Context, types ...string) (store.Position, error) {
	for _, t := range types {
		if err := store.ValidateName("aggregate type", t); err != nil {
			return 0, err
		}
	}
	tip, err := l.tip(ctx, types)
	if err == nil {
		err = l.durable.wait(ctx, tip.Sequence())
	}
	if err != nil && !errors.Is(err, store.ErrDamaged) {
		err = fmt.Errorf("tip: %w", unavailable(err))
	}
	if err != nil {
		return 0, err
	}
	return tip, nil
}

func (l *Log) tip(ctx context.Context, types []string) (store.Position, error) {
	end, m, err := l.lastMessage(ctx)
	switch {
	case end == 0 || err != nil && !errors.Is(err, errNone):
		return 0, err
	case err == nil && (len(types) == 0 || slices.Contains(types, l.names.streamID(m.subject).Type)):
		return l.lastPosition(ctx, m)
	case errors.Is(err, errNone):
		return 0, l.unreadableEnd(end)
	}
	var tip store.Position
	for _, t := range types {
		p, err := l.newestOn(ctx, l.names.ofType(t))
		if err != nil {
			return 0, err
		}
		tip = max(tip, p)
	}
	return tip, nil
}

// lastMessage returns where the log ends, and the message there; errNone if the
// server has none. The last commit of a stream is never truncated, but between the
// two questions it may have become another one.
func (l *Log) lastMessage(ctx context.Context) (end uint64, m *message, err error) {
	for before := uint64(0); ; before = end {
		if end, err = l.lastSequence(ctx); end == 0 || err != nil {
			return 0, nil, err
		}
		m, err = l.fetchFirmly(ctx, l.names.order.leaderGet, at(end))
		if !errors.Is(err, errNone) || end <= before {
			return end, m, err
		}
	}
}

// unreadableEnd says why the server has no message where the log ends: the last
// is never truncated, so it cannot read what it holds. Of several
// servers another may have answered, which is behind.
func (l *Log) unreadableEnd(sequence uint64) error {
	kind := store.ErrDamaged
	if l.replicas > 1 {
		kind = store.ErrUnavailable
	}
	return fmt.Errorf("%w: the server does not deliver the log's last commit, at sequence %d", kind, sequence)
}

// newestOn returns the position of the last event on the subjects that match,
// 0 if there is none.
func (l *Log) newestOn(ctx context.Context, subjects string) (store.Position, error) {
	m, err := l.fetchFirmly(ctx, l.names.order.leaderGet, lastOn(subjects))
	if errors.Is(err, errNone) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return l.lastPosition(ctx, m)
}

// lastPosition returns the position of the message's last event.
func (l *Log) lastPosition(ctx context.Context, m *message) (store.Position, error) {
	c, err := l.decode(m.data, m.sequence, m.local)
	if err != nil {
		return 0, l.damage(ctx, m.subject, m.sequence, err)
	}
	return c.Last(), nil
}
