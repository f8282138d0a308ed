package fleet

import (
	"sync"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
)

// Outcome is how a command ended, as its sender was told.
type Outcome int

// The outcomes.
const (
	// OK: acknowledged.
	OK Outcome = iota
	// Rejected: the domain said no, so it had and will have no effect.
	Rejected
	// Unavailable: nobody could try; it had and will have no effect.
	Unavailable
	// Unknown: it may have had, or may yet have, its effect.
	Unknown
	// Unexpected: an answer that a system at work has no reason to give.
	Unexpected
)

func (o Outcome) String() string {
	return [...]string{"ok", "rejected", "unavailable", "unknown", "unexpected"}[o]
}

// Answer is what a sending came to.
type Answer struct {
	Outcome Outcome
	Result  actor.Result // if OK
	Text    string       // of the error otherwise
}

// Interval is when something was under way, on the clock of its [History].
type Interval struct{ Sent, Done time.Duration }

// Op is a command with all that its sender knows of it.
type Op struct {
	Stream  string // id of the application
	Command application.Command
	ID      string // of the command
	Writer  int
	Interval
	Answer
	// Again is the sending of the same command, under the same id, after
	// everything was over, if that was done.
	Again *Again
}

// Again is a later sending.
type Again struct {
	Interval
	Answer
}

// Final returns what is known of the command at the end, and the time in which
// it was carried out or refused. An unknown outcome is settled by what the later
// sending was told: the original answer if it had been carried out.
func (o *Op) Final() (Interval, Answer) {
	if o.Outcome != Unknown || o.Again == nil || o.Again.Outcome == Unknown {
		return o.Interval, o.Answer
	}
	if o.Again.Outcome == OK && o.Again.Result.Duplicate {
		return Interval{o.Sent, o.Again.Done}, o.Again.Answer
	}
	return o.Again.Interval, o.Again.Answer // the first sending did nothing
}

// Read is an answer to the question for a state.
type Read struct {
	Stream string
	Reader int
	// Linearizable: asked with a barrier, not under the lease alone.
	Linearizable bool
	Interval
	Version uint64
	State   application.Application
}

// History is everything that was sent and answered. Its methods may be called
// from many goroutines.
type History struct {
	began time.Time

	mu      sync.Mutex
	ops     map[string][]*Op // by stream, in the order of their answers
	reads   []Read
	failed  int // reads without an answer
	acked   int
	pending map[*Op]struct{}
}

// NewHistory returns an empty history; its clock starts now.
func NewHistory() *History {
	return &History{began: time.Now(), ops: map[string][]*Op{}, pending: map[*Op]struct{}{}}
}

// Now returns the time on the history's clock, which is monotonic.
func (h *History) Now() time.Duration { return time.Since(h.began) }

// send notes that a command is on its way.
func (h *History) send(o *Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o.Sent = h.Now()
	h.pending[o] = struct{}{}
}

// answer notes what the command came to.
func (h *History) answer(o *Op, a Answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o.Done, o.Answer = h.Now(), a
	delete(h.pending, o)
	h.ops[o.Stream] = append(h.ops[o.Stream], o)
	if a.Outcome == OK {
		h.acked++
	}
}

// read notes an answer to a question.
func (h *History) read(r Read) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads = append(h.reads, r)
}

// readFailed notes a question without an answer.
func (h *History) readFailed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed++
}

// Acknowledged returns how many commands were acknowledged so far.
func (h *History) Acknowledged() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.acked
}

// OldestPending returns how long the command has been under way that is so
// the longest; 0 if none is.
func (h *History) OldestPending() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	now, oldest := h.Now(), time.Duration(0)
	for o := range h.pending {
		oldest = max(oldest, now-o.Sent)
	}
	return oldest
}

// Each calls f for all commands that were answered, those of one stream in the
// order of their answers. f must not call the history.
func (h *History) Each(f func(*Op)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ops := range h.ops {
		for _, o := range ops {
			f(o)
		}
	}
}
