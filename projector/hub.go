package projector

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/annals-go/annals/store"
)

// What a hub keeps. A commit may have a thousand documents or eight megabytes
// of them, and several should fit.
const (
	maxChanges      = 8192
	maxChangesBytes = 32 << 20
	// maxWatchers bounds the goroutines and the wake-ups of a change.
	maxWatchers = 4096
	// maxListings is how many watchers read the model at the same time: after a
	// fail-over all of them may want to.
	maxListings = 4
)

// hub has the last changes of a model's documents, for all who watch it. Each
// watcher has its place among them: so a change costs as much for a thousand
// watchers as for one, and one that is slow holds nobody up. What it would see
// next is gone one day, and then it is too slow.
type hub struct {
	workers  int           // of the model
	deaf     bool          // nobody ever watches: nothing is kept
	box      box           // opens documents for those who watch: here they are as they are stored
	listings chan struct{} // holds one for each watcher that reads the model

	mu       sync.Mutex
	changes  []recent // the last ones, in the order of commits
	first    uint64   // number of changes[0]
	bytes    int
	low      store.Position   // who has everything up to it finds here all that changed since
	stands   map[string]stand // by worker
	gaps     uint64           // how often changes may have been missed
	over     error            // why no more come; nil while they do
	more     chan struct{}    // closed when there is something new
	watchers int
}

// recent is a change that the hub has.
type recent struct {
	Document
	low store.Position // what the hub's is to be, at least, once the change is forgotten
}

// stand is what a worker is known to have stored.
type stand struct {
	position store.Position
	revision uint64
}

// place is where a watcher is: at the change that it sees next, if there has
// been no gap since.
type place struct{ next, gaps uint64 }

func newHub(workers int) *hub {
	return &hub{
		workers: workers, listings: make(chan struct{}, maxListings), stands: map[string]stand{}, more: make(chan struct{}),
	}
}

// begin is told the checkpoint that a worker goes on from, before the model can
// be read. If it is not the one that it left, somebody else wrote, or it did and
// did not hear so: nobody knows which documents changed. At the position that it
// left it can only have been late, and who has everything up to there may lack it.
func (h *hub) begin(c Checkpoint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was, known := h.stands[c.Worker]
	h.stands[c.Worker] = stand{position: c.Position, revision: c.Revision}
	if !known || was.revision != c.Revision || c.Furthest > c.Position {
		h.drop(len(h.changes))
		h.low = max(h.low, c.Position, c.Furthest)
		if known && was.position == c.Position {
			h.low = max(h.low, c.Position+1)
		}
		h.gaps++
	}
	h.wake()
}

// committed is told what a worker has stored, with the checkpoint as it is now.
func (h *hub) committed(c Checkpoint, docs []Document) {
	if h.deaf {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stands[c.Worker] = stand{position: c.Position, revision: c.Revision}
	h.add(docs)
	n, bytes := max(0, len(h.changes)-maxChanges), h.bytes
	for _, d := range h.changes[:n] {
		bytes -= sizeOfChange(d.Document)
	}
	for ; bytes > maxChangesBytes; n++ {
		bytes -= sizeOfChange(h.changes[n].Document)
	}
	h.drop(n)
	h.wake()
}

// add appends the documents of one commit. One that is folded late keeps its old
// position: only who has more than any worker has stored by now has it, too.
func (h *hub) add(docs []Document) {
	furthest := store.Position(0)
	for _, s := range h.stands {
		furthest = max(furthest, s.position)
	}
	old := len(h.changes)
	for _, d := range docs {
		low := d.Position
		if d.Late != (Late{}) {
			low = max(low, furthest+1)
		}
		h.changes = append(h.changes, recent{Document: d, low: low})
		h.bytes += sizeOfChange(d)
	}
	slices.SortStableFunc(h.changes[old:], func(a, b recent) int { return cmp.Compare(a.Position, b.Position) })
}

func sizeOfChange(d Document) int { return 72 + len(d.Key) + len(d.Document) }

// drop forgets the first n changes.
func (h *hub) drop(n int) {
	for _, d := range h.changes[:n] {
		h.low = max(h.low, d.low)
		h.bytes -= sizeOfChange(d.Document)
	}
	clear(h.changes[:n])
	h.changes = h.changes[n:]
	h.first += uint64(n)
}

// end tells all watchers why no more comes, once they have what there is; nil:
// it does come.
func (h *hub) end(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = err
	h.wake()
}

func (h *hub) wake() {
	close(h.more)
	h.more = make(chan struct{})
}

func (h *hub) enter() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == maxWatchers {
		return fmt.Errorf("%w: %d watch already", ErrBusy, maxWatchers)
	}
	h.watchers++
	return nil
}

func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers--
}

// join places a watcher behind all changes, and returns the position up to which
// these have everything.
func (h *hub) join(p *place) store.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.next, p.gaps = h.first+uint64(len(h.changes)), h.gaps
	return h.through()
}

// checkpoints returns the checkpoints of workers as they are known by now: who
// reads what is there must see all that the hub was told before.
func (h *hub) checkpoints(known []Checkpoint) []Checkpoint {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := slices.Clone(known)
	for i, c := range all {
		if s := h.stands[c.Worker]; s.revision > c.Revision {
			all[i] = Checkpoint{Worker: c.Worker, Position: s.position, Revision: s.revision}
		}
	}
	return all
}

// resume returns the last states of documents that changed since a watcher had
// everything up to a position, and places it behind; all is false if they are
// not all there. It may have seen some of them, and so must see no older ones.
func (h *hub) resume(has store.Position, isNew func(Document) bool, p *place) (docs []Document, through store.Position, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if has < h.low {
		return nil, 0, false
	}
	later := map[string]bool{}
	for _, d := range slices.Backward(h.changes) {
		if isNew(d.Document) && !later[d.Key] {
			later[d.Key] = true
			docs = append(docs, d.Document)
		}
	}
	slices.Reverse(docs)
	p.next, p.gaps = h.first+uint64(len(h.changes)), h.gaps
	return docs, h.through(), true
}

// through is how far all workers have come.
func (h *hub) through() store.Position {
	if len(h.stands) < h.workers {
		return 0
	}
	least := ^store.Position(0)
	for _, s := range h.stands {
		least = min(least, s.position)
	}
	return least
}

// ending is what there is to know at the end of the changes.
type ending struct {
	through store.Position
	over    error
	more    <-chan struct{}
}

// look copies the next changes and moves the place behind them. At their end it
// says what there is to know then.
func (h *hub) look(p *place, into []Document) (n int, end *ending, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case p.gaps != h.gaps:
		return 0, nil, errMissed
	case p.next < h.first:
		return 0, nil, ErrSlow
	}
	for _, d := range h.changes[p.next-h.first:] {
		if n == len(into) {
			break
		}
		into[n] = d.Document
		n++
	}
	p.next += uint64(n)
	if p.next < h.first+uint64(len(h.changes)) {
		return n, nil, nil
	}
	return n, &ending{through: h.through(), over: h.over, more: h.more}, nil
}
