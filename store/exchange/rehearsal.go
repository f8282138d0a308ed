package exchange

import (
	"context"
	"fmt"

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
	ahead map[store.StreamID][]store.Head
	// grown are the streams whose commits come behind what the log holds.
	grown map[store.StreamID]bool
}

func newRehearsal(log store.Log) *rehearsal {
	return &rehearsal{log: log, ahead: map[store.StreamID][]store.Head{}, grown: map[store.StreamID]bool{}}
}

// append returns the head that the stream has after c, or would have if it ends
// where c begins. A stream that goes on otherwise is [ErrOtherEvents].
func (r *rehearsal) append(ctx context.Context, c *store.Commit) (store.Head, error) {
	data, err := store.EncodeCommit(r.log.Codec(), c)
	if err != nil {
		return c.After, err
	}
	would := store.Head{Version: c.After.Version + uint64(len(c.Events)), Sequence: c.After.Sequence + 1, Hash: store.HashOf(data)}
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
	case has.Hash != would.Hash:
		delete(r.ahead, c.Stream) // whoever asks again, asks for the same place
		return c.After, fmt.Errorf("%w: those from version %d on are others in the log", ErrOtherEvents, c.After.Version+1)
	}
	return has, nil
}

// next returns the head that the stream has after the next commit, if there is one.
func (r *rehearsal) next(ctx context.Context, id store.StreamID, after store.Head) (store.Head, bool, error) {
	if len(r.ahead[id]) == 0 {
		if err := r.read(ctx, id, after); err != nil {
			return after, false, err
		}
	}
	ahead := r.ahead[id]
	if len(ahead) <= 1 {
		delete(r.ahead, id)
	} else {
		r.ahead[id] = ahead[1:]
	}
	if len(ahead) == 0 {
		return after, false, nil
	}
	return ahead[0], true, nil
}

func (r *rehearsal) read(ctx context.Context, id store.StreamID, after store.Head) error {
	if len(r.ahead) >= readStreams {
		clear(r.ahead)
	}
	var ahead []store.Head
	for c, err := range r.log.Read(ctx, id, after) {
		if err != nil {
			return err
		}
		if ahead = append(ahead, c.Head()); len(ahead) == readAhead {
			break
		}
	}
	r.ahead[id] = ahead
	return nil
}
