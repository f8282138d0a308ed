package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// lease is this node's session in the directory. What the session holds may
// be served while the lease is valid: until Validity after the sending of the
// last renewal that was confirmed, on this process's monotonic clock. Nobody
// else may serve it before that: an heir first makes sure that no further
// renewal can succeed, and then waits out the longest that the last one can
// have bought.
type lease struct {
	bucket   bucket
	key      string
	validity time.Duration
	ttl      time.Duration
	base     time.Time // what until counts from

	until atomic.Int64  // monotonic nanoseconds after base; 0 while there is no lease
	now   chan struct{} // brings the next renewal forward
	stop  func()        // ends the answers to pings of the session

	mu        sync.Mutex
	record    nodeRecord
	revision  uint64        // of the last write that was confirmed; 0: no session
	proven    time.Time     // when the renewal that was confirmed last was sent
	confirmed chan struct{} // closed at the next confirmation, and when the lease is lost
}

func newLease(b bucket, record nodeRecord, config Config, now chan struct{}) *lease {
	return &lease{
		bucket: b, key: keyNode + record.Name, validity: config.Validity, ttl: config.TTL, base: time.Now(),
		record: record, confirmed: make(chan struct{}), now: now,
	}
}

// valid reports whether what the session holds may be served at this moment.
func (l *lease) valid() bool { return int64(time.Since(l.base)) < l.until.Load() }

// begin notes that the session was written for the first time.
func (l *lease) begin(revision uint64, sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirm(revision, sent)
}

// confirm is called with mu held.
func (l *lease) confirm(revision uint64, sent time.Time) {
	l.revision, l.proven = revision, sent
	l.until.Store(int64(sent.Add(l.validity).Sub(l.base)))
	close(l.confirmed)
	l.confirmed = make(chan struct{})
}

// end forgets the session: from now on nothing that it held is served.
func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.revision == 0 {
		return
	}
	l.stop()
	l.until.Store(0)
	l.revision = 0
	close(l.confirmed)
	l.confirmed = make(chan struct{})
}

func (l *lease) session() (nodeRecord, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record, l.revision
}

// leave makes the next renewal say that the node hands everything over.
func (l *lease) leave() {
	l.mu.Lock()
	l.record.Leaving = true
	l.mu.Unlock()
	signal(l.now)
}

// errFenced says that the session is not in the directory any more.
var errFenced = errors.New("the session was ended by somebody else")

// renew writes the session once more, and tells with errFenced that it is
// lost. After every other error it is not known whether the renewal took
// effect, and the lease is as long as it was.
func (l *lease) renew(ctx context.Context) error {
	record, revision := l.session()
	value, err := json.Marshal(record)
	if err != nil {
		return err
	}
	sent := time.Now()
	next, err := l.bucket.write(ctx, l.key, value, revision, l.ttl)
	if errors.Is(err, errMoved) {
		return l.resolve(ctx)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirm(next, sent)
	return nil
}

// resolve finds out why the session is at another revision: an earlier renewal
// whose confirmation was lost, or somebody who ended it. A replica that is
// behind shows neither; then the next renewal finds out. The lease is not
// prolonged by what was found: which sending it was is not known.
func (l *lease) resolve(ctx context.Context) error {
	record, revision := l.session()
	fenced := false
	err := l.bucket.changes(ctx, revision, func(c change) {
		if c.key != l.key {
			return
		}
		var found nodeRecord
		if len(c.value) == 0 || json.Unmarshal(c.value, &found) != nil || found.Session != record.Session {
			fenced = true
			return
		}
		l.mu.Lock()
		l.revision = c.revision
		l.mu.Unlock()
	})
	switch {
	case fenced:
		return errFenced
	case err != nil:
		return err
	case l.overdue():
		return errFenced
	}
	return errMoved
}

// overdue reports whether the server must have removed the session: that even
// its mark is gone then shows in nothing.
func (l *lease) overdue() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.proven) > l.ttl+markerTTL
}

// prove waits until a renewal that was sent after the call is confirmed, so
// that nobody else served before the call what the session holds.
func (l *lease) prove(ctx context.Context) error {
	called := time.Now()
	for {
		l.mu.Lock()
		proven, revision, confirmed := l.proven, l.revision, l.confirmed
		l.mu.Unlock()
		switch {
		case revision == 0:
			return ErrNotHeld
		case !proven.Before(called):
			return nil
		}
		signal(l.now)
		select {
		case <-confirmed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
