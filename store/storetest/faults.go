package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

var faultCases = []testCase{
	{"lost acknowledgement", "a commit whose acknowledgement was lost is sent again, stored once, and answered with its head", faultLostAck},
	{"lost acknowledgement of a beginning", "the same where the commit begins the stream", faultLostAckOfFirst},
	{"dropped publish", "a publish that never arrived is sent again", faultDropped},
	{"repeated publish", "a publish that arrives twice is stored once and is no conflict", faultRepeated},
	{"lost acknowledgement and a rival", "a commit that is stored is found as one's own when others have followed it: the one after the expectation counts, not the last one", faultLostAckAndRival},
	{"lost acknowledgement and many rivals", "the same behind more commits than one reads at a glance", faultLostAckAndMany},
	{"dropped publish and a rival", "a commit that never arrived, and that a rival has forestalled, is a conflict", faultDroppedAndRival},
	{"stored, and ctx ends", "no answer until ctx ends is an unknown outcome; the identical commit later answers its head and stores nothing", faultUnknownStored},
	{"not stored, and ctx ends", "the same where nothing was stored: the identical commit later stores it", faultUnknownDropped},
	{"unknown, then a rival", "an unknown outcome that a rival has settled is a conflict", faultUnknownThenRival},
	{"write in progress", "the answer that another write is in progress proves nothing: the append is tried again", faultInProgress},
	{"write in progress until ctx ends", "an append that finds another write in progress until ctx ends has an unknown outcome", faultInProgressForEver},
	{"write in progress, then a rival", "when the write that was in progress has settled, the append behind it is a conflict", faultInProgressThenRival},
	{"faults without end", "whatever the way does, in whatever order, a stream holds each commit that was acknowledged once", faultsAtRandom},
}

// addDisturbed appends one commit that the faults disturb.
func (w *writer) addDisturbed(t *testing.T, events int) {
	t.Helper()
	w.add(t, events)
	w.check(t)
}

func faultLostAck(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	w.add(t, 1)
	for n := 1; n <= 3; n++ {
		f.LoseAck(n)
		w.addDisturbed(t, 2)
	}
	w.add(t, 1)
	w.check(t)
}

func faultLostAckOfFirst(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	f.LoseAck(2)
	w.addDisturbed(t, 1)
	w.add(t, 1)
	w.check(t)
}

func faultDropped(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	for n := 1; n <= 3; n++ {
		f.DropPublish(n)
		w.addDisturbed(t, 2)
	}
}

func faultRepeated(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	f.RepeatPublish(5)
	for range 5 {
		w.addDisturbed(t, 1)
	}
	w.add(t, 1)
	w.check(t)
}

// appendWhile appends c while f disturbs its first publish, and a rival does
// something before the log looks what became of it.
func appendWhile(t *testing.T, s Store, c *store.Commit, rival func()) (store.Head, error) {
	t.Helper()
	called := false
	s.Faults.Meanwhile(func() {
		called = true
		rival()
	})
	head, err := s.Log.Append(contextOf(t), c)
	if !called {
		t.Fatal("the rival never came between: the harness disturbed nothing")
	}
	return head, err
}

func faultLostAckAndRival(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	rivalLog := s.rival(t)
	w.add(t, 1)
	mine := w.next(t, 2)
	var theirs *writer
	f.LoseAck(1)
	head, err := appendWhile(t, s, mine, func() { theirs = appendBehind(t, rivalLog, w.id, 1) })
	if err != nil {
		t.Fatalf("append: %v, but the commit was stored", err)
	}
	w.took(t, mine, head)
	w.stored = append(w.stored, theirs.stored...)
	w.head = theirs.head
	w.check(t)
	w.add(t, 1)
	w.check(t)
}

// appendBehind appends n commits to whatever the stream holds.
func appendBehind(t *testing.T, log store.Log, id store.StreamID, n int) *writer {
	t.Helper()
	w := newWriter(log, id)
	if commits := mustRead(t, log, id, store.Head{}); len(commits) > 0 {
		w.head = commits[len(commits)-1].Head()
	}
	for range n {
		w.add(t, 1)
	}
	return w
}

func faultLostAckAndMany(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	rivalLog := s.rival(t)
	w.add(t, 3)
	mine := w.next(t, 1)
	f.LoseAck(1)
	head, err := appendWhile(t, s, mine, func() { appendBehind(t, rivalLog, w.id, 300) })
	if err != nil {
		t.Fatalf("append: %v, but the commit was stored", err)
	}
	w.took(t, mine, head)
	got := mustRead(t, s.Log, w.id, store.Head{})
	if len(got) != 302 || got[1].ID != mine.ID || got[1].Head() != head {
		t.Fatalf("%d commits, want 302, the second of them mine at %+v", len(got), head)
	}
}

func faultDroppedAndRival(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	rivalLog := s.rival(t)
	w.add(t, 1)
	f.DropPublish(1)
	var theirs *writer
	_, err := appendWhile(t, s, w.next(t, 2), func() { theirs = appendBehind(t, rivalLog, w.id, 3) })
	wantConflict(t, err, w.id, 1, 4)
	w.stored = append(w.stored, theirs.stored...)
	w.check(t)
}

// appendBriefly appends with little time.
func appendBriefly(t *testing.T, log store.Log, c *store.Commit) error {
	t.Helper()
	const brief = 300 * time.Millisecond
	ctx, cancel := context.WithTimeout(contextOf(t), brief)
	defer cancel()
	_, err := log.Append(ctx, c)
	return err
}

func faultUnknownStored(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	w.add(t, 1)
	mine := w.next(t, 2)
	f.LoseAck(Forever)
	err := appendBriefly(t, s.Log, mine)
	wantError(t, "append without answers", err, store.ErrUnknown)
	wantOneOutcome(t, err)
	f.Heal()
	head, err := s.Log.Append(contextOf(t), mine)
	if err != nil {
		t.Fatalf("the identical commit again: %v", err)
	}
	w.took(t, mine, head)
	w.add(t, 1)
	w.check(t)
}

func faultUnknownDropped(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	mine := w.next(t, 2)
	f.DropPublish(Forever)
	err := appendBriefly(t, s.Log, mine)
	wantError(t, "append into the void", err, store.ErrUnknown)
	f.Heal()
	if got := mustRead(t, s.Log, w.id, store.Head{}); len(got) != 0 {
		t.Fatalf("the stream has %d commits, but none can have arrived", len(got))
	}
	head, err := s.Log.Append(contextOf(t), mine)
	if err != nil {
		t.Fatalf("the identical commit again: %v", err)
	}
	w.took(t, mine, head)
	w.check(t)
}

func faultUnknownThenRival(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	rivalLog := s.rival(t)
	w.add(t, 1)
	mine := w.next(t, 2)
	f.DropPublish(Forever)
	wantError(t, "append into the void", appendBriefly(t, s.Log, mine), store.ErrUnknown)
	f.Heal()
	theirs := appendBehind(t, rivalLog, w.id, 1)
	_, err := s.Log.Append(contextOf(t), mine)
	wantConflict(t, err, w.id, 1, 2)
	w.stored = append(w.stored, theirs.stored...)
	w.check(t)
}

func needInProgress(t *testing.T, f Faults, n int) {
	t.Helper()
	if !f.InProgress(n) {
		t.Skip("SKIPPED, NOT PASSED: this log never answers that a write is in progress")
	}
}

func faultInProgress(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	w.add(t, 1)
	for n := 1; n <= 3; n++ {
		needInProgress(t, f, n)
		w.addDisturbed(t, 2)
	}
}

func faultInProgressForEver(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	w.add(t, 1)
	mine := w.next(t, 1)
	needInProgress(t, f, Forever)
	err := appendBriefly(t, s.Log, mine)
	wantError(t, "append behind a write that never settles", err, store.ErrUnknown)
	wantOneOutcome(t, err)
	f.Heal()
	head, err := s.Log.Append(contextOf(t), mine)
	if err != nil {
		t.Fatalf("the identical commit again: %v", err)
	}
	w.took(t, mine, head)
	w.check(t)
}

func faultInProgressThenRival(t *testing.T, s Store) {
	f, w := needFaults(t, s), newWriter(s.Log, account("1"))
	rivalLog := s.rival(t)
	w.add(t, 1)
	needInProgress(t, f, 1)
	var theirs *writer
	_, err := appendWhile(t, s, w.next(t, 1), func() { theirs = appendBehind(t, rivalLog, w.id, 1) })
	wantConflict(t, err, w.id, 1, 2)
	w.stored = append(w.stored, theirs.stored...)
	w.check(t)
}

// faultsAtRandom has two writers of one stream, one of them disturbed.
func faultsAtRandom(t *testing.T, s Store) {
	f := needFaults(t, s)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const appends = 60
	plan := make([]func(), appends)
	for i := range plan {
		n := 1 + random.IntN(2)
		plan[i] = []func(){
			func() { f.LoseAck(n) },
			func() { f.DropPublish(n) },
			func() { f.RepeatPublish(n) },
			func() { f.InProgress(n) },
			func() {},
		}[random.IntN(5)]
	}

	id := account("1")
	logs := []store.Log{s.Log, s.rival(t)}
	heads := make([][]store.Head, len(logs))
	commits := make([][]*store.Commit, len(logs))
	errs := make([]error, len(logs))
	ctx := contextOf(t)
	var wg sync.WaitGroup
	for i, log := range logs {
		for n := range appends {
			commits[i] = append(commits[i], commitOf(t, log, id, store.Head{}, 1+n%2))
		}
		before := func(n int) {
			if i == 0 {
				plan[n]()
			}
		}
		wg.Go(func() { heads[i], errs[i] = insist(ctx, log, commits[i], before) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	wantAcknowledged(t, s.Log, id, commits, heads)
}

// insist appends the commits in order, building each on the stream's end as it
// is found after a conflict, and returns the heads.
func insist(ctx context.Context, log store.Log, commits []*store.Commit, before func(n int)) ([]store.Head, error) {
	var heads []store.Head
	var head store.Head
	for n, c := range commits {
		before(n)
		for {
			c.After, c.ID = head, uuid.New()
			after, err := log.Append(ctx, c)
			if err == nil {
				head = after
				heads = append(heads, after)
				break
			}
			if !errors.Is(err, store.ErrConflict) {
				return heads, fmt.Errorf("append %d: %w", n, err)
			}
			missed, err := readAll(ctx, log, c.Stream, head)
			if err != nil {
				return heads, fmt.Errorf("read after a conflict: %w", err)
			}
			if len(missed) == 0 {
				return heads, errors.New("a conflict, and yet nobody else has appended")
			}
			head = missed[len(missed)-1].Head()
		}
	}
	return heads, nil
}
