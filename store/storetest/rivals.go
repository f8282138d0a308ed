package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/annals-go/annals/store"
)

var rivalCases = []testCase{
	{"one wins each round", "of writers that build on the same head exactly one commits; the others get a conflict", rivalsOneWins},
	{"no loss, no doubling", "writers that try again after each conflict all get through, each commit once, the stream contiguous", rivalsAllGetThrough},
	{"streams do not disturb each other", "writers of different streams have no conflicts, and the log holds all they wrote", rivalsOtherStreams},
}

const (
	rivals = 8
	rounds = 50
)

// rivalLogs returns the log as each of several writers sees it.
func rivalLogs(t *testing.T, s Store) []store.Log {
	t.Helper()
	logs := []store.Log{s.Log, s.rival(t)}
	for len(logs) < rivals {
		logs = append(logs, logs[len(logs)%2])
	}
	return logs
}

func rivalsOneWins(t *testing.T, s Store) {
	logs, w := rivalLogs(t, s), newWriter(s.Log, account("1"))
	for range rounds / 5 {
		commits := make([]*store.Commit, len(logs))
		heads := make([]store.Head, len(logs))
		errs := make([]error, len(logs))
		for i := range logs {
			commits[i] = w.next(t, 1)
		}
		ctx := contextOf(t)
		var wg sync.WaitGroup
		for i, log := range logs {
			wg.Go(func() { heads[i], errs[i] = log.Append(ctx, commits[i]) })
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				t.Fatalf("writers %d and %d both committed after version %d", winner, i, w.head.Version)
			default:
				wantConflict(t, err, w.id, w.head.Version, w.head.Version+1)
			}
		}
		if winner < 0 {
			t.Fatalf("nobody committed after version %d", w.head.Version)
		}
		w.took(t, commits[winner], heads[winner])
	}
	w.check(t)
}

func rivalsAllGetThrough(t *testing.T, s Store) {
	logs, id := rivalLogs(t, s), account("1")
	heads := make([][]store.Head, len(logs))
	commits := make([][]*store.Commit, len(logs))
	errs := make([]error, len(logs))
	ctx := contextOf(t)
	var wg sync.WaitGroup
	for i, log := range logs {
		for n := range rounds {
			commits[i] = append(commits[i], commitOf(t, log, id, store.Head{}, 1+n%3))
		}
		wg.Go(func() { heads[i], errs[i] = insist(ctx, log, commits[i], func(int) {}) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	wantAcknowledged(t, s.Log, id, commits, heads)
}

// wantAcknowledged checks that the stream holds the commits of all writers,
// each at the head that its writer was told, and nothing else.
func wantAcknowledged(t *testing.T, log store.Log, id store.StreamID, commits [][]*store.Commit, heads [][]store.Head) {
	t.Helper()
	left := map[uint64]*store.Commit{}
	for _, c := range mustRead(t, log, id, store.Head{}) {
		left[c.Local] = c
	}
	for i, mine := range heads {
		for n, head := range mine {
			c := left[head.Sequence]
			if c == nil || c.ID != commits[i][n].ID || c.Head() != head {
				t.Fatalf("commit %d of writer %d was acknowledged at %+v, but is not there", n, i, head)
			}
			if n > 0 && head.Sequence <= mine[n-1].Sequence {
				t.Fatalf("commits %d and %d of writer %d changed places", n-1, n, i)
			}
			delete(left, head.Sequence)
		}
	}
	if len(left) != 0 {
		t.Fatalf("the stream has %d commits that nobody was told of", len(left))
	}
}

func rivalsOtherStreams(t *testing.T, s Store) {
	logs, ctx := rivalLogs(t, s), contextOf(t)
	writers := make([]*writer, len(logs))
	errs := make([]error, len(logs))
	var wg sync.WaitGroup
	for i, log := range logs {
		w := newWriter(log, account(fmt.Sprint(i)))
		writers[i] = w
		commits := make([]*store.Commit, rounds)
		for n := range commits {
			commits[n] = commitOf(t, log, w.id, store.Head{}, 2)
		}
		wg.Go(func() {
			for _, c := range commits {
				c.After = w.head
				head, err := log.Append(ctx, c)
				if err != nil {
					errs[i] = err
					return
				}
				w.stored, w.head = append(w.stored, c), head
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	taken := map[uint64]bool{}
	for _, w := range writers {
		w.check(t)
		for _, c := range w.stored {
			if taken[c.Sequence] {
				t.Fatalf("two commits have sequence %d", c.Sequence)
			}
			taken[c.Sequence] = true
		}
	}
}
