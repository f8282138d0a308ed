//go:build linux

package main

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// namespace and partitions are those of the loans example.
const (
	namespace  = "loans"
	partitions = 128
)

// entry is what the log holds of one command.
type entry struct {
	stream   store.StreamID
	version  uint64         // of its last event
	position store.Position // of its last event
}

// book is the log, read from the stream itself, message by message, without
// the code that the system reads it with.
type book struct {
	commits  []*store.Commit
	tip      store.Position
	commands map[string]entry
	heads    map[store.StreamID][]store.Head // after each commit
	faults   []string
}

func newBook() *book {
	return &book{commands: map[string]entry{}, heads: map[store.StreamID][]store.Head{}}
}

// add takes the next message of the log in.
func (b *book) add(subject string, sequence uint64, data []byte) {
	c, err := store.DecodeCommit(store.MsgPack, data, sequence)
	if err != nil {
		b.fault("%v", err)
		return
	}
	if want := subjectOf(c.Stream); subject != want {
		b.fault("sequence %d: a commit of %s on %s, not on %s", sequence, c.Stream, subject, want)
	}
	heads := b.heads[c.Stream]
	var last store.Head
	if len(heads) > 0 {
		last = heads[len(heads)-1]
	}
	if err := c.Follows(last); err != nil {
		b.fault("%v", err)
	}
	if c.After.Sequence != last.Sequence {
		b.fault("sequence %d: follows sequence %d of %s, which ends at %d", sequence, c.After.Sequence, c.Stream, last.Sequence)
	}
	b.heads[c.Stream] = append(heads, c.Head())
	b.commits = append(b.commits, c)
	b.tip = c.Last()
	b.index(c)
}

// index notes where each command of the commit ended, and that it is new.
func (b *book) index(c *store.Commit) {
	here := make(map[string]entry, len(c.Commands))
	previous := ""
	for r := range c.Recorded() {
		id := r.Command.ID
		if _, seen := here[id]; seen && id != previous {
			b.fault("sequence %d: the events of command %s are not side by side", c.Sequence, id)
		}
		here[id] = entry{stream: c.Stream, version: r.Version, position: r.Position}
		previous = id
	}
	for id, e := range here {
		if first, twice := b.commands[id]; twice {
			b.fault("command %s took effect twice: at %s version %d and %s version %d", id, first.stream, first.version, e.stream, e.version)
			continue
		}
		b.commands[id] = e
	}
}

func (b *book) fault(format string, v ...any) { b.faults = append(b.faults, fmt.Sprintf(format, v...)) }

func subjectOf(id store.StreamID) string {
	token, err := store.EncodeToken(id.ID)
	if err != nil {
		return "no subject: " + err.Error()
	}
	return fmt.Sprintf("%s.evt.%d.%s.%s", namespace, id.Partition(partitions), id.Type, token)
}

// readBook reads the whole log.
func readBook(ctx context.Context, nc *nats.Conn) (*book, error) {
	b := newBook()
	err := eachMessage(ctx, nc, "ANNALS_"+namespace+"_events", func(m message) error {
		b.add(m.subject, m.sequence, m.data)
		return nil
	})
	return b, err
}
