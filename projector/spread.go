package projector

import (
	"fmt"
	"slices"
)

// Duty returns the name under which a worker of a view is given to a group, see
// [Config.Spread]: the view's own name for worker 0, which makes that group the
// view's home, and one like "outcomes.v2.1" for worker 1 of version 2. Workers other
// than the first are told apart by version, so that each goes to a group that has
// the definition. No view's name has a dot.
func Duty(view string, version, worker int) string {
	if worker == 0 {
		return view
	}
	return fmt.Sprintf("%s.v%d.%d", view, version, worker)
}

// Duties returns the duties of all the definitions, each once: with spread one for
// each worker, without it one for each view.
func Duties(spread bool, projections ...Definition) []string {
	var all []string
	for _, d := range projections {
		desc := d.Describe()
		workers := 1
		if spread {
			workers = desc.Workers
		}
		for nth := range workers {
			all = append(all, Duty(desc.Name, desc.Version, nth))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// remote reports whether the worker does its work by itself, and its view's home
// only reads what it has stored.
func (w *worker) remote() bool { return w.p.cfg.Spread && w.nth > 0 }

// duty is what has to be assigned for the worker to work.
func (w *worker) duty() string {
	if !w.remote() {
		return w.p.desc.Name
	}
	return Duty(w.p.desc.Name, w.p.model.Version, w.nth)
}

// assigned reports whether the worker is to work here.
func (w *worker) assigned() bool { return w.p.cfg.assigned(w.duty()) }

// away are the workers of a model that its home only reads.
func (p *projection) away() []*worker {
	var away []*worker
	for _, w := range p.workers {
		if w.remote() {
			away = append(away, w)
		}
	}
	return away
}
