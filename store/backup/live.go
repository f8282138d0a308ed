package backup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"

	"github.com/annals-go/annals/store"
)

// Live is a log that is verified.
type Live struct {
	// Log is read from its beginning to where it ends now. Required.
	Log store.Log
	// Backup is what the log is compared with, commit by commit, as far as the
	// backup goes: that the log has lost its end and gone on shows in nothing else.
	// Default nil: nothing.
	Backup *Backup
	// Snapshots yields snapshots, whose heads the log must have. Default nil: none.
	Snapshots func(context.Context) iter.Seq2[*store.Snapshot, error]
	// Progress is told now and then how far it is, by the goroutine that called.
	// Default nil.
	Progress func(Progress)
}

// Verify reads the whole log: that no sequence is missing, that each commit
// decodes and holds the hash of the one before in its stream, and that backup and
// snapshots are of this history. The log may be written to meanwhile. It holds the
// head of each stream. The first damage in the order of the log is in the report,
// named as exactly as can be told, then what backup and snapshots know beyond it;
// the error is of what could not be asked, or ctx's.
func (l Live) Verify(ctx context.Context) (Report, error) {
	v := &living{Live: l, walk: newWalk(), snapshots: map[store.StreamID]*store.Snapshot{}}
	v.report.Findings = []Finding{}
	err := v.run(ctx)
	v.report.read(v.walk)
	if err != nil {
		err = fmt.Errorf("verify the log: %w", err)
	}
	return v.report, err
}

type living struct {
	Live
	report    Report
	walk      *walk
	snapshots map[store.StreamID]*store.Snapshot // not yet come to; without their contents

	kept    func() (*store.Commit, error, bool) // the backup's next commit; nil if there is nothing to compare with
	differs bool
}

func (v *living) run(ctx context.Context) error {
	// The snapshots come first: each is of a log that ends before the tip.
	if err := v.loadSnapshots(ctx); err != nil {
		return err
	}
	if v.Backup != nil {
		next, stop := iter.Pull2(v.Backup.Commits(ctx, 0, 0))
		defer stop()
		v.kept = next
	}
	tip, err := v.Log.Tip(ctx)
	if err == nil {
		err = follow(ctx, v.Log, 0, tip, func(c *store.Commit) error { return v.take(ctx, c, tip) })
	}
	var silent *silentError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, store.ErrDamaged), errors.As(err, &silent):
		v.undelivered(ctx, err)
		return ctx.Err()
	case err != nil:
		return err
	}
	v.lostEnd(ctx)
	v.compareSnapshots()
	return ctx.Err()
}

func (v *living) loadSnapshots(ctx context.Context) error {
	if v.Snapshots == nil {
		return nil
	}
	for s, err := range v.Snapshots(ctx) {
		if err != nil {
			return err
		}
		s.State, s.Memory = nil, nil
		v.snapshots[s.Stream] = s
		v.report.Snapshots++
	}
	return nil
}

// take checks the log's next commit. What is found does not end the walk unless
// the log goes on elsewhere than it should.
func (v *living) take(ctx context.Context, c *store.Commit, tip store.Position) error {
	v.compare(ctx, c)
	err := v.walk.take(c)
	var gap *gapError
	if errors.As(err, &gap) {
		return err
	}
	if err != nil {
		v.report.add(find(err))
		v.walk.heads[c.Stream] = c.Head() // go on from what is there
		v.walk.sequence, v.walk.position = c.Sequence, c.Last()
	}
	if s := v.snapshots[c.Stream]; s != nil && s.Head.Version == c.Head().Version {
		delete(v.snapshots, c.Stream)
		if s.Head.Hash != c.Hash {
			v.report.add(Finding{Stream: c.Stream.String(), Version: c.After.Version + 1, Sequence: c.Sequence, Reason: fmt.Sprintf(
				"the snapshot at version %d is of a commit with the hash %s, the log has %s", s.Head.Version, s.Head.Hash, c.Hash)})
		}
	}
	if v.Progress != nil && v.walk.commits%feedBatch == 0 {
		v.Progress(Progress{Done: c.Sequence, Total: tip.Sequence()})
	}
	return nil
}

// compare compares the log's next commit with the backup's. After the first
// difference all are others.
func (v *living) compare(ctx context.Context, c *store.Commit) {
	if v.kept == nil || v.differs {
		return
	}
	kept, err, more := v.kept()
	switch {
	case !more:
		v.kept = nil
	case ctx.Err() != nil:
	case err != nil:
		v.kept = nil
		v.report.add(find(err))
	case kept.Hash != c.Hash || kept.Sequence != c.Sequence:
		v.differs = true
		v.report.add(Finding{Stream: kept.Stream.String(), Version: kept.After.Version + 1, Sequence: kept.Sequence, Reason: fmt.Sprintf(
			"the backup has version %d of %s there, the log has version %d of %s: the log lost what was there, and went on",
			kept.After.Version+1, kept.Stream, c.After.Version+1, c.Stream)})
	}
}

// undelivered names what the log does not deliver: by the backup, else by the
// stream that cannot be read on.
func (v *living) undelivered(ctx context.Context, reason error) {
	f := find(reason)
	if f.Version > 0 {
		v.report.add(f)
		return
	}
	f.Sequence = v.walk.sequence + 1
	if v.Backup != nil {
		if c, err := v.Backup.At(ctx, f.Sequence); err == nil && c != nil {
			f.Stream, f.Version = c.Stream.String(), c.After.Version+1
			v.report.add(f)
			return
		}
	}
	if damage := v.readOn(ctx); damage != nil {
		damage.Reason = f.Reason + "; " + damage.Reason
		f = *damage
	}
	v.report.add(f)
}

// readOn reads the streams that are known from where the walk has them, and
// returns the first that is damaged.
func (v *living) readOn(ctx context.Context) *Finding {
	known := maps.Clone(v.walk.heads)
	for id := range v.snapshots {
		if _, walked := known[id]; !walked {
			known[id] = store.Head{}
		}
	}
	var first *Finding
	for id, head := range known {
		for _, err := range v.Log.Read(ctx, id, head) {
			if !errors.Is(err, store.ErrDamaged) {
				continue
			}
			if f := find(err); first == nil || f.Sequence != 0 && (first.Sequence == 0 || f.Sequence < first.Sequence) {
				first = &f
			}
		}
	}
	return first
}

// lostEnd says what the backup has beyond the log's end.
func (v *living) lostEnd(ctx context.Context) {
	if v.Backup == nil || v.differs {
		return
	}
	m := v.Backup.Manifest()
	if m.Sequence <= v.walk.sequence {
		return
	}
	f := Finding{Sequence: v.walk.sequence + 1}
	if c, err := v.Backup.At(ctx, f.Sequence); err == nil && c != nil {
		f.Stream, f.Version = c.Stream.String(), c.After.Version+1
	}
	f.Reason = fmt.Sprintf("the log ends at sequence %d, backup %s goes to %d: the log lost its end", v.walk.sequence, m.ID, m.Sequence)
	v.report.add(f)
}

// compareSnapshots says which snapshots the log did not come to.
func (v *living) compareSnapshots() {
	for id, s := range v.snapshots {
		ends := v.walk.heads[id].Version
		reason := fmt.Sprintf("the snapshot is at version %d, where no commit of the stream ends", s.Head.Version)
		if s.Head.Version > ends {
			reason = fmt.Sprintf("the snapshot is at version %d, the stream ends at %d: the log lost its end", s.Head.Version, ends)
		}
		v.report.add(Finding{Stream: id.String(), Version: min(ends+1, s.Head.Version), Sequence: s.Position.Sequence(), Reason: reason})
	}
}
