package projector

import (
	"context"
	"math"
	"time"

	"github.com/annals-go/annals/store"
)

// missing is what the log was seen to hold beyond a checkpoint that does not
// move: one that moves hears of it from its feed.
type missing struct {
	after   store.Position // the checkpoint
	commits uint64
	since   time.Time // when the oldest of them was decided
}

// behind returns how many events that are, by the mean number in a commit, and
// for how long the oldest has been missing.
func (m missing) behind(now time.Time, perCommit float64) (events uint64, seconds float64) {
	events = max(m.commits, uint64(math.Ceil(float64(m.commits)*perCommit)))
	return events, max(now.Sub(m.since).Seconds(), 0)
}

// missed asks the log what it has beyond a position. It takes a feed for a
// moment, which is the only way to the event after a given one.
func (p *projection) missed(ctx context.Context, after store.Position) (m missing, err error) {
	feed, err := p.cfg.Log.Follow(ctx, store.Follow{After: after, Types: p.desc.Types})
	if err != nil {
		return m, err
	}
	defer func() { _ = feed.Close() }() // the server releases what it held in any case
	commits, err := feed.Next(ctx, 1)
	if err != nil || len(commits) == 0 {
		return m, err
	}
	return missing{after: after, commits: uint64(len(commits)) + feed.Pending(), since: commits[0].Time}, nil
}

// lookBehind notes what a model that stands still is missing, as far as the log
// says so in time.
func (p *projection) lookBehind(ctx context.Context) {
	p.mu.Lock()
	at, open := p.least().Position, p.isOpen()
	still := open && at == p.trend.at && p.head() > at
	p.mu.Unlock()
	if !still {
		return
	}
	m, err := p.missed(ctx, at)
	if err != nil {
		return // the tip, which is asked for as well, says at least that it is behind
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.missing = m
}
