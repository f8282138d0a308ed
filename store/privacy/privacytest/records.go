package privacytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

var recordCases = []testCase{
	{"realm", "the realm names the key space: it is there, the same for all nodes, and another one elsewhere", recordRealm},
	{"not there", "a subject that nobody has heard of has a record of revision 0, and that is no error", recordNotThere},
	{"every field", "a record is loaded with every field as it was stored, on this node and on another", recordEveryField},
	{"any subject", "whatever may be a stream's id may be a subject, and different ones have different records", recordAnySubject},
	{"conditional", "a record is stored only if the one there has the revision that it was loaded with", recordConditional},
	{"one of many", "of many who store at the same revision, on two nodes, one succeeds, and what it stored is there", recordRace},
	{"erased bytes", "the bytes of older revisions are gone after Erase; the record itself stays; again is no error", recordErase},
	{"erase below", "Erase leaves revisions that are not below, and never takes the record away", recordEraseBelow},
	{"all", "All yields each record once, as it is now, in the order of their last change", recordAll},
	{"refused", "what can never be a record is refused", recordRefused},
	{"stays the caller's", "what the caller does to a record reaches neither the store nor other callers", recordNotKept},
	{"no time left", "without time the store is unavailable, or the outcome unknown", recordNoTime},
}

// patience is how long a case may wait for what must come.
const patience = 30 * time.Second

// Again returns the store as another node sees it.
func (s Store) again(t *testing.T) privacy.Keys {
	t.Helper()
	if s.Again == nil {
		return s.Keys
	}
	return s.Again(t)
}

// recordOf makes the first record of a subject.
func recordOf(subject string) privacy.Record {
	id := uuid.New()
	return privacy.Record{
		Subject: subject, Key: store.KeyID(id), Wrapped: fmt.Appendf(nil, "wrapped %s %s", subject, id), WrappedBy: "kek-1",
		Made: time.Date(2012, 3, 1, 9, 30, 15, 123456000, time.UTC),
	}
}

// erased gives up the key of a record.
func erased(r privacy.Record) privacy.Record {
	r.Erased = append(r.Erased[:len(r.Erased):len(r.Erased)], privacy.Erasure{
		Key: r.Key, ID: uuid.New(), At: time.Date(2013, 3, 1, 9, 30, 15, 123456000, time.UTC), By: "officer", Why: "asked for it",
	})
	r.Key, r.Wrapped, r.WrappedBy, r.Made = store.KeyID{}, nil, "", time.Time{}
	return r
}

func mustLoad(t *testing.T, keys privacy.Keys, subject string) privacy.Record {
	t.Helper()
	r, err := keys.Load(t.Context(), subject)
	if err != nil {
		t.Fatalf("load %q: %v", subject, err)
	}
	return r
}

// mustStore stores a record, and returns it with its revision.
func mustStore(t *testing.T, keys privacy.Keys, r privacy.Record) privacy.Record {
	t.Helper()
	revision, err := keys.Store(t.Context(), r)
	if err != nil {
		t.Fatalf("store %q at revision %d: %v", r.Subject, r.Revision, err)
	}
	if revision <= r.Revision {
		t.Fatalf("stored %q at revision %d, and got %d", r.Subject, r.Revision, revision)
	}
	r.Revision = revision
	return r
}

func want(t *testing.T, what string, got, want privacy.Record) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func wantError(t *testing.T, what string, err error, wants ...error) {
	t.Helper()
	for _, w := range wants {
		if errors.Is(err, w) {
			return
		}
	}
	t.Fatalf("%s: %v, want one of %v", what, err, wants)
}

func recordRealm(t *testing.T, s Store) {
	realm := s.Keys.Realm()
	if realm == uuid.Nil || s.again(t).Realm() != realm {
		t.Errorf("the realm is %s, on another node %s", realm, s.again(t).Realm())
	}
}

func recordNotThere(t *testing.T, s Store) {
	want(t, "load", mustLoad(t, s.Keys, "nobody"), privacy.Record{Subject: "nobody"})
	if err := s.Keys.Erase(t.Context(), "nobody", 10); err != nil {
		t.Errorf("erase: %v", err)
	}
	for r, err := range s.Keys.All(t.Context()) {
		t.Errorf("an empty store has %+v, %v", r, err)
	}
}

func recordEveryField(t *testing.T, s Store) {
	r := mustStore(t, s.Keys, recordOf("ann"))
	for range 3 {
		want(t, "with a key", mustLoad(t, s.Keys, "ann"), r)
		want(t, "on another node", mustLoad(t, s.again(t), "ann"), r)
		r = mustStore(t, s.Keys, erased(r))
		want(t, "erased", mustLoad(t, s.Keys, "ann"), r)
		e := &r.Erased[len(r.Erased)-1]
		e.Done, e.Finished, e.Notice = true, time.Date(2014, 3, 1, 9, 30, 15, 123456000, time.UTC), store.PositionOf(77, 1)
		r = mustStore(t, s.Keys, r)
		want(t, "done with", mustLoad(t, s.again(t), "ann"), r)
		next := recordOf("ann")
		next.Revision, next.Erased = r.Revision, r.Erased
		r = mustStore(t, s.Keys, next)
	}
}

func recordAnySubject(t *testing.T, s Store) {
	var all []privacy.Record
	for _, subject := range []string{
		"a", "A", "a.b", "a b", "a/b", "*", ">", "a.*.>", "$JS", "é", "名前", "ann@example.org", "=", "=41", "-", "_", "\\", "\"",
		"urn:person:1", strings.Repeat("x", 128), strings.Repeat("é", 30), "..", "a=2Eb", "%00", "~",
	} {
		all = append(all, mustStore(t, s.Keys, recordOf(subject)))
	}
	for _, r := range all {
		want(t, "load", mustLoad(t, s.Keys, r.Subject), r)
	}
}

func recordConditional(t *testing.T, s Store) {
	first := recordOf("ann")
	stored := mustStore(t, s.Keys, first)
	for _, revision := range []uint64{0, stored.Revision + 1, stored.Revision + 100} {
		r := recordOf("ann")
		r.Revision = revision
		_, err := s.Keys.Store(t.Context(), r)
		wantError(t, fmt.Sprintf("store at revision %d of %d", revision, stored.Revision), err, store.ErrConflict)
	}
	want(t, "load", mustLoad(t, s.Keys, "ann"), stored)
	other := recordOf("bob")
	other.Revision = stored.Revision // of another subject
	_, err := s.Keys.Store(t.Context(), other)
	wantError(t, "store at another's revision", err, store.ErrConflict)
	next := mustStore(t, s.Keys, erased(stored))
	_, err = s.Keys.Store(t.Context(), stored)
	wantError(t, "store at an old revision", err, store.ErrConflict)
	want(t, "load", mustLoad(t, s.Keys, "ann"), next)
}

func recordRace(t *testing.T, s Store) {
	nodes := []privacy.Keys{s.Keys, s.again(t)}
	revision := uint64(0)
	for range 5 {
		var won atomic.Int64
		var winner atomic.Pointer[privacy.Record]
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				r := recordOf("ann")
				r.Revision = revision
				got, err := nodes[i%2].Store(t.Context(), r)
				switch {
				case err == nil:
					won.Add(1)
					r.Revision = got
					winner.Store(&r)
				case !errors.Is(err, store.ErrConflict):
					t.Errorf("store: %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of 8 have stored at revision %d", won.Load(), revision)
		}
		want(t, "the winner's", mustLoad(t, nodes[1], "ann"), *winner.Load())
		revision = winner.Load().Revision
	}
}

func recordErase(t *testing.T, s Store) {
	if s.Holds == nil {
		t.Skip("SKIPPED, NOT PASSED: this store's bytes cannot be searched")
	}
	first := mustStore(t, s.Keys, recordOf("ann"))
	other := mustStore(t, s.Keys, recordOf("bob"))
	if !s.Holds(t, first.Wrapped) {
		t.Fatal("the search does not find what is there")
	}
	fenced := mustStore(t, s.Keys, erased(first))
	for range 2 {
		if err := s.Keys.Erase(t.Context(), "ann", fenced.Revision); err != nil {
			t.Fatalf("erase: %v", err)
		}
		if s.Holds(t, first.Wrapped) {
			t.Fatal("the wrapped key is there still")
		}
		want(t, "the record", mustLoad(t, s.again(t), "ann"), fenced)
	}
	if !s.Holds(t, other.Wrapped) {
		t.Error("another subject's key is gone")
	}
	want(t, "another subject's record", mustLoad(t, s.Keys, "bob"), other)
}

func recordEraseBelow(t *testing.T, s Store) {
	first := mustStore(t, s.Keys, recordOf("ann"))
	fenced := mustStore(t, s.Keys, erased(first))
	next := recordOf("ann")
	next.Revision, next.Erased = fenced.Revision, fenced.Erased
	next = mustStore(t, s.Keys, next)
	for _, below := range []uint64{0, 1, fenced.Revision, next.Revision, next.Revision + 1000} {
		if err := s.Keys.Erase(t.Context(), "ann", below); err != nil {
			t.Fatalf("erase below %d: %v", below, err)
		}
		want(t, fmt.Sprintf("after Erase below %d", below), mustLoad(t, s.Keys, "ann"), next)
	}
	mustStore(t, s.Keys, erased(next))
}

func recordAll(t *testing.T, s Store) {
	var stored []privacy.Record
	for i := range 20 {
		stored = append(stored, mustStore(t, s.Keys, recordOf(fmt.Sprintf("subject %02d", i))))
	}
	for _, i := range []int{0, 7} { // which are last then
		r := mustStore(t, s.Keys, erased(stored[i]))
		stored = append(stored, r)
	}
	stored = append(stored[1:7], stored[8:]...)
	var got []privacy.Record
	for r, err := range s.again(t).All(t.Context()) {
		if err != nil {
			t.Fatalf("all: %v", err)
		}
		got = append(got, r)
	}
	if len(got) != len(stored) {
		t.Fatalf("%d records, want %d", len(got), len(stored))
	}
	for i := range got {
		want(t, fmt.Sprintf("record %d", i), got[i], stored[i])
	}
	for range s.Keys.All(t.Context()) {
		break // who wants no more gets no more
	}
}

func recordRefused(t *testing.T, s Store) {
	for name, spoil := range map[string]func(*privacy.Record){
		"subject":           func(r *privacy.Record) { r.Subject = "a\nb" },
		"no subject":        func(r *privacy.Record) { r.Subject = "" },
		"key without bytes": func(r *privacy.Record) { r.Wrapped = nil },
		"bytes without key": func(r *privacy.Record) { r.Key = store.KeyID{} },
		"nobody's wrapping": func(r *privacy.Record) { r.WrappedBy = "" },
		"erased key":        func(r *privacy.Record) { r.Erased = []privacy.Erasure{{Key: r.Key}} },
	} {
		r := recordOf("ann")
		spoil(&r)
		_, err := s.Keys.Store(t.Context(), r)
		wantError(t, name, err, store.ErrInvalid)
	}
	want(t, "load", mustLoad(t, s.Keys, "ann"), privacy.Record{Subject: "ann"})
}

func recordNotKept(t *testing.T, s Store) {
	r := recordOf("ann")
	wrapped := bytes.Clone(r.Wrapped)
	stored := mustStore(t, s.Keys, r)
	clear(r.Wrapped)
	loaded := mustLoad(t, s.Keys, "ann")
	if !bytes.Equal(loaded.Wrapped, wrapped) {
		t.Fatal("the store shares bytes with who stored them")
	}
	clear(loaded.Wrapped)
	for r := range s.Keys.All(t.Context()) {
		clear(r.Wrapped)
	}
	stored.Wrapped = wrapped
	want(t, "load", mustLoad(t, s.Keys, "ann"), stored)
}

func recordNoTime(t *testing.T, s Store) {
	stored := mustStore(t, s.Keys, recordOf("ann"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Keys.Load(ctx, "ann")
	wantError(t, "load", err, store.ErrUnavailable)
	_, err = s.Keys.Store(ctx, recordOf("bob"))
	wantError(t, "store", err, store.ErrUnavailable, store.ErrUnknown)
	wantError(t, "erase", s.Keys.Erase(ctx, "ann", stored.Revision), store.ErrUnavailable)
	failed := false
	for _, err := range s.Keys.All(ctx) {
		failed = failed || errors.Is(err, store.ErrUnavailable)
	}
	if !failed {
		t.Error("all records are listed without time")
	}
	want(t, "load", mustLoad(t, s.Keys, "ann"), stored)
}
