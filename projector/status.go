package projector

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/annals-go/annals/store"
)

// Status says how a model of a view stands.
type Status struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Build   int    `json:"build"`
	// Role is one of the Role constants; empty while it is not known here.
	Role string `json:"role,omitempty"`
	// Workers is how many share the work. The figures below are those of the one
	// that has come least far.
	Workers int `json:"workers,omitempty"`
	// State is one of the State constants.
	State string `json:"state"`
	// Checkpoint is the position of the last event that is in the model, Head that
	// of the last event of its types in the log.
	Checkpoint store.Position `json:"checkpoint"`
	Head       store.Position `json:"head"`
	// LagEvents is how many events of its types the model is behind: 0 exactly when
	// it is not behind, otherwise the commits that are left times the mean number
	// of events in those applied so far, at least 1.
	LagEvents uint64 `json:"lag_events"`
	// LagSeconds is the age of the oldest event that is known to be missing, or,
	// when the log cannot be read, how long that has been so. 0 when not behind.
	LagSeconds float64 `json:"lag_seconds"`
	// Trend says how LagEvents changed over the last half minute: one of the Trend
	// constants.
	Trend string `json:"trend,omitempty"`
	// Stalled says that the model is behind and has not come further for half a
	// minute, and is not paused.
	Stalled bool `json:"stalled"`
	// Events is how many events were applied in all, over all restarts.
	Events uint64 `json:"events"`
	// Rate is how many events a second are applied while catching up, else 0.
	Rate float64 `json:"rate"`
	// Progress is the part of the events that are applied, 0 to 1; SecondsLeft how
	// long the rest takes at that rate, 0 if that is not known or nothing is left.
	Progress    float64 `json:"progress"`
	SecondsLeft float64 `json:"seconds_left"`
	// Hash is the running hash of the applied events, see [Proof]. Empty where the
	// view does not run.
	Hash string `json:"hash"`
	// Paused says that the view is not brought up to date, because somebody said so.
	Paused bool `json:"paused"`
	// Parked is how many streams wait in dead letters, Skipped how many events were
	// left out because somebody said so.
	Parked  int `json:"parked"`
	Skipped int `json:"skipped"`
	// Parity is how a candidate compared with the live model, or the live model
	// when it was the candidate. Absent if nobody compared.
	Parity *Parity `json:"parity,omitempty"`
	// Shares are how the workers stand one by one, where they are spread over groups.
	// Where the view does not run they are those of the workers that do.
	Shares []Share `json:"shares,omitempty"`
	// Error is why the projection is failed, or was a moment ago and has not got
	// further since.
	Error string `json:"error,omitempty"`
	// Uncleaned is why the store's files may still hold what the view had of people who
	// were forgotten, and what to do if that does not end by itself: from the write that takes
	// somebody out, or from when a process takes the view over, until the files are cleaned.
	Uncleaned string `json:"uncleaned,omitempty"`
}

// status returns how the models stand, the live one first.
func (f *family) status(ctx context.Context) []Status {
	f.mu.Lock()
	e, away, finished, reason := f.entry, f.away, f.finished, f.err
	if f.refusal != nil {
		reason = f.refusal
	}
	var models []*projection
	for _, k := range e.models() {
		if p := f.models[k.Model]; p != nil {
			models = append(models, p)
		}
	}
	f.mu.Unlock()
	switch {
	case away:
		return []Status{{Name: f.name, Version: f.newest, State: StateElsewhere, Shares: f.shares()}}
	case len(models) == 0:
		return []Status{f.statusUnknown(finished, reason)}
	}
	all := make([]Status, len(models))
	var asking sync.WaitGroup
	for i, p := range models {
		asking.Go(func() { all[i] = p.status(ctx) })
	}
	asking.Wait()
	for i := range all {
		f.complete(&all[i], e, models[i])
		all[i].told(f.shares())
	}
	if f.isAway() {
		return f.status(ctx) // it left while the log was asked
	}
	return all
}

func (f *family) isAway() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away
}

// statusUnknown is that of a view whose models are not known yet.
func (f *family) statusUnknown(finished bool, reason error) Status {
	s := Status{Name: f.name, Version: f.newest, State: StateStarting}
	if finished {
		s.State = StateStopped
	}
	if reason != nil {
		s.State, s.Error = StateFailed, reason.Error()
	}
	return s
}

// complete adds what the registry says.
func (f *family) complete(s *Status, e Entry, p *projection) {
	s.Role, s.Paused = e.role(p.model), e.Paused
	if s.Role == RoleCandidate || s.Role == RoleLive && e.Candidate == nil {
		s.Parity = e.Parity
	}
	if s.Error == "" && s.Role == RoleLive && p.def == nil && f.newest < p.model.Version {
		s.State, s.Error = StateFailed, "its definition is not known here"
	}
}

func (p *projection) status(ctx context.Context) Status {
	head, err := p.cfg.Log.Tip(ctx, p.desc.Types...)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.sawHead(head)
	}
	now := time.Now()
	events, seconds := p.lag(now)
	least := p.least()
	s := Status{
		Name:       p.desc.Name,
		Version:    p.model.Version,
		Build:      p.model.Build,
		Workers:    len(p.workers),
		State:      p.state(),
		Checkpoint: least.Position,
		Head:       p.head(),
		LagEvents:  events,
		LagSeconds: seconds,
		Trend:      p.trend.direction(),
		Stalled:    p.stalled(now),
		Events:     least.Events,
		Hash:       least.Hash.String(),
		Progress:   progressOf(least.Events, events),
		Parked:     p.parked(),
		Skipped:    p.leftOut(),
		Shares:     p.shares(),
	}
	if s.State == StateCatchingUp {
		s.Rate = p.rate()
	}
	if s.Rate > 0 {
		s.SecondsLeft = float64(events) / s.Rate
	}
	if err := p.err(); err != nil {
		s.Error = err.Error()
	}
	s.Uncleaned = p.uncleaned()
	return s
}

// progressOf is the part of all events that is applied.
func progressOf(applied, left uint64) float64 {
	if left == 0 {
		return 1
	}
	return float64(applied) / float64(applied+left)
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
