package projector

import (
	"context"
	"errors"
	"time"
)

// How long the store's files are cleaned at most, and how much of the time, so that one
// time does for many notices; a store that could not is asked again after a while.
const (
	scrubTimeout = 10 * time.Minute
	scrubShare   = 10
	scrubAgain   = 10 * time.Second
)

// Why the files are not clean, as long as no cleaning has told more.
const (
	notYetCleaned = "somebody was taken out, and the store's files are not cleaned since"
	notKnownClean = "it is not known whether the store's files were cleaned after the last notice"
)

// scrubbing is what an attempt knows of the cleaning of the store's files.
type scrubbing struct {
	coming bool // a notice is in memory, and what it came to is not all written
	wanted bool
	goesOn bool // the last time failed, and nobody was taken out since
}

// stage decodes an event, and notes if that is a notice.
func (r *run) stage(a arrival) error {
	if err := r.folder.stage(a); err != nil {
		return err
	}
	r.scrub.coming = r.scrub.coming || r.w.p.desc.notices(&a.Recorded)
	return nil
}

// takesOut notes, before something is written, that files are to be cleaned afterwards if
// a notice may be in it: a cleaning before that write would find nothing, so nobody wants
// one when the notice merely comes. It is wanted whatever becomes of the write, for one that
// fails may be stored.
func (r *run) takesOut() {
	if !r.scrub.coming {
		return
	}
	r.scrub.wanted, r.scrub.goesOn = true, false
	r.suspect(notYetCleaned)
}

// begun has the status say that files may not be clean, unless all that is stored is known
// to be what this worker wrote.
func (r *run) begun() {
	if r.scrub.wanted && r.stored.Revision != r.w.wrote {
		r.suspect(notKnownClean)
	}
}

// suspect has the status say why files are not clean, if it does not say so already.
func (r *run) suspect(why string) {
	if _, able := r.view.(Scrubber); !able {
		return
	}
	r.w.p.mu.Lock()
	defer r.w.p.mu.Unlock()
	if r.w.uncleaned == "" {
		r.w.uncleaned = why
	}
}

// clean has the store clean its files after notices, once the view is live. It is done at
// the beginning, too, for nobody knows what an earlier attempt was interrupted at. What
// goes wrong does not hold up the view; operators see it in the status.
func (r *run) clean(ctx context.Context) {
	if !r.mayClean() || time.Now().Before(r.w.cleanAt) {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, scrubTimeout)
	defer cancel()
	began := time.Now()
	err := r.view.(Scrubber).Scrub(bounded, r.scrub.goesOn)
	now := time.Now()
	wait := scrubShare * now.Sub(began)
	if r.scrub.goesOn = err != nil && !errors.Is(err, ErrRemains); r.scrub.goesOn {
		wait = max(wait, scrubAgain)
	}
	r.scrub.wanted = r.scrub.goesOn
	r.w.cleanAt = now.Add(wait)
	if ctx.Err() == nil {
		r.w.cleaned(err, wait)
	}
}

func (r *run) mayClean() bool {
	_, able := r.view.(Scrubber)
	return able && r.scrub.wanted && r.live && !r.isAhead()
}

// acquit leaves it to whoever runs the worker next to say whether files are clean.
func (w *worker) acquit() {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.uncleaned, w.wrote = "", 0
}

// cleaned notes what the cleaning came to, and tells what is new of it.
func (w *worker) cleaned(err error, wait time.Duration) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	w.p.mu.Lock()
	same := w.uncleaned == text
	w.uncleaned = text
	w.p.mu.Unlock()
	switch {
	case err == nil || same:
	case errors.Is(err, ErrRemains):
		w.logger.Warn("store cannot clean all its files after notices", "err", err)
	default:
		w.logger.Warn("store could not be cleaned after a notice", "err", err, "retry_in", wait)
	}
}

// uncleaned is what holds up, or is left of, the cleaning of the store's files. It is
// called with the lock held.
func (p *projection) uncleaned() string {
	for _, w := range p.workers {
		if w.uncleaned != "" {
			return w.uncleaned
		}
	}
	return ""
}
