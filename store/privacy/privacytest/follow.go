package privacytest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/annals-go/annals/store/privacy"
)

var followCases = []testCase{
	{"hears of changes", "who follows hears of every record that changes from the first word on that nothing was missed, wherever it was changed, in order, without the wrapped key", followChanges},
	{"begins now", "what changed before is not told", followFromNow},
	{"ends", "following ends without an error when its time ends", followEnds},
	{"many", "each of several followers hears of everything", followMany},
}

// following is one call of Follow.
type following struct {
	records chan privacy.Record
	alive   chan struct{}
	ended   chan error
	cancel  context.CancelFunc
}

// follow begins to follow, and returns when nothing is missed from then on.
func follow(t *testing.T, keys privacy.Keys) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	f := &following{records: make(chan privacy.Record, 1000), alive: make(chan struct{}, 1), ended: make(chan error, 1), cancel: cancel}
	go func() {
		f.ended <- keys.Follow(ctx, func(r privacy.Record) { f.records <- r }, func() {
			select {
			case f.alive <- struct{}{}:
			default:
			}
		})
	}()
	select {
	case <-f.alive:
	case err := <-f.ended:
		t.Fatalf("follow: %v", err)
	case <-time.After(patience):
		t.Fatal("whoever follows is not told that nothing was missed")
	}
	return f
}

// until returns what is told until the record of that revision is.
func (f *following) until(t *testing.T, revision uint64) []privacy.Record {
	t.Helper()
	var told []privacy.Record
	for {
		select {
		case r := <-f.records:
			told = append(told, r)
			if r.Revision >= revision {
				return told
			}
		case err := <-f.ended:
			t.Fatalf("following ended: %v", err)
		case <-time.After(patience):
			t.Fatalf("revision %d is not told; told is %+v", revision, told)
		}
	}
}

func followChanges(t *testing.T, s Store) {
	f, other := follow(t, s.Keys), s.again(t)
	last := map[string]privacy.Record{}
	var revision uint64
	for i := range 20 {
		keys := []privacy.Keys{s.Keys, other}[i%2]
		r := mustStore(t, keys, recordOf(fmt.Sprint("subject ", i)))
		if i%3 == 0 {
			r = mustStore(t, keys, erased(r))
		}
		last[r.Subject], revision = r.Bare(), r.Revision
	}
	heard := map[string]privacy.Record{}
	before := uint64(0)
	for _, r := range f.until(t, revision) {
		if r.Revision <= before || len(r.Wrapped) > 0 {
			t.Errorf("told out of order, or with a wrapped key: %+v", r)
		}
		before, heard[r.Subject] = r.Revision, r
	}
	if len(heard) != len(last) {
		t.Errorf("heard of %d subjects, want %d", len(heard), len(last))
	}
	for subject, r := range last {
		want(t, "the last that is told", heard[subject], r)
	}
}

func followFromNow(t *testing.T, s Store) {
	mustStore(t, s.Keys, recordOf("before"))
	f := follow(t, s.again(t))
	r := mustStore(t, s.Keys, recordOf("after"))
	for _, told := range f.until(t, r.Revision) {
		if told.Subject != "after" {
			t.Errorf("told is %+v", told)
		}
	}
}

func followEnds(t *testing.T, s Store) {
	f := follow(t, s.Keys)
	f.cancel()
	select {
	case err := <-f.ended:
		if err != nil {
			t.Errorf("following ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("following does not end")
	}
}

func followMany(t *testing.T, s Store) {
	all := []*following{follow(t, s.Keys), follow(t, s.Keys), follow(t, s.again(t))}
	r := mustStore(t, s.Keys, recordOf("ann"))
	for _, f := range all {
		if told := f.until(t, r.Revision); len(told) != 1 {
			t.Errorf("told is %+v", told)
		}
	}
	all[0].cancel()
	<-all[0].ended
	r = mustStore(t, s.Keys, erased(r))
	for _, f := range all[1:] {
		f.until(t, r.Revision)
	}
}
