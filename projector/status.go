package projector

import (
	"context"
	"math"
	"time"

	"github.com/annals-go/annals/store"
)

// Status says how a projection stands.
type Status struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	// State is one of the State constants.
	State string `json:"state"`
	// Checkpoint is the position of the last event that is in the view, Head that
	// of the last event of its types in the log.
	Checkpoint store.Position `json:"checkpoint"`
	Head       store.Position `json:"head"`
	// LagEvents is how many events of its types the view is behind: 0 exactly when
	// it is not behind, otherwise the commits that are left times the mean number
	// of events in those applied so far, at least 1.
	LagEvents uint64 `json:"lag_events"`
	// LagSeconds is the age of the oldest event that is known to be missing, or,
	// when the log cannot be read, how long that has been so. 0 when not behind.
	LagSeconds float64 `json:"lag_seconds"`
	// Events is how many events were applied in all, over all restarts.
	Events uint64 `json:"events"`
	// Rate is how many events a second are applied while catching up, else 0.
	Rate float64 `json:"rate"`
	// Hash is the running hash of the applied events, see [Proof]. Empty where the
	// view does not run.
	Hash string `json:"hash"`
	// Error is why the projection is failed, or was a moment ago and has not got
	// further since.
	Error string `json:"error,omitempty"`
}

func (p *projection) status(ctx context.Context) Status {
	p.mu.Lock()
	away := p.away
	p.mu.Unlock()
	if away {
		return p.statusElsewhere()
	}
	head, err := p.cfg.Log.Tip(ctx, p.desc.Types...)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return p.statusElsewhere() // it left while the log was asked
	}
	if err == nil {
		p.sawHead(head)
	}
	events, seconds := p.lag(time.Now())
	least := p.least()
	s := Status{
		Name:       p.desc.Name,
		Version:    p.desc.Version,
		State:      p.state(),
		Checkpoint: least.Position,
		Head:       p.head(),
		LagEvents:  events,
		LagSeconds: seconds,
		Events:     least.Events,
		Hash:       least.Hash.String(),
	}
	if s.State == StateCatchingUp {
		s.Rate = p.rate()
	}
	if err := p.err(); err != nil {
		s.Error = err.Error()
	}
	return s
}

func (p *projection) statusElsewhere() Status {
	return Status{Name: p.desc.Name, Version: p.desc.Version, State: StateElsewhere}
}

// progress measures how a projection comes along. The zero value is that of
// one that is not behind.
type progress struct {
	left       uint64    // commits that the log held beyond the last applied
	perCommit  float64   // mean number of events in a commit, 0 if not known
	since      time.Time // when the oldest missing event was decided; zero if none is missing
	began      time.Time // of the catching up
	from       uint64    // events applied before it
	rate       float64   // events a second, over the last measured stretch
	measured   time.Time // end of that stretch
	upTo       uint64    // events applied by then
	reportedAt time.Time
}

// How often the rate is measured and progress is reported.
const (
	measureEvery = time.Second
	reportEvery  = 5 * time.Second
)

func (g *progress) begin(now time.Time, c Checkpoint) {
	g.began, g.from = now, c.Events
	g.measured, g.upTo, g.rate = now, c.Events, 0
	g.reportedAt = now
	if g.since.IsZero() {
		g.since = now
	}
}

func (g *progress) caughtUp() { g.left, g.since, g.rate = 0, time.Time{}, 0 }

// interrupted says that from now on nothing is known of the log.
func (g *progress) interrupted(now time.Time) {
	if g.since.IsZero() {
		g.since = now
	}
}

// applied counts a written batch of so many commits, for the mean.
func (g *progress) applied(commits, events uint64) {
	const weight = 0.2
	if commits == 0 {
		return
	}
	mean := float64(events) / float64(commits)
	if g.perCommit == 0 {
		g.perCommit = mean
	}
	g.perCommit += weight * (mean - g.perCommit)
}

// note takes a checkpoint beyond which the log held so many commits.
func (g *progress) note(c Checkpoint, left uint64) { g.left, g.since = left, c.Time }

// report measures the rate, and returns what to report if a report is due.
func (g *progress) report(now time.Time, c Checkpoint) []any {
	if took := now.Sub(g.measured); took >= measureEvery {
		g.rate = float64(c.Events-g.upTo) / took.Seconds()
		g.measured, g.upTo = now, c.Events
	}
	if now.Sub(g.reportedAt) < reportEvery {
		return nil
	}
	g.reportedAt = now
	events, _ := g.behind(now)
	attrs := []any{"events", c.Events, "left", events, "rate", math.Round(g.rate)}
	if g.rate > 0 {
		left := time.Duration(float64(events) / g.rate * float64(time.Second))
		attrs = append(attrs, "time_left", left.Round(time.Second))
	}
	return attrs
}

// summary returns what to report of a catching up that has ended, nil if it
// was too short to speak of.
func (g *progress) summary(now time.Time, c Checkpoint) []any {
	took := now.Sub(g.began)
	if took < measureEvery {
		return nil
	}
	events := c.Events - g.from
	return []any{"events", events, "seconds", took.Seconds(), "rate", math.Round(float64(events) / took.Seconds())}
}

func (g *progress) behind(now time.Time) (events uint64, seconds float64) {
	if g.left > 0 {
		events = max(g.left, uint64(math.Ceil(float64(g.left)*g.perCommit)))
	}
	if !g.since.IsZero() {
		seconds = max(now.Sub(g.since).Seconds(), 0)
	}
	return events, seconds
}
