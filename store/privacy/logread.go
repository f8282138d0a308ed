package privacy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/annals-go/annals/store"
)

// Read implements [store.Log]. Keys that cannot be had are [store.ErrUnavailable];
// values that are not what was sealed, and those whose key is lost, [store.ErrDamaged].
func (l *Log) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		r := reading{log: l, yield: yield, most: firstAhead}
		if err := r.run(ctx, id, after); err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// errStopped says that whoever reads wants no more.
var errStopped = errors.New("stopped")

// Commits are read ahead so that the keys of many are loaded side by side: few at first, for
// most streams are short.
const (
	firstAhead = 4
	mostAhead  = 128
	bytesAhead = 4 << 20
)

// reading is one call of Read.
type reading struct {
	log   *Log
	yield func(*store.Commit, error) bool
	ahead []*store.Commit
	bytes int
	most  int
}

func (r *reading) run(ctx context.Context, id store.StreamID, after store.Head) error {
	for c, err := range r.log.log.Read(ctx, id, after) {
		if err != nil {
			return first(r.flush(ctx), err)
		}
		if len(r.ahead) == 0 && !r.log.sealed(c) { // nothing to wait for
			if !r.yield(c, nil) {
				return errStopped
			}
			continue
		}
		r.ahead = append(r.ahead, c)
		r.bytes += dataBytes(c)
		if len(r.ahead) >= r.most || r.bytes >= bytesAhead {
			if err := r.flush(ctx); err != nil {
				return err
			}
		}
	}
	return r.flush(ctx)
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// flush opens what was read ahead, and yields it.
func (r *reading) flush(ctx context.Context) error {
	opened, err := r.log.open(ctx, r.ahead)
	for _, c := range r.ahead[:opened] {
		if !r.yield(c, nil) {
			return errStopped
		}
	}
	if len(r.ahead) > 1 {
		r.most = min(2*r.most, mostAhead)
	}
	clear(r.ahead)
	r.ahead, r.bytes = r.ahead[:0], 0
	return err
}

func dataBytes(c *store.Commit) int {
	n := 0
	for i := range c.Events {
		n += len(c.Events[i].Data)
	}
	for i := range c.Commands {
		n += len(c.Commands[i].Data)
	}
	return n
}

// sealed reports whether there may be sealed values in c.
func (l *Log) sealed(c *store.Commit) bool {
	codec := l.Codec()
	return slices.ContainsFunc(c.Events, func(e store.Event) bool { return store.MayHoldSealed(codec, e.Data) }) ||
		slices.ContainsFunc(c.Commands, func(m store.Command) bool { return store.MayHoldSealed(codec, m.Data) })
}

// open opens commits in their place, in order, and returns how many it has opened; the
// error is that of the next one. Keys that are not at hand are loaded side by side.
func (l *Log) open(ctx context.Context, commits []*store.Commit) (opened int, err error) {
	if !slices.ContainsFunc(commits, l.sealed) {
		return len(commits), nil
	}
	missing := &missing{subjects: map[string]bool{}}
	done := make([]bool, len(commits))
	for i, c := range commits {
		before := missing.count()
		if err = l.openOne(ctx, c, missing); err != nil {
			break
		}
		done[i] = missing.count() == before
	}
	if missing.count() > 0 {
		l.keys.warm(ctx, slices.Collect(maps.Keys(missing.subjects)), false)
	}
	for i, c := range commits {
		if done[i] {
			continue
		}
		if err := l.openOne(ctx, c, nil); err != nil {
			return i, err
		}
	}
	return len(commits), nil
}

// openOne opens one commit, all of it or nothing. Subjects whose keys are not at hand
// are added to missing, unless that is nil; then c is left as it is.
func (l *Log) openOne(ctx context.Context, c *store.Commit, missing *missing) error {
	if !l.sealed(c) {
		return nil
	}
	before, codec := missing.count(), l.Codec()
	events, commands := slices.Clone(c.Events), c.Commands
	if slices.ContainsFunc(commands, func(m store.Command) bool { return len(m.Data) > 0 }) {
		commands = slices.Clone(commands)
	}
	for i := range commands {
		m := &commands[i]
		if len(m.Data) == 0 {
			continue
		}
		var err error
		if m.Data, m.Personal, err = l.keys.open(ctx, commandScope(c.Stream, m), codec, m.Data, missing); err != nil {
			return openFault(c, c.After.Version+1, err)
		}
	}
	i := 0
	for r := range c.Recorded() {
		e := &events[i]
		var err error
		if e.Data, e.Personal, err = l.keys.open(ctx, eventScope(&r), codec, e.Data, missing); err != nil {
			return openFault(c, r.Version, err)
		}
		i++
	}
	if missing.count() == before {
		c.Events, c.Commands = events, commands
	}
	return nil
}

// damage is a [store.DamageError] that keeps its cause.
type damage struct {
	where *store.DamageError
	cause error
}

func (d *damage) Error() string   { return d.where.Error() }
func (d *damage) Unwrap() []error { return []error{d.where, d.cause} }

// openFault says which event could not be opened.
func openFault(c *store.Commit, version uint64, err error) error {
	if errors.Is(err, store.ErrUnavailable) {
		return fmt.Errorf("open %s from version %d on: %w", c.Stream, version, err)
	}
	return &damage{
		where: &store.DamageError{Stream: c.Stream, Version: version, Sequence: c.Sequence, Reason: err.Error()},
		cause: err,
	}
}
