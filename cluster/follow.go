package cluster

import (
	"context"
	"time"
)

const (
	// reloadEvery is how often the whole directory is read, which shows what was
	// removed while this process did not look.
	reloadEvery = time.Minute
	// behindPause is before another look after a hint, when the replica that
	// answered had not what the hint told of; behindTries is how often.
	behindPause = 5 * time.Millisecond
	behindTries = 40
)

// hint notes that there is something to read.
func (c *Cluster) hint(revision uint64) {
	for {
		was := c.hinted.Load()
		if revision <= was || c.hinted.CompareAndSwap(was, revision) {
			break
		}
	}
	signal(c.read)
}

// follow reads the directory: at once after a hint, and now and then without
// one, for hints may be lost.
func (c *Cluster) follow(ctx context.Context) {
	loaded, tries, pause := time.Now(), 0, c.config.PollEvery
	for tick(ctx, c.read, pause) {
		whole := time.Since(loaded) > reloadEvery
		if err := c.catchUp(ctx, whole); err != nil {
			c.metrics.reads.Inc()
			pause = c.config.PollEvery
			continue
		}
		if whole {
			loaded = time.Now()
		}
		pause, tries = c.config.PollEvery, tries+1
		if c.directory.behind(c.hinted.Load()) && tries < behindTries {
			pause = behindPause
		} else {
			tries = 0
		}
	}
}

// catchUp reads what changed since the last reading, or everything.
func (c *Cluster) catchUp(ctx context.Context, whole bool) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	d := c.directory
	from := d.read()
	after, seen := from, map[string]bool{}
	if whole {
		after = 0
	}
	changed := false
	err := c.bucket.changes(ctx, after, func(ch change) {
		seen[ch.key] = true
		changed = d.apply(ch, time.Now()) || changed
		d.advance(ch.revision)
	})
	if err == nil && whole {
		changed = d.reload(seen, from, time.Now()) || changed
	}
	if changed {
		signal(c.wake)
	}
	return err
}

func (d *directory) read() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cursor
}

func (d *directory) advance(revision uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cursor = max(d.cursor, revision)
}

func (d *directory) behind(revision uint64) bool { return d.read() < revision }
