package projector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/annals-go/annals/store"
)

// Limits of a comparison.
const (
	// settleFor is how long documents are looked at again whose positions differ,
	// because one of two models is a moment behind.
	settleFor = 10 * time.Second
	// settleEvery is how often.
	settleEvery = 5 * time.Millisecond
	// maxUnsettled is how many of them are kept in mind at once.
	maxUnsettled = 10_000
	// maxSeen is how many states of one document are kept in mind in either model,
	// and maxSeenBytes how large all of them may be: then the last ones must do.
	maxSeen      = 256
	maxSeenBytes = 64 << 20
	// maxExamples is how many differences are named.
	maxExamples = 20
	// maxExample is how many bytes of a document an example shows.
	maxExample = 2000
)

// comparison compares the documents of two models while both go on. Documents
// are compared at equal positions: those are folded from the same events.
type comparison struct {
	live, other *projection
	parity      Parity
	unsettled   map[string]*unsettled
	bytes       int // of the states in mind
	holder      *holder
}

// unsettled is a document that was not seen at equal positions yet: its states
// in either model, by position.
type unsettled struct {
	since time.Time
	sides [2]map[store.Position]Document
	last  [2]Document
}

// compare compares so many documents of the two models, half of them chosen at
// random among each one's; -1 compares all.
func compare(ctx context.Context, live, other *projection, sample int) (Parity, error) {
	c := &comparison{live: live, other: other, unsettled: map[string]*unsettled{}}
	c.holder = live.cfg.holders.enter(live.cfg.Keyring)
	defer c.holder.leave()
	var err error
	if sample < 0 {
		err = c.all(ctx)
	} else {
		err = c.sample(ctx, sample)
	}
	for err == nil && len(c.unsettled) > 0 {
		err = c.settle(ctx)
	}
	c.parity.Time = time.Now().UTC().Truncate(time.Millisecond)
	return c.parity, err
}

// all compares every document: first those of the live model, then those that
// only the other has.
func (c *comparison) all(ctx context.Context) error {
	err := c.walk(ctx, c.live, func(docs []Document) error { return c.look(ctx, keysOf(docs)) })
	if err != nil {
		return err
	}
	return c.walk(ctx, c.other, func(docs []Document) error {
		has, err := c.get(ctx, c.live, keysOf(docs))
		if err != nil {
			return err
		}
		var extra []string
		for _, d := range docs {
			if has[d.Key].Document == nil {
				extra = append(extra, d.Key)
			}
		}
		return c.look(ctx, extra)
	})
}

func (c *comparison) sample(ctx context.Context, n int) error {
	seen := map[string]bool{}
	for i, p := range []*projection{c.live, c.other} {
		most := (n + 1 - i) / 2
		var chosen []string
		count := 0
		err := c.walk(ctx, p, func(docs []Document) error {
			for _, key := range keysOf(docs) {
				count++
				if len(chosen) < most {
					chosen = append(chosen, key)
				} else if at := rand.IntN(count); at < most {
					chosen[at] = key
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		chosen = slices.DeleteFunc(chosen, func(key string) bool { return seen[key] })
		for _, key := range chosen {
			seen[key] = true
		}
		if err := c.look(ctx, chosen); err != nil {
			return err
		}
	}
	return nil
}

func keysOf(docs []Document) []string {
	keys := make([]string, len(docs))
	for i, d := range docs {
		keys[i] = d.Key
	}
	return keys
}

// opened returns a model's view and checkpoints, however far it is.
func (p *projection) opened() (View, []Checkpoint, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isOpen() {
		return nil, nil, fmt.Errorf("%w: model %s is not open", store.ErrUnavailable, p.model)
	}
	if err := p.unserved(); err != nil {
		return nil, nil, err
	}
	return p.workers[0].view, p.since(), nil
}

// walk calls take with all documents of a model, page by page.
func (c *comparison) walk(ctx context.Context, p *projection, take func([]Document) error) error {
	for cursor := ""; ; {
		v, since, err := p.opened()
		if err != nil {
			return err
		}
		docs, next, err := v.List(ctx, cursor, MaxPage, since...)
		if err != nil {
			return err
		}
		if err := take(docs); err != nil {
			return err
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

// get returns the documents that a model has under the keys.
func (c *comparison) get(ctx context.Context, p *projection, keys []string) (map[string]Document, error) {
	v, since, err := p.opened()
	if err != nil {
		return nil, err
	}
	found := map[string]Document{}
	for some := range slices.Chunk(keys, v.MaxChanges()) {
		docs, err := v.Get(ctx, some, since...)
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			found[d.Key] = d
		}
	}
	return found, nil
}

// look compares the documents under the keys, and remembers those that cannot
// be compared yet. While those are too many it settles them.
func (c *comparison) look(ctx context.Context, keys []string) error {
	if err := c.see(ctx, keys); err != nil {
		return err
	}
	for len(c.unsettled) > maxUnsettled {
		if err := c.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// see reads the documents from both models. A document's state in one of them
// is compared with all that was seen of it in the other at that position.
func (c *comparison) see(ctx context.Context, keys []string) error {
	c.forget()
	if len(keys) == 0 {
		return nil
	}
	first, err := c.get(ctx, c.live, keys)
	if err != nil {
		return err
	}
	second, err := c.get(ctx, c.other, keys)
	if err != nil {
		return err
	}
	for _, key := range keys {
		u := c.unsettled[key]
		if u == nil {
			u = &unsettled{since: time.Now()}
			u.sides[0], u.sides[1] = map[store.Position]Document{}, map[store.Position]Document{}
			c.unsettled[key] = u
		}
		c.saw(u, 0, first[key])
		c.saw(u, 1, second[key])
		c.judge(key, u)
	}
	return nil
}

// saw keeps a state in mind, in the place of the oldest if they are too many.
func (c *comparison) saw(u *unsettled, side int, d Document) {
	u.last[side] = d
	states := u.sides[side]
	if _, known := states[d.Position]; known || d.Position == 0 {
		return
	}
	full := c.bytes+len(d.Document) > maxSeenBytes
	for len(states) > 0 && (full || len(states) >= maxSeen) {
		oldest := slices.Min(slices.Collect(maps.Keys(states)))
		c.bytes -= len(states[oldest].Document)
		delete(states, oldest)
		full = false
	}
	states[d.Position] = d
	c.bytes += len(d.Document)
}

// settled forgets a document that was compared.
func (c *comparison) settled(key string) {
	for _, states := range c.unsettled[key].sides {
		for _, doc := range states {
			c.bytes -= len(doc.Document)
		}
	}
	delete(c.unsettled, key)
	c.parity.Compared++
}

// judge decides about a document if it can. One that is gone may have no
// position, for a store may forget it: then both are to be gone.
func (c *comparison) judge(key string, u *unsettled) {
	if u.last[0].Document == nil && u.last[1].Document == nil {
		c.settled(key)
		return
	}
	for side, d := range u.last {
		other, ok := u.sides[1-side][d.Position]
		switch {
		case !ok:
			continue
		case c.equal(d, other):
			c.settled(key)
		case side == 0:
			c.differ(key, d, other)
		default:
			c.differ(key, other, d)
		}
		return
	}
	if time.Since(u.since) >= settleFor {
		c.differ(key, u.last[0], u.last[1])
	}
}

func (c *comparison) differ(key string, live, other Document) {
	c.settled(key)
	c.parity.Differences++
	if len(c.parity.Examples) < maxExamples {
		c.parity.Examples = append(c.parity.Examples, Difference{Key: key, Live: excerpt(live), Candidate: excerpt(other)})
	}
}

// excerpt shows a document without what is personal: it is kept in the registry.
func excerpt(d Document) string {
	text := d.Document
	if len(d.Personal) > 0 {
		var err error
		text, err = store.ReplaceSpans(store.JSON, d.Document, d.Personal, func(int, []byte) ([]byte, error) {
			return []byte(`"(personal)"`), nil
		})
		if err != nil {
			return ""
		}
	}
	return string(text[:min(len(text), maxExample)])
}

// canonicaler writes a document anew as the definition would, so that it does not
// matter whether something was forgotten before it was folded or afterwards.
type canonicaler interface {
	canonical(d Document) (Document, error)
}

// equal compares two documents. Where something in one of them was forgotten, that is
// left out of both.
func (c *comparison) equal(a, b Document) bool {
	if equalJSON(a.Document, b.Document) {
		return true
	}
	definition, able := c.live.def.(canonicaler)
	gone := append(store.ShreddedIn(store.JSON, a.Document), store.ShreddedIn(store.JSON, b.Document)...)
	if !able || len(gone) == 0 {
		return false
	}
	x, err1 := bare(definition, a, gone)
	y, err2 := bare(definition, b, gone)
	return err1 == nil && err2 == nil && equalJSON(x, y)
}

// bare returns a document without the personal values at the paths.
func bare(definition canonicaler, d Document, paths []string) (json.RawMessage, error) {
	d, err := definition.canonical(d)
	if err != nil {
		return nil, err
	}
	return store.ReplaceSpans(store.JSON, d.Document, d.Personal, func(i int, value []byte) ([]byte, error) {
		if slices.Contains(paths, d.Personal[i].Path) {
			return []byte("null"), nil
		}
		return value, nil
	})
}

// forget drops all states in mind if somebody was forgotten: they are read again.
func (c *comparison) forget() {
	_ = c.holder.look(func(func([]store.KeyRef) bool) bool { // which never refuses
		for _, u := range c.unsettled {
			u.sides[0], u.sides[1] = map[store.Position]Document{}, map[store.Position]Document{}
			u.last = [2]Document{}
		}
		c.bytes = 0
		return true
	})
}

// settle looks again at what could not be compared.
func (c *comparison) settle(ctx context.Context) error {
	pause(ctx, settleEvery)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	keys := make([]string, 0, len(c.unsettled))
	for key := range c.unsettled {
		keys = append(keys, key)
	}
	return c.see(ctx, keys)
}

// equalJSON compares two documents as values: stores may write the members in
// another order.
func equalJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, err1 := valueOf(a)
	y, err2 := valueOf(b)
	return errors.Join(err1, err2) == nil && reflect.DeepEqual(x, y)
}

func valueOf(doc json.RawMessage) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}
