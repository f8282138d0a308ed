package projector_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// readless is a log that reads no stream, once so many more reads were begun.
type readless struct {
	store.Log
	left atomic.Int64 // negative: all
}

func (l *readless) Read(ctx context.Context, stream store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	if left := l.left.Load(); left < 0 || l.left.Add(-1) >= 0 {
		return l.Log.Read(ctx, stream, after)
	}
	l.left.Store(0)
	return func(yield func(*store.Commit, error) bool) {
		yield(nil, fmt.Errorf("%w: the log is away", store.ErrUnavailable))
	}
}

// An order that has begun is finished, so whoever does not wait for that does not
// know what comes of it. One that has not begun is certainly not carried out.
func TestAnOrderThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := counter("a"), counter("b")
		h := newHospital(t, place{a, 1}, place{b, 1})
		var slow atomic.Bool
		g := newGroup(t, projector.Config{Log: h.log, Projections: []projector.Definition{h.view}, CommitTimeout: time.Hour, Store: &faults{
			memory: h.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
				if slow.Load() {
					rest(time.Minute)
				}
				return none
			},
		}})
		running(t, g)
		h.writer.add("a", 1)
		if err := g.Wait(soon(t), "histories", h.writer.add("b", 1)); err != nil {
			t.Fatal(err)
		}
		letters, err := g.DeadLetters(soon(t), "histories")
		if err != nil || len(letters) != 2 {
			t.Fatal(letters, err)
		}
		h.healed()
		slow.Store(true)
		retried := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, err := g.Retry(ctx, "histories", letters[0].ID)
			retried <- err
		}()
		rest(time.Second) // the worker is at it
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := g.Retry(ctx, "histories", letters[1].ID); !errors.Is(err, projector.ErrTimeout) || errors.Is(err, store.ErrUnknown) {
			t.Errorf("the one that was not begun: %v", err)
		}
		if err := <-retried; !errors.Is(err, store.ErrUnknown) || !errors.Is(err, projector.ErrTimeout) {
			t.Errorf("the one that was begun: %v", err)
		}
		slow.Store(false)
		rest(10 * time.Minute)
		if l := onlyLetter(t, g, "histories"); l.ID != letters[1].ID {
			t.Errorf("letter is %+v", l)
		}
	})
}

// An order that is interrupted is said not to be carried out only if nothing of it
// is stored.
func TestAnInterruptedOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reads   int64 // of the log, before it is away
		skipped int
	}{"before the event is left out": {0, 0}, "after it": {1, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := counter("a")
				h := newHospital(t, place{a, 1})
				log := &readless{Log: h.log}
				log.left.Store(-1)
				g := newGroup(t, projector.Config{Log: log, Store: h.memory, Projections: []projector.Definition{h.view}})
				running(t, g)
				if err := g.Wait(soon(t), "histories", h.writer.append(a, added{1}, added{2})); err != nil {
					t.Fatal(err)
				}
				l := onlyLetter(t, g, "histories")
				log.left.Store(c.reads)
				_, err := g.Skip(soon(t), "histories", l.ID, 1, "it is ill", "me")
				if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) != (c.skipped > 0) {
					t.Errorf("skip: %v", err)
				}
				log.left.Store(-1)
				if all, err := g.Skipped(soon(t), "histories"); err != nil || len(all) != c.skipped {
					t.Errorf("skipped: %+v, %v", all, err)
				}
			})
		})
	}
}

// What was done is told, also if the events that wait then cannot be counted.
func TestALetterThatCannotBeCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := counter("a")
		h := newHospital(t, place{a, 1})
		g, stop := h.open(t)
		last := h.writer.append(a, added{1}, added{2})
		if err := g.Wait(soon(t), "histories", last); err != nil {
			t.Fatal(err)
		}
		was := onlyLetter(t, g, "histories")
		stop() // another process has to count from the log
		log := &readless{Log: h.log}
		log.left.Store(-1)
		g = newGroup(t, projector.Config{Log: log, Store: h.memory, Projections: []projector.Definition{h.view}})
		running(t, g)
		if err := g.Wait(soon(t), "histories", last); err != nil {
			t.Fatal(err)
		}
		log.left.Store(1)
		l, err := g.Retry(soon(t), "histories", was.ID)
		if err != nil || l.ID != was.ID || l.Attempts != was.Attempts+1 || l.Queued != 0 {
			t.Errorf("letter is %+v, %v; was %+v", l, err, was)
		}
		if _, err := g.DeadLetters(soon(t), "histories"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("the log can be read, so this shows nothing: %v", err)
		}
	})
}

// Who asks twice leaves out the event that they saw, and not the next one.
func TestASkipThatIsAskedForTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := counter("a")
		h := newHospital(t, place{a, 2}, place{a, 3})
		g, _ := h.open(t)
		if err := g.Wait(soon(t), "histories", h.writer.append(a, added{1}, added{2}, added{3})); err != nil {
			t.Fatal(err)
		}
		l := onlyLetter(t, g, "histories")
		if now, err := g.Skip(soon(t), "histories", l.ID, 2, "sent twice", "me"); err != nil || now.At != 3 || now.ID != l.ID {
			t.Fatalf("skipped: %+v, %v", now, err)
		}
		if now, err := g.Skip(soon(t), "histories", l.ID, 2, "sent twice", "me"); !errors.Is(err, store.ErrConflict) {
			t.Errorf("skipped once more: %+v, %v", now, err)
		}
		if all, err := g.Skipped(soon(t), "histories"); err != nil || len(all) != 1 || all[0].At != 2 {
			t.Errorf("skipped: %+v, %v", all, err)
		}
		if now := onlyLetter(t, g, "histories"); now.At != 3 {
			t.Errorf("letter is %+v", now)
		}
	})
}

// A skip is stored, and the worker does not hear of it: whoever is told that the outcome
// is not known finds at once what it was, though the worker begins again later.
func TestASkipOfUnknownOutcomeIsLookedUp(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]fault{"stored": unheard, "not stored": lost} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := counter("a")
				h := newHospital(t, place{a, 2}, place{a, 3})
				kept := newTableStore()
				var next atomic.Int64 // the fault of the next commit
				kept.faults = &faults{onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
					return fault(next.Swap(int64(none)))
				}}
				g := newGroup(t, projector.Config{Log: h.log, Store: kept, Projections: []projector.Definition{h.view}})
				running(t, g)
				if err := g.Wait(soon(t), "histories", h.writer.append(a, added{1}, added{2}, added{3})); err != nil {
					t.Fatal(err)
				}
				l := onlyLetter(t, g, "histories")
				next.Store(int64(kind))
				began := time.Now()
				if _, err := g.Skip(soon(t), "histories", l.ID, 2, "it is ill", "me"); !errors.Is(err, store.ErrUnknown) {
					t.Fatalf("skip: %v", err)
				}
				at, skips := uint64(2), 0
				if kind == unheard {
					at, skips = 3, 1
				}
				now := onlyLetter(t, g, "histories")
				one, err := g.Letter(soon(t), "histories", l.ID)
				skipped, errSkipped := g.Skipped(soon(t), "histories")
				if now.At != at || one.At != at || len(skipped) != skips || err != nil || errSkipped != nil {
					t.Errorf("the letter waits at %d, or at %d, %v; skipped are %+v, %v; want version %d, %d skipped", now.At, one.At, err, skipped, errSkipped, at, skips)
				}
				if time.Since(began) > 0 {
					t.Error("the worker has begun again by now: this shows nothing")
				}
				if _, err := g.Skip(soon(t), "histories", l.ID, 2, "it is ill", "me"); errors.Is(err, store.ErrConflict) != (kind == unheard) {
					t.Errorf("skipped once more: %v", err)
				}
				h.healed()
				wantReleased(t, g, now)
				agreesWithHistories(t, h.fixture, g, h.view)
			})
		})
	}
}
