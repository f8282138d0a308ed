package projector

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// Moment names a moment in the life of a view, by a position or by a time: one
// of the two.
type Moment struct {
	// Position is that of the last event that counts.
	Position store.Position
	// Time leaves out the events that were stored after it.
	Time time.Time
}

func (m Moment) validate() error {
	invalid := func(reason string) error {
		return &store.InvalidError{What: "moment", Value: strconv.FormatUint(uint64(m.Position), 10), Reason: reason}
	}
	switch {
	case m.Position == 0 && m.Time.IsZero():
		return invalid("it has neither a position nor a time")
	case m.Position > 0 && !m.Time.IsZero():
		return invalid("it has a position and a time")
	}
	return nil
}

// maxPasts is how many documents of the past are folded at the same time in a
// group: each reads its part of the log.
const maxPasts = 4

// GetAt returns a document of a view of documents as it was at a moment: what
// the live model's definition makes of the log up to there. If the document has
// not changed since it is the one that is stored; otherwise the log is read from
// its beginning, for this one key, until ctx ends at the latest.
//
// Events on the skip list and those that operators had skipped are left out, and so is
// what waits in a dead letter now; an event that the definition cannot apply takes its
// stream with it, as it does in the view; data that an operator had edited are folded as
// the log has them.
//
// Errors: those of [Group.Get], [store.ErrInvalid] for a moment that is none or a
// position beyond the log's end, [ErrBusy] if four such reads are under way.
func (g *Group) GetAt(ctx context.Context, view, key string, at Moment) (Document, error) {
	f, err := g.family(view)
	if err != nil {
		return Document{}, err
	}
	if _, err := store.EncodeToken(key); err != nil {
		return Document{}, err
	}
	if err := at.validate(); err != nil {
		return Document{}, err
	}
	p, v, since, err := f.at(ctx, 0)
	if err != nil {
		return Document{}, err
	}
	if p.desc.kind != ofDocuments {
		return Document{}, fmt.Errorf("get from view %s: %w", view, ErrNoDocuments)
	}
	if err := g.beforeEnd(ctx, at); err != nil {
		return Document{}, err
	}
	if d, ok := p.unchanged(ctx, v, key, since, at); ok {
		return d, nil
	}
	select {
	case g.pasts <- struct{}{}:
		defer func() { <-g.pasts }()
	default:
		return Document{}, fmt.Errorf("%w: %d documents of the past are being folded", ErrBusy, maxPasts)
	}
	d, err := p.foldUpTo(ctx, key, at)
	if err != nil {
		return Document{}, fmt.Errorf("fold document %q of view %s: %w", key, view, err)
	}
	return d, nil
}

// beforeEnd refuses a position that the log does not have yet.
func (g *Group) beforeEnd(ctx context.Context, at Moment) error {
	tip, err := g.cfg.Log.Tip(ctx)
	if err == nil && at.Position > tip {
		reason := fmt.Sprintf("the log ends at position %d", tip)
		return &store.InvalidError{What: "position", Value: strconv.FormatUint(uint64(at.Position), 10), Reason: reason}
	}
	return err
}

// unchanged returns the stored document if it was the same at the moment.
func (p *projection) unchanged(ctx context.Context, v View, key string, since []Checkpoint, at Moment) (Document, bool) {
	p.mu.Lock()
	covered := p.covered()
	p.mu.Unlock()
	if at.Position == 0 || covered < at.Position {
		return Document{}, false
	}
	docs, err := v.Get(ctx, []string{key}, since...)
	if err != nil || len(docs) == 0 {
		return Document{}, false // the log has to say
	}
	d := docs[0]
	if c, able := p.def.(canonicaler); able && len(store.ShreddedIn(store.JSON, d.Document)) > 0 {
		if d, err = c.canonical(d); err != nil {
			return Document{}, false
		}
	}
	return d, d.Document != nil && d.Position <= at.Position && d.Late == Late{}
}

// foldUpTo folds the log for one key.
func (p *projection) foldUpTo(ctx context.Context, key string, at Moment) (Document, error) {
	if p.def == nil {
		return Document{}, fmt.Errorf("%w: the definition, version %d, is not here", store.ErrUnavailable, p.model.Version)
	}
	if err := p.readAway(ctx); err != nil {
		return Document{}, err
	}
	holder := p.cfg.holders.enter(p.cfg.Keyring)
	defer holder.leave()
	for {
		d, err := p.newPast(key, holder).upTo(ctx, at)
		if !errors.Is(err, errForgotten) {
			return d, err
		}
	}
}

// upTo folds the log up to a moment.
func (t *past) upTo(ctx context.Context, at Moment) (Document, error) {
	upTo := at.Position
	if upTo == 0 {
		upTo = math.MaxUint64
	}
	err := scan(ctx, t.p.cfg.Log, t.p.desc.Types, 0, upTo, func(c *store.Commit, e store.Recorded[[]byte]) error {
		if !at.Time.IsZero() && c.Time.After(at.Time) {
			return nil
		}
		return t.take(ctx, e)
	})
	if err == nil {
		err = t.forgotten()
	}
	switch {
	case err != nil:
		return Document{}, err
	case t.last.Document == nil:
		return Document{}, fmt.Errorf("it was not there: %w", store.ErrNotFound)
	}
	return t.last, nil
}

// past is one document on its way through the log.
type past struct {
	p      *projection
	key    string
	skip   map[eventAt]bool
	parked map[store.StreamID]uint64 // the version from which on the document has nothing of the stream
	folder folder
	last   Document // as it is after the events so far
	holder *holder
}

// newPast takes over what the worker to which the document belongs left out: another
// one may have applied that to documents of its own.
func (p *projection) newPast(key string, h *holder) *past {
	past := &past{p: p, key: key, holder: h, skip: map[eventAt]bool{}, parked: map[store.StreamID]uint64{}, last: Document{Key: key}}
	p.mu.Lock()
	defer p.mu.Unlock()
	for at := range p.desc.skip {
		past.skip[at] = true
	}
	for _, w := range p.workers {
		if !w.part().key(key) {
			continue
		}
		for at := range w.skipped {
			past.skip[at] = true
		}
		for stream, l := range w.letters {
			past.parked[stream] = l.At
		}
	}
	return past
}

// forgotten says that the document is to be folded anew, if something in it was forgotten.
func (t *past) forgotten() error {
	return t.holder.look(func(erased func([]store.KeyRef) bool) bool {
		return !erased(refsOf(t.last.Personal, t.key)) && (t.folder == nil || t.folder.drop(erased))
	})
}

func (t *past) take(ctx context.Context, e store.Recorded[[]byte]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.forgotten(); err != nil {
		return err
	}
	if at, waits := t.parked[e.Stream]; waits && e.Version >= at || !t.p.desc.wants(&e) || t.skip[eventAt{e.Stream, e.Version}] {
		return nil
	}
	err := t.fold(ctx, e)
	var stopped *EventError
	if !errors.As(err, &stopped) {
		return err
	}
	if len(t.parked) >= t.p.cfg.MaxParked {
		return fmt.Errorf("%w: %d, and then: %w", ErrTooManyParked, len(t.parked), stopped)
	}
	t.parked[e.Stream] = e.Version
	t.folder = nil // it may have changed the document half
	return nil
}

// fold applies one event, and takes the document from the folder if it is
// another one then.
func (t *past) fold(ctx context.Context, e store.Recorded[[]byte]) error {
	if t.folder == nil {
		t.folder = t.p.def.folder(t.p.cfg.Log.Codec(), part{of: 1, only: t.key})
	}
	a := arrival{Recorded: e}
	if n, err := privacy.ReadNotice(t.p.cfg.Log.Codec(), e.Data); t.p.desc.notices(&e) && err == nil && t.folder.holds(t.last, n.Subject) && t.last.Document != nil {
		a.keys = []string{t.key}
	}
	if err := t.folder.stage(a); err != nil {
		return err
	}
	if missing := t.folder.missing(); len(missing) > 0 {
		var stored []Document
		if t.last.Position > 0 {
			stored = []Document{t.last}
		}
		if err := t.folder.admit(missing, stored); err != nil {
			return err
		}
	}
	if _, err := t.folder.fold(ctx, room{documents: math.MaxInt, bytes: math.MaxInt, events: math.MaxInt}); err != nil {
		return err
	}
	changed, err := t.folder.pending()
	if err == nil && len(changed.documents) > 0 {
		t.last = changed.documents[0]
		t.folder.clean()
	}
	return err
}
