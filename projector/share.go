package projector

import "cmp"

// Share says how one worker of a model stands, where workers are spread, see
// [Config.Spread].
type Share struct {
	// Model is the model's name, Worker the worker's number, from 0.
	Model  string `json:"model"`
	Worker int    `json:"worker"`
	// Node is where it runs, where that is known: a group knows no nodes.
	Node string `json:"node,omitempty"`
	// State is one of the State constants: where the worker runs as it says itself, at
	// the view's home as what it has stored tells.
	State string `json:"state"`
	// Error is what holds it up; empty where nothing is known to.
	Error string `json:"error,omitempty"`
}

// share is how the worker stands. It is called with the lock held.
func (w *worker) share() Share {
	s := Share{Model: w.p.model.String(), Worker: w.nth, State: w.state}
	if w.p.held {
		s.State = StatePaused
	}
	if err := cmp.Or(w.err, w.unserved); err != nil {
		s.Error = err.Error()
	}
	return s
}

// shares are those of the workers of a model that are spread, nil if none is.
func (p *projection) shares() (all []Share) {
	if len(p.away()) == 0 {
		return nil
	}
	for _, w := range p.workers {
		all = append(all, w.share())
	}
	return all
}

// shares are those of the workers that do their work for a view here, wherever its
// home is.
func (f *family) shares() (all []Share) {
	for _, o := range f.outposts {
		o.mu.Lock()
		for _, p := range o.running {
			p.mu.Lock()
			all = append(all, p.workers[o.nth].share())
			p.mu.Unlock()
		}
		o.mu.Unlock()
	}
	return all
}

// told replaces what the home reads from the store by what the worker's own group
// says, for those that are in this one.
func (s *Status) told(here []Share) {
	for i, at := range s.Shares {
		for _, said := range here {
			if said.Model == at.Model && said.Worker == at.Worker {
				s.Shares[i] = said
			}
		}
	}
}
