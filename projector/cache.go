package projector

import "github.com/annals-go/annals/store"

// document is one decoded document in memory.
type document[D any] struct {
	key      string
	value    D
	position store.Position
	late     Late
	// size is that of the encoded document when it was last read or written.
	size int
	// changed says that the value is not written yet.
	changed bool
	// gone says that it is deleted: the value is the zero value.
	gone bool
	// keys are those that personal data in the value were opened with, the youngest
	// of a person last.
	keys []store.KeyRef
}

// has reports whether the event is in the document: one that comes in its turn
// by its position, one that comes late by what came late before it.
func (d *document[D]) has(position, parked store.Position) bool {
	if parked == 0 {
		return position <= d.position
	}
	return d.late.Parked == parked && position <= d.late.Position
}

// folded notes that the event is in the document now.
func (d *document[D]) folded(position, parked store.Position) {
	d.position = max(d.position, position)
	if parked > 0 {
		d.late = Late{Parked: parked, Position: position}
	}
}

// cache keeps decoded documents in two generations: what was used since the
// last turn, and what was used in the turn before. A turn forgets the rest. It
// costs one map look-up where a list of uses would cost pointers to maintain,
// and forgets nothing that is used all the time.
type cache[D any] struct {
	young, old map[string]*document[D]
}

func newCache[D any]() cache[D] {
	return cache[D]{young: map[string]*document[D]{}, old: map[string]*document[D]{}}
}

func (c *cache[D]) get(key string) *document[D] {
	if d, ok := c.young[key]; ok {
		return d
	}
	d, ok := c.old[key]
	if !ok {
		return nil
	}
	delete(c.old, key)
	c.young[key] = d
	return d
}

func (c *cache[D]) put(d *document[D]) { c.young[d.key] = d }

// drop forgets what is to be dropped, and returns the keys of that.
func (c *cache[D]) drop(is func(*document[D]) bool) map[string]bool {
	gone := map[string]bool{}
	for _, part := range []map[string]*document[D]{c.young, c.old} {
		for key, d := range part {
			if is(d) {
				gone[key] = true
				delete(part, key)
			}
		}
	}
	return gone
}

// trim forgets what was used longest ago, so that about limit documents stay
// beside those that are changed and not written.
func (c *cache[D]) trim(limit int, changed []*document[D]) {
	if len(c.young) < max(limit/2, 1) {
		return
	}
	c.old = c.young
	c.young = make(map[string]*document[D], len(c.old))
	for _, d := range changed {
		c.put(d)
	}
}
