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

// scrubbing is what an attempt knows of the cleaning of the store's files.
type scrubbing struct {
	wanted bool
	goesOn bool // the last time failed, and nobody was taken out since
}

// want says that somebody was taken out.
func (s *scrubbing) want() { *s = scrubbing{wanted: true} }

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
