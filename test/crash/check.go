//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/archive"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/migrate"
	"github.com/annals-go/annals/store/segment"
)

// openLog opens a namespace to read it, with its archive in a directory if there
// is one.
func (s *stage) openLog(ctx context.Context, ns, archived string) (*jetstream.Log, error) {
	config, err := jetstream.Existing(ctx, s.conn, ns)
	if err != nil {
		return nil, err
	}
	config.Logger = slog.New(slog.DiscardHandler)
	if archived != "" {
		vault, err := segment.Dir(archived)
		if err != nil {
			return nil, err
		}
		if config.Archive, err = archive.Open(ctx, archive.Config{Vault: vault, Namespace: ns, Logger: config.Logger}); err != nil {
			return nil, err
		}
	}
	return jetstream.Open(ctx, config)
}

// sum reads a namespace from its beginning to its end.
func (s *stage) sum(ctx context.Context, ns, archived string) (migrate.Sum, error) {
	log, err := s.openLog(ctx, ns, archived)
	if err != nil {
		return migrate.Sum{}, fmt.Errorf("open %s: %w", ns, err)
	}
	defer func() { _ = log.Close() }()
	tip, err := log.Tip(ctx)
	if err != nil {
		return migrate.Sum{}, fmt.Errorf("tip of %s: %w", ns, err)
	}
	sum, err := migrate.SumAll(ofHistory(commits(ctx, log, tip)))
	if err != nil {
		return sum, fmt.Errorf("read %s: %w", ns, err)
	}
	return sum, nil
}

// commits are those of a log, up to the last.
func commits(ctx context.Context, log store.Log, last store.Position) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		feed, err := log.Follow(ctx, store.Follow{})
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = feed.Close() }()
		for at := store.Position(0); at < last; {
			some, err := feed.Next(ctx, 256)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, c := range some {
				if at = c.Last(); !yield(c, nil) {
					return
				}
			}
		}
	}
}

// ofHistory passes on what is of the history: the record of who did what stands behind it.
func ofHistory(all iter.Seq2[*store.Commit, error]) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		for c, err := range all {
			if err == nil && actor.Reserved(c.Stream.Type) {
				continue
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// is reports a namespace that does not come to what it should.
func (s *stage) is(ctx context.Context, ns, archived string, want migrate.Sum) error {
	got, err := s.sum(ctx, ns, archived)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s comes to %d commits with %s, want %d with %s", ns, got.Commits, got.Hash, want.Commits, want.Hash)
	}
	return nil
}

// isFilling checks a namespace that was being filled when its filler was killed:
// it is not there, is refused to readers, or is whole.
func (s *stage) isFilling(ctx context.Context, ns string, want migrate.Sum) error {
	from, err := jetstream.FilledFrom(ctx, jetstream.Config{Conn: s.conn, Namespace: ns})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case from == "":
		return s.is(ctx, ns, "", want)
	}
	if _, err = s.openLog(ctx, ns, ""); errors.Is(err, store.ErrNotFound) {
		return nil // some of its streams are not there yet
	}
	if _, refused := errors.AsType[*jetstream.UnfinishedError](err); !refused {
		return fmt.Errorf("%s is being filled from %s and opens: %w", ns, from, errors.Join(err))
	}
	return nil
}

// backedUp compares what a backup holds with the history.
func (s *stage) backedUp(ctx context.Context, dir string) error {
	vault, err := segment.Dir(dir)
	if err != nil {
		return err
	}
	b, err := backup.Open(ctx, vault, namespace, "")
	if err != nil {
		return err
	}
	got, err := migrate.SumAll(ofHistory(b.Commits(ctx, 0, 0)))
	if err != nil {
		return err
	}
	if got != s.have {
		return fmt.Errorf("the backup comes to %d commits with %s, want %d with %s", got.Commits, got.Hash, s.have.Commits, s.have.Hash)
	}
	return nil
}

// stored is how many commits the server holds of a namespace.
func (s *stage) stored(ctx context.Context, ns string) (uint64, error) {
	js, err := natsjs.New(s.conn)
	if err != nil {
		return 0, err
	}
	stream, err := js.Stream(ctx, "ANNALS_"+ns+"_events")
	if err != nil {
		return 0, err
	}
	return stream.CachedInfo().State.Msgs, nil
}

// control adds a commit to a copy and reports whether the check finds that.
func (s *stage) control(ctx context.Context) (bool, error) {
	ns := s.name("control")
	if err := s.must(ctx, restoring(s, ns, namespace)...); err != nil {
		return false, err
	}
	if err := s.is(ctx, ns, "", s.have); err != nil {
		return false, err
	}
	log, err := s.openLog(ctx, ns, "")
	if err != nil {
		return false, err
	}
	defer func() { _ = log.Close() }()
	c := &store.Commit{
		Stream: store.StreamID{Type: ledgers.Type, ID: "one-more"}, ID: oneMore, Time: epoch,
		Commands: []store.Command{{ID: "one-more", Name: "move"}}, Events: []store.Event{{Type: "checked", Schema: 1, Data: []byte{0x80}}},
	}
	if _, err := log.Append(ctx, c); err != nil {
		return false, err
	}
	return s.is(ctx, ns, "", s.have) != nil, nil
}
