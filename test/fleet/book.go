package fleet

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// entry is where the log holds a command.
type entry struct {
	stream   store.StreamID
	version  uint64         // of its last event
	position store.Position // of its last event
	epoch    uint64         // under which it was stored
	// newest is the highest epoch under which anything in the same partition was
	// stored before.
	newest uint64
}

// Book is the log, read from its first event to its last, with what is wrong
// with it by itself.
type Book struct {
	commits    []*store.Commit
	tip        store.Position
	partitions int
	commands   map[string]entry
	heads      map[store.StreamID]store.Head
	epochs     map[store.StreamID]uint64 // the highest so far
	newest     []uint64                  // the same by partition

	twice  []string // commands that took effect more than once
	broken []string // streams that do not continue where they ended
	stale  []string // commits under an epoch that had passed
}

func newBook(partitions int) *Book {
	return &Book{
		partitions: partitions, commands: map[string]entry{}, heads: map[store.StreamID]store.Head{},
		epochs: map[store.StreamID]uint64{}, newest: make([]uint64, partitions),
	}
}

// ReadLog reads the whole log, in the order in which it is stored.
func ReadLog(ctx context.Context, conn *nats.Conn) (*Book, error) {
	config, err := jetstream.Existing(ctx, conn, Namespace)
	if err != nil {
		return nil, err
	}
	log, err := jetstream.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	tip, err := log.Tip(ctx)
	if err != nil {
		return nil, err
	}
	b := newBook(log.Partitions())
	return b, b.follow(ctx, log, tip)
}

// follow reads until the tip, again from where it came to when the feed is lost.
func (b *Book) follow(ctx context.Context, log store.Log, tip store.Position) error {
	for b.tip < tip {
		feed, err := log.Follow(ctx, store.Follow{After: b.tip})
		if err != nil {
			return err
		}
		for b.tip < tip && err == nil {
			var commits []*store.Commit
			commits, err = feed.Next(ctx, 500)
			for _, c := range commits {
				b.add(c)
			}
		}
		_ = feed.Close() // it has served
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("read the log at %d of %d: %w", b.tip, tip, err)
		}
	}
	return nil
}

// add takes the next commit of the log in.
func (b *Book) add(c *store.Commit) {
	last := b.heads[c.Stream]
	if err := c.Follows(last); err != nil {
		b.broken = append(b.broken, fmt.Sprintf("sequence %d: %v", c.Sequence, err))
	} else if c.After.Sequence != last.Sequence {
		b.broken = append(b.broken, fmt.Sprintf("sequence %d: follows sequence %d of %s, which ends at %d", c.Sequence, c.After.Sequence, c.Stream, last.Sequence))
	}
	if c.Last() <= b.tip {
		b.broken = append(b.broken, fmt.Sprintf("sequence %d came after position %d", c.Sequence, b.tip))
	}
	if actor.Reserved(c.Stream.Type) { // what the system keeps about itself no client sent
		b.heads[c.Stream], b.tip = c.Head(), c.Last()
		return
	}
	if c.Epoch < b.epochs[c.Stream] {
		b.stale = append(b.stale, fmt.Sprintf("sequence %d: a commit of %s under epoch %d, after one under %d", c.Sequence, c.Stream, c.Epoch, b.epochs[c.Stream]))
	}
	b.index(c)
	b.heads[c.Stream], b.tip = c.Head(), c.Last()
	b.epochs[c.Stream] = max(b.epochs[c.Stream], c.Epoch)
	p := c.Stream.Partition(b.partitions)
	b.newest[p] = max(b.newest[p], c.Epoch)
	b.commits = append(b.commits, c)
}

// index notes where each command of the commit ended, and that it is new.
func (b *Book) index(c *store.Commit) {
	newest := b.newest[c.Stream.Partition(b.partitions)]
	here := make(map[string]entry, len(c.Commands))
	for r := range c.Recorded() {
		here[r.Command.ID] = entry{stream: c.Stream, version: r.Version, position: r.Position, epoch: c.Epoch, newest: newest}
	}
	for i := range c.Commands {
		id := c.Commands[i].ID
		if first, known := b.commands[id]; known {
			b.twice = append(b.twice, fmt.Sprintf("command %s at %s version %d and at %s version %d", id, first.stream, first.version, c.Stream, here[id].version))
			continue
		}
		b.commands[id] = here[id]
	}
}

// Commits returns how many commits the log holds.
func (b *Book) Commits() int { return len(b.commits) }

// Epochs returns how many epochs commits were stored under.
func (b *Book) Epochs() int {
	seen := map[uint64]bool{}
	for _, c := range b.commits {
		if c.Epoch > 0 {
			seen[c.Epoch] = true
		}
	}
	return len(seen)
}
