//go:build linux

package main

import (
	"slices"

	"github.com/annals-go/annals/store"
)

// checkLog compares the log with what the clients sent and were told.
func checkLog(b *book, j *journal) findings {
	f := findings{groundless: j.groundless}
	for _, fault := range b.faults {
		f.addWrong("%s", fault)
	}
	for _, odd := range j.oddities {
		f.addWrong("%s", odd)
	}
	for id, r := range j.receipts {
		checkReceipt(&f, b, j.sent[id], r)
	}
	for id, why := range j.denied {
		if e, stored := b.commands[id]; stored {
			f.addWrong("command %s was denied (%s) and is at %s version %d", id, why, e.stream, e.version)
		}
	}
	for id, e := range b.commands {
		if _, sent := j.sent[id]; !sent {
			f.addWrong("command %s at %s version %d was never sent", id, e.stream, e.version)
		}
	}
	if j.furthest > b.tip {
		f.addAhead("%s spoke of position %d, the log ends at %d", j.witness, j.furthest, b.tip)
	}
	return f
}

func checkReceipt(f *findings, b *book, o order, r receipt) {
	e, stored := b.commands[o.id]
	want := entry{stream: o.stream, version: r.Version, position: r.Position}
	switch {
	case !stored:
		f.addLost("command %s, acknowledged as %s version %d at position %d", o.id, o.stream, r.Version, r.Position)
	case e != want:
		f.addWrong("command %s was acknowledged as %v and is in the log as %v", o.id, want, e)
	}
}

// countLost returns how many acknowledged commands are not in the log where
// they were said to be.
func countLost(b *book, j *journal) int {
	lost := 0
	for id, r := range j.receipts {
		if b.commands[id] != (entry{stream: j.sent[id].stream, version: r.Version, position: r.Position}) {
			lost++
		}
	}
	return lost
}

// standing is something that rests on the log, and how far.
type standing struct {
	what     string
	position store.Position
}

// checkStandings counts what rests on more than the log holds.
func checkStandings(b *book, standings []standing) findings {
	var f findings
	for _, s := range standings {
		if s.position > b.tip {
			f.addAhead("%s is at position %d, the log ends at %d", s.what, s.position, b.tip)
		}
	}
	return f
}

// checkSnapshot compares a snapshot with the stream that it is a prefix of.
func checkSnapshot(b *book, s *store.Snapshot) findings {
	var f findings
	heads := b.heads[s.Stream]
	if len(heads) == 0 || s.Head.Version > heads[len(heads)-1].Version {
		f.addAhead("the snapshot of %s is at version %d, which the log does not have", s.Stream, s.Head.Version)
		return f
	}
	if !slices.Contains(heads, s.Head) {
		f.addWrong("the snapshot of %s rests on %v, which is not in the log", s.Stream, s.Head)
	}
	return f
}
