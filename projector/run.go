package projector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// Limits of what is held in memory at once.
const (
	// maxStaged is how many events are decoded before they are folded.
	maxStaged = 4096
	// maxNotes is how many notes wait to be written with them.
	maxNotes = 100
	// maxCommits is how many commits of documents gather before they are written,
	// and maxWriting how long those may take, judged by the last one.
	maxCommits = 10
	maxWriting = time.Second
	// maxBatchBytes is how many bytes of documents, by their last known sizes,
	// gather before they are written.
	maxBatchBytes = 8 << 20
)

// run is one attempt at a projection, from a checkpoint until an error.
type run struct {
	w      *worker
	view   View
	feed   store.Feed
	folder folder
	again  *retry

	stored  Checkpoint    // as it is in the store
	folded  Checkpoint    // as it will be once everything folded is written
	staged  []mark        // of the events that are staged or passed over
	fresh   []mark        // of those that were applied since the last write, two at most
	notes   []Note        // to store with the next write
	flushAt time.Time     // when what is folded has to be written; zero if nothing waits
	rested  time.Time     // when the view may write again while live
	lookAt  time.Time     // when it is looked at whether the checkpoint was moved; zero: never
	took    time.Duration // by the last commit
	resumed bool          // what an earlier attempt left undone is finished
	refused bool          // the last write failed: what became of it is not known
	live    bool          // nothing was left, and not much has come since

	holds   *holder         // speaks for all that is in memory
	fetched []*store.Commit // from the feed, and not staged
	late    *queue          // of events that come late; nil while there are none
	scrub   scrubbing

	// Counts of the feed's commits: those that the log held, those of which every
	// event is staged or folded, those that are written.
	known, taken, written uint64
}

// mark is what a checkpoint takes from an event.
type mark struct {
	EventError // without a reason
	id         uuid.UUID
	time       time.Time
	commit     store.Hash
	nth        uint64 // commit of the feed
	passed     bool   // not for the folder
}

// errTold ends an attempt between two events, because its time is over.
var errTold = errors.New("told to stop")

// follow begins at the checkpoint and applies what the log delivers, until
// something fails or ctx ends; then it writes what is folded, and no more.
func (w *worker) follow(ctx context.Context, again *retry) error {
	r := &run{w: w, again: again, holds: w.p.cfg.holders.enter(w.p.cfg.Keyring), scrub: scrubbing{wanted: w.p.desc.told}}
	defer r.holds.leave()
	r.renew()
	head, err := r.load(ctx)
	if err != nil {
		return err
	}
	r.feed, err = w.p.cfg.Log.Follow(ctx, store.Follow{Name: w.feed(), After: before(r.stored.Position), Types: w.p.desc.Types})
	if err != nil {
		return err
	}
	defer func() { _ = r.feed.Close() }() // the server releases what it held in any case
	commits, err := r.first(ctx)
	if err != nil {
		return err
	}
	r.live = head <= r.stored.Position
	r.begun()
	w.resumed(r.view, r.stored, head)
	if w.remote() {
		r.lookAt = time.Now().Add(lookNow)
	}
	if err := r.obey(ctx); err != nil {
		return r.ended(ctx, err)
	}
	if len(commits) == 0 {
		commits, err = r.next(ctx)
	}
	for err == nil {
		if err = r.apply(ctx, commits); err == nil {
			commits, err = r.next(ctx)
		}
	}
	return r.ended(ctx, err)
}

// ended writes what may be written when an attempt ends. What was done outside is
// worth a checkpoint whatever ended the attempt, a log that is away as well: without
// one every attempt would do it again. A write that failed is not repeated.
func (r *run) ended(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errTold):
		return r.write(ctx)
	case r.folder.whole() && !r.refused:
		return errors.Join(err, r.write(ctx))
	}
	return err
}

// renew forgets all that is in memory.
func (r *run) renew() {
	p := r.w.p
	r.folder, r.scrub.coming = p.def.folder(p.cfg.Log.Codec(), r.w.part()), false
}

// next returns the next commits. While something waits to be written it waits
// no longer than that may; then it writes and waits on. What operators ask for
// comes first.
func (r *run) next(ctx context.Context) ([]*store.Commit, error) {
	for {
		if err := r.forgotten(); err != nil {
			return nil, err
		}
		if err := r.obey(ctx); err != nil {
			return nil, err
		}
		r.clean(ctx)
		commits, err := r.poll(ctx)
		due := !r.flushAt.IsZero() && !time.Now().Before(r.flushAt)
		switch {
		case err == nil:
			return commits, nil
		case ctx.Err() != nil:
			return nil, errTold
		case due:
			if err := r.flush(ctx); err != nil {
				return nil, err
			}
		case r.looks():
			if err := r.lookAgain(ctx); err != nil {
				return nil, err
			}
		case r.mayClean() && !time.Now().Before(r.w.cleanAt):
		case !errors.Is(err, context.Canceled):
			return nil, err
		}
	}
}

// poll asks the feed until something is to be written or an order comes.
func (r *run) poll(ctx context.Context) ([]*store.Commit, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !r.flushAt.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, r.flushAt)
		defer cancel()
	}
	if !r.lookAt.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, r.lookAt)
		defer cancel()
	}
	if !r.isAhead() { // otherwise orders wait, and the loop would spin
		r.w.wakeWith(cancel)
		defer r.w.wakeWith(nil)
	}
	if r.mayClean() && !r.w.cleanAt.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, r.w.cleanAt)
		defer cancel()
	}
	r.holds.wakeWith(cancel)
	defer r.holds.wakeWith(nil)
	return r.feed.Next(ctx, r.w.p.cfg.BatchCommits)
}

// looks reports whether it is time to see that the checkpoint is still this worker's.
func (r *run) looks() bool { return !r.lookAt.IsZero() && !time.Now().Before(r.lookAt) }

// lookAgain ends the attempt if somebody else moved the checkpoint: a worker that has
// nothing to write is refused nothing, and would not learn that its view was rewound.
func (r *run) lookAgain(ctx context.Context) error {
	c, err := r.view.Load(ctx, r.w.name)
	if err != nil {
		return err
	}
	if c.Revision > r.stored.Revision {
		return fmt.Errorf("view %s: its checkpoint was moved: %w", r.w.p.desc.Name, ErrFenced)
	}
	r.lookAt = time.Now().Add(lookNow)
	return nil
}

// isAhead reports whether documents in the store may have events that the
// checkpoint has not.
func (r *run) isAhead() bool { return r.stored.Furthest > r.stored.Position }

// apply folds the commits and writes when it is time. Without commits the
// feed has passed over others, and the view is perhaps not behind any more.
func (r *run) apply(ctx context.Context, commits []*store.Commit) error {
	r.known = r.taken + uint64(len(commits)) + r.feed.Pending()
	defer func() { r.fetched = nil }()
	for i, c := range commits {
		if ctx.Err() != nil {
			return errTold
		}
		r.fetched = commits[i:]
		if err := r.forgotten(); err != nil {
			return err
		}
		for e := range c.Recorded() {
			if err := r.take(ctx, c, e); err != nil {
				return err
			}
		}
		r.taken++
	}
	r.fetched = nil
	if err := r.fold(ctx); err != nil {
		return err
	}
	return r.settle(ctx)
}

// take stages one event, or passes it over, and folds when enough are staged.
func (r *run) take(ctx context.Context, c *store.Commit, e store.Recorded[[]byte]) error {
	if e.Position <= r.folded.Position {
		return nil
	}
	m := mark{EventError: eventOf(e), id: e.ID, time: e.Time, commit: c.Hash, nth: r.taken + 1}
	switch {
	case r.passes(e):
		m.passed = true
	case r.again.parks(e.Position):
		return r.park(ctx, c, e, m)
	case r.tells(&e):
		return r.takeNotice(ctx, e, m)
	case r.again.single(e.Position):
		return r.takeAlone(ctx, e, m)
	default:
		if err := r.stage(arrival{Recorded: e}); err != nil {
			return err
		}
	}
	r.staged = append(r.staged, m)
	switch {
	case len(r.notes) >= maxNotes:
		return r.flush(ctx)
	case len(r.staged) >= maxStaged:
		return r.fold(ctx)
	}
	return nil
}

// takeAlone applies the event with nothing else in the same write.
func (r *run) takeAlone(ctx context.Context, e store.Recorded[[]byte], m mark) error {
	if err := r.flush(ctx); err != nil {
		return err
	}
	if err := r.stage(arrival{Recorded: e}); err != nil {
		return err
	}
	r.staged = append(r.staged, m)
	return r.flush(ctx)
}

// passes reports whether the event is none of the worker's business, or is left
// out: then it counts as applied, and changes nothing.
func (r *run) passes(e store.Recorded[[]byte]) bool {
	desc := r.w.p.desc
	if !desc.wants(&e) || desc.kind != ofDocuments && !r.w.part().stream(e.Stream) {
		return true
	}
	if r.w.waits(e) {
		return true
	}
	reason, bad := r.skipReason(e.Stream, e.Version)
	if bad {
		r.skipListed(eventOf(e), reason)
	}
	return bad
}

// fold applies all that is staged, and writes whenever no more may gather.
func (r *run) fold(ctx context.Context) error {
	if err := r.fetch(ctx); err != nil {
		return err
	}
	for len(r.staged) > 0 {
		n, err := r.folder.fold(ctx, r.room())
		r.advance(n)
		if err != nil {
			return err
		}
		if len(r.staged) == 0 {
			break
		}
		if err := r.write(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return errTold
		}
	}
	r.folder.trim(r.w.p.cfg.CachedDocuments)
	return nil
}

// room is what may gather before it is written. Notes take their share. While
// catching up it is more documents than one commit takes, where documents may be
// ahead of the checkpoint anyway: those that change again and again are then
// written less often.
func (r *run) room() room {
	documents := r.view.MaxChanges() - len(r.notes)
	if !r.live && r.view.Torn() && r.took > 0 {
		documents *= int(min(maxCommits, max(1, maxWriting/r.took)))
	}
	return room{
		documents: max(1, documents),
		bytes:     maxBatchBytes,
		events:    r.again.events(),
		until:     time.Now().Add(r.w.p.cfg.FlushEvery),
		stale:     r.forgotten,
	}
}

// fetch loads the documents that staged events touch and memory has not.
func (r *run) fetch(ctx context.Context) error {
	for keys := range slices.Chunk(r.folder.missing(), r.view.MaxChanges()) {
		docs, err := r.view.Get(ctx, keys, r.stored)
		if ctx.Err() != nil {
			return errTold
		}
		if err != nil {
			return err
		}
		if err := r.folder.admit(keys, docs); err != nil {
			return err
		}
	}
	return nil
}

// advance moves the checkpoint-to-be over the first n staged events, and over
// those that are passed over before the next.
func (r *run) advance(n int) {
	done := 0
	for _, m := range r.staged {
		if !m.passed {
			if n == 0 {
				break
			}
			n--
			if len(r.fresh) < 2 {
				r.fresh = append(r.fresh, m)
			}
		}
		r.folded.Add(m.Position, m.id)
		done++
	}
	if done > 0 {
		last := r.staged[done-1]
		r.folded.Position, r.folded.Time, r.folded.Commit = last.Position, last.time, Hash(last.commit)
	}
	r.staged = slices.Delete(r.staged, 0, done)
}
