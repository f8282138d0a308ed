package projector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/annals-go/annals/store"
)

// Registry keeps, for each view, who is what among its models. It is shared by
// all groups on one log and one store. All methods may be called from many
// goroutines. Errors match [store.ErrUnavailable] if the registry could not be
// asked, [store.ErrDamaged] if what is stored cannot be read.
type Registry interface {
	// Load returns the view's entry and its revision, as they are at some instant
	// of the call. A view that has none has the zero Entry and revision 0.
	Load(ctx context.Context, view string) (Entry, uint64, error)

	// Store replaces the entry if its revision is still the given one, 0 if there
	// is none yet, and returns the new revision, which is higher. It keeps nothing
	// of e. Errors:
	//   - [ErrChanged]: the entry has another revision. Nothing was stored.
	//   - [store.ErrUnknown]: whether it was stored is not known: load again.
	Store(ctx context.Context, view string, e Entry, revision uint64) (uint64, error)

	// Watch calls changed with every entry that is there, then with each that is
	// stored, one call at a time and for each view by rising revision; of several
	// that were stored soon after each other it may pass over all but the last. It
	// returns nil when ctx ends, and an error when it cannot go on: whoever calls it
	// again misses nothing.
	Watch(ctx context.Context, changed func(view string, e Entry, revision uint64)) error
}

// ErrChanged: the registry's entry is not the one that the caller knows any
// more: another changed it.
var ErrChanged = errors.New("changed by another")

// Entry is what the registry keeps of one view. It is stored as JSON.
type Entry struct {
	// Live is the model that is served. Its View is empty before the first.
	Live Kept `json:"live"`
	// Candidate is built beside the live one, and Rebuild is what was asked for.
	// Both are nil if none is.
	Candidate *Kept    `json:"candidate,omitempty"`
	Rebuild   *Rebuild `json:"rebuild,omitempty"`
	// Began is when the model that is built was asked for.
	Began time.Time `json:"began,omitzero"`
	// Previous was live and is kept up to date for a roll-back; nil if there is none.
	Previous *Kept `json:"previous,omitempty"`
	// Settling says that the live model took another's place and has not been seen
	// since to be as far as the log was then. Reads wait for that, and nobody begins
	// another change before it.
	Settling bool `json:"settling,omitempty"`
	// Parity is the last comparison of the candidate, or of the live model while it
	// was the candidate; nil if there was none.
	Parity *Parity `json:"parity,omitempty"`
	// Paused says that no model of the view is brought up to date.
	Paused bool `json:"paused,omitempty"`
	// Dropping are models that nobody needs any more and that may still be in the
	// store.
	Dropping []Model `json:"dropping,omitempty"`
	// Builds are the highest builds that there ever were, by version: no model's
	// name is used twice.
	Builds map[int]int `json:"builds,omitempty"`
}

// Kept is a model, and what one has to know of its definition to read it where
// that definition is gone.
type Kept struct {
	Model
	// Kind is "documents", "tables" or "reaction".
	Kind string `json:"kind"`
	// Types are the aggregate types that it follows, sorted.
	Types []string `json:"types"`
	// Workers is how many checkpoints it has.
	Workers int `json:"workers"`
	// From is where a reaction begins, [FromBeginning] or [FromNow]. Empty for other
	// kinds, and in an entry that was made before this was kept.
	From string `json:"from,omitempty"`
	// Indexes and Tables are those of its [Layout].
	Indexes []string `json:"indexes,omitempty"`
	Tables  []string `json:"tables,omitempty"`
}

// Layout returns what the store was asked for.
func (k Kept) Layout() Layout { return Layout{Model: k.Model, Indexes: k.Indexes, Tables: k.Tables} }

// models returns the models that the entry names and that are needed, the live
// one first.
func (e Entry) models() []Kept {
	var all []Kept
	if e.Live.View != "" {
		all = append(all, e.Live)
	}
	if e.Candidate != nil {
		all = append(all, *e.Candidate)
	}
	if e.Previous != nil {
		all = append(all, *e.Previous)
	}
	return all
}

// inPlace reports whether the live model is being built, and reads wait for it.
func (e Entry) inPlace() bool { return e.Settling && e.Rebuild != nil && !e.Rebuild.Online }

// role returns the model's, "" if it has none.
func (e Entry) role(m Model) string {
	switch {
	case e.Live.Model == m:
		return RoleLive
	case e.Candidate != nil && e.Candidate.Model == m:
		return RoleCandidate
	case e.Previous != nil && e.Previous.Model == m:
		return RolePrevious
	}
	return ""
}

// MemoryRegistry is a [Registry] in memory, for tests and for a single group
// whose read models are thrown away with it. The zero value is empty.
type MemoryRegistry struct {
	mu      sync.Mutex
	last    uint64
	entries map[string]memoryEntry
	changed chan struct{} // closed at the next change; nil while nobody watches
}

// memoryEntry holds the entry encoded, so that nobody shares it.
type memoryEntry struct {
	data     []byte
	revision uint64
}

func (m memoryEntry) decode() (Entry, uint64, error) {
	var e Entry
	if m.data == nil {
		return e, 0, nil
	}
	if err := json.Unmarshal(m.data, &e); err != nil {
		return Entry{}, 0, fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	return e, m.revision, nil
}

// Load implements [Registry].
func (r *MemoryRegistry) Load(ctx context.Context, view string) (Entry, uint64, error) {
	if err := asked(ctx); err != nil {
		return Entry{}, 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.entries[view].decode()
}

// Store implements [Registry].
func (r *MemoryRegistry) Store(ctx context.Context, view string, e Entry, revision uint64) (uint64, error) {
	if err := asked(ctx); err != nil {
		return 0, err
	}
	data, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if has := r.entries[view].revision; has != revision {
		return 0, fmt.Errorf("view %s has revision %d in the registry, expected %d: %w", view, has, revision, ErrChanged)
	}
	if r.entries == nil {
		r.entries = map[string]memoryEntry{}
	}
	r.last++
	r.entries[view] = memoryEntry{data: data, revision: r.last}
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	return r.last, nil
}

// Watch implements [Registry].
func (r *MemoryRegistry) Watch(ctx context.Context, changed func(view string, e Entry, revision uint64)) error {
	seen := map[string]uint64{}
	for {
		entries, next := r.snapshot()
		for _, view := range slices.Sorted(maps.Keys(entries)) {
			if entries[view].revision == seen[view] {
				continue
			}
			e, revision, err := entries[view].decode()
			if err != nil {
				return err
			}
			seen[view] = revision
			changed(view, e, revision)
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *MemoryRegistry) snapshot() (map[string]memoryEntry, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return maps.Clone(r.entries), r.changed
}
