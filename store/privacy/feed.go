package privacy

import (
	"context"

	"github.com/annals-go/annals/store"
)

// feed is a [store.Feed] that opens what it delivers.
type feed struct {
	store.Feed
	log  *Log
	held []*store.Commit // delivered by the feed below, and not yet here; sealed
}

// Follow implements [store.Log]. Errors of keys are those of Read. A feed that
// could not open a commit stays before it.
func (l *Log) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	below, err := l.log.Follow(ctx, f)
	if err != nil {
		return nil, err
	}
	return &feed{Feed: below, log: l}, nil
}

// Next implements [store.Feed].
func (f *feed) Next(ctx context.Context, limit int) ([]*store.Commit, error) {
	if len(f.held) == 0 {
		commits, err := f.Feed.Next(ctx, limit)
		if err != nil {
			return nil, err
		}
		f.held = commits
	}
	batch := f.held[:min(len(f.held), max(limit, 1))]
	opened, err := f.log.open(ctx, batch)
	if opened > 0 || err == nil { // the next call says what is wrong behind them
		f.held = f.held[opened:]
		return batch[:opened:opened], nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, err
}

// Pending implements [store.Feed].
func (f *feed) Pending() uint64 { return f.Feed.Pending() + uint64(len(f.held)) }
