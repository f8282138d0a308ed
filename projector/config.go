package projector

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// Config says what a [Group] runs. Log, Store and Projections are needed; the
// zero value of every other field works.
type Config struct {
	// Log is what the views follow.
	Log store.Log
	// Store keeps the read models.
	Store Store
	// Projections are the definitions of views, each name and version once. Which
	// version of a name is served is said by the registry.
	Projections []Definition
	// Registry says which models a view has and which of them is served. Groups
	// that share a store share the registry. Default: one in memory, for a single
	// group whose store is in memory too.
	Registry Registry

	// Assigned tells whether a duty is to be done here: to run a view, or, with
	// Spread, one of its workers. It is asked often and with a lock held: it answers
	// at once and does not call the group. Default nil: everything runs here, for ever.
	Assigned func(duty string) bool
	// Reassigned returns a channel that is closed at the first change after the
	// call of what Assigned answers. The group takes the channel, looks, and waits;
	// so it misses no change, and may see several as one. Default nil: what
	// Assigned answers never changes.
	Reassigned func() <-chan struct{}

	// Spread gives out the workers of a view one by one, so that several groups share
	// its work: worker 0 runs where the view is assigned, each other one where its
	// [Duty] is. It wants a store that is shared ([Store.Shared]), and is the same in
	// all groups. Default false: all workers of a view run where the view does.
	Spread bool

	// Keyring seals what is personal in documents where they are stored, and in what
	// operators put in the place of an event's data, and opens it for whoever reads.
	// It is that of the log. Default nil: then documents have no personal fields.
	Keyring *privacy.Keyring

	// BatchCommits is how many commits are taken from the log at once. Default
	// 2,000: enough that fetching costs nothing beside folding.
	BatchCommits int
	// FlushEvery is how long, while catching up, changes may gather before they
	// are written. Default 250 ms: documents that change again and again are
	// written rarely, and little is folded again after a crash.
	FlushEvery time.Duration
	// MaxLinger is the longest that, while live, an event waits for others to be
	// written with it. After a write of many commits the view rests up to twice as
	// long as the write took, so that under load it spends a third of its time
	// writing: a single server spends 1.5 ms of CPU and several syncs on the
	// smallest write. An event that comes after a pause, or after a write of one
	// commit, waits not at all. Default 25 ms; negative: never wait.
	MaxLinger time.Duration
	// CommitTimeout bounds one write with all its repetitions, and with it how long
	// a view goes on after it is told to stop. Default 10 s.
	CommitTimeout time.Duration
	// CachedDocuments is how many decoded documents each projection keeps in
	// memory. Default 50,000. What is changed and not yet written comes on top.
	CachedDocuments int
	// MaxWaiters is how many callers may wait for one view at once; more get
	// [ErrBusy]. Default 10,000.
	MaxWaiters int

	// Attempts is how often an event that cannot be applied is tried, after growing
	// pauses that begin with 100 ms, before its stream is parked. Default 4: about
	// two seconds, long enough for what passes by itself.
	Attempts int
	// MaxParked is how many streams one worker parks at most. The next one stops it,
	// for so many are the definition's fault. Default 1,000.
	MaxParked int

	// Logger receives life-cycle events. Default slog.Default().
	Logger *slog.Logger
	// Registerer receives the metrics annals_projection_*. Default none.
	Registerer prometheus.Registerer

	holders *holders
}

func (c Config) withDefaults() Config {
	c.BatchCommits = defaulted(c.BatchCommits, 2000)
	c.FlushEvery = defaulted(c.FlushEvery, 250*time.Millisecond)
	c.MaxLinger = defaulted(c.MaxLinger, 25*time.Millisecond)
	c.CommitTimeout = defaulted(c.CommitTimeout, 10*time.Second)
	c.CachedDocuments = defaulted(c.CachedDocuments, 50_000)
	c.MaxWaiters = defaulted(c.MaxWaiters, 10_000)
	c.Attempts = defaulted(c.Attempts, 4)
	c.MaxParked = defaulted(c.MaxParked, 1000)
	if c.Registry == nil {
		c.Registry = &MemoryRegistry{}
	}
	c.holders = &holders{}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c Config) assigned(duty string) bool { return c.Assigned == nil || c.Assigned(duty) }

// reassigned returns nil, a channel that is never closed, if nothing ever changes.
func (c Config) reassigned() <-chan struct{} {
	if c.Reassigned == nil {
		return nil
	}
	return c.Reassigned()
}

func defaulted[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

func (c Config) validate() error {
	invalid := func(value, reason string) error {
		return &store.InvalidError{What: "projector config", Value: value, Reason: reason}
	}
	switch {
	case c.Log == nil:
		return invalid("Log", "is missing")
	case c.Store == nil:
		return invalid("Store", "is missing")
	case c.BatchCommits < 0, c.CachedDocuments < 0, c.MaxWaiters < 0, c.Attempts < 0, c.MaxParked < 0:
		return invalid("sizes", "must not be negative")
	case c.Spread && !c.Store.Shared():
		return invalid("Spread", "the store is not shared: all workers of a view have to run in one group")
	case c.FlushEvery < 0, c.CommitTimeout < 0:
		return invalid("durations", "must not be negative")
	}
	seen := map[string]bool{}
	for _, d := range c.Projections {
		if err := d.validate(); err != nil {
			return err
		}
		if d.Describe().personal && c.Keyring == nil {
			return invalid("Keyring", fmt.Sprintf("is missing: the documents of view %s have personal fields", d.Describe().Name))
		}
		name := d.Describe().String()
		if seen[name] {
			return invalid(fmt.Sprintf("Projections: %s", name), "is there twice")
		}
		seen[name] = true
	}
	return nil
}
