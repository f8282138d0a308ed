package exchange

import (
	"context"
	"fmt"
	"slices"

	"github.com/annals-go/annals/store"
)

const (
	// readAhead is how many commits of a stream are read at once.
	readAhead = 64
	// readStreams is of how many streams is kept what was read ahead; one more,
	// and all of it is read again where it is needed.
	readStreams = 64
)

// rehearsal is what a dry run has instead of appending: it compares commits with
// what their streams hold. One goroutine uses it.
type rehearsal struct {
	log store.Log
	// ahead are the heads that the streams have next; none where a stream ended.
	ahead map[store.StreamID][]held
	// grown are the streams whose commits come behind what the log holds.
	grown map[store.StreamID]bool
}

// held is a commit that the log has: where, and the hash of what it says in plain.
type held struct {
	store.Head
	plain store.Hash
}

// same reports whether c says the same.
func (h *held) same(codec store.Codec, c *store.Commit) bool {
	plain, err := plainHash(codec, c)
	return err == nil && plain == h.plain
}

// plainHash is the hash that a commit would have whose personal data were not sealed:
// sealed twice, the same data have other bytes.
func plainHash(codec store.Codec, c *store.Commit) (store.Hash, error) {
	plain := *c
	plain.Events, plain.Commands = slices.Clone(c.Events), slices.Clone(c.Commands)
	for n := range plain.Events {
		plain.Events[n].Personal = nil
	}
	for n := range plain.Commands {
		plain.Commands[n].Personal = nil
	}
	data, err := store.EncodeCommit(codec, &plain)
	return store.HashOf(data), err
}

func newRehearsal(log store.Log) *rehearsal {
	return &rehearsal{log: log, ahead: map[store.StreamID][]held{}, grown: map[store.StreamID]bool{}}
}

// append returns the head that the stream has after c, or would have if it ends
// where c begins. A stream that goes on otherwise is [ErrOtherEvents].
func (r *rehearsal) append(ctx context.Context, c *store.Commit) (store.Head, error) {
	hash, err := plainHash(r.log.Codec(), c)
	if err != nil {
		return c.After, err
	}
	would := store.Head{Version: c.After.Version + uint64(len(c.Events)), Sequence: c.After.Sequence + 1, Hash: hash}
	if r.grown[c.Stream] {
		return would, nil
	}
	has, found, err := r.next(ctx, c.Stream, c.After)
	switch {
	case err != nil:
		return c.After, err
	case !found:
		r.grown[c.Stream] = true
		return would, nil
	case has.plain != hash:
		delete(r.ahead, c.Stream) // whoever asks again, asks for the same place
		return c.After, fmt.Errorf("%w: those from version %d on are others in the log", ErrOtherEvents, c.After.Version+1)
	}
	return has.Head, nil
}

// next returns the head that the stream has after the next commit, if there is one.
func (r *rehearsal) next(ctx context.Context, id store.StreamID, after store.Head) (held, bool, error) {
	if len(r.ahead[id]) == 0 {
		if err := r.read(ctx, id, after); err != nil {
			return held{}, false, err
		}
	}
	ahead := r.ahead[id]
	if len(ahead) <= 1 {
		delete(r.ahead, id)
	} else {
		r.ahead[id] = ahead[1:]
	}
	if len(ahead) == 0 {
		return held{}, false, nil
	}
	return ahead[0], true, nil
}

func (r *rehearsal) read(ctx context.Context, id store.StreamID, after store.Head) error {
	if len(r.ahead) >= readStreams {
		clear(r.ahead)
	}
	var ahead []held
	for c, err := range r.log.Read(ctx, id, after) {
		if err != nil {
			return err
		}
		plain, err := plainHash(r.log.Codec(), c)
		if err != nil {
			return err
		}
		if ahead = append(ahead, held{c.Head(), plain}); len(ahead) == readAhead {
			break
		}
	}
	r.ahead[id] = ahead
	return nil
}
