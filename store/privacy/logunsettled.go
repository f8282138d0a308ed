package privacy

import (
	"slices"
	"sync"

	"github.com/google/uuid"
)

// maxUnsettled bounds how many commits are remembered whose outcome is not known.
const maxUnsettled = 1024

// unsettled are the ids of the last commits that were handed to the log below with an outcome that
// is not known yet: each may be stored, though what reads the log does not find it. It may be used
// from many goroutines.
type unsettled struct {
	mu    sync.Mutex
	ids   map[uuid.UUID]bool
	order []uuid.UUID // as they were noted
}

// has reports whether the outcome of a commit is not known.
func (u *unsettled) has(id uuid.UUID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ids[id]
}

// note remembers a commit, in the place of the oldest if there are many.
func (u *unsettled) note(id uuid.UUID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids[id] {
		return
	}
	if u.ids == nil {
		u.ids = map[uuid.UUID]bool{}
	}
	if len(u.order) >= maxUnsettled {
		delete(u.ids, u.order[0])
		u.order = u.order[1:]
	}
	u.ids[id] = true
	u.order = append(u.order, id)
}

// settle forgets a commit.
func (u *unsettled) settle(id uuid.UUID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.ids[id] {
		return
	}
	delete(u.ids, id)
	u.order = slices.DeleteFunc(u.order, func(has uuid.UUID) bool { return has == id })
}
