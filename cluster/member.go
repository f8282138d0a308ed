package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nuid"
)

const (
	// joinPatience bounds how long the directory may be unavailable while a node
	// starts.
	joinPatience = time.Minute
	// joinPause is between two tries.
	joinPause = 100 * time.Millisecond
)

// join makes the directory if need be, reads it, and enters this node.
func (c *Cluster) join(ctx context.Context) error {
	patience, cancel := context.WithTimeoutCause(ctx, joinPatience, ErrUnavailable)
	defer cancel()
	for {
		err := c.tryJoin(patience)
		if err == nil || refused(err) {
			return err
		}
		if !tick(patience, nil, joinPause) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

func (c *Cluster) tryJoin(ctx context.Context) error {
	if b, ok := c.bucket.(*natsBucket); ok {
		once, cancel := context.WithTimeout(ctx, 2*writeTimeout)
		defer cancel()
		if err := b.create(once, c.config.Replicas, c.config.InMemory); err != nil {
			return err
		}
	}
	if err := c.catchUp(ctx, true); err != nil {
		return err
	}
	return c.enter(ctx)
}

// enter begins a session under this node's name. Over a session of that name
// whose process is gone it writes its own, which ends that one; a process that
// answers keeps the name, and one that may only be paused keeps it until the
// server removes its session.
func (c *Cluster) enter(ctx context.Context) error {
	for began := time.Now(); ; {
		revision, err := c.vacant(ctx)
		if err == nil {
			err = c.agree(ctx)
		}
		if err == nil {
			err = c.enterAt(ctx, revision)
		}
		switch {
		case err == nil:
			return c.stillAgree(ctx)
		case refused(err):
			return err
		case time.Since(began) > c.config.TTL+joinPatience/4:
			return err
		}
		if !tick(ctx, c.read, joinPause) {
			return err
		}
		if err := c.catchUp(ctx, false); err != nil {
			return err
		}
	}
}

// refused reports whether a node that runs keeps this one out.
func refused(err error) bool { return errors.Is(err, ErrNameTaken) || errors.Is(err, ErrUnlike) }

// vacant returns the revision at which this node's name may be written.
func (c *Cluster) vacant(ctx context.Context) (revision uint64, err error) {
	name := c.config.Node.Name
	c.directory.mu.Lock()
	m, taken := c.directory.nodes[name]
	revision = c.directory.removed[keyNode+name]
	c.directory.mu.Unlock()
	if !taken {
		return revision, nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	switch err := c.bucket.ping(ctx, m.Session); {
	case errors.Is(err, errNobody):
		return m.revision, nil
	case err == nil:
		return 0, fmt.Errorf("%w: a node %s runs since %s", ErrNameTaken, name, m.Since.Format(time.RFC3339))
	default:
		return 0, fmt.Errorf("a node %s is in the directory and may be paused: %w", name, err)
	}
}

func (c *Cluster) enterAt(ctx context.Context, revision uint64) error {
	record := nodeRecord{Node: c.config.Node, Session: nuid.Next(), Since: time.Now().UTC(), Duties: c.config.Duties}
	value, err := json.Marshal(record)
	if err != nil {
		return err
	}
	l := newLease(c.bucket, record, c.config, c.renew)
	if l.stop, err = c.bucket.answer(record.Session); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	sent := time.Now()
	at, err := c.bucket.write(ctx, l.key, value, revision, c.config.TTL)
	if errors.Is(err, errMoved) && revision > 0 {
		at, err = c.bucket.write(ctx, l.key, value, 0, c.config.TTL) // perhaps even the mark is gone
	}
	if err != nil {
		l.stop()
		return err
	}
	l.begin(at, sent)
	c.lease.Store(l)
	c.learn(change{key: l.key, value: value, revision: at, before: revision})
	c.bucket.announce(at)
	c.config.Logger.Info("node joined", "node", record.Name, "session", record.Session)
	return nil
}

// keep renews the lease. A session that was ended by others is given up, with
// all that it held, and another one is begun.
func (c *Cluster) keep(ctx context.Context) {
	for tick(ctx, c.renew, c.config.RenewEvery) {
		l := c.lease.Load()
		if _, revision := l.session(); revision == 0 {
			if c.leaving.Load() {
				continue
			}
			if err := c.enter(ctx); err != nil && ctx.Err() == nil {
				c.config.Logger.Warn("node could not join again", "node", c.config.Node.Name, "err", err)
			}
			continue
		}
		was := l.valid()
		once, cancel := context.WithTimeout(ctx, max(c.config.Validity/2, 50*time.Millisecond))
		err := l.renew(once)
		cancel()
		c.metrics.renewed(err)
		switch {
		case errors.Is(err, errFenced):
			c.config.Logger.Warn("session ended by others", "node", c.config.Node.Name)
			l.end()
			c.metrics.leases.Inc()
			signal(c.wake)
			signal(c.renew)
		case errors.Is(err, errMoved):
			signal(c.renew) // an earlier renewal had been stored: the next one counts
		case was && !l.valid():
			c.config.Logger.Warn("lease not renewed in time", "node", c.config.Node.Name, "err", err)
		}
	}
}

// leave says that the node goes, and waits until everything is handed over.
func (c *Cluster) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.LeaveTimeout)
	defer cancel()
	c.leaving.Store(true)
	l := c.lease.Load()
	l.leave()
	valid := time.Now() // when the lease was last seen valid
	for began := time.Now(); c.holds() > 0; {
		if l.valid() {
			valid = time.Now()
		}
		if !tick(ctx, c.Changed(), c.config.RenewEvery) || time.Since(valid) > hopeless {
			return fmt.Errorf("leave cluster: %d slots could not be handed over in %v", c.holds(), time.Since(began).Round(time.Millisecond))
		}
	}
	return nil
}

// hopeless is how long a node that leaves tries to reach the directory: a
// little longer than an election takes.
const hopeless = 10 * time.Second

// holds returns how many slots this node serves or is about to.
func (c *Cluster) holds() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.tenure {
		if t.epoch != 0 || t.busy {
			n++
		}
	}
	return n
}

// depart ends the session and takes it off the directory, so that nobody has
// to wait for its end.
func (c *Cluster) depart(ctx context.Context) error {
	l := c.lease.Load()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	at, err := c.erase(ctx, l)
	l.end()
	if err != nil {
		return fmt.Errorf("leave cluster: %w", err)
	}
	c.bucket.announce(at)
	c.config.Logger.Info("node left", "node", c.config.Node.Name)
	return nil
}

// erase removes the session's record, unless others have. The last renewal may
// have been cut off: it may still be settling, or have been stored.
func (c *Cluster) erase(ctx context.Context, l *lease) (at uint64, err error) {
	for {
		_, revision := l.session()
		if revision == 0 {
			return 0, nil
		}
		at, err = c.bucket.write(ctx, l.key, nil, revision, 0)
		if err == nil {
			return at, nil
		}
		if errors.Is(err, errMoved) && errors.Is(l.resolve(ctx), errFenced) {
			return 0, nil
		}
		if !tick(ctx, nil, joinPause) {
			return 0, err
		}
	}
}
