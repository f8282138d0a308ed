package jetstream

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/store"
)

const (
	// walkLen and walkBytes bound how far a read walks back from the stream's
	// end, and what it holds meanwhile. A stream with snapshots is never read
	// further.
	walkLen   = 512
	walkBytes = 8 << 20
	// What a batch costs the server: for each message that it passes over while
	// it looks for the next one of the subject, and for each that it finds.
	batchScan = 120 * time.Nanosecond
	batchFind = 8 * time.Microsecond
)

// walk collects the commits from the end back to the head, last first. It
// reports false when that is too far, or when something is not as it should be:
// going forward then finds what, and yields all that is before it.
//
// Each step trusts that no other commit stands between a commit and the one
// that it names. The commit's word would not do: a faulty writer could name an
// old one and hide all since. The server's does, that checked the expectation
// when it stored the message.
func (r *reading) walk(ctx context.Context, end *message) ([]*store.Commit, bool) {
	var tail []*store.Commit
	size := 0
	for m := end; ; {
		c, err := store.DecodeCommit(r.log.cfg.Codec, m.data, m.local)
		if err != nil || c.Stream != r.id || !m.attested || m.before != c.After.Sequence {
			return nil, false
		}
		if len(tail) == 0 && !r.walkPays(c) {
			return nil, false
		}
		if len(tail) > 0 && c.Head() != tail[len(tail)-1].After {
			return nil, false
		}
		tail, size = append(tail, c), size+len(m.data)
		if c.After.Sequence <= r.head.Sequence {
			return tail, c.After == r.head
		}
		if len(tail) == walkLen || size > walkBytes {
			return nil, false
		}
		if m, err = r.fetchKnown(ctx, c.After); err != nil {
			return nil, false
		}
	}
}

// walkPays estimates whether it is faster to walk back to the head from the
// last commit, a round trip for each commit, than to have the server look for
// them, which takes it longer the more other commits lie between.
func (r *reading) walkPays(last *store.Commit) bool {
	if last.After.Version < r.head.Version {
		return false
	}
	commits := (last.After.Version - r.head.Version) / uint64(len(last.Events))
	if commits > walkLen {
		return false
	}
	passed := last.Local - r.head.Sequence
	step := r.log.step.usual()
	walk := time.Duration(commits) * step
	batch := step + time.Duration(commits)*batchFind + time.Duration(passed)*batchScan
	return walk <= batch
}

// fetchKnown returns the message whose hash is known, from any replica that has
// it, else from the leader. A replica that failed once is not asked again.
func (r *reading) fetchKnown(ctx context.Context, head store.Head) (*message, error) {
	if !r.leaderOnly {
		m, err := r.log.fetchNear(ctx, r.from.directGet, at(head.Sequence))
		if err == nil && store.HashOf(m.data) == head.Hash {
			return m, nil
		}
		r.leaderOnly = true
	}
	return r.log.fetchFirmly(ctx, r.from.leaderGet, at(head.Sequence))
}

// pace is how long a request takes while nothing waits in front of it. When
// hundreds of actors wake at once each request waits for the others; to judge by
// that would make all of them choose what costs the server most.
type pace struct{ nanoseconds atomic.Int64 }

// observe takes a request's time in: a shorter one counts at once, a longer one
// little, so that a path that became longer shows in the end.
func (p *pace) observe(took time.Duration) {
	const share = 1024
	was := p.nanoseconds.Load()
	next := int64(took)
	if was > 0 && next > was {
		next = was + max((next-was)/share, 1)
	}
	p.nanoseconds.CompareAndSwap(was, next) // whoever was quicker counts as well
}

func (p *pace) usual() time.Duration { return time.Duration(p.nanoseconds.Load()) }

func (r *reading) emitReversed(tail []*store.Commit) error {
	for _, c := range slices.Backward(tail) {
		place, ok := r.log.order.remembered(r.stream, c.Local)
		if !ok {
			return errForgotten
		}
		if err := r.deliver(c, place); err != nil {
			return err
		}
	}
	return nil
}
