package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/store"
)

const partitions = 8

// world is a log and the history of those who wrote it, which a case then
// spoils. Its clock goes on by one second for each thing that happens.
type world struct {
	t       *testing.T
	book    *Book
	history *History
	clock   time.Duration
	next    uint64
	states  map[string]application.Application
}

func newWorld(t *testing.T) *world {
	return &world{t: t, book: newBook(partitions), history: NewHistory(), next: 1, states: map[string]application.Application{}}
}

func (w *world) tick() time.Duration {
	w.clock += time.Second
	return w.clock
}

// store decides a command and stores it under an epoch, without telling anybody.
func (w *world) store(id, command string, c application.Command, epoch uint64) actor.Result {
	w.t.Helper()
	events, err := w.states[id].Decide(c)
	if err != nil {
		w.t.Fatal(err)
	}
	encoded, err := application.Applications.Events.Encode(store.MsgPack, events[0])
	if err != nil {
		w.t.Fatal(err)
	}
	w.states[id] = w.states[id].Evolve(events[0])
	commit := w.commit(id, command, epoch)
	commit.Events = []store.Event{encoded.Event(0)}
	w.add(commit)
	return actor.Result{Version: commit.After.Version + 1, Position: store.PositionOf(commit.Sequence, 0), Events: []string{encoded.Name}}
}

func (w *world) commit(id, command string, epoch uint64) *store.Commit {
	return &store.Commit{
		Stream: stream(id), ID: uuid.New(), After: w.book.heads[stream(id)], Time: time.Unix(1_700_000_000, 0).UTC(), Epoch: epoch,
		Commands: []store.Command{{ID: command, Name: "submit"}},
		Events:   []store.Event{{Type: "submitted", Schema: 1}},
	}
}

// add stores a commit as it is.
func (w *world) add(c *store.Commit) {
	w.t.Helper()
	data, err := store.EncodeCommit(store.MsgPack, c)
	if err != nil {
		w.t.Fatal(err)
	}
	c.Sequence, c.Local, c.Hash = w.next, w.next, store.HashOf(data)
	w.next++
	w.book.add(c)
}

// tell puts a command and its answer into the history.
func (w *world) tell(id, command string, c application.Command, a Answer) *Op {
	o := &Op{Stream: id, Command: c, ID: command}
	w.history.send(o)
	w.history.answer(o, a)
	o.Sent, o.Done = w.tick(), w.tick()
	return o
}

// do stores a command and acknowledges it.
func (w *world) do(id, command string, c application.Command, epoch uint64) *Op {
	w.t.Helper()
	return w.tell(id, command, c, Answer{Outcome: OK, Result: w.store(id, command, c, epoch)})
}

// read puts the answer to a question into the history.
func (w *world) read(id string, version uint64, state application.Application) {
	w.history.read(Read{Stream: id, Interval: Interval{w.tick(), w.tick()}, Version: version, State: state})
}

// work is a command that is always accepted.
func work(n int) application.Command {
	return application.ScheduleWork{Item: fmt.Sprintf("item %d", n%items)}
}

var submit = application.Submit{Amount: 1000}

// sound is a world in which nothing is wrong: an owner with epoch 3, then one
// with epoch 9.
func sound(t *testing.T) *world {
	w := newWorld(t)
	w.do("a", "a1", submit, 3)
	w.do("b", "b1", submit, 3)
	w.do("a", "a2", work(2), 3)
	w.tell("a", "a3", submit, Answer{Outcome: Rejected, Text: application.ErrSubmitted.Error()})
	w.read("a", 2, w.states["a"])
	w.do("a", "a4", work(4), 9)
	w.tell("b", "b2", work(2), Answer{Outcome: Unavailable, Text: "nobody"})
	return w
}
