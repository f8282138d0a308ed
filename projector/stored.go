package projector

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/store"
)

// How often what others store is looked at: while nobody waits for it, and while
// somebody does, more and more seldom.
const (
	lookNow   = time.Second
	lookFirst = 5 * time.Millisecond
	lookSoon  = 100 * time.Millisecond
)

// attend lets the model be read as it is stored, until ctx ends.
func (p *projection) attend(ctx context.Context) {
	p.mu.Lock()
	p.passive = true
	p.mu.Unlock()
	p.watchOver(ctx, p.workers)
}

// watchOver takes in what workers store that do not run in this group, or nowhere,
// until ctx ends.
func (p *projection) watchOver(ctx context.Context, workers []*worker) {
	o := &observer{p: p, workers: workers}
	for failures := 0; ctx.Err() == nil; {
		err := o.look(ctx)
		if err == nil {
			failures = 0
			o.nap(ctx)
			continue
		}
		o.view = nil
		failures++
		o.failed(err)
		pause(ctx, jittered(50*time.Millisecond, 5*time.Second, failures))
	}
}

// observer reads what workers store that do their work elsewhere.
type observer struct {
	p       *projection
	workers []*worker
	view    View // nil: it is to be opened
	every   time.Duration
}

func (o *observer) failed(err error) {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	for _, w := range o.workers {
		w.err = err
		if !o.p.passive {
			w.state = StateFailed
		}
	}
	o.p.noted()
}

// look takes in the checkpoints as they are stored.
func (o *observer) look(ctx context.Context) error {
	v := o.view
	if v == nil {
		var err error
		if v, err = o.p.open(ctx); err != nil {
			return err
		}
	}
	errs := make([]error, len(o.workers))
	var moved atomic.Bool
	var looking sync.WaitGroup
	for i, w := range o.workers {
		looking.Go(func() {
			fresh, err := o.lookAt(ctx, v, w)
			errs[i] = err
			if fresh {
				moved.Store(true)
			}
		})
	}
	looking.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	o.view = v
	if moved.Load() {
		o.every = 0 // the next step will not be long
	}
	return nil
}

// lookAt takes in one worker's checkpoint, and reports whether it is another than
// before. Where no look was for some time, and the log may have become another one, the
// commit that the checkpoint names is compared. What else the worker keeps is read once
// a second at most: nobody waits for that.
func (o *observer) lookAt(ctx context.Context, v View, w *worker) (fresh bool, err error) {
	s, err := w.read(ctx, v)
	if err == nil && o.view == nil && !o.isPassive() {
		err = w.compare(ctx, s.Checkpoint)
	}
	if err != nil {
		w.reject(err)
		return false, err
	}
	if !w.recallable(s.Checkpoint, time.Now()) {
		return w.attended(v, s), nil
	}
	if err := s.recall(ctx, v); err != nil {
		return false, err
	}
	return w.attended(v, s), nil
}

func (o *observer) isPassive() bool {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	return o.p.passive
}

// nap waits until it is time to look again: soon while somebody waits for what
// these workers have not.
func (o *observer) nap(ctx context.Context) {
	for began := time.Now(); ctx.Err() == nil; {
		if o.isWaitedFor() {
			o.every = min(max(2*o.every, lookFirst), lookSoon)
			pause(ctx, o.every-time.Since(began))
			return
		}
		o.every = 0
		left := lookNow - time.Since(began)
		if left <= 0 {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-o.p.sought:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (o *observer) isWaitedFor() bool {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	if len(o.p.waiters) == 0 {
		return false
	}
	for _, w := range o.workers {
		if w.view == nil || w.covered < o.p.waiters[0].want {
			return true
		}
	}
	return false
}

// seen is what a worker has stored, and how far the log was after that.
type seen struct {
	Checkpoint
	head  store.Position
	notes *remembered // nil: they were not read
}

// read reads the worker's checkpoint, and sees that it is not ahead of the log. That is
// asked once a second at most as long as the checkpoint is not beyond what the log is
// known to have.
func (w *worker) read(ctx context.Context, v View) (s seen, err error) {
	if s.Checkpoint, err = v.Load(ctx, w.name); err != nil {
		return s, err
	}
	has := max(s.Position, s.Furthest)
	w.p.mu.Lock()
	s.head = w.p.head()
	known := w.view != nil && has <= s.head && time.Since(w.askedAt) < lookNow
	w.p.mu.Unlock()
	if known {
		return s, nil
	}
	if s.head, err = (&run{w: w}).head(ctx, has); err != nil {
		return s, err
	}
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.askedAt = time.Now()
	return s, nil
}

// recall reads the notes beside the checkpoint.
func (s *seen) recall(ctx context.Context, v View) error {
	notes, err := v.Notes(ctx, s.Worker)
	if err != nil {
		return err
	}
	m, err := recall(notes)
	s.notes = &m
	return err
}

// recallable reports whether it is time to read the notes beside that checkpoint.
func (w *worker) recallable(c Checkpoint, now time.Time) bool {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.view == nil || w.recalledOf != c.Revision && now.Sub(w.recalledAt) >= lookNow
}

// readAway reads what the workers of a model have stored that are elsewhere.
func (p *projection) readAway(ctx context.Context) error {
	if p.def == nil {
		return nil
	}
	for _, w := range p.away() {
		p.mu.Lock()
		v := w.view
		p.mu.Unlock()
		if v == nil {
			return nil // it is not open yet
		}
		s, err := w.read(ctx, v)
		if err == nil {
			err = s.recall(ctx, v)
		}
		if err != nil {
			return err
		}
		w.attended(v, s)
	}
	return nil
}

// consult calls look, with the lock held, for each of the workers, with what is known to
// be stored of its letters. One that runs here and whose last write may be stored or not
// begins again some time later; who was told that the outcome is not known may look at
// once, so meanwhile the store is asked.
func (p *projection) consult(ctx context.Context, workers []*worker, look func(w *worker, m remembered)) error {
	stored := map[*worker]remembered{}
	for _, w := range workers {
		p.mu.Lock()
		v, doubted := w.view, w.doubted
		p.mu.Unlock()
		if v == nil || !doubted {
			continue
		}
		s := seen{Checkpoint: Checkpoint{Worker: w.name}}
		if err := s.recall(ctx, v); err != nil {
			return err
		}
		stored[w] = *s.notes
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range workers {
		m, asked := stored[w]
		if !asked || !w.doubted { // by now it knows better itself
			m = w.remembered
		}
		look(w, m)
	}
	return nil
}

// compare makes sure that the log has the commit that the checkpoint names: one that
// lost its end and grew again has another one there.
func (w *worker) compare(ctx context.Context, c Checkpoint) error {
	r := &run{w: w, stored: c}
	feed, err := w.p.cfg.Log.Follow(ctx, store.Follow{After: before(c.Position), Types: w.p.desc.Types})
	if err != nil {
		return err
	}
	defer func() { _ = feed.Close() }() // the server releases what it held in any case
	r.feed = feed
	_, err = r.first(ctx)
	return err
}

// observed is what is known of a worker's pace from looking at what it stores.
type observed struct {
	goal   store.Position // that the log had reached at goalAt
	goalAt time.Time
	told   uint64 // the revision that those who watch documents were told of, at toldAt
	toldAt time.Time

	askedAt    time.Time // when the log was asked last
	recalledOf uint64    // the revision at which the notes were read, at recalledAt
	recalledAt time.Time
}

// A worker that is only looked at is live while it reaches what the log had within
// liveWithin, and catches up when it has not done so for longer than lateAfter.
const (
	liveWithin = 3 * time.Second
	lateAfter  = 10 * time.Second
)

// attended takes in what the worker has stored, unless that is older than what is
// known, and reports whether it is news. A checkpoint goes back if the view was rewound,
// and then nothing beyond it is covered.
func (w *worker) attended(v View, s seen) (fresh bool) {
	p := w.p
	p.mu.Lock()
	defer p.mu.Unlock()
	c := s.Checkpoint
	if w.view != nil && c.Revision < w.stored.Revision {
		return false
	}
	fresh = w.view == nil || c.Revision != w.stored.Revision
	if s.notes != nil {
		w.remembered, w.recalledOf, w.recalledAt = *s.notes, c.Revision, time.Now()
	}
	if w.view == nil || c.Position < w.stored.Position {
		w.covered = c.Position
	}
	was := w.state
	w.view, w.stored, w.err, w.unserved = v, c, nil, nil
	w.covered = max(w.covered, c.Position)
	w.pace(s.head, time.Now(), was)
	w.tell(time.Now())
	p.sawHead(s.head)
	p.moved()
	p.noted()
	return fresh
}

// tell has those who watch documents read them again when the worker has written.
// That costs each of them a list, so they are told once a second at most.
func (w *worker) tell(now time.Time) {
	if w.told == w.stored.Revision && !w.toldAt.IsZero() || now.Sub(w.toldAt) < lookNow {
		return
	}
	w.told, w.toldAt = w.stored.Revision, now
	w.p.changes.begin(w.stored)
}

// pace says whether the worker keeps up.
func (w *worker) pace(head store.Position, now time.Time, was string) {
	switch {
	case w.p.passive:
		w.state = StateLive
		return
	case w.stored.Position >= head:
		w.state = StateLive
	case w.stored.Position < w.goal || w.goalAt.IsZero():
		if was != StateLive || now.Sub(w.goalAt) > lateAfter {
			w.state = StateCatchingUp
		}
	case now.Sub(w.goalAt) <= liveWithin:
		w.state = StateLive
	}
	if w.stored.Position >= w.goal {
		w.goal, w.goalAt = head, now
	}
	switch {
	case w.state != StateCatchingUp:
		w.progress.caughtUp()
	case was != StateCatchingUp:
		w.progress.begin(now, w.stored)
	default:
		w.progress.report(now, w.stored) // whoever does the work tells the log
	}
}

// reject notes that the model must not be read, if that is what err says.
func (w *worker) reject(err error) {
	if !errors.Is(err, store.ErrAhead) {
		return
	}
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.unserved = err
	w.p.waiters.fail(err)
}
