package actor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

func TestCommandIsStoredAndAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	got := b.must(t, "a", open{Owner: "Ann"})
	want := actor.Result{Version: 1, Position: store.PositionOf(1, 0), Events: []string{"opened"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	got = b.must(t, "a", scatter{N: 3})
	want = actor.Result{Version: 4, Position: store.PositionOf(2, 2), Events: []string{"deposited", "deposited", "deposited"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	if a, version := b.state(t, "a"); a.Cents != 3 || version != 4 {
		t.Fatalf("state %+v at version %d", a, version)
	}
}

func TestCommandThatDecidesNothingStoresNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	got := b.must(t, "a", touch{})
	if got.Version != 1 || got.Position != store.PositionOf(1, 0) || len(got.Events) != 0 {
		t.Fatalf("got %+v", got)
	}
	if n := b.log.appends.Load(); n != 1 {
		t.Fatalf("%d appends, want 1", n)
	}
}

func TestRejectionCarriesTheDomainsText(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	_, err := b.sender.Execute(t.Context(), "a", withdraw{Cents: 1})
	if !errors.Is(err, actor.ErrRejected) || !errors.Is(err, errNotOpen) || err.Error() != errNotOpen.Error() {
		t.Fatalf("got %v", err)
	}
	if r, ok := errors.AsType[*actor.RejectedError](err); !ok || r.Stream != stream("a") || r.Command != "withdraw" {
		t.Fatalf("got %+v", r)
	}
}

func TestBadCommands(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	tests := map[string]struct {
		command actor.Command
		want    error
	}{
		"unknown aggregate":              {actor.Command{Stream: store.StreamID{Type: "ghost", ID: "a"}, Name: "open"}, store.ErrUnknownType},
		"unknown command":                {actor.Command{Stream: stream("a"), Name: "fly"}, store.ErrUnknownType},
		"empty id":                       {actor.Command{Stream: stream(""), Name: "touch"}, store.ErrInvalid},
		"id too long":                    {actor.Command{Stream: stream(strings.Repeat("x", 129)), Name: "touch"}, store.ErrTooLarge},
		"body of another shape":          {actor.Command{Stream: stream("a"), Name: "deposit", Codec: store.JSON, Body: []byte(`{"cents":"x"}`)}, store.ErrInvalid},
		"field that is not there":        {actor.Command{Stream: stream("a"), Name: "deposit", Codec: store.JSON, Body: []byte(`{"dollars":1}`)}, store.ErrInvalid},
		"body cut short":                 {actor.Command{Stream: stream("a"), Name: "deposit", Codec: store.JSON, Body: []byte(`{"cents":`)}, store.ErrInvalid},
		"command id too long":            {actor.Command{Stream: stream("a"), Name: "touch", ID: strings.Repeat("x", 129)}, store.ErrTooLarge},
		"command id that does not print": {actor.Command{Stream: stream("a"), Name: "touch", ID: "a\r\nb"}, store.ErrInvalid},
		"correlation id too long":        {actor.Command{Stream: stream("a"), Name: "touch", CorrelationID: strings.Repeat("x", 1025)}, store.ErrTooLarge},
		"more events than fit":           {actor.Command{Stream: stream("a"), Name: "scatter", Codec: store.JSON, Body: []byte(`{"N":1025}`)}, store.ErrTooLarge},
	}
	for name, test := range tests {
		if _, err := b.system.Execute(t.Context(), test.command); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	if n := len(b.commits(t, "a")); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	b.must(t, "a", deposit{Cents: 1}) // the actor is none the worse
}

func TestExpectedVersion(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		command  command
		expected uint64
		policy   actor.Policy
		want     error
	}{
		{"right", withdraw{1}, 3, actor.Fail, nil},
		{"too low", withdraw{1}, 2, actor.Fail, store.ErrConflict},
		{"too high", withdraw{1}, 4, actor.Fail, store.ErrConflict},
		{"none at all", deposit{1}, 0, actor.Fail, store.ErrConflict},
		{"too low, retry", withdraw{1}, 1, actor.Retry, nil},
		{"too low, merge of what commutes", deposit{1}, 2, actor.Merge, nil},
		{"too low, merge of what does not", withdraw{1}, 2, actor.Merge, store.ErrConflict},
		{"too low, merge past an opening", deposit{1}, 0, actor.Merge, store.ErrConflict},
		{"too high, merge", deposit{1}, 9, actor.Merge, store.ErrConflict},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			b.must(t, "a", open{Owner: "Ann"})
			b.must(t, "a", deposit{Cents: 5})
			b.must(t, "a", deposit{Cents: 5})
			_, err := b.sender.ExecuteWith(t.Context(), "a", test.command,
				actor.Command{Expected: test.expected, HasExpected: true, OnConflict: test.policy})
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if c, ok := errors.AsType[*store.ConflictError](err); ok && (c.Actual != 3 || c.Expected != test.expected) {
				t.Fatalf("got %+v", c)
			}
		})
	}
}

func TestQueuedCommandsBecomeOneCommit(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	entered, release := b.hold()
	replies := []<-chan reply{b.submit(t, deposited1("first"))}
	<-entered
	for i := range 20 {
		replies = append(replies, b.submit(t, deposited1(fmt.Sprint(i))))
	}
	replies = append(replies, b.submit(t, actor.Command{Stream: stream("a"), Name: "withdraw", Codec: store.JSON, Body: []byte(`{"cents":22}`)}))
	release()
	for i, r := range replies[:21] {
		if got := <-r; got.err != nil || got.result.Version != uint64(i)+2 {
			t.Fatalf("reply %d: %+v", i, got)
		}
	}
	if got := <-replies[21]; !errors.Is(got.err, errInsufficient) {
		t.Fatalf("the withdrawal was decided on %+v", got)
	}
	commits := b.commits(t, "a")
	if len(commits) != 3 || len(commits[2].Events) != 20 || len(commits[2].Commands) != 20 {
		t.Fatalf("%d commits, the last with %d events", len(commits), len(commits[len(commits)-1].Events))
	}
}

func deposited1(id string) actor.Command {
	return actor.Command{Stream: stream("a"), Name: "deposit", Codec: store.JSON, Body: []byte(`{"cents":1}`), ID: id}
}

func TestQueuedCommandsBeyondOneCommitWait(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	entered, release := b.hold()
	first := b.submit(t, deposited1("first"))
	<-entered
	var replies []<-chan reply
	for i := range 5 {
		replies = append(replies, b.submit(t, actor.Command{Stream: stream("a"), Name: "scatter", Codec: store.JSON, Body: []byte(`{"N":400}`), ID: fmt.Sprint("s", i)}))
	}
	release()
	<-first
	for i, r := range replies {
		if got := <-r; got.err != nil || got.result.Version != uint64(2+400*(i+1)) {
			t.Fatalf("reply %d: %+v", i, got.err)
		}
	}
	var sizes []int
	for _, c := range b.commits(t, "a") {
		sizes = append(sizes, len(c.Events))
	}
	if d := cmp.Diff([]int{1, 1, 800, 800, 400}, sizes); d != "" {
		t.Fatal(d)
	}
}

func TestFullMailboxIsBusy(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *actor.Config) { c.MailboxLen = 2 })
	b.must(t, "a", open{Owner: "Ann"})
	entered, release := b.hold()
	defer release()
	b.submit(t, deposited1("1"))
	<-entered
	b.submit(t, deposited1("2"))
	b.submit(t, deposited1("3"))
	if got := <-b.submit(t, deposited1("4")); !errors.Is(got.err, actor.ErrBusy) {
		t.Fatalf("got %+v", got)
	}
	if got := <-b.submit(t, actor.Command{Stream: stream("b"), Name: "touch"}); !errors.Is(got.err, actor.ErrRejected) {
		t.Fatalf("another actor: got %+v", got)
	}
}

func TestDeadlineBoundsWaitingNotTheAppend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		defer b.stop()
		b.must(t, "a", open{Owner: "Ann"})
		entered, release := b.hold()
		running := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			_, err := b.sender.Execute(ctx, "a", deposit{Cents: 1})
			running <- err
		}()
		<-entered
		waiting := make(chan reply, 1)
		b.system.Submit(ctx, deposited1("late"), func(r actor.Result, err error) { waiting <- reply{r, err} })
		_, err := b.sender.Execute(ctx, "a", deposit{Cents: 1})
		if !errors.Is(err, actor.ErrDeadline) {
			t.Fatalf("queued: got %v", err)
		}
		if err := <-running; !errors.Is(err, store.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("in its turn: got %v", err)
		}
		release()
		if got := <-waiting; !errors.Is(got.err, actor.ErrDeadline) {
			t.Fatalf("submitted: got %+v", got)
		}
		if a, version := b.state(t, "a"); a.Cents != 1 || version != 2 {
			t.Fatalf("state %+v at version %d, want the one append that had begun", a, version)
		}
	})
}

func TestPanicStaysInItsActor(t *testing.T) {
	t.Parallel()
	for _, c := range []command{explode{}, corrupt{}} {
		t.Run(fmt.Sprintf("%T", c), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			b.must(t, "a", open{Owner: "Ann"})
			b.must(t, "b", open{Owner: "Bea"})
			_, err := b.sender.Execute(t.Context(), "a", c)
			if p, ok := errors.AsType[*actor.PanicError](err); !ok || !errors.Is(err, actor.ErrInternal) || p.Stream != stream("a") || len(p.Stack) == 0 {
				t.Fatalf("got %v", err)
			}
			b.must(t, "a", deposit{Cents: 1})
			b.must(t, "b", deposit{Cents: 1})
			if a, version := b.state(t, "a"); a.Cents != 1 || version != 2 {
				t.Fatalf("state %+v at version %d", a, version)
			}
		})
	}
}

func TestPanicSparesTheCommandsQueuedWithIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	entered, release := b.hold()
	b.submit(t, deposited1("1"))
	<-entered
	before := b.submit(t, deposited1("2"))
	bad := b.submit(t, actor.Command{Stream: stream("a"), Name: "corrupt"})
	after := b.submit(t, deposited1("3"))
	release()
	if got := <-before; got.err != nil || got.result.Version != 3 {
		t.Fatalf("before: %+v", got)
	}
	if got := <-bad; !errors.Is(got.err, actor.ErrInternal) {
		t.Fatalf("bad: %+v", got)
	}
	if got := <-after; got.err != nil || got.result.Version != 4 {
		t.Fatalf("after: %+v", got)
	}
}
