package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
)

var followCases = []testCase{
	{"from the beginning", "a feed delivers every commit of the log, whole and in order", followAll},
	{"from the middle", "a feed begins behind the position it is given", followMiddle},
	{"from inside a commit", "a position inside a commit begins with that commit", followInside},
	{"some types", "a feed of aggregate types delivers their commits only", followTypes},
	{"live", "a reader that waits gets what is appended", followLive},
	{"limit and pending", "a feed delivers at most as many as asked for, and says how many are left", followLimit},
	{"taken over", "a name belongs to its last user: the feed before fails, and the new one begins where it was told to", followTakeOver},
	{"acknowledgements are hints", "where a feed begins is for its reader to say, whatever was acknowledged under the name", followHints},
	{"anonymous", "feeds without a name do not take each other over", followAnonymous},
	{"ahead of the log", "a position beyond the log's end is an error of its own kind: the log lost its end", followAhead},
	{"ctx ends", "a reader that waits stops when its ctx ends, and the feed goes on afterwards", followContext},
	{"closed", "a feed may be closed twice, and delivers nothing afterwards", followClosed},
	{"bad names", "a name that operators could not use, or a type that cannot be, is invalid", followBadNames},
	{"while others append", "a feed delivers each commit once, in the order of the log, while many append", followWhileAppending},
}

// follow opens a feed that is closed when the test ends.
func follow(t *testing.T, log store.Log, f store.Follow) store.Feed {
	t.Helper()
	feed, err := log.Follow(contextOf(t), f)
	if err != nil {
		t.Fatalf("follow %+v: %v", f, err)
	}
	t.Cleanup(func() { _ = feed.Close() })
	return feed
}

// take reads n commits.
func take(t *testing.T, feed store.Feed, n int) []*store.Commit {
	t.Helper()
	ctx := contextOf(t)
	var got []*store.Commit
	for len(got) < n {
		commits, err := feed.Next(ctx, n-len(got))
		if err != nil {
			t.Fatalf("next, after %d of %d commits: %v", len(got), n, err)
		}
		if len(commits) == 0 || len(commits) > n-len(got) {
			t.Fatalf("next returned %d commits, want 1 to %d", len(commits), n-len(got))
		}
		got = append(got, commits...)
	}
	return got
}

// wantNoMore checks that the feed has nothing to deliver now. It may say once
// that it passed over what it does not follow.
func wantNoMore(t *testing.T, feed store.Feed) {
	t.Helper()
	const while = 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(contextOf(t), while)
	defer cancel()
	got, err := feed.Next(ctx, 1)
	if len(got) == 0 && err == nil {
		got, err = feed.Next(ctx, 1)
	}
	if len(got) != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("next at the log's end: %d commits, %v, want to wait", len(got), err)
	}
}

// book writes to three streams of two types in turn, and returns what the log
// holds, in order.
func book(t *testing.T, log store.Log, rounds int) []*store.Commit {
	t.Helper()
	writers := []*writer{
		newWriter(log, account("1")),
		newWriter(log, store.StreamID{Type: "offer", ID: "1"}),
		newWriter(log, account("2")),
	}
	var all []*store.Commit
	for i := range rounds {
		for n, w := range writers {
			w.add(t, 1+(i+n)%3)
			all = append(all, w.stored[len(w.stored)-1])
		}
	}
	return all
}

func ofType(commits []*store.Commit, aggregate string) []*store.Commit {
	var of []*store.Commit
	for _, c := range commits {
		if c.Stream.Type == aggregate {
			of = append(of, c)
		}
	}
	return of
}

func followAll(t *testing.T, s Store) {
	all := book(t, s.Log, 5)
	for _, name := range []string{"", "all"} {
		feed := follow(t, s.Log, store.Follow{Name: name})
		wantCommits(t, "feed", take(t, feed, len(all)), all)
		wantNoMore(t, feed)
	}
}

func followMiddle(t *testing.T, s Store) {
	all := book(t, s.Log, 3)
	for i, c := range all {
		feed := follow(t, s.Log, store.Follow{After: c.Last()})
		wantCommits(t, "feed", take(t, feed, len(all)-i-1), all[i+1:])
	}
}

func followInside(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 4, 1)
	inside := w.stored[1]
	for index := range 3 {
		feed := follow(t, s.Log, store.Follow{After: store.PositionOf(inside.Sequence, index)})
		wantCommits(t, "feed", take(t, feed, 2), w.stored[1:])
	}
	feed := follow(t, s.Log, store.Follow{After: inside.Last()})
	wantCommits(t, "feed", take(t, feed, 1), w.stored[2:])
}

func followTypes(t *testing.T, s Store) {
	all := book(t, s.Log, 4)
	accounts, offers := ofType(all, "account"), ofType(all, "offer")
	feed := follow(t, s.Log, store.Follow{Types: []string{"offer"}})
	wantCommits(t, "feed of offers", take(t, feed, len(offers)), offers)
	wantNoMore(t, feed)
	feed = follow(t, s.Log, store.Follow{Name: "accounts", Types: []string{"account"}, After: all[2].Last()})
	wantCommits(t, "feed of accounts", take(t, feed, len(accounts)-2), accounts[2:])
	feed = follow(t, s.Log, store.Follow{Types: []string{"offer", "account", "none"}})
	wantCommits(t, "feed of both", take(t, feed, len(all)), all)
}

func followLive(t *testing.T, s Store) {
	feed := follow(t, s.Log, store.Follow{Name: "live"})
	w := newWriter(s.rival(t), account("1"))
	for i := range 20 {
		got := make(chan []*store.Commit, 1)
		failed := make(chan error, 1)
		ctx := contextOf(t)
		go func() {
			commits, err := feed.Next(ctx, 10)
			if err != nil {
				failed <- err
				return
			}
			got <- commits
		}()
		w.add(t, 1+i%2)
		select {
		case commits := <-got:
			wantCommits(t, "feed", commits, w.stored[i:])
		case err := <-failed:
			t.Fatalf("next: %v", err)
		}
	}
}

func followLimit(t *testing.T, s Store) {
	all := book(t, s.Log, 4)
	feed := follow(t, s.Log, store.Follow{})
	got := take(t, feed, 5)
	// A replica that delivers may not have the last ones yet; it never has more.
	if left := uint64(len(all) - len(got)); feed.Pending() > left || feed.Pending() == 0 {
		t.Fatalf("%d commits pending after %d of %d", feed.Pending(), len(got), len(all))
	}
	got = append(got, take(t, feed, len(all)-5)...)
	wantCommits(t, "feed", got, all)
	if feed.Pending() != 0 {
		t.Fatalf("%d commits pending at the end", feed.Pending())
	}
	offers := follow(t, s.Log, store.Follow{Types: []string{"offer"}})
	take(t, offers, 1)
	left := ofType(all, "offer")[1:]
	if offers.Pending() == 0 {
		t.Fatalf("no commit pending after the first offer, but %d offers are", len(left))
	}
	wantCommits(t, "feed of offers", take(t, offers, len(left)), left)
	wantNothingLeft(t, offers)
}

// wantNothingLeft wants a feed to notice that what follows is of other types.
func wantNothingLeft(t *testing.T, feed store.Feed) {
	t.Helper()
	if feed.Pending() == 0 {
		return
	}
	commits, err := feed.Next(contextOf(t), 10)
	if err != nil || len(commits) > 0 || feed.Pending() > 0 {
		t.Fatalf("at the end: %d commits, %d pending, error %v; want none", len(commits), feed.Pending(), err)
	}
}

func followTakeOver(t *testing.T, s Store) {
	all := book(t, s.Log, 3)
	old := follow(t, s.Log, store.Follow{Name: "view"})
	take(t, old, 4)
	next := follow(t, s.rival(t), store.Follow{Name: "view", After: all[1].Last()})
	wantTakenOver(t, old)
	wantCommits(t, "the new feed", take(t, next, len(all)-2), all[2:])
	// And one that waits is woken up by it.
	failed := make(chan error, 1)
	ctx := contextOf(t)
	go func() {
		_, err := next.Next(ctx, 1)
		failed <- err
	}()
	last := follow(t, s.Log, store.Follow{Name: "view", After: all[len(all)-1].Last()})
	wantError(t, "next of a feed that was taken over while it waited", <-failed, store.ErrUnavailable)
	w := newWriter(s.Log, account("new"))
	w.add(t, 1)
	wantCommits(t, "the last feed", take(t, last, 1), w.stored)
}

// wantTakenOver reads until the feed fails. What it had fetched before it may
// still deliver.
func wantTakenOver(t *testing.T, feed store.Feed) {
	t.Helper()
	ctx := contextOf(t)
	for {
		if _, err := feed.Next(ctx, 100); err != nil {
			wantError(t, "next of a feed that was taken over", err, store.ErrUnavailable)
			return
		}
	}
}

func followHints(t *testing.T, s Store) {
	all := book(t, s.Log, 2)
	feed := follow(t, s.Log, store.Follow{Name: "view"})
	take(t, feed, len(all))
	feed.Acknowledge(all[len(all)-1].Last())
	if err := feed.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	again := follow(t, s.Log, store.Follow{Name: "view"})
	wantCommits(t, "feed after an acknowledgement", take(t, again, len(all)), all)
}

func followAnonymous(t *testing.T, s Store) {
	all := book(t, s.Log, 2)
	first, second := follow(t, s.Log, store.Follow{}), follow(t, s.Log, store.Follow{})
	wantCommits(t, "the second feed", take(t, second, len(all)), all)
	wantCommits(t, "the first feed", take(t, first, len(all)), all)
}

func followAhead(t *testing.T, s Store) {
	_, err := s.Log.Follow(contextOf(t), store.Follow{After: store.PositionOf(1, 0)})
	wantError(t, "follow an empty log from its first event", err, store.ErrAhead)
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 2)
	follow(t, s.Log, store.Follow{Name: "end", After: w.stored[1].Last()})
	end := w.last().Sequence()
	beyond := store.PositionOf(end+1, 0)
	for _, f := range []store.Follow{{After: beyond}, {Name: "view", After: beyond}, {After: beyond, Types: []string{"account"}}} {
		_, err := s.Log.Follow(contextOf(t), f)
		wantError(t, "follow from beyond the end", err, store.ErrAhead)
		var ahead *store.AheadError
		if !errors.As(err, &ahead) || ahead.Has != beyond || ahead.Log.Sequence() != end {
			t.Fatalf("follow from beyond the end: %v, want an AheadError with both positions", err)
		}
	}
}

func followContext(t *testing.T, s Store) {
	feed := follow(t, s.Log, store.Follow{Name: "view"})
	ctx, cancel := context.WithCancel(contextOf(t))
	failed := make(chan error, 1)
	go func() {
		_, err := feed.Next(ctx, 1)
		failed <- err
	}()
	cancel()
	wantError(t, "next when ctx ends", <-failed, context.Canceled)
	w := newWriter(s.Log, account("1"))
	w.add(t, 1)
	wantCommits(t, "feed", take(t, feed, 1), w.stored)
}

func followClosed(t *testing.T, s Store) {
	book(t, s.Log, 1)
	feed := follow(t, s.Log, store.Follow{Name: "view"})
	take(t, feed, 1)
	for range 2 {
		if err := feed.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	_, err := feed.Next(contextOf(t), 1)
	wantError(t, "next of a closed feed", err, store.ErrUnavailable)
}

func followBadNames(t *testing.T, s Store) {
	bad := []store.Follow{{Name: "a.b"}, {Name: "*"}, {Name: "a b"}, {Name: "é"}, {Name: fmt.Sprintf("%065d", 0)}, {Types: []string{"*"}}, {Types: []string{""}}}
	for _, f := range bad {
		_, err := s.Log.Follow(contextOf(t), f)
		wantError(t, fmt.Sprintf("follow %+v", f), err, store.ErrInvalid)
	}
}

func followWhileAppending(t *testing.T, s Store) {
	logs, ctx := rivalLogs(t, s), contextOf(t)
	feeds := []store.Feed{follow(t, s.Log, store.Follow{Name: "live"}), follow(t, s.Log, store.Follow{Types: []string{"account"}})}
	errs := make([]error, len(logs))
	var wg sync.WaitGroup
	for i, log := range logs {
		commits := make([]*store.Commit, rounds)
		for n := range commits {
			commits[n] = commitOf(t, log, account(fmt.Sprint(i)), store.Head{}, 1)
		}
		wg.Go(func() { _, errs[i] = insist(ctx, log, commits, func(int) {}) })
	}
	for _, feed := range feeds {
		versions, last := map[store.StreamID]uint64{}, uint64(0)
		for _, c := range take(t, feed, len(logs)*rounds) {
			if c.Sequence <= last || c.After.Version != versions[c.Stream] {
				t.Errorf("commit %d of %s after version %d came after sequence %d and version %d",
					c.Sequence, c.Stream, c.After.Version, last, versions[c.Stream])
			}
			last, versions[c.Stream] = c.Sequence, c.Head().Version
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, feed := range feeds {
		wantNoMore(t, feed)
	}
}
