package trial_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/actor/trial"
	"github.com/annals-go/annals/store"
)

// An account that is never overdrawn, in builds that differ in their rules.

type (
	command interface{ isCommand() }
	event   interface{ isEvent() }

	deposit struct {
		Cents int64 `json:"cents"`
	}
	withdraw struct {
		Cents int64 `json:"cents"`
	}
	deposited struct {
		Cents int64 `json:"cents"`
	}
	withdrawn struct {
		Cents int64 `json:"cents"`
	}
)

func (deposit) isCommand()  {}
func (withdraw) isCommand() {}
func (deposited) isEvent()  {}
func (withdrawn) isEvent()  {}

type account struct {
	Cents int64            `json:"cents"`
	Seen  map[string]int64 `json:"seen"` // encoded in any order
}

var errOverdrawn = errors.New("not that much in the account")

func (a account) decide(c command) ([]event, error) {
	switch c := c.(type) {
	case deposit:
		return []event{deposited(c)}, nil
	case withdraw:
		if c.Cents > a.Cents {
			return nil, errOverdrawn
		}
		return []event{withdrawn(c)}, nil
	}
	return nil, nil
}

func (a account) evolve(e event) account {
	seen := map[string]int64{}
	maps.Copy(seen, a.Seen)
	a.Seen = seen
	switch e := e.(type) {
	case deposited:
		a.Cents += e.Cents
	case withdrawn:
		a.Cents -= e.Cents
	}
	a.Seen[fmt.Sprintf("%T", e)]++
	return a
}

type accounts = actor.Aggregate[account, command, event]

// build returns the aggregate, changed.
func build(change ...func(*accounts)) accounts {
	a := accounts{
		Type: "account", Decide: account.decide, Evolve: account.evolve,
		Commands: store.NewTypes(map[string]command{"deposit": deposit{}, "withdraw": withdraw{}}),
		Events:   store.NewTypes(map[string]event{"deposited": deposited{}, "withdrawn": withdrawn{}}),
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

// ledger writes to a log what an actor would, and knows what it wrote.
type ledger struct {
	log   *store.Memory
	heads map[store.StreamID]store.Head
	keep  bool
	count int
}

func newLedger(codec store.Codec, keep bool) *ledger {
	return &ledger{log: store.NewMemory(store.MemoryConfig{Codec: codec}), heads: map[store.StreamID]store.Head{}, keep: keep}
}

func id(n int) store.StreamID { return store.StreamID{Type: "account", ID: fmt.Sprint(n)} }

// add stores what commands led to, one event each, as one commit.
func (l *ledger) add(t *testing.T, stream store.StreamID, did ...entry) *store.Commit {
	t.Helper()
	c := &store.Commit{Stream: stream, ID: uuid.New(), After: l.heads[stream], Time: time.Now()}
	for i, d := range did {
		l.count++
		command := store.Command{ID: fmt.Sprintf("c-%d", l.count), Name: d.command}
		if l.keep && d.data != nil {
			command.Data, command.Schema = l.encode(t, d.data), 1
		}
		c.Commands = append(c.Commands, command)
		c.Events = append(c.Events, store.Event{Type: d.event, Schema: max(d.schema, 1), Command: i, Data: l.encode(t, d.happened)})
	}
	head, err := l.log.Append(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	l.heads[stream] = head
	return c
}

func (l *ledger) encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := l.log.Codec().Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// entry is a command and its event.
type entry struct {
	command  string
	data     any // of the command; nil: not kept
	event    string
	schema   int
	happened any
}

func deposits(cents int64) entry {
	return entry{command: "deposit", data: deposit{cents}, event: "deposited", happened: deposited{cents}}
}

func withdraws(cents int64) entry {
	return entry{command: "withdraw", data: withdraw{cents}, event: "withdrawn", happened: withdrawn{cents}}
}

// move is a withdrawal from an account, and what was in it before.
type move struct {
	stream  store.StreamID
	version uint64
	cents   int64
	before  int64
}

// fill writes histories of so many accounts, mixed, and returns the withdrawals
// in them.
func (l *ledger) fill(t *testing.T, streams, commits int) (moves []move) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	balance, version := map[int]int64{}, map[int]uint64{}
	for range commits {
		n := random.IntN(streams)
		var did []entry
		for range 1 + random.IntN(3) {
			cents := 1 + random.Int64N(100)
			version[n]++
			if balance[n] >= cents && random.IntN(2) == 0 {
				moves = append(moves, move{stream: id(n), version: version[n], cents: cents, before: balance[n]})
				balance[n] -= cents
				did = append(did, withdraws(cents))
			} else {
				balance[n] += cents
				did = append(did, deposits(cents))
			}
		}
		l.add(t, id(n), did...)
	}
	return moves
}

func newTrial(t *testing.T, log store.Log, change func(*trial.Config), definitions ...actor.Definition) *trial.Trial {
	t.Helper()
	config := trial.Config{Log: log, Aggregates: definitions}
	if change != nil {
		change(&config)
	}
	c, err := trial.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func eachCodec(t *testing.T, test func(t *testing.T, codec store.Codec)) {
	t.Helper()
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		t.Run(codec.Name(), func(t *testing.T) {
			t.Parallel()
			test(t, codec)
		})
	}
}
