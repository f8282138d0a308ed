package projector

import "sync"

// Assignment is the set of views that are to run in one group; its methods are
// what [Config.Assigned] and [Config.Reassigned] want. Whoever decides, such as
// the node that is told which duties are its own, changes it from outside. The
// zero value assigns none. All methods may be called from many goroutines.
type Assignment struct {
	mu      sync.Mutex
	views   map[string]bool
	changed chan struct{} // closed at the next change; nil while nobody has asked for it
}

// Assign makes the view one of the set.
func (a *Assignment) Assign(view string) { a.set(view, true) }

// Withdraw takes the view out of the set. It does not wait: [Group.Stopped] does.
func (a *Assignment) Withdraw(view string) { a.set(view, false) }

func (a *Assignment) set(view string, here bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.views[view] == here {
		return
	}
	if a.views == nil {
		a.views = map[string]bool{}
	}
	a.views[view] = here
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
}

// Assigned reports whether the view is in the set.
func (a *Assignment) Assigned(view string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.views[view]
}

// Reassigned returns a channel that is closed at the first change after the call.
func (a *Assignment) Reassigned() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.changed == nil {
		a.changed = make(chan struct{})
	}
	return a.changed
}
