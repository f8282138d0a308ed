package actor

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/store"
)

// actor is one activated aggregate instance. While it has nothing to do it is
// this struct and its state: no goroutine, no channel.
//
// Its goroutine, while there is one, owns the fields below mu's; when there
// is none, whoever holds mu does. Nobody else touches them.
type actor struct {
	stream store.StreamID
	kind   *registered

	mu      sync.Mutex
	queue   []*request
	running bool
	gone    bool // no longer in the table: look it up again

	live     *live // nil until activated, and after every failed append
	lastUsed time.Time

	saving atomic.Bool // a snapshot is being written
}

// live is an actor's cached fold of its stream.
type live struct {
	instance instance
	recall   recall
	head     store.Head
	position store.Position // of the last event
	time     time.Time      // of the last commit
	// snapshot is the version of the last snapshot that was asked for.
	snapshot uint64
	large    bool // the last snapshot was
	// recent are the heads before the last commits, where the aggregate merges.
	recent []store.Head
}

// recentHeads is how many commits back a merge finds its events without
// reading the stream from its start.
const recentHeads = 64

// request is one command on its way through an actor.
type request struct {
	command  Command
	decoded  any
	key      commandKey // zero when the id was made up
	bodyHash uint64
	deadline time.Time // zero: none
	reply    func(Result, error)
	state    atomic.Int32
}

// A request is queued until its turn begins or its sender stops waiting,
// whichever comes first.
const (
	queued int32 = iota
	taken
	abandoned
)

func (r *request) take() bool    { return r.state.CompareAndSwap(queued, taken) }
func (r *request) abandon() bool { return r.state.CompareAndSwap(queued, abandoned) }

func (r *request) expired(now time.Time) bool {
	return !r.deadline.IsZero() && !now.Before(r.deadline)
}

type enqueued int

const (
	waits  enqueued = iota // the actor is running and will see it
	starts                 // the caller must run the actor
	full
	retired // the actor has left the table
)

func (a *actor) enqueue(r *request, limit int) enqueued {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.gone:
		return retired
	case len(a.queue) >= limit:
		return full
	}
	a.queue = append(a.queue, r)
	if a.running {
		return waits
	}
	a.running = true
	return starts
}

// next hands out what is queued, in order, or ends the run.
func (a *actor) next() []*request {
	a.mu.Lock()
	defer a.mu.Unlock()
	batch := a.queue
	a.queue = nil
	if len(batch) == 0 {
		a.running = false
		a.lastUsed = time.Now()
	}
	return batch
}
