package projector

import (
	"context"
	"time"

	"github.com/annals-go/annals/store"
)

// How a model's lag changes.
const (
	TrendGrowing   = "growing"
	TrendSteady    = "steady"
	TrendShrinking = "shrinking"
)

// How often lag is looked at, over how many looks its trend is told, and after
// how long without a step a model that is behind is stalled.
const (
	sampleEvery  = 5 * time.Second
	trendSamples = 7
	stalledAfter = 30 * time.Second
)

// trend is what is remembered of a model's lag.
type trend struct {
	lags  []uint64       // the last ones, the oldest first
	at    store.Position // checkpoint at the last look
	since time.Time      // since when it is there and behind
}

// note takes in how far the model is, and behind.
func (t *trend) note(now time.Time, at store.Position, lag uint64) {
	if at != t.at || lag == 0 || t.since.IsZero() {
		t.at, t.since = at, now
	}
	t.lags = append(t.lags, lag)
	if len(t.lags) > trendSamples {
		t.lags = t.lags[1:]
	}
}

// direction compares the newest lag with the oldest. A tenth either way is
// steady.
func (t *trend) direction() string {
	if len(t.lags) == 0 {
		return TrendSteady
	}
	was, is := t.lags[0], t.lags[len(t.lags)-1]
	switch margin := was / 10; {
	case is > was+margin:
		return TrendGrowing
	case is+margin < was:
		return TrendShrinking
	}
	return TrendSteady
}

// stalled reports whether the model is behind and does not move. It is called
// with the lock held.
func (p *projection) stalled(now time.Time) bool {
	events, _ := p.lag(now)
	return !p.held && !p.passive && events > 0 && p.trend.at == p.least().Position &&
		!p.trend.since.IsZero() && now.Sub(p.trend.since) >= stalledAfter
}

// sample looks at the lag of the view's models every so often, until ctx ends.
func (f *family) sample(ctx context.Context) {
	for ctx.Err() == nil {
		f.mu.Lock()
		models := make([]*projection, 0, len(f.models))
		for _, p := range f.models {
			models = append(models, p)
		}
		f.mu.Unlock()
		for _, p := range models {
			p.sample(ctx)
		}
		pause(ctx, sampleEvery)
	}
}

// sample notes how far the model is behind. The log is asked only about one
// that has not moved: one that moves hears of the log's end by itself.
func (p *projection) sample(ctx context.Context) {
	p.mu.Lock()
	moved, open := p.least().Position != p.trend.at, p.isOpen()
	p.mu.Unlock()
	if !moved || !open {
		asking, cancel := context.WithTimeout(ctx, sampleEvery)
		head, err := p.cfg.Log.Tip(asking, p.desc.Types...)
		if err == nil {
			p.mu.Lock()
			p.sawHead(head)
			p.mu.Unlock()
			p.lookBehind(asking)
		}
		cancel()
	}
	p.mu.Lock()
	now := time.Now()
	was := p.stalled(now.Add(-sampleEvery))
	events, _ := p.lag(now)
	p.trend.note(now, p.least().Position, events)
	is, at := p.stalled(now), p.least().Position
	p.mu.Unlock()
	if is && !was {
		p.logger.Error("projection is stalled", "position", at, "lag_events", events)
	}
}
