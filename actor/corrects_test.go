package actor_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// A namespace that keeps its commands keeps each as it was decided, in its own
// codec, whoever sent it and however.
func TestCommandsAreKept(t *testing.T) {
	t.Parallel()
	for name, codec := range map[string]store.Codec{"msgpack": store.MsgPack, "json": store.JSON} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			memory := store.NewMemory(store.MemoryConfig{Codec: codec})
			b := newBenchOn(t, memory, func(c *actor.Config) { c.KeepCommands = true })
			b.must(t, "a", open{Owner: "Ann"})
			for _, c := range []actor.Command{
				{Stream: stream("a"), Name: "deposit", Body: []byte(`{ "cents": 7 }`), Codec: store.JSON},
				{Stream: stream("a"), Name: "deposit"},
			} {
				if _, err := b.system.Execute(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			b.must(t, "a", touch{})
			commits := b.commits(t, "a")
			for i, want := range []command{open{Owner: "Ann"}, deposit{Cents: 7}, deposit{}} {
				kept := commits[i].Commands[0]
				got, err := accounts.Commands.DecodeStrict(codec, kept.Name, kept.Schema, kept.Data)
				if err != nil || got != want || kept.Schema != accounts.Commands.Schema(kept.Name) {
					t.Errorf("command %d is kept as %+v of schema %d, %v, want %+v", i, got, kept.Schema, err, want)
				}
			}
			if len(commits) != 3 {
				t.Errorf("%d commits, want 3", len(commits))
			}
		})
	}
}

func TestCommandsAreNotKeptUnasked(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	if c := b.commits(t, "a")[0].Commands[0]; c.Data != nil || c.Schema != 0 {
		t.Errorf("kept: %+v", c)
	}
}

// The texts of a page are its commands and its events.
type (
	write struct {
		Text string `json:"text"`
	}
	written struct {
		Text string `json:"text"`
	}
)

var pages = actor.Aggregate[int, write, written]{
	Type:     "page",
	Decide:   func(_ int, c write) ([]written, error) { return []written{written(c)}, nil },
	Evolve:   func(n int, e written) int { return n + len(e.Text) },
	Commands: store.NewTypes(map[string]write{"write": {}}),
	Events:   store.NewTypes(map[string]written{"written": {}}),
}

// Commands that are kept count in the size of a commit: many large ones make
// several commits, and one that is too large is refused.
func TestKeptCommandsFillCommits(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *actor.Config) { c.KeepCommands, c.Aggregates = true, []actor.Definition{pages} })
	of := store.StreamID{Type: "page", ID: "a"}
	submit := func(size int) <-chan reply {
		body, err := store.MsgPack.Marshal(write{Text: strings.Repeat("x", size)})
		if err != nil {
			t.Fatal(err)
		}
		return b.submit(t, actor.Command{Stream: of, Name: "write", Body: body})
	}
	entered, release := b.hold()
	replies := []<-chan reply{submit(1)}
	<-entered
	for range 3 {
		replies = append(replies, submit(100<<10))
	}
	release()
	for i, r := range replies {
		if got := <-r; got.err != nil {
			t.Fatalf("command %d: %v", i, got.err)
		}
	}
	var commands []int
	for c, err := range b.memory.Read(t.Context(), of, store.Head{}) {
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, len(c.Commands))
	}
	if !slices.Equal(commands, []int{1, 2, 1}) {
		t.Errorf("commits of %v commands, want 1, 2 and 1", commands)
	}
	if got := <-submit(250 << 10); !errors.Is(got.err, store.ErrTooLarge) {
		t.Errorf("command and event over the limit together: %v", got.err)
	}
}

func openCommand(id, corrects string) actor.Command {
	return actor.Command{Stream: stream(id), Name: "open", Body: []byte(`{"owner":"Ann"}`), Codec: store.JSON, Corrects: corrects}
}

func TestCorrectsIsStored(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	b.must(t, "a", deposit{Cents: 5})
	for i, test := range []struct{ corrects, want string }{
		{"account/a/2", "account/a/2"},
		{"account/a/003", "account/a/3"},
		{"account/b/9", "account/b/9"}, // another stream is not looked into
		{"C13F6D8C-2544-53F7-9EC5-5564C10754A7", "c13f6d8c-2544-53f7-9ec5-5564c10754a7"},
	} {
		with := actor.Command{Corrects: test.corrects}
		if _, err := b.sender.ExecuteWith(t.Context(), "a", deposit{Cents: 1}, with); err != nil {
			t.Fatal(err)
		}
		if got := b.commits(t, "a")[2+i].Commands[0].Corrects; got != test.want {
			t.Errorf("%s is stored as %q, want %q", test.corrects, got, test.want)
		}
	}
	var links []string
	for e, err := range b.system.History(t.Context(), stream("a"), 3) {
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, e.Command.Corrects)
	}
	if got := strings.Join(links, " "); got != "account/a/3 account/b/9 c13f6d8c-2544-53f7-9ec5-5564c10754a7" {
		t.Errorf("history has the links %s", got)
	}
}

func TestCorrectsRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	if _, err := b.system.Execute(t.Context(), openCommand("a", "account/a/1")); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("the first event corrects itself: %v", err)
	}
	b.must(t, "a", open{Owner: "Ann"})
	for _, bad := range []string{"account/a/2", "account/a/0", "2", "account/a", "x y", "account/a/18446744073709551615"} {
		_, err := b.sender.ExecuteWith(t.Context(), "a", deposit{Cents: 1}, actor.Command{Corrects: bad})
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("corrects %q: %v, want it invalid", bad, err)
		}
	}
	if commits := b.commits(t, "a"); len(commits) != 1 {
		t.Errorf("%d commits, want 1", len(commits))
	}
	// A command of the same turn counts: what it did is in the stream by then.
	entered, release := b.hold()
	first := b.submit(t, actor.Command{Stream: stream("a"), Name: "deposit"})
	<-entered
	second := b.submit(t, actor.Command{Stream: stream("a"), Name: "deposit"})
	third := b.submit(t, actor.Command{Stream: stream("a"), Name: "deposit", Corrects: "account/a/3"})
	release()
	for i, r := range []<-chan reply{first, second, third} {
		if got := <-r; got.err != nil {
			t.Errorf("command %d: %v", i, got.err)
		}
	}
}

// The bytes of a commit are those of a build that knew neither kept commands nor
// corrections, as long as there are none.
func TestUnkeptCommitsAreAsBefore(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	var stored []byte
	b.log.intercept(func(ctx context.Context, c *store.Commit, next appendFunc) (store.Head, error) {
		stored, _ = store.EncodeCommit(store.MsgPack, c)
		return next(ctx, c)
	})
	b.must(t, "a", open{Owner: "Ann"})
	if !bytes.HasPrefix(stored, []byte{0x9c, 0x01}) {
		t.Errorf("a commit begins with %x", stored[:2])
	}
}
