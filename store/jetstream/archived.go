package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

const (
	// bridgeLen and bridgeBytes bound what a feed takes from the archive at once.
	bridgeLen   = 1024
	bridgeBytes = 8 << 20
)

// gapBefore reports whether commits are missing between the head and a message,
// and which head the message builds on. In the order, where reading may begin at
// a guess, that says nothing until something was found.
func (r *reading) gapBefore(m *message) (store.Head, bool) {
	if m.local <= r.head.Sequence || r.guessed {
		return store.Head{}, false
	}
	c, err := store.DecodeCommit(r.log.cfg.Codec, m.data, m.local)
	if err != nil || c.Stream != r.id || c.After.Version <= r.head.Version {
		return store.Head{}, false
	}
	return c.After, true
}

// overtaken goes on when all up to the end was truncated while it was read.
func (r *reading) overtaken(ctx context.Context, end *message) error {
	c, err := store.DecodeCommit(r.log.cfg.Codec, end.data, end.local)
	if err != nil || c.Stream != r.id || r.guessed {
		return r.missing(end)
	}
	return r.readArchived(ctx, c.Head(), end)
}

// readArchived yields what the archive holds from the head to until, which m
// builds on or is.
func (r *reading) readArchived(ctx context.Context, until store.Head, m *message) error {
	_, err := store.ReadArchived(ctx, r.log.cfg.Archive, r.id, r.head, until, func(c *store.Commit) error {
		r.next = c.Sequence + 1
		return r.deliver(c, c.Sequence)
	})
	if err = r.log.judge(ctx, err); errors.Is(err, errNeverTruncated) {
		return r.damaged(m, fmt.Sprintf("the log has nothing between it and version %d, and was never truncated", until.Version))
	}
	if damage := (*store.DamageError)(nil); errors.As(err, &damage) && damage.Sequence == 0 {
		damage.Sequence = r.placeOf(m)
	}
	return err
}

// judge returns what it means that commits are not where they are read from. That
// an archive is missing, or does not hold them, is [errNeverTruncated] of a log that
// never was, so that what is missing is damage.
func (l *Log) judge(ctx context.Context, err error) error {
	if !errors.Is(err, store.ErrArchived) {
		return err
	}
	truncated, asked := l.isTruncated(ctx)
	switch {
	case asked != nil:
		return asked
	case !truncated:
		return errNeverTruncated
	}
	return err
}

// errNeverTruncated says that commits are missing from a log that was never truncated.
var errNeverTruncated = fmt.Errorf("%w: the log does not have it, and was never truncated", store.ErrDamaged)

// warnOfArchive says so if the archive that a truncated log is opened with cannot
// have what was taken out of it.
func (l *Log) warnOfArchive() {
	switch e, tells := l.cfg.Archive.(interface{ Empty() bool }); {
	case l.cfg.Archive == nil:
		l.cfg.Logger.Warn("the log was truncated to an archive, and is opened without it", "namespace", l.cfg.Namespace)
	case tells && e.Empty():
		l.cfg.Logger.Warn("the log was truncated to an archive, and this one holds nothing of it", "namespace", l.cfg.Namespace)
	}
}

// held is a message that came beyond the next sequence.
type held struct {
	message *nats.Msg
	at      delivery
}

// release gives the message that is held to whoever has taken all before it.
func (d *line) release() (*nats.Msg, delivery) {
	h := d.held
	d.held = nil
	d.sequence, d.pending = h.at.sequence, h.at.pending
	return h.message, h.at
}

// readArchived passes what comes before the message that is held to take, which may end it.
func (d *line) readArchived(ctx context.Context, take func(*store.Commit) error) error {
	_, err := store.ReadArchivedBetween(ctx, d.log.cfg.Archive, d.sequence, d.held.at.sequence, func(c *store.Commit) error {
		d.sequence = c.Sequence
		return take(c)
	})
	if err = d.log.judge(ctx, err); errors.Is(err, errNeverTruncated) {
		return fmt.Errorf("%w: the server does not deliver the commits at sequences %d to %d", store.ErrDamaged, d.sequence+1, d.held.at.sequence-1)
	}
	return err
}

// bridge takes what comes before the message that is held from the archive, as
// much as is wanted at once, and then the message. It returns ctx's error only.
func (d *feed) bridge(ctx context.Context, limit int) error {
	size := 0
	err := d.readArchived(ctx, func(c *store.Commit) error {
		if d.log.names.sourced() {
			if err := d.lineage.count(c.Sequence, d.log.names.streamOf(c.Stream), c.Local); err != nil {
				return err
			}
		}
		d.keep(c)
		for i := range c.Events {
			size += len(c.Events[i].Data)
		}
		if len(d.ready) >= max(limit, bridgeLen) || size >= bridgeBytes {
			return errStopped
		}
		return nil
	})
	switch {
	case err == nil:
		m, at := d.release()
		d.sort(ctx, m, at)
	case errors.Is(err, errStopped):
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, store.ErrDamaged), errors.Is(err, store.ErrArchived):
		d.failure = fmt.Errorf("feed: %w", err)
	default:
		_ = d.fail(err)
	}
	return nil
}

// keep adds a commit of the archive to what is ready if it is wanted.
func (d *feed) keep(c *store.Commit) {
	if !d.wants(c.Stream.Type) {
		d.passed = true
		return
	}
	if c.Last() > d.after {
		d.ready = append(d.ready, taken{commit: c, mark: mark{position: c.Last()}})
	}
}
