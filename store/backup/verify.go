package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// Finding is one place that is not what was written.
type Finding struct {
	// File is the file in the vault that is damaged; empty if the log is.
	File string `json:"file,omitempty"`
	// Stream and Version name the first event that cannot be trusted; Version is 0
	// where that is not known.
	Stream  string `json:"stream,omitempty"`
	Version uint64 `json:"version,omitempty"`
	// Sequence is the place of the commit in the log, 0 where it is not known.
	Sequence uint64 `json:"sequence,omitempty"`
	Reason   string `json:"reason"`
}

// maxFindings bounds a report: who has more has no need of the rest.
const maxFindings = 1000

// Report is what a verification has read and found.
type Report struct {
	Commits   uint64         `json:"commits"`
	Events    uint64         `json:"events"`
	Streams   int            `json:"streams"`
	Sequence  uint64         `json:"sequence"`
	Position  store.Position `json:"position"`
	Chain     segment.Sum    `json:"chain"`
	Files     int            `json:"files"`
	Snapshots uint64         `json:"snapshots"`
	Findings  []Finding      `json:"findings"`
}

func (r *Report) add(f Finding) {
	if len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, f)
	}
}

func (r *Report) read(w *walk) {
	r.Commits, r.Events, r.Streams, r.Sequence, r.Position, r.Chain = w.commits, w.events, len(w.heads), w.sequence, w.position, w.chain
}

// find makes a finding of an error that says what is damaged.
func find(err error) Finding {
	f := Finding{Reason: err.Error()}
	var file *FileError
	if errors.As(err, &file) {
		f.File, f.Reason = file.File, file.Reason.Error()
	}
	var damage *store.DamageError
	var frame *segment.FrameError
	switch {
	case errors.As(err, &damage):
		f.Stream, f.Version, f.Sequence = damage.Stream.String(), damage.Version, damage.Sequence
	case errors.As(err, &frame):
		f.Sequence = frame.First
	}
	return f
}

// Verify reads all files of the backup, and of those that it goes on from: that
// each has the sum that its manifest names and holds what its index says, that
// every commit follows the one before in its stream, that no sequence is missing,
// and that the running hash is right. What is damaged is in the report; the error
// is of what could not be read, or ctx's.
func (b *Backup) Verify(ctx context.Context, progress func(Progress)) (Report, error) {
	v := &verifying{backup: b, walk: newWalk(), whole: true, progress: progress}
	v.report.Findings = []Finding{}
	for _, m := range b.parts {
		if err := v.part(ctx, m); err != nil {
			return v.report, fmt.Errorf("verify backup %s: %w", m.ID, err)
		}
	}
	v.report.read(v.walk)
	return v.report, nil
}

type verifying struct {
	backup   *Backup
	report   Report
	walk     *walk
	whole    bool // nothing that the walk must know was damaged
	progress func(Progress)
}

func (v *verifying) part(ctx context.Context, m *Manifest) error {
	for i := range m.Log {
		if err := v.note(ctx, v.file(ctx, place{m, &m.Log[i]})); err != nil {
			return err
		}
	}
	if v.whole && (v.walk.sequence != m.Sequence || v.walk.chain != m.Chain || v.walk.position != m.Position) {
		v.whole = false
		v.report.add(Finding{File: m.file(manifestName), Sequence: v.walk.sequence, Reason: fmt.Sprintf(
			"its files end at sequence %d with the running hash %s, the manifest says %d and %s", v.walk.sequence, v.walk.chain, m.Sequence, m.Chain)})
	}
	for _, file := range []*ValueFile{m.Snapshots, m.Tables} {
		if file != nil {
			if err := v.note(ctx, v.values(ctx, m, file)); err != nil {
				return err
			}
		}
	}
	return nil
}

// note adds damage to the report, and returns what is not damage.
func (v *verifying) note(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	v.report.Files++
	if !errors.Is(err, store.ErrDamaged) {
		return err
	}
	v.report.add(find(err))
	return nil
}

// file verifies a file of commits by itself, and then as the one after those that
// were walked through.
func (v *verifying) file(ctx context.Context, p place) error {
	r, f, err := v.backup.open(ctx, p)
	if err == nil {
		err = errors.Join(r.Verify(ctx), f.Close())
	}
	if err != nil {
		v.whole = false
		return &FileError{File: p.manifest.file(p.file.Name), Reason: err}
	}
	if !v.whole {
		return nil
	}
	take := func(c *store.Commit, fault error) bool {
		if err = fault; err == nil {
			if err = v.walk.take(c); err != nil {
				err = &FileError{File: p.manifest.file(p.file.Name), Reason: err}
			}
		}
		if v.progress != nil && v.walk.commits%feedBatch == 0 {
			v.progress(Progress{Done: v.walk.commits, Total: v.backup.Manifest().Sequence})
		}
		return err == nil
	}
	v.backup.yieldFile(ctx, p, 0, 0, take)
	v.whole = err == nil
	return err
}

func (v *verifying) values(ctx context.Context, m *Manifest, file *ValueFile) error {
	for value, err := range v.backup.values(ctx, m, file) {
		if err != nil {
			return err
		}
		if file != m.Snapshots {
			continue
		}
		if _, err := store.DecodeSnapshot(value.Data); err != nil {
			return &FileError{File: m.file(file.Name), Reason: fmt.Errorf("%s: %w", value.Key, err)}
		}
		v.report.Snapshots++
	}
	return nil
}
