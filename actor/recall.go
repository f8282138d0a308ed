package actor

import (
	"strings"

	"github.com/annals-go/annals/store"
)

const (
	// windowLen is how many commands an actor remembers with their results.
	windowLen = 256
	// sectionIDs is how many ids one section of the filter stands for.
	sectionIDs = 2730
	// maxSections bounds the filter: beside the section being filled, at least
	// the last 100,000 ids of a stream are known.
	maxSections = 38
	// sectionBits gives 24 bits an id; see [section].
	sectionBits = 1 << 16
)

// recall is what an actor remembers of past commands, so that each has its
// effect once: the last results in a window, and a filter for older ids whose
// hits are confirmed from the log. It is rebuilt by a replay, commit by
// commit, and travels in snapshots.
//
// A stream with no more commands than the window holds has no filter.
type recall struct {
	window []memo // a ring once it is full
	oldest int    // index of the oldest memo in a full window
	// first is the stream's head before the window's first memo, until the
	// filter begins there.
	first    store.Head
	sections []section
}

// memo is the result of one command.
type memo struct {
	key      commandKey
	bodyHash uint64
	version  uint64
	position store.Position
	events   string // wire names, joined by spaces
}

func (m *memo) result() Result {
	return Result{Version: m.version, Position: m.position, Events: strings.Fields(m.events), Duplicate: true}
}

// find returns the memo of a command, nil if the window does not have it.
func (r *recall) find(key commandKey) *memo {
	for i := range r.window {
		if r.window[i].key == key {
			return &r.window[i]
		}
	}
	return nil
}

// suspects returns the sections that may hold an id which the window does not.
func (r *recall) suspects(key commandKey) []*section {
	var found []*section
	for i := range r.sections {
		if r.sections[i].has(key) {
			found = append(found, &r.sections[i])
		}
	}
	return found
}

// learn remembers the commands of a stored commit. names are the shared wire
// names: those of a commit that was read hold on to all its text.
func (r *recall) learn(c *store.Commit, names sharedNames) {
	r.prepare(c)
	next := 0
	for i := range c.Commands {
		begin := next
		for next < len(c.Events) && c.Events[next].Command == i {
			next++
		}
		if c.Commands[i].BodyHash == 0 {
			continue // its id was made up: it cannot come again
		}
		r.add(memo{
			key:      keyOf(c.Commands[i].ID),
			bodyHash: c.Commands[i].BodyHash,
			version:  c.After.Version + uint64(next),
			position: store.PositionOf(c.Sequence, next-1),
			events:   names.join(c.Events[begin:next]),
		})
	}
	if n := len(r.sections); n > 0 {
		r.sections[n-1].last = c.Head().Version
	}
}

// prepare opens a section where one must begin: sections begin and end
// between commits, so that the log can be read from a section's start.
func (r *recall) prepare(c *store.Commit) {
	n := len(r.sections)
	if n > 0 && r.sections[n-1].count < sectionIDs {
		return
	}
	if n == 0 && len(r.window) < windowLen {
		if len(r.window) == 0 {
			r.first = c.After
		}
		if len(r.window)+len(c.Commands) <= windowLen {
			return
		}
	}
	r.sections = append(r.sections, section{after: c.After, last: c.After.Version, bits: make([]uint64, sectionBits/64)})
	if n == 0 { // the first one stands for what the window holds, too
		r.sections[0].after = r.first
		for i := range r.window {
			r.sections[0].add(r.window[i].key)
		}
	}
	if len(r.sections) > maxSections {
		r.sections = append(r.sections[:0], r.sections[1:]...)
	}
}

func (r *recall) add(m memo) {
	if n := len(r.sections); n > 0 {
		r.sections[n-1].add(m.key)
	}
	if len(r.window) < windowLen {
		r.window = append(r.window, m)
		return
	}
	r.window[r.oldest] = m
	r.oldest = (r.oldest + 1) % windowLen
}

// inOrder yields the window's memos, the oldest first.
func (r *recall) inOrder() []memo {
	if len(r.window) < windowLen {
		return r.window
	}
	return append(append([]memo(nil), r.window[r.oldest:]...), r.window[:r.oldest]...)
}

// sharedNames are the wire names of an aggregate's events, each once in memory.
type sharedNames map[string]string

func newSharedNames(names []string) sharedNames {
	shared := make(sharedNames, len(names))
	for _, name := range names {
		shared[name] = name
	}
	return shared
}

// join returns the wire names as one string. For one event, the usual case, it
// is the shared string and costs nothing.
func (n sharedNames) join(events []store.Event) string {
	if len(events) == 1 {
		if name, ok := n[events[0].Type]; ok {
			return name
		}
		return strings.Clone(events[0].Type)
	}
	names := make([]string, len(events))
	for i := range events {
		names[i] = events[i].Type
	}
	return strings.Join(names, " ")
}

// section is a Bloom filter (B. H. Bloom, Space/time trade-offs in hash coding
// with allowable errors, 1970) over the ids of a range of versions. With 8
// bits set for each of 2,730 ids in 65,536, a stranger passes with a
// probability of (1-e^(-1/3))^8, about 0.004 %. A commit of many commands may
// overfill a section by up to a commit.
//
// A key's eight bits are its eight 16-bit halfwords: a key is a piece of a
// cryptographic hash already.
type section struct {
	after store.Head // of the stream before the section's first command
	last  uint64     // version of the section's last event
	count int
	bits  []uint64
}

func (s *section) add(key commandKey) {
	for i := 0; i < len(key); i += 2 {
		bit := uint(key[i])<<8 | uint(key[i+1])
		s.bits[bit/64] |= 1 << (bit % 64)
	}
	s.count++
}

func (s *section) has(key commandKey) bool {
	for i := 0; i < len(key); i += 2 {
		bit := uint(key[i])<<8 | uint(key[i+1])
		if s.bits[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
	}
	return true
}
