package storetest

import (
	"errors"
	"testing"

	"github.com/annals-go/annals/store"
)

var truncateCases = []testCase{
	{"read through", "a truncated stream is read as before, after any head that it has had", truncateRead},
	{"long stream", "a long stream of which the log has only the end is read whole", truncateLong},
	{"feed through", "a feed delivers what was truncated in its place, from wherever it begins", truncateFeed},
	{"feed of some types", "a feed of aggregate types passes over what was truncated of others", truncateFeedTypes},
	{"while a feed is under way", "a feed that has begun goes on without a gap when what it has not delivered is truncated", truncateMidFeed},
	{"while a read is under way", "a read that has begun goes on without a gap when what it has not yielded is truncated", truncateMidRead},
	{"goes on", "a truncated stream is appended to, and its tip, conflicts and repetitions are what they were", truncateAppend},
	{"archived again", "a commit that was stored and truncated is not stored again when its writer repeats it", truncateRepeat},
	{"twice", "truncating again, or less, changes nothing", truncateTwice},
	{"never the last", "the last commit of a stream stays, and so does what no head of the stream names", truncateLast},
	{"nothing unproven", "what the archive does not hold stays in the log", truncateUnproven},
	{"archive that lost a commit", "what the archive does not hold any more, or never did, is not passed over: the error says which archive was asked", truncateLost},
	{"archive away", "an archive that cannot be asked is unavailable, not damage, and nothing behind it is yielded", truncateAway},
	{"without the archive", "a log that was opened without the archive says so where it needs it, and only there", truncateBare},
}

func needShelf(t *testing.T, s Store) {
	t.Helper()
	if s.Shelf == nil || s.Truncate == nil {
		t.Skip("SKIPPED, NOT PASSED: this log cannot be truncated")
	}
}

// archive moves the first n commits of a stream to the shelf.
func archive(t *testing.T, s Store, w *writer, n int) {
	t.Helper()
	s.Shelf.Put(w.stored[:n]...)
	if err := s.Truncate(contextOf(t), w.id, w.stored[n-1].Head()); err != nil {
		t.Fatalf("truncate %s below version %d: %v", w.id, w.stored[n].After.Version, err)
	}
}

// interleaved writes two streams of each of two types in turn.
func interleaved(t *testing.T, s Store, rounds int) (writers []*writer, all []*store.Commit) {
	t.Helper()
	for _, id := range []store.StreamID{account("1"), account("2"), {Type: "offer", ID: "1"}, {Type: "offer", ID: "2"}} {
		writers = append(writers, newWriter(s.Log, id))
	}
	for i := range rounds {
		for n, w := range writers {
			w.add(t, 1+(i+n)%3)
			all = append(all, w.stored[len(w.stored)-1])
		}
	}
	return writers, all
}

func truncateRead(t *testing.T, s Store) {
	needShelf(t, s)
	writers, _ := interleaved(t, s, 6)
	w := writers[1]
	for n := 1; n < len(w.stored); n++ {
		archive(t, s, w, n)
		w.check(t)
		for i, c := range w.stored {
			wantCommits(t, "what follows a head", mustRead(t, s.Log, w.id, c.Head()), w.stored[i+1:])
		}
	}
	for _, other := range writers {
		other.check(t)
	}
	wantCommits(t, "the stream as another node reads it", mustRead(t, s.rival(t), w.id, store.Head{}), w.stored)
}

func truncateLong(t *testing.T, s Store) {
	needShelf(t, s)
	w, other := newWriter(s.Log, account("1")), newWriter(s.Log, account("2"))
	for range 350 {
		w.add(t, 1, 2)
		other.add(t, 1)
	}
	archive(t, s, w, 600)
	w.check(t)
	other.check(t)
	for _, i := range []int{99, 599, 600, 650} {
		wantCommits(t, "what follows a head", mustRead(t, s.Log, w.id, w.stored[i].Head()), w.stored[i+1:])
	}
	feed := follow(t, s.Log, store.Follow{Name: "all"})
	wantFeed(t, feed, len(w.stored)+len(other.stored))
}

// wantFeed reads n commits and checks that no sequence is missing.
func wantFeed(t *testing.T, feed store.Feed, n int) {
	t.Helper()
	for i, c := range take(t, feed, n) {
		if c.Sequence != uint64(i)+1 {
			t.Fatalf("the feed has sequence %d where %d is due", c.Sequence, i+1)
		}
	}
	wantNoMore(t, feed)
}

func truncateFeed(t *testing.T, s Store) {
	needShelf(t, s)
	writers, all := interleaved(t, s, 5)
	archive(t, s, writers[0], 4) // what a new log begins with
	archive(t, s, writers[2], 3)
	archive(t, s, writers[3], 2)
	for _, name := range []string{"", "all"} {
		feed := follow(t, s.Log, store.Follow{Name: name})
		if feed.Pending() == 0 {
			t.Fatal("nothing is pending at the beginning")
		}
		wantCommits(t, "feed", take(t, feed, len(all)), all)
		wantNoMore(t, feed)
		if feed.Pending() != 0 {
			t.Fatalf("%d commits pending at the end", feed.Pending())
		}
	}
	for i, c := range all {
		feed := follow(t, s.Log, store.Follow{After: c.Last()})
		wantCommits(t, "feed", take(t, feed, len(all)-i-1), all[i+1:])
		if len(c.Events) > 1 {
			inside := follow(t, s.Log, store.Follow{After: store.PositionOf(c.Sequence, 0)})
			wantCommits(t, "feed from inside a commit", take(t, inside, 1), all[i:i+1])
		}
	}
}

func truncateFeedTypes(t *testing.T, s Store) {
	needShelf(t, s)
	writers, all := interleaved(t, s, 5)
	for _, w := range writers {
		archive(t, s, w, 4)
	}
	offers := ofType(all, "offer")
	feed := follow(t, s.Log, store.Follow{Types: []string{"offer"}})
	wantCommits(t, "feed of offers", take(t, feed, len(offers)), offers)
	feed = follow(t, s.Log, store.Follow{Types: []string{"none"}})
	wantNothingLeft(t, feed)
	wantNoMore(t, feed)
}

func truncateMidFeed(t *testing.T, s Store) {
	needShelf(t, s)
	writers, all := interleaved(t, s, 30)
	var feeds []store.Feed
	for _, f := range []store.Follow{{}, {Name: "named"}, {Name: "later", After: all[7].Last()}} {
		feeds = append(feeds, follow(t, s.Log, f))
	}
	got := [][]*store.Commit{take(t, feeds[0], 10), take(t, feeds[1], 10), take(t, feeds[2], 2)}
	for _, w := range writers[:3] {
		archive(t, s, w, 25)
	}
	for range 3 {
		for _, w := range writers {
			w.add(t, 1)
			all = append(all, w.stored[len(w.stored)-1])
		}
	}
	archive(t, s, writers[3], 29)
	for i, first := range []int{0, 0, 8} {
		feeds[i].Acknowledge(got[i][len(got[i])-1].Last())
		got[i] = append(got[i], take(t, feeds[i], len(all)-first-len(got[i]))...)
		wantCommits(t, "feed", got[i], all[first:])
		wantNoMore(t, feeds[i])
	}
}

func truncateMidRead(t *testing.T, s Store) {
	needShelf(t, s)
	w := newWriter(s.Log, account("1"))
	for range 40 {
		w.add(t, 1, 2)
	}
	want := len(w.stored)
	var got []*store.Commit
	for c, err := range s.Log.Read(contextOf(t), w.id, store.Head{}) {
		if err != nil {
			t.Fatalf("read, after %d commits: %v", len(got), err)
		}
		got = append(got, c)
		if len(got) == 3 {
			w.add(t, 1, 1)
			archive(t, s, w, want+1) // also what was the end when the read began
		}
	}
	wantCommits(t, "stream", got, w.stored[:want])
	w.check(t)
}

func truncateAppend(t *testing.T, s Store) {
	needShelf(t, s)
	writers, _ := interleaved(t, s, 4)
	w := writers[0]
	archive(t, s, w, 3)
	tip, err := s.Log.Tip(contextOf(t), "account")
	if want := writers[1].last(); err != nil || tip != want {
		t.Fatalf("tip of accounts: %d, %v, want %d", tip, err, want)
	}
	old := commitOf(t, s.Log, w.id, w.stored[1].Head(), 1)
	_, err = s.Log.Append(contextOf(t), old)
	wantConflict(t, err, w.id, w.stored[1].Head().Version, w.head.Version)
	fresh := commitOf(t, s.Log, w.id, store.Head{}, 1)
	_, err = s.Log.Append(contextOf(t), fresh)
	wantConflict(t, err, w.id, 0, w.head.Version)
	w.add(t, 1, 2)
	w.check(t)
	wantTip(t, s.Log, w.last())
	archive(t, s, w, len(w.stored)-1)
	w.check(t)
	wantTip(t, s.Log, w.last(), "account")
}

func truncateRepeat(t *testing.T, s Store) {
	needShelf(t, s)
	w := newWriter(s.Log, account("1"))
	var sent []*store.Commit
	for range 4 {
		c := w.next(t, 2)
		again := *c
		sent = append(sent, &again)
		head, err := s.Log.Append(contextOf(t), c)
		if err != nil {
			t.Fatalf("append: %v", err)
		}
		w.took(t, c, head)
	}
	archive(t, s, w, 3)
	for i, c := range sent {
		head, err := s.Log.Append(contextOf(t), c)
		if err != nil || head != w.stored[i].Head() {
			t.Fatalf("append of commit %d again: %+v, %v, want the head %+v that it has had", i, head, err, w.stored[i].Head())
		}
	}
	w.check(t)
}

func truncateTwice(t *testing.T, s Store) {
	needShelf(t, s)
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 1, 1, 1)
	for _, n := range []int{2, 2, 1, 3, 3, 1} {
		archive(t, s, w, n)
		w.check(t)
	}
}

func truncateLast(t *testing.T, s Store) {
	needShelf(t, s)
	w, other := newWriter(s.Log, account("1")), newWriter(s.Log, account("2"))
	w.add(t, 1, 2, 1)
	other.add(t, 1, 1, 1, 1, 1)
	s.Shelf.Put(w.stored...)
	s.Shelf.Put(other.stored...)
	wrong := w.stored[1].Head()
	wrong.Hash[3] ^= 1
	beyond := store.Head{Version: 9, Sequence: w.head.Sequence + 2, Hash: w.head.Hash}
	for what, below := range map[string]store.Head{
		"the end": w.head, "a wrong hash": wrong, "beyond the end": beyond, "another stream's head": other.stored[1].Head(),
	} {
		if err := s.Truncate(contextOf(t), w.id, below); err == nil {
			t.Errorf("truncation up to %s succeeds", what)
		}
	}
	if err := s.Truncate(contextOf(t), account("none"), w.stored[1].Head()); err == nil {
		t.Error("truncation of a stream that is none succeeds")
	}
	s.Shelf.Lose(w.stored[0].Sequence) // shows that the log still has all
	w.check(t)
	wantError(t, "truncation up to the end", s.Truncate(contextOf(t), w.id, w.head), store.ErrInvalid)
}

func truncateUnproven(t *testing.T, s Store) {
	needShelf(t, s)
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 2, 1, 1, 1)
	for i := range 3 {
		s.Shelf.Put(w.stored[:3]...)
		s.Shelf.Lose(w.stored[i].Sequence)
		err := s.Truncate(contextOf(t), w.id, w.stored[2].Head())
		wantError(t, "truncation to an archive that lacks a commit", err, store.ErrArchived)
		w.check(t)
	}
	s.Shelf.Away(true)
	err := s.Truncate(contextOf(t), w.id, w.stored[2].Head())
	wantError(t, "truncation to an archive that is away", err, store.ErrUnavailable)
	s.Shelf.Away(false)
	w.check(t)
}

func truncateLost(t *testing.T, s Store) {
	needShelf(t, s)
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 2, 1, 2, 1, 1)
	archive(t, s, w, 4)
	for i := range 4 {
		s.Shelf.Lose(w.stored[i].Sequence)
		got, err := readAll(contextOf(t), s.Log, w.id, store.Head{})
		var archived *store.ArchivedError
		if !errors.As(err, &archived) || archived.Stream != w.id || archived.Version != w.stored[i].After.Version+1 || archived.Archive == "" || errors.Is(err, store.ErrDamaged) {
			t.Fatalf("read with an archive that lacks commit %d: %v, want an ArchivedError that names the archive and the version", i, err)
		}
		wantCommits(t, "what stands before the gap", got, w.stored[:i])
		feed := follow(t, s.Log, store.Follow{})
		wantCommits(t, "what the feed delivers before the gap", untilError(t, feed, store.ErrArchived), w.stored[:i])
		s.Shelf.Put(w.stored[i])
	}
	w.check(t)
	wantCommits(t, "what the log has itself", mustRead(t, s.Log, w.id, w.stored[3].Head()), w.stored[4:])
}

// untilError reads until the feed fails, and checks that it fails so.
func untilError(t *testing.T, feed store.Feed, want error) (got []*store.Commit) {
	t.Helper()
	ctx := contextOf(t)
	for {
		commits, err := feed.Next(ctx, 1)
		if err != nil {
			wantError(t, "next", err, want)
			return got
		}
		got = append(got, commits...)
	}
}

func truncateAway(t *testing.T, s Store) {
	needShelf(t, s)
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 2, 1, 1)
	archive(t, s, w, 2)
	s.Shelf.Away(true)
	got, err := readAll(contextOf(t), s.Log, w.id, store.Head{})
	wantError(t, "read", err, store.ErrUnavailable)
	if len(got) > 0 || errors.Is(err, store.ErrDamaged) {
		t.Fatalf("read while the archive is away: %d commits, %v", len(got), err)
	}
	feed := follow(t, s.Log, store.Follow{})
	if got := untilError(t, feed, store.ErrUnavailable); len(got) > 0 {
		t.Fatalf("%d commits delivered while the archive is away", len(got))
	}
	s.Shelf.Away(false)
	w.check(t)
	wantCommits(t, "a new feed", take(t, follow(t, s.Log, store.Follow{}), 4), w.stored)
}

func truncateBare(t *testing.T, s Store) {
	needShelf(t, s)
	if s.Bare == nil {
		t.Skip("SKIPPED, NOT PASSED: this log cannot be opened without its archive")
	}
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 2, 1, 1)
	archive(t, s, w, 2)
	bare := s.Bare(t)
	got, err := readAll(contextOf(t), bare, w.id, store.Head{})
	var archived *store.ArchivedError
	if !errors.As(err, &archived) || archived.Stream != w.id || archived.Below != w.stored[1].Head() || len(got) > 0 {
		t.Fatalf("read without the archive: %d commits, %v, want an ArchivedError", len(got), err)
	}
	feed := follow(t, bare, store.Follow{})
	if got := untilError(t, feed, store.ErrArchived); len(got) > 0 {
		t.Fatalf("%d commits delivered without the archive", len(got))
	}
	w.log = bare
	wantCommits(t, "what the log has itself", mustRead(t, bare, w.id, w.stored[1].Head()), w.stored[2:])
	w.add(t, 1)
	wantTip(t, bare, w.last())
	feed = follow(t, bare, store.Follow{After: w.stored[2].Last()})
	wantCommits(t, "a feed behind the truncation", take(t, feed, 2), w.stored[3:])
	if truncater, ok := bare.(store.Truncater); ok {
		wantError(t, "truncation without an archive", truncater.Truncate(contextOf(t), w.id, w.stored[2].Head()), store.ErrArchived)
	}
}
