package actor

import (
	"time"

	"github.com/annals-go/annals/store"
)

const (
	// largeSnapshotBytes is from where snapshots are made as rarely as allowed.
	largeSnapshotBytes = 64 << 10
	// soonPause is between two snapshots of an actor that are made early.
	soonPause = time.Second
)

// due reports whether l has run so far ahead of its snapshot that another one
// is worth its write. Each rule bounds what the next activation costs.
func (c *Config) due(l *live) bool {
	return c.dueByCount(l) || c.dueByBytes(l) || c.dueByTime(l) || c.dueSoon(l)
}

func (c *Config) dueByCount(l *live) bool {
	if l.isLarge() {
		return l.behind() >= MaxSnapshotEvery
	}
	return l.behind() >= uint64(c.SnapshotEvery)
}

// dueByBytes waits at least until the events take as much as the snapshot did,
// so that no more is written for snapshots than for events.
func (c *Config) dueByBytes(l *live) bool {
	return c.SnapshotBytes > 0 && l.unsaved >= max(c.SnapshotBytes, l.size)
}

// dueByTime reports whether the events since the snapshot took long to load: who
// activates the actor next is to be spared that.
func (c *Config) dueByTime(l *live) bool { return l.slow && l.behind() >= worthSaving }

// dueSoon reports whether a snapshot is worth its write because the actor may
// have to be activated elsewhere at any moment.
func (c *Config) dueSoon(l *live) bool {
	soon := uint64(c.SnapshotSoon)
	return soon > 0 && l.behind() >= soon && !l.isLarge() && time.Since(l.savedAt) >= soonPause
}

func (l *live) isLarge() bool { return l.size > largeSnapshotBytes }

// grow counts the bytes of a commit's events.
func (l *live) grow(c *store.Commit) {
	for i := range c.Events {
		l.unsaved += len(c.Events[i].Data)
	}
}

// timed notes whether loading the events since the snapshot, which began at a
// moment, took as long as most or longer; 0 is no limit.
func (l *live) timed(began time.Time, most time.Duration) {
	l.slow = most > 0 && time.Since(began) >= most
}
