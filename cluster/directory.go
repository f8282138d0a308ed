package cluster

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"
)

// directory is what this process has read of the bucket. It may be behind, and
// says nothing about the present but what a compare-and-set then confirms.
type directory struct {
	mu      sync.Mutex
	cursor  uint64               // everything up to this revision has been read
	nodes   map[string]member    // by name
	held    map[Slot]holding     // slots that have a record
	cordons map[string]bool      // by node
	pins    map[int]string       // node by partition
	removed map[string]uint64    // revision of the mark of a removed key
	ended   map[string]time.Time // when the lease of a session that is gone has ended for certain
	// membership counts the changes that placement depends on; since is when the
	// last one was read.
	membership uint64
	since      time.Time

	quiet time.Duration // see Config.quiet
}

// member is a node as the directory has it.
type member struct {
	nodeRecord
	revision uint64
	// seen is when this revision was read, on this process's clock: not before
	// the holder sent it.
	seen time.Time
}

// holding is a slot as the directory has it.
type holding struct {
	holdingRecord
	revision uint64
}

func newDirectory(quiet time.Duration) *directory {
	return &directory{
		nodes: map[string]member{}, held: map[Slot]holding{}, cordons: map[string]bool{}, pins: map[int]string{},
		removed: map[string]uint64{}, ended: map[string]time.Time{}, quiet: quiet,
	}
}

// Keys of the bucket.
const (
	keyNode      = "node."
	keyPartition = "partition."
	keyDuty      = "duty."
	keyCordon    = "cordon."
	keyPin       = "pin."
)

func slotKey(s Slot) string {
	if s.Duty != "" {
		return keyDuty + s.Duty
	}
	return keyPartition + strconv.Itoa(s.Partition)
}

// apply takes a change in and reports whether anything but a renewal changed.
// What was applied already, or is older, changes nothing.
func (d *directory) apply(c change, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(c.value) == 0 {
		d.removed[c.key] = c.revision
	} else {
		delete(d.removed, c.key)
	}
	kind, name, _ := strings.Cut(c.key, ".")
	switch kind + "." {
	case keyNode:
		return d.applyNode(name, c, now)
	case keyPartition:
		p, err := strconv.Atoi(name)
		return err == nil && d.applyHolding(Slot{Partition: p}, c)
	case keyDuty:
		return d.applyHolding(Slot{Duty: name}, c)
	case keyCordon:
		return d.applyCordon(name, c, now)
	case keyPin:
		return d.applyPin(name, c, now)
	}
	return false // of a later build
}

func (d *directory) applyNode(name string, c change, now time.Time) bool {
	was, known := d.nodes[name]
	if known && c.revision <= was.revision {
		return false
	}
	var is nodeRecord
	if len(c.value) > 0 && json.Unmarshal(c.value, &is) != nil {
		return false
	}
	if known && was.Session != is.Session {
		// The last renewal was sent before it was read here, if it was read here;
		// otherwise before what ended the session was.
		last := now
		if c.before == was.revision {
			last = was.seen
		}
		d.ended[was.Session] = last.Add(d.quiet)
	}
	if len(c.value) == 0 {
		delete(d.nodes, name)
	} else {
		d.nodes[name] = member{nodeRecord: is, revision: c.revision, seen: now}
	}
	same := known && was.Session == is.Session && was.Leaving == is.Leaving
	if !same {
		d.changedMembership(now)
	}
	return !same
}

func (d *directory) changedMembership(now time.Time) {
	d.membership++
	d.since = now
}

func (d *directory) applyHolding(s Slot, c change) bool {
	if was, known := d.held[s]; known && c.revision <= was.revision {
		return false
	}
	var is holdingRecord
	if len(c.value) > 0 && json.Unmarshal(c.value, &is) != nil {
		return false
	}
	d.held[s] = holding{is, c.revision}
	return true
}

func (d *directory) applyCordon(name string, c change, now time.Time) bool {
	if d.cordons[name] == (len(c.value) > 0) {
		return false
	}
	if len(c.value) > 0 {
		d.cordons[name] = true
	} else {
		delete(d.cordons, name)
	}
	d.changedMembership(now)
	return true
}

func (d *directory) applyPin(number string, c change, now time.Time) bool {
	p, err := strconv.Atoi(number)
	if err != nil || d.pins[p] == string(c.value) {
		return false
	}
	if len(c.value) > 0 {
		d.pins[p] = string(c.value)
	} else {
		delete(d.pins, p)
	}
	d.changedMembership(now)
	return true
}

// alive reports whether the session is in the directory.
func (d *directory) alive(node, session string) bool {
	m, ok := d.nodes[node]
	return ok && m.Session == session
}

// free returns since when, or from when on, nobody holds the slot: in the past
// if a compare-and-set at that revision may claim it now. held is true while a
// session that lives has it.
func (d *directory) free(s Slot, now time.Time) (from time.Time, revision uint64, held bool) {
	h := d.held[s]
	switch {
	case h.Node == "":
		return time.Time{}, h.revision, false
	case d.alive(h.Node, h.Session):
		return time.Time{}, h.revision, true
	}
	ended, known := d.ended[h.Session]
	if !known { // it was gone before this process looked
		ended = now.Add(d.quiet)
		d.ended[h.Session] = ended
	}
	return ended, h.revision, false
}

// candidates returns the nodes that may be given what a role does.
func (d *directory) candidates(r Role) []Candidate {
	var all []Candidate
	for name, m := range d.nodes {
		if m.has(r) && !m.Leaving && !d.cordons[name] {
			all = append(all, Candidate{Name: name, Weight: m.Weight, Capacity: m.Capacity})
		}
	}
	return all
}

// plan is who should have what. It is a function of the directory alone, so
// all nodes that have read as far come to the same.
type plan struct {
	membership uint64
	partitions []string
	duties     map[string]string
}

func (d *directory) plan(partitions int) *plan {
	return &plan{
		membership: d.membership,
		partitions: Place(partitions, d.candidates(RoleActors), maps.Clone(d.pins)),
		duties:     d.placeDuties(),
	}
}

// placeDuties places the duties that all candidates know, evenly, and each
// other one on a candidate that knows it: while nodes of two builds run, one of
// them may have a view that the other has not.
func (d *directory) placeDuties() map[string]string {
	nodes := d.candidates(RoleProjectors)
	known := map[string][]Candidate{}
	for _, n := range nodes {
		for _, duty := range d.nodes[n.Name].Duties {
			known[duty] = append(known[duty], n)
		}
	}
	var common []string
	placed := map[string]string{}
	for duty, who := range known {
		if len(who) == len(nodes) {
			common = append(common, duty)
		} else {
			maps.Copy(placed, PlaceDuties([]string{duty}, who))
		}
	}
	maps.Copy(placed, PlaceDuties(common, nodes))
	return placed
}

func (p *plan) wants(s Slot) string {
	if s.Duty != "" {
		return p.duties[s.Duty]
	}
	if s.Partition < len(p.partitions) {
		return p.partitions[s.Partition]
	}
	return ""
}

// reload forgets what a full reading did not show. seen are the keys that it
// showed, and from the revision that had been read before it began.
func (d *directory) reload(seen map[string]bool, from uint64, now time.Time) (changed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, m := range d.nodes {
		if !seen[keyNode+name] && m.revision <= from {
			d.ended[m.Session] = now.Add(d.quiet)
			delete(d.nodes, name)
			d.changedMembership(now)
			changed = true
		}
	}
	for key, revision := range d.removed {
		if !seen[key] && revision <= from {
			delete(d.removed, key) // the mark itself is gone
		}
	}
	for session, at := range d.ended {
		if now.Sub(at) > markerTTL {
			delete(d.ended, session)
		}
	}
	return changed
}
