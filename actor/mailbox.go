package actor

import (
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/store"
)

// actor is one activated aggregate instance. While it has nothing to do it is
// this struct and its state: no goroutine, no channel, no lock of its own.
type actor struct {
	stream store.StreamID
	kind   *registered
	home   *partition

	// The mutex of home guards these.
	queue    []*request
	running  bool  // it has a goroutine, or somebody who claimed it
	saving   *save // a snapshot that is on its way to the store
	lastUsed time.Time
	behind   uint64 // events since the last snapshot, as of the last look at the queue

	// live is nil until activated, and after every failed append. It belongs to
	// the actor's goroutine, or to whoever claimed the actor; while there is
	// neither, to who holds the mutex of home.
	live *live
}

// live is an actor's cached fold of its stream.
type live struct {
	instance instance
	recall   recall
	keys     *keys // of the personal data that were folded
	head     store.Head
	position store.Position // of the last event
	time     time.Time      // of the last commit
	epoch    uint64         // of the last commit
	// loaded is the epoch of the lease under which the fold began. Under another
	// one it proves nothing: somebody else may have written in between.
	loaded uint64
	// generation is the keyring's as of which none of keys was erased.
	generation uint64
	// snapshot is the version of the last snapshot that was asked for.
	snapshot uint64
	savedAt  time.Time // when that was
	size     int       // of the last snapshot, in bytes
	unsaved  int       // bytes of the events since then
	slow     bool      // the events since then took long to load
	// recent are the heads before the last commits, where the aggregate merges.
	recent []store.Head
}

// recentHeads is how many commits back a merge finds its events without
// reading the stream from its start.
const recentHeads = 64

// behind is how many events have been folded since the last snapshot.
func (l *live) behind() uint64 {
	if l == nil {
		return 0
	}
	return l.head.Version - l.snapshot
}

// request is one command, or one read, on its way through an actor.
type request struct {
	command   Command
	partition int // of its stream
	decoded   any
	kept      store.Encoded // the command as the commit keeps it; zero: it does not
	corrects  uint64        // version in this stream; 0: none
	key       commandKey    // zero when the id was made up
	bodyHash  uint64
	deadline  time.Time // zero: none
	reading   *reading  // nil: a command
	reply     func(Result, error)
	state     atomic.Int32
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
