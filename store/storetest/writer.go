package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// patience is how long a case may take before it counts as hanging.
const patience = 60 * time.Second

// contextOf ends in time for the case to say where it hangs, before the test
// binary's own time-out ends everything.
func contextOf(t *testing.T) context.Context {
	t.Helper()
	end := time.Now().Add(patience)
	if last, ok := t.Deadline(); ok {
		last = last.Add(-time.Second)
		if last.Before(end) {
			end = last
		}
	}
	ctx, cancel := context.WithDeadline(t.Context(), end)
	t.Cleanup(cancel)
	return ctx
}

// rival returns the log as another writer sees it.
func (s Store) rival(t *testing.T) store.Log {
	t.Helper()
	if s.Again == nil {
		return s.Log
	}
	return s.Again(t)
}

func needFaults(t *testing.T, s Store) Faults {
	t.Helper()
	if s.Faults == nil {
		t.Skip("SKIPPED, NOT PASSED: this store cannot disturb its appends")
	}
	t.Cleanup(s.Faults.Heal)
	return s.Faults
}

// account is the stream that most cases write.
func account(id string) store.StreamID { return store.StreamID{Type: "account", ID: id} }

// deposited is the value of the events that the cases write.
type deposited struct {
	Note  string `json:"note"`
	Cents int    `json:"cents"`
}

func dataOf(t *testing.T, log store.Log, v any) []byte {
	t.Helper()
	data, err := log.Codec().Marshal(v)
	if err != nil {
		t.Fatalf("encode an event: %v", err)
	}
	return data
}

// commitOf makes a commit of n events of one command after the head.
func commitOf(t *testing.T, log store.Log, id store.StreamID, after store.Head, n int) *store.Commit {
	t.Helper()
	c := &store.Commit{
		Stream:   id,
		ID:       uuid.New(),
		After:    after,
		Time:     time.Now().UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "deposit"}},
	}
	for i := range n {
		version := after.Version + uint64(i) + 1
		c.Events = append(c.Events, store.Event{
			Type:   "deposited",
			Schema: 1,
			Data:   dataOf(t, log, deposited{Note: fmt.Sprintf("%s@%d <&>", id, version), Cents: i}),
		})
	}
	return c
}

// writer appends to one stream and remembers what is in it.
type writer struct {
	log    store.Log
	id     store.StreamID
	head   store.Head
	stored []*store.Commit
}

func newWriter(log store.Log, id store.StreamID) *writer { return &writer{log: log, id: id} }

// next makes the commit that would come next.
func (w *writer) next(t *testing.T, events int) *store.Commit {
	t.Helper()
	return commitOf(t, w.log, w.id, w.head, events)
}

// add appends commits with these counts of events.
func (w *writer) add(t *testing.T, events ...int) {
	t.Helper()
	for _, n := range events {
		c := w.next(t, n)
		head, err := w.log.Append(contextOf(t), c)
		if err != nil {
			t.Fatalf("append %d events to %s after version %d: %v", n, w.id, w.head.Version, err)
		}
		w.took(t, c, head)
	}
}

// took notes that c is in the log and ends at head.
func (w *writer) took(t *testing.T, c *store.Commit, head store.Head) {
	t.Helper()
	if want := c.After.Version + uint64(len(c.Events)); head.Version != want {
		t.Fatalf("append of %d events after version %d: head has version %d, want %d", len(c.Events), c.After.Version, head.Version, want)
	}
	if head.Sequence <= c.After.Sequence || head.Hash == (store.Hash{}) {
		t.Fatalf("append after sequence %d: head is %+v, want a later sequence and a hash", c.After.Sequence, head)
	}
	if c.Head() != head || c.Sequence < c.Local || c.Sequence == 0 {
		t.Fatalf("append returned %+v, but said of the commit that it is at %d, locally %d, with hash %s", head, c.Sequence, c.Local, c.Hash)
	}
	stored := *c
	w.stored = append(w.stored, &stored)
	w.head = head
}

// last returns the position of the last event that was noted.
func (w *writer) last() store.Position { return w.stored[len(w.stored)-1].Last() }

// check reads the stream and compares it with all that was noted.
func (w *writer) check(t *testing.T) {
	t.Helper()
	wantCommits(t, "stream "+w.id.String(), mustRead(t, w.log, w.id, store.Head{}), w.stored)
}

func wantCommits(t *testing.T, what string, got, want []*store.Commit) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d commits, want %d", what, len(got), len(want))
	}
	if len(want) == 0 || reflect.DeepEqual(want, got) { // cmp is slow where much is equal
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s is not what was appended (-want +got):\n%s", what, shorten(diff))
	}
}

func shorten(s string) string {
	const most = 4000
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// readAll reads until the end or the first error.
func readAll(ctx context.Context, log store.Log, id store.StreamID, after store.Head) ([]*store.Commit, error) {
	var commits []*store.Commit
	for c, err := range log.Read(ctx, id, after) {
		if err != nil {
			return commits, err
		}
		commits = append(commits, c)
	}
	return commits, nil
}

func mustRead(t *testing.T, log store.Log, id store.StreamID, after store.Head) []*store.Commit {
	t.Helper()
	commits, err := readAll(contextOf(t), log, id, after)
	if err != nil {
		t.Fatalf("read %s after version %d: %v", id, after.Version, err)
	}
	return commits
}

// wantConflict checks that err is a conflict with the stream's true version.
func wantConflict(t *testing.T, err error, id store.StreamID, expected, actual uint64) {
	t.Helper()
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) || !errors.Is(err, store.ErrConflict) {
		t.Fatalf("append: %v, want a ConflictError", err)
	}
	if want := (store.ConflictError{Stream: id, Expected: expected, Actual: actual}); *conflict != want {
		t.Fatalf("append: %+v, want %+v", *conflict, want)
	}
	wantOneOutcome(t, err)
}

// wantOneOutcome checks that a failed append says exactly one thing.
func wantOneOutcome(t *testing.T, err error) {
	t.Helper()
	var is []string
	for _, outcome := range []error{store.ErrConflict, store.ErrRefused, store.ErrUnknown} {
		if errors.Is(err, outcome) {
			is = append(is, outcome.Error())
		}
	}
	if len(is) != 1 {
		t.Fatalf("append: %v is %q, want exactly one of conflict, refused, unknown", err, strings.Join(is, " and "))
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want an error that is %q", what, err, want)
	}
}
