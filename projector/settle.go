package projector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

// look begins what has to be found out before anything can be decided.
func (m *manager) look(ctx context.Context, e Entry) {
	f := m.f
	f.mu.Lock()
	flips, live, floored, settled, floor := f.flips, f.live, f.floored, f.settled, f.floor
	f.mu.Unlock()
	switch {
	case live == nil:
		return
	case !floored:
		m.beside(fmt.Sprintf("floor %d", flips), func() { f.findFloor(ctx, flips, live, e.Previous) })
		return
	case e.Settling && !settled:
		m.beside(fmt.Sprintf("settle %d", flips), func() { f.awaitFloor(ctx, flips, live, floor) })
		return
	}
	if e.Settling || e.Candidate == nil || e.Rebuild == nil || e.Rebuild.Parity == 0 || e.Parity != nil || e.Paused {
		return
	}
	if p := f.model(e.Candidate.Model); p != nil && p.caughtUp() {
		m.beside("parity "+p.model.String(), func() { f.compareWith(ctx, live, p, e.Rebuild.Parity) })
	}
}

// findFloor asks how far readers may have seen another model before this one
// was served: no further than the log is by now, nor than that model's own
// checkpoints, where a replica that answers for the log is behind.
func (f *family) findFloor(ctx context.Context, flips int, live *projection, previous *Kept) {
	for failures := 1; ctx.Err() == nil; failures++ {
		floor, err := f.cfg.Log.Tip(ctx, live.desc.Types...)
		if err == nil && previous != nil {
			var has store.Position
			has, err = f.reach(ctx, *previous)
			floor = max(floor, has)
		}
		if err == nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.flips == flips {
				f.floor, f.floored = floor, true
				f.broadcast()
			}
			return
		}
		pause(ctx, jittered(10*time.Millisecond, time.Second, failures))
	}
}

// reach returns the highest position in a model's checkpoints, cut to what
// concerns both. A model that was opened here is not opened again.
func (f *family) reach(ctx context.Context, k Kept) (reach store.Position, err error) {
	p := f.model(k.Model)
	if p == nil {
		return 0, nil
	}
	p.mu.Lock()
	v := p.workers[0].view
	p.mu.Unlock()
	if v == nil {
		return 0, nil // nobody read it here
	}
	for _, w := range p.workers {
		c, err := v.Load(ctx, w.name)
		if err != nil {
			return 0, err
		}
		reach = max(reach, c.Position)
	}
	return reach, nil
}

// awaitFloor notes when the live model is as far as readers need it.
func (f *family) awaitFloor(ctx context.Context, flips int, live *projection, floor store.Position) {
	for failures := 1; ctx.Err() == nil; failures++ {
		_, _, err := live.at(ctx, floor)
		switch {
		case err == nil:
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.flips == flips {
				f.settled = true
			}
			return
		case errors.Is(err, errMoved), errors.Is(err, ErrElsewhere):
			return
		}
		pause(ctx, jittered(10*time.Millisecond, time.Second, failures))
	}
}

// compareWith compares a candidate with the live model and tells the registry.
func (f *family) compareWith(ctx context.Context, live, candidate *projection, sample int) {
	parity, err := compare(ctx, live, candidate, sample)
	if err == nil {
		err = f.change(ctx, func(e Entry) (Entry, error) {
			if e.Candidate == nil || e.Candidate.Model != candidate.model || e.Live.Model != live.model {
				return e, errNothing
			}
			e.Parity = &parity
			return e, nil
		})
	}
	switch {
	case err == nil:
		f.logger.Info("models compared", "candidate", candidate.model.String(), "compared", parity.Compared, "differences", parity.Differences)
	case ctx.Err() == nil && !errors.Is(err, errNothing):
		f.logger.Warn("models could not be compared", "candidate", candidate.model.String(), "err", err)
		pause(ctx, time.Second)
	}
}

// advance returns the entry as it is after the next thing that comes by
// itself, [errNothing] if there is none.
func (f *family) advance(e Entry) (Entry, error) {
	f.mu.Lock()
	settled := f.settled && f.live != nil && f.live.model == e.Live.Model
	f.mu.Unlock()
	switch {
	case e.Settling && settled:
		return e.settle(), nil
	case e.Settling, e.Paused, f.succeeds(e):
		return e, errNothing
	case f.outdated(e):
		if e.Candidate != nil {
			e, _ = e.cancel()
		}
		return f.begin(e, Rebuild{Online: true, Version: f.newest, Switch: true}), nil
	case e.Candidate == nil, e.Rebuild == nil, !e.Rebuild.Switch:
		return e, errNothing
	}
	if f.check(e) != nil {
		return e, errNothing
	}
	return e.promote(), nil
}

// outdated reports whether the live version's definition has gone and a newer
// one has come that is not being built yet.
func (f *family) outdated(e Entry) bool {
	if f.defs[e.Live.Version] != nil || f.newest < e.Live.Version {
		return false
	}
	return e.Candidate == nil || f.defs[e.Candidate.Version] == nil && f.newest > e.Candidate.Version
}

// check returns why the candidate is not to be served.
func (f *family) check(e Entry) error {
	p := f.model(e.Candidate.Model)
	if p == nil || p.def == nil || !p.caughtUp() {
		return &ParityError{Candidate: e.Candidate.Model, Behind: true, Parity: e.Parity}
	}
	if e.Rebuild != nil && e.Rebuild.Parity != 0 && (e.Parity == nil || e.Parity.Differences > 0) {
		return &ParityError{Candidate: e.Candidate.Model, Parity: e.Parity}
	}
	return nil
}

// begin returns the entry with a new model, to be built as r says.
func (f *family) begin(e Entry, r Rebuild) Entry {
	build := 0
	if last, ok := e.Builds[r.Version]; ok {
		build = last + 1
	}
	return e.begin(f.kept(r.Version, build), r, time.Now())
}
