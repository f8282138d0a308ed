package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Findings are what an audit counted. All but the first group must be 0.
type Findings struct {
	Acknowledged int // commands that were told to be stored, at once or when sent again
	Rejected     int
	Unavailable  int // definitely not carried out
	Unknown      int // of unknown outcome when their time was over
	Reads        int

	// Lost: acknowledged, and not in the log as the command of that version.
	Lost int
	// Duplicated: took effect more than once, or without being sent, or although
	// somebody was told that it never would, or was told two different results.
	Duplicated int
	// Reordered: acknowledged before another command on the same stream was sent,
	// and stored after it; or a stream whose versions or hashes have a gap.
	Reordered int
	// StaleCommits: stored under an epoch after a higher one on the same stream;
	// or acknowledged by the owner of an epoch although a commit of a later owner
	// of the partition was stored before it.
	StaleCommits int
	// StaleReads: older than what was acknowledged before the question was
	// asked, or newer than the log.
	StaleReads int
	// Unjustified: streams whose answers, rejections and states read included, no
	// order of the commands explains.
	Unjustified int
	// Unsettled: still unknown after everything was healed and sent again.
	Unsettled int
	// Unexpected: answers that a system at work has no reason to give.
	Unexpected int

	// Notes tell the first findings of each kind.
	Notes []string
}

// Clean returns nil if nothing was found that must not be.
func (f *Findings) Clean() error {
	sum := f.Lost + f.Duplicated + f.Reordered + f.StaleCommits + f.StaleReads + f.Unjustified + f.Unsettled + f.Unexpected
	if sum == 0 {
		return nil
	}
	return fmt.Errorf("the audit found %d violations", sum)
}

// notesEach is how many findings of a kind are told; all are counted.
const notesEach = 10

func (f *Findings) add(counter *int, kind, format string, v ...any) {
	if *counter++; *counter <= notesEach {
		f.Notes = append(f.Notes, kind+": "+fmt.Sprintf(format, v...))
	}
}

// Audit compares what the senders were told with what the log holds.
func Audit(b *Book, h *History) *Findings {
	f := &Findings{}
	sent := map[string]bool{}
	streams := map[string][]*Op{}
	h.Each(func(o *Op) {
		sent[o.ID] = true
		streams[o.Stream] = append(streams[o.Stream], o)
		f.count(o)
		f.checkOp(b, o)
	})
	for id, e := range b.commands {
		if !sent[id] {
			f.add(&f.Duplicated, "invented", "command %s at %s version %d was never sent", id, e.stream, e.version)
		}
	}
	for _, text := range b.twice {
		f.add(&f.Duplicated, "duplicated", "%s", text)
	}
	for _, text := range b.broken {
		f.add(&f.Reordered, "broken", "%s", text)
	}
	for _, text := range b.stale {
		f.add(&f.StaleCommits, "stale", "%s", text)
	}
	for _, ops := range streams {
		f.checkOrder(ops)
	}
	f.checkReads(b, h, streams)
	slices.Sort(f.Notes)
	return f
}

func (f *Findings) count(o *Op) {
	if o.Outcome == Unknown {
		f.Unknown++
	}
	switch _, a := o.Final(); a.Outcome {
	case OK:
		f.Acknowledged++
	case Rejected:
		f.Rejected++
	case Unavailable:
		f.Unavailable++
	case Unknown:
		f.add(&f.Unsettled, "unsettled", "command %s on %s: %s", o.ID, o.Stream, a.Text)
	case Unexpected:
		f.add(&f.Unexpected, "unexpected", "command %s (%T) on %s: %s", o.ID, o.Command, o.Stream, a.Text)
	}
}

// checkOp looks for a command in the log.
func (f *Findings) checkOp(b *Book, o *Op) {
	e, stored := b.commands[o.ID]
	_, a := o.Final()
	switch {
	case a.Outcome == OK && !stored:
		f.add(&f.Lost, "lost", "command %s, acknowledged as %s version %d at position %d", o.ID, o.Stream, a.Result.Version, a.Result.Position)
	case a.Outcome == OK && (e.stream != stream(o.Stream) || e.version != a.Result.Version || e.position != a.Result.Position):
		f.add(&f.Lost, "lost", "command %s was acknowledged as %s version %d at position %d and is stored as %s version %d at position %d",
			o.ID, o.Stream, a.Result.Version, a.Result.Position, e.stream, e.version, e.position)
	case a.Outcome == OK && !a.Result.Duplicate && e.epoch < e.newest:
		f.add(&f.StaleCommits, "stale", "command %s on %s was acknowledged under epoch %d, after a commit in the partition under %d", o.ID, o.Stream, e.epoch, e.newest)
	case stored && (a.Outcome == Rejected || a.Outcome == Unavailable):
		f.add(&f.Duplicated, "denied", "command %s was answered %s (%s) and is stored as %s version %d", o.ID, a.Outcome, a.Text, e.stream, e.version)
	}
	if o.Outcome != Unknown && o.Again != nil {
		f.checkAgain(o)
	}
}

// checkAgain compares the answer to a repetition with the first one.
func (f *Findings) checkAgain(o *Op) {
	same := o.Again.Outcome == OK && o.Again.Result.Duplicate &&
		o.Again.Result.Version == o.Result.Version && o.Again.Result.Position == o.Result.Position
	if !same {
		f.add(&f.Duplicated, "repeated", "command %s on %s was acknowledged as version %d, and when sent again answered %s, version %d, duplicate %v: %s",
			o.ID, o.Stream, o.Result.Version, o.Again.Outcome, o.Again.Result.Version, o.Again.Result.Duplicate, o.Again.Text)
	}
}

// checkOrder sweeps over the commands of one stream in the order of their
// sending: each must be stored after all that were acknowledged before it was
// sent.
func (f *Findings) checkOrder(ops []*Op) {
	bySent, byDone := okOps(ops), okOps(ops)
	slices.SortFunc(bySent, func(x, y okOp) int { return cmp.Compare(x.Sent, y.Sent) })
	slices.SortFunc(byDone, func(x, y okOp) int { return cmp.Compare(x.Done, y.Done) })
	var before okOp // of those acknowledged so far, the one stored last
	next := 0
	for _, o := range bySent {
		for ; next < len(byDone) && byDone[next].Done < o.Sent; next++ {
			if byDone[next].version > before.version {
				before = byDone[next]
			}
		}
		if o.version <= before.version {
			f.add(&f.Reordered, "reordered", "command %s on %s is version %d, and was sent %s after command %s was acknowledged as version %d",
				o.op.ID, o.op.Stream, o.version, o.Sent-before.Done, before.op.ID, before.version)
		}
	}
}

// okOp is an acknowledged command.
type okOp struct {
	Interval
	version uint64
	op      *Op
}

func okOps(ops []*Op) []okOp {
	var all []okOp
	for _, o := range ops {
		if span, a := o.Final(); a.Outcome == OK {
			all = append(all, okOp{span, a.Result.Version, o})
		}
	}
	return all
}

// checkReads compares each state that was read with what was acknowledged
// before, and with the end of the log.
func (f *Findings) checkReads(b *Book, h *History, streams map[string][]*Op) {
	acked := map[string][]okOp{}
	for id, ops := range streams {
		acked[id] = okOps(ops)
	}
	for _, r := range h.reads {
		f.Reads++
		floor, by := uint64(0), ""
		for _, o := range acked[r.Stream] {
			if o.Done < r.Sent && o.version > floor {
				floor, by = o.version, o.op.ID
			}
		}
		if r.Version < floor {
			f.add(&f.StaleReads, "stale read", "%s was read at version %d (linearizable: %v) at %s, and command %s had been acknowledged as version %d",
				r.Stream, r.Version, r.Linearizable, r.Sent.Round(time.Millisecond), by, floor)
		}
		if end := b.heads[stream(r.Stream)].Version; r.Version > end {
			f.add(&f.StaleReads, "stale read", "%s was read at version %d, and ends at %d", r.Stream, r.Version, end)
		}
	}
}
