package migrate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/annals-go/annals/store"
)

// found is what an earlier run has left in the new log.
type found struct {
	log  store.Log
	end  uint64 // its last sequence
	feed store.Feed
	rest []*store.Commit
}

// next compares c, made of what stands at a position of the old log, with the
// next commit that was found, takes over its place and returns its head.
func (f *found) next(ctx context.Context, c *store.Commit, from store.Position) (store.Head, error) {
	has, err := f.take(ctx)
	if err != nil {
		return store.Head{}, err
	}
	made, err := plainHash(f.log.Codec(), c)
	if err != nil {
		return store.Head{}, err
	}
	was, err := plainHash(f.log.Codec(), has)
	if err != nil {
		return store.Head{}, err
	}
	if has.Stream != c.Stream || was != made {
		reason := "it has a commit of " + has.Stream.String() + " with hash " + was.String() + ", this build makes one with hash " + made.String()
		return store.Head{}, &DivergedError{Sequence: has.Sequence, From: from, Stream: c.Stream, Reason: reason}
	}
	c.Sequence, c.Local, c.Hash = has.Sequence, has.Local, has.Hash
	return has.Head(), nil
}

// plainHash is the hash that a commit would have whose personal data were not sealed: sealed
// twice, the same data have other bytes.
func plainHash(codec store.Codec, c *store.Commit) (store.Hash, error) {
	stored, err := store.EncodeCommit(codec, plain(c))
	return store.HashOf(stored), err
}

// plain returns a copy of c that does not say what is personal.
func plain(c *store.Commit) *store.Commit {
	p := *c
	p.Events, p.Commands = slices.Clone(c.Events), slices.Clone(c.Commands)
	for i := range p.Events {
		p.Events[i].Personal = nil
	}
	for i := range p.Commands {
		p.Commands[i].Personal = nil
	}
	return &p
}

func (f *found) take(ctx context.Context) (c *store.Commit, err error) {
	if f.feed == nil {
		if f.feed, err = f.log.Follow(ctx, store.Follow{}); err != nil {
			return nil, err
		}
	}
	for len(f.rest) == 0 {
		if f.rest, err = f.feed.Next(ctx, batch); err != nil {
			return nil, err
		}
	}
	c, f.rest = f.rest[0], f.rest[1:]
	return c, nil
}

func (f *found) close() {
	if f.feed != nil {
		_ = f.feed.Close()
	}
}

// outline tells whether a transformation has changed the events of a commit.
func outline(c *store.Commit) Digest {
	h := sha256.New()
	for i := range c.Events {
		e := &c.Events[i]
		var numbers [24]byte
		binary.BigEndian.PutUint64(numbers[:], uint64(e.Schema))
		binary.BigEndian.PutUint64(numbers[8:], uint64(len(e.Type)))
		binary.BigEndian.PutUint64(numbers[16:], uint64(len(e.Data)))
		h.Write(numbers[:])
		h.Write([]byte(e.Type))
		h.Write(e.Data)
	}
	return Digest(h.Sum(nil))
}
