package archive

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/annals-go/annals/store"
)

const (
	// windowLen and windowBytes bound the commits that are read at once where a
	// feed asks, for it will ask for the next ones soon. maxWindows is how many feeds
	// can do so at different places before each costs the other's reading.
	windowLen   = 2048
	windowBytes = 2 << 20
	maxWindows  = 8
)

// window is a part of the total order as far as the archive has it: all that it
// holds after one sequence and up to another. It does not change.
type window struct {
	of          *catalogue
	after, last uint64
	commits     []*store.Commit
}

// covers reports whether the window tells what the archive has at a sequence.
func (w *window) covers(sequence uint64) bool { return sequence > w.after && sequence <= w.last }

// from returns the commits from a sequence on.
func (w *window) from(sequence uint64) []*store.Commit {
	return w.commits[sort.Search(len(w.commits), func(i int) bool { return w.commits[i].Sequence >= sequence }):]
}

// Between implements [store.Archive]. A sequence that it does not hold makes it
// look once whether another process has archived it meanwhile.
func (a *Archive) Between(ctx context.Context, after, before uint64) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		err := a.between(ctx, after, before, func(c *store.Commit) bool { return yield(c, nil) })
		if err != nil {
			yield(nil, a.failed(err))
		}
	}
}

func (a *Archive) between(ctx context.Context, after, before uint64, yield func(*store.Commit) bool) error {
	looked := false
	for next := after + 1; next < before; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
		}
		w, err := a.windowAt(ctx, next)
		if err != nil {
			return err
		}
		held := w.from(next)
		if !looked && (len(held) == 0 || held[0].Sequence != next) {
			looked = true
			changed, err := a.refresh(ctx, w.of)
			if err != nil {
				return err
			}
			if changed {
				continue
			}
		}
		next = w.last + 1
		for _, c := range held {
			if c.Sequence >= before {
				return nil
			}
			if !yield(own(c)) {
				return nil
			}
		}
	}
	return nil
}

func dataBytes(c *store.Commit) (size int) {
	for i := range c.Events {
		size += len(c.Events[i].Data)
	}
	for i := range c.Commands {
		size += len(c.Commands[i].Data)
	}
	return size
}

// own returns a commit that the caller may change.
func own(c *store.Commit) *store.Commit {
	mine := *c
	mine.Commands = slices.Clone(c.Commands)
	for i := range mine.Commands {
		mine.Commands[i].Data = slices.Clone(mine.Commands[i].Data)
	}
	mine.Events = slices.Clone(c.Events)
	for i := range mine.Events {
		mine.Events[i].Data = slices.Clone(mine.Events[i].Data)
	}
	return &mine
}

// windowAt returns a window that covers a sequence.
func (a *Archive) windowAt(ctx context.Context, sequence uint64) (*window, error) {
	catalogue := a.current()
	a.mu.Lock()
	for i, w := range a.windows {
		if w.of == catalogue && w.covers(sequence) {
			copy(a.windows[1:i+1], a.windows[:i])
			a.windows[0] = w
			a.mu.Unlock()
			return w, nil
		}
	}
	a.mu.Unlock()
	w, err := a.readWindow(ctx, catalogue, sequence-1)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.catalogue == catalogue {
		a.windows = slices.Insert(a.windows, 0, w)
		a.windows = a.windows[:min(len(a.windows), maxWindows)]
	}
	return w, nil
}

// readWindow merges what all files have after a sequence. A window ends before what
// cannot be read, unless it begins there.
func (a *Archive) readWindow(ctx context.Context, c *catalogue, after uint64) (*window, error) {
	m := a.merge(c, after)
	defer m.end()
	w := &window{of: c, after: after, last: ^uint64(0) - 1}
	for size := 0; ; {
		commit, err := m.next(ctx)
		if err != nil && len(w.commits) == 0 {
			return nil, err
		}
		if err != nil {
			w.last = w.commits[len(w.commits)-1].Sequence
			return w, nil // who reads on comes to it
		}
		if commit == nil {
			return w, nil
		}
		w.commits = append(w.commits, commit)
		size += dataBytes(commit)
		if len(w.commits) == windowLen || size >= windowBytes {
			w.last = commit.Sequence
			return w, nil
		}
	}
}
