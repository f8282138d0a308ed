package store_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/storetest"
)

// A suite that passes everything promises nothing. Each of these stores breaks
// one promise, as real ones have, and the case named beside it must fail. They
// stand here, not beside the suite, because they forge what a Memory holds.
var planted = map[string]struct {
	fails string
	open  func(m *store.Memory) storetest.Store
}{
	"appends whatever is expected":  {"append/expectation_too_low", below(ignoreExpectation)},
	"conflict for what is stored":   {"append/identical_again", below(forgetOwn)},
	"knows its own only at the end": {"faults/lost_acknowledgement_and_a_rival", below(knowLastOnly)},
	"stores again what is there":    {"faults/lost_acknowledgement", below(ignoreExpectation)},
	"guesses that it was refused":   {"faults/stored,_and_ctx_ends", above(guessRefused)},
	"guesses that it was stored":    {"faults/not_stored,_and_ctx_ends", above(guessStored)},
	"takes progress for conflict":   {"faults/write_in_progress", takeProgressForConflict},
	"does not say where":            {"append/says_where", below(sayNothing)},
	"forgets the epoch":             {"append/epoch", below(forgetEpoch)},
	"all rivals win":                {"rivals/one_wins_each_round", below(ignoreExpectation)},
	"loses one of many":             {"rivals/no_loss,_no_doubling", below(loseSome)},
	"reads a broken chain":          {"damage/broken_chain", below(readUnchecked)},
	"reads past a gap":              {"damage/gap", below(readUnchecked)},
	"reads a version twice":         {"damage/version_twice", below(readUnchecked)},
	"reads nothing beyond the end":  {"read/head_beyond_the_end", below(readNothingBeyond)},
	"reads from the beginning":      {"read/after_a_head", below(readFromBeginning)},
	"ids in lower case":             {"ids/ids_are_kept_apart", below(lowerCase)},
	"tip of a commit's first event": {"tip/last_event", below(coarseTip)},
	"no take-over":                  {"follow/taken_over", below(followNameless)},
	"skips the rest of a commit":    {"follow/from_inside_a_commit", below(followSkipping)},
	"follows from beyond the end":   {"follow/ahead_of_the_log", below(followFromEnd)},
	"delivers twice":                {"follow/from_the_beginning", below(followTwice)},
	"delivers all types":            {"follow/some_types", below(followAllTypes)},
	"history ends where it is lost": {"truncate/archive_that_lost_a_commit", archived(readToTheGap)},
	"takes away for damaged":        {"truncate/archive_away", archived(takeAwayForDamaged)},
	"truncates without a word":      {"truncate/never_the_last", truncateNothing},
	"forgets a snapshot's epoch":    {"snapshots/epoch", snapshots(forgetSnapshotEpoch)},
	"damage is not found":           {"snapshots/damaged", snapshots(hideDamage)},
	"keeps the caller's snapshot":   {"snapshots/stays_the_caller's", snapshots(keepAsGiven)},
	"takes a snapshot of any size":  {"snapshots/too_large", snapshots(keepAsGiven)},
}

const (
	plantedVariable = "ANNALS_PLANTED"
	// plantedTime is what a case has that waits for what a fault has lost.
	plantedTime = "5s"
)

func TestSuiteCatchesPlantedFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range planted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pattern := "^TestPlanted$/^" + strings.ReplaceAll(fault.fails, "/", "$/^") + "$"
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", pattern, "-test.v", "-test.timeout", plantedTime)
			cmd.Env = append(os.Environ(), plantedVariable+"="+name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !strings.Contains(string(out), "--- FAIL: TestPlanted/"+fault.fails) {
				t.Fatalf("%v, want case %s to fail:\n%s", err, fault.fails, out)
			}
			if strings.Contains(string(out), "panic:") {
				t.Fatalf("the case panics instead of failing:\n%s", out)
			}
		})
	}
}

// TestPlanted is what TestSuiteCatchesPlantedFaults starts in processes of their own,
// to fail. It shows nothing by itself.
func TestPlanted(t *testing.T) {
	name := os.Getenv(plantedVariable)
	if name == "" {
		return
	}
	storetest.Run(t, storetest.Harness{Open: func(*testing.T) storetest.Store {
		return planted[name].open(store.NewMemory(store.MemoryConfig{}))
	}})
}

// altered is a log with some of its methods replaced.
type altered struct {
	store.Log
	append func(context.Context, *store.Commit) (store.Head, error)
	read   func(context.Context, store.StreamID, store.Head) iter.Seq2[*store.Commit, error]
	tip    func(context.Context, ...string) (store.Position, error)
	follow func(context.Context, store.Follow) (store.Feed, error)
}

func alter(log store.Log, change func(*altered)) store.Log {
	a := &altered{Log: log, append: log.Append, read: log.Read, tip: log.Tip, follow: log.Follow}
	change(a)
	return a
}

func (a *altered) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	return a.append(ctx, c)
}

func (a *altered) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	return a.read(ctx, id, after)
}

func (a *altered) Tip(ctx context.Context, types ...string) (store.Position, error) {
	return a.tip(ctx, types...)
}

func (a *altered) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	return a.follow(ctx, f)
}

// below plants a fault in the log, above one in who sends to it.
func below(change func(*altered)) func(*store.Memory) storetest.Store {
	return func(m *store.Memory) storetest.Store {
		s := openOver(m, alter(m, change))
		s.Again = nil // rivals meet the same log
		return s
	}
}

func above(change func(*altered)) func(*store.Memory) storetest.Store {
	return func(m *store.Memory) storetest.Store {
		s := openOver(m, m)
		s.Log = alter(s.Log, change)
		return s
	}
}

func snapshots(change func(store.Snapshots) store.Snapshots) func(*store.Memory) storetest.Store {
	return func(m *store.Memory) storetest.Store {
		s := openOver(m, m)
		s.Snapshots = change(m)
		return s
	}
}

// archived plants a fault in a log that can be truncated.
func archived(change func(*altered)) func(*store.Memory) storetest.Store {
	return func(*store.Memory) storetest.Store {
		shelf := &storetest.Shelf{}
		m := store.NewMemory(store.MemoryConfig{Archive: shelf})
		s := openOver(m, alter(m, change))
		s.Again, s.Shelf = nil, shelf
		return s
	}
}

// readToTheGap takes what is missing for the end.
func readToTheGap(a *altered) {
	read := a.read
	a.read = func(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
		return func(yield func(*store.Commit, error) bool) {
			for c, err := range read(ctx, id, after) {
				if errors.Is(err, store.ErrArchived) || !yield(c, err) {
					return
				}
			}
		}
	}
}

func takeAwayForDamaged(a *altered) {
	read := a.read
	a.read = func(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
		return func(yield func(*store.Commit, error) bool) {
			for c, err := range read(ctx, id, after) {
				if errors.Is(err, store.ErrUnavailable) {
					err = &store.DamageError{Stream: id, Version: 1, Reason: err.Error()}
				}
				if !yield(c, err) {
					return
				}
			}
		}
	}
}

func truncateNothing(m *store.Memory) storetest.Store {
	s := archived(func(*altered) {})(m)
	s.Truncate = func(context.Context, store.StreamID, store.Head) error { return nil }
	return s
}

func endOf(ctx context.Context, log store.Log, id store.StreamID) *store.Commit {
	last := &store.Commit{}
	for c, err := range log.Read(ctx, id, store.Head{}) {
		if err == nil {
			last = c
		}
	}
	return last
}

func ignoreExpectation(a *altered) {
	a.append = func(ctx context.Context, c *store.Commit) (store.Head, error) {
		moved := *c
		for {
			moved.After = endOf(ctx, a.Log, c.Stream).Head()
			if head, err := a.Log.Append(ctx, &moved); !errors.Is(err, store.ErrConflict) {
				c.Sequence, c.Local, c.Hash = moved.Sequence, moved.Local, moved.Hash
				return head, err
			}
		}
	}
}

func conflict(c *store.Commit, actual uint64) error {
	return &store.ConflictError{Stream: c.Stream, Expected: c.After.Version, Actual: actual}
}

func forgetOwn(a *altered) {
	a.append = func(ctx context.Context, c *store.Commit) (store.Head, error) {
		if end := endOf(ctx, a.Log, c.Stream).Head(); end != c.After {
			return store.Head{}, conflict(c, end.Version)
		}
		return a.Log.Append(ctx, c)
	}
}

func knowLastOnly(a *altered) {
	a.append = func(ctx context.Context, c *store.Commit) (store.Head, error) {
		end := endOf(ctx, a.Log, c.Stream)
		if end.ID != c.ID && end.Head() != c.After {
			return store.Head{}, conflict(c, end.Head().Version)
		}
		return a.Log.Append(ctx, c)
	}
}

func guessRefused(a *altered) {
	a.append = func(ctx context.Context, c *store.Commit) (store.Head, error) {
		head, err := a.Log.Append(ctx, c)
		if errors.Is(err, store.ErrUnknown) {
			return head, &store.RefusedError{Stream: c.Stream, Reason: context.DeadlineExceeded}
		}
		return head, err
	}
}

func guessStored(a *altered) {
	a.append = func(ctx context.Context, c *store.Commit) (store.Head, error) {
		head, err := a.Log.Append(ctx, c)
		if errors.Is(err, store.ErrUnknown) {
			return store.Head{Version: c.After.Version + 1, Sequence: c.After.Sequence + 1}, nil
		}
		return head, err
	}
}

// hasty takes the answer that a write is in progress for a conflict.
type hasty struct {
	*storetest.Lossy
	left atomic.Int64
}

func (h *hasty) InProgress(n int) bool {
	h.left.Store(int64(n))
	return true
}

func (h *hasty) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	if h.left.Add(-1) >= 0 {
		return store.Head{}, conflict(c, c.After.Version)
	}
	return h.Lossy.Append(ctx, c)
}

func takeProgressForConflict(m *store.Memory) storetest.Store {
	s := openOver(m, m)
	h := &hasty{Lossy: storetest.NewLossy(m)}
	s.Log, s.Faults = h, h
	return s
}

func loseSome(a *altered) {
	var count atomic.Int64
	a.append = func(ctx context.Context, c *store.Commit) (store.Head, error) {
		if count.Add(1)%37 == 0 {
			return store.Head{Version: c.After.Version + uint64(len(c.Events)), Sequence: c.After.Sequence + 1, Hash: store.Hash{1}}, nil
		}
		return a.Log.Append(ctx, c)
	}
}

func readUnchecked(a *altered) {
	a.read = func(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
		return func(yield func(*store.Commit, error) bool) {
			feed, err := a.Log.Follow(ctx, store.Follow{})
			if err != nil {
				yield(nil, err)
				return
			}
			for tip, _ := a.Log.Tip(ctx); tip > 0; {
				commits, err := feed.Next(ctx, 1)
				if err != nil {
					yield(nil, err)
					return
				}
				c := commits[0]
				if c.Stream == id && c.Sequence > after.Sequence && !yield(c, nil) || c.Sequence == tip.Sequence() {
					return
				}
			}
		}
	}
}

func sayNothing(a *altered) {
	a.append = func(ctx context.Context, c *store.Commit) (store.Head, error) {
		mine := *c
		return a.Log.Append(ctx, &mine)
	}
}

func forgetEpoch(a *altered) {
	a.append = func(ctx context.Context, c *store.Commit) (store.Head, error) {
		forgotten := *c
		forgotten.Epoch = 0
		head, err := a.Log.Append(ctx, &forgotten)
		c.Sequence, c.Local, c.Hash = forgotten.Sequence, forgotten.Local, forgotten.Hash
		return head, err
	}
}

func readNothingBeyond(a *altered) {
	a.read = func(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
		return func(yield func(*store.Commit, error) bool) {
			for c, err := range a.Log.Read(ctx, id, after) {
				if errors.Is(err, store.ErrAhead) || !yield(c, err) {
					return
				}
			}
		}
	}
}

func readFromBeginning(a *altered) {
	a.read = func(ctx context.Context, id store.StreamID, _ store.Head) iter.Seq2[*store.Commit, error] {
		return a.Log.Read(ctx, id, store.Head{})
	}
}

func lowerCase(a *altered) {
	a.append = func(ctx context.Context, c *store.Commit) (store.Head, error) {
		lower := *c
		lower.Stream.ID = strings.ToLower(c.Stream.ID)
		head, err := a.Log.Append(ctx, &lower)
		c.Sequence, c.Local, c.Hash = lower.Sequence, lower.Local, lower.Hash
		return head, err
	}
	a.read = func(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
		return a.Log.Read(ctx, store.StreamID{Type: id.Type, ID: strings.ToLower(id.ID)}, after)
	}
}

func coarseTip(a *altered) {
	a.tip = func(ctx context.Context, types ...string) (store.Position, error) {
		tip, err := a.Log.Tip(ctx, types...)
		return store.PositionOf(tip.Sequence(), 0), err
	}
}

func followNameless(a *altered) {
	a.follow = func(ctx context.Context, f store.Follow) (store.Feed, error) {
		f.Name = ""
		return a.Log.Follow(ctx, f)
	}
}

func followSkipping(a *altered) {
	a.follow = func(ctx context.Context, f store.Follow) (store.Feed, error) {
		if tip, _ := a.Log.Tip(ctx); f.After != 0 && f.After.Sequence() < tip.Sequence() {
			f.After = store.PositionOf(f.After.Sequence(), store.MaxEvents-1)
		}
		return a.Log.Follow(ctx, f)
	}
}

func followFromEnd(a *altered) {
	a.follow = func(ctx context.Context, f store.Follow) (store.Feed, error) {
		if tip, _ := a.Log.Tip(ctx); f.After > tip {
			f.After = tip
		}
		return a.Log.Follow(ctx, f)
	}
}

func followAllTypes(a *altered) {
	a.follow = func(ctx context.Context, f store.Follow) (store.Feed, error) {
		f.Types = nil
		return a.Log.Follow(ctx, f)
	}
}

// stutterer delivers the first commit of each batch twice if there is room.
// stutterer delivers its first commit again, after the others that came with it.
type stutterer struct {
	store.Feed
	first *store.Commit
	again bool
}

func (s *stutterer) Next(ctx context.Context, limit int) ([]*store.Commit, error) {
	if s.first != nil && !s.again {
		s.again = true
		return []*store.Commit{s.first}, nil
	}
	commits, err := s.Feed.Next(ctx, limit)
	if err == nil && s.first == nil {
		s.first = commits[0]
	}
	return commits, err
}

func followTwice(a *altered) {
	a.follow = func(ctx context.Context, f store.Follow) (store.Feed, error) {
		feed, err := a.Log.Follow(ctx, f)
		return &stutterer{Feed: feed}, err
	}
}

type epochForgetter struct{ store.Snapshots }

func forgetSnapshotEpoch(s store.Snapshots) store.Snapshots { return epochForgetter{s} }

func (f epochForgetter) Save(ctx context.Context, s *store.Snapshot) error {
	forgotten := *s
	forgotten.Epoch = 0
	return f.Snapshots.Save(ctx, &forgotten)
}

type damageHider struct{ store.Snapshots }

func hideDamage(s store.Snapshots) store.Snapshots { return damageHider{s} }

func (h damageHider) Load(ctx context.Context, id store.StreamID) (*store.Snapshot, error) {
	s, err := h.Snapshots.Load(ctx, id)
	if errors.Is(err, store.ErrDamaged) {
		return nil, store.ErrNotFound
	}
	return s, err
}

// keeper keeps what it is given rather than a copy.
type keeper struct {
	store.Snapshots
	kept sync.Map
}

func keepAsGiven(s store.Snapshots) store.Snapshots { return &keeper{Snapshots: s} }

func (k *keeper) Save(_ context.Context, s *store.Snapshot) error {
	k.kept.Store(s.Stream, s)
	return nil
}

func (k *keeper) Load(_ context.Context, id store.StreamID) (*store.Snapshot, error) {
	if s, ok := k.kept.Load(id); ok {
		return s.(*store.Snapshot), nil
	}
	return nil, store.ErrNotFound
}
