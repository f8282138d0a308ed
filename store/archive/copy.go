package archive

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// stride is how many commits pass between two words about progress.
const stride = 4096

// batch is how many commits are asked for at once.
const batch = 512

func compareIDs(a, b store.StreamID) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
}

// follow passes the log's commits of the job's types after a sequence, as far as
// the log goes now, until take says that it wants no more.
func (j *job) follow(ctx context.Context, after uint64, stage string, take func(*store.Commit) (bool, error)) error {
	return follow(ctx, j.Log, j.Types, after, func(c *store.Commit, n uint64) (bool, error) {
		if n%stride == 0 {
			j.Progress(Progress{Stage: stage, Done: n})
		}
		return take(c)
	})
}

// follow passes the log's commits of some types after a sequence, each with its
// number, as far as the log goes now, until take says that it wants no more.
func follow(ctx context.Context, log store.Log, types []string, after uint64, take func(*store.Commit, uint64) (bool, error)) error {
	tip, err := log.Tip(ctx, types...)
	if err != nil || tip.Sequence() <= after {
		return err
	}
	feed, err := log.Follow(ctx, store.Follow{After: store.PositionOf(after, store.MaxEvents-1), Types: types})
	if err != nil {
		return err
	}
	defer feed.Close()
	for done := uint64(0); ; {
		commits, err := feed.Next(ctx, batch)
		if err != nil {
			return err
		}
		for _, c := range commits {
			if c.Sequence > tip.Sequence() {
				return nil
			}
			done++
			if more, err := take(c, done); err != nil || !more {
				return err
			}
			if c.Sequence == tip.Sequence() {
				return nil
			}
		}
	}
}

// copy writes the chosen commits into files, and makes them part of the archive.
func (j *job) copy(ctx context.Context) error {
	w := &writing{job: j, name: newRunName()}
	w.entry = &entry{Format: format, Namespace: j.archive.config.Namespace, Codec: j.Log.Codec().Name()}
	if err := w.run(ctx); err != nil {
		w.discard(ctx)
		return err
	}
	data, err := json.Marshal(w.entry)
	if err != nil {
		return err
	}
	name := entryOf(w.entry.Namespace, w.name)
	if len(data) > maxEntryBytes {
		w.discard(ctx)
		return &store.TooLargeError{What: "entry " + name, Size: len(data), Limit: maxEntryBytes}
	}
	// From here on the files are not taken away: the entry may be there whatever
	// the answer is.
	if err := segment.WriteFile(ctx, j.archive.config.Vault, name, data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	j.report.Run = w.entry.Run
	_, err = j.archive.refresh(ctx, j.archive.current())
	return err
}

// newRunName returns a name that no other run has, and that sorts by time.
func newRunName() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails
	return time.Now().UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(b[:])
}

// writing is a copy under way.
type writing struct {
	job   *job
	name  string
	entry *entry

	draft segment.Draft
	file  *segment.Writer
	sum   digest // of what the log gave for the open file
}

func (w *writing) run(ctx context.Context) error {
	after, open := ^uint64(0), 0
	for _, c := range w.job.chosen {
		if c.from.Version < c.to.Version {
			// A sequence in the log stream is never beyond that in the total order.
			after, open = min(after, c.from.Sequence), open+1
		}
	}
	err := w.job.follow(ctx, after, "copy", func(c *store.Commit) (bool, error) {
		s := w.job.chosen[c.Stream]
		if s == nil || c.After.Version < s.from.Version || c.After.Version >= s.to.Version {
			return true, nil
		}
		if err := c.Follows(s.at); err != nil { // the archive is of another history
			return false, err
		}
		if err := w.add(ctx, c); err != nil {
			return false, err
		}
		if s.at = c.Head(); s.at == s.to {
			open--
		}
		return open > 0, nil
	})
	if err == nil {
		err = w.complete()
	}
	if err == nil {
		err = w.finish(ctx)
	}
	return err
}

// complete checks that the copy came to the cut of each stream.
func (w *writing) complete() error {
	for id, c := range w.job.chosen {
		if c.at != c.to {
			reason := fmt.Sprintf("it was to be cut at version %d (%s), the log has version %d (%s) there", c.to.Version, c.to.Hash, c.at.Version, c.at.Hash)
			return &store.DamageError{Stream: id, Version: c.at.Version + 1, Reason: reason}
		}
	}
	return nil
}

func (w *writing) add(ctx context.Context, c *store.Commit) error {
	if w.file == nil {
		name := fmt.Sprintf("%s%06d.seg", dirOf(w.entry.Namespace, w.name), len(w.entry.Segments)+1)
		var err error
		if w.draft, err = w.job.archive.config.Vault.Create(ctx, name); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
		w.file, w.sum = segment.NewWriter(w.draft, w.job.Log.Codec()), newDigest()
		w.entry.Segments = append(w.entry.Segments, &shelved{Name: name})
	}
	if err := w.file.Add(c); err != nil {
		return err
	}
	w.sum.add(c)
	if w.file.Raw() < w.job.archive.config.FileBytes {
		return nil
	}
	return w.end(ctx)
}

// end ends the open file and reads it back.
func (w *writing) end(ctx context.Context) error {
	s := w.entry.Segments[len(w.entry.Segments)-1]
	info, err := w.file.Close()
	if err == nil {
		err = w.draft.Close()
	} else {
		_ = w.draft.Abort() // the error that counts is at hand
	}
	w.file, w.draft = nil, nil
	if err != nil {
		return fmt.Errorf("write %s: %w", s.Name, err)
	}
	s.Size, s.Sum, s.Commits = info.Size, info.Sum, info.Commits
	s.First, s.Last = info.First.Sequence(), info.Last.Sequence()
	r := &w.entry.Run
	r.Commits, r.Events, r.Raw, r.Size = r.Commits+info.Commits, r.Events+info.Events, r.Raw+info.Raw, r.Size+info.Size
	w.job.Progress(Progress{Stage: "prove", Done: r.Commits})
	return w.prove(ctx, s)
}

func (w *writing) finish(ctx context.Context) error {
	if w.file != nil {
		if err := w.end(ctx); err != nil {
			return err
		}
	}
	r := &w.entry.Run
	r.Name, r.Time = w.name, time.Now().UTC().Truncate(time.Second)
	r.First, r.Last = w.entry.Segments[0].First, w.entry.Segments[len(w.entry.Segments)-1].Last
	for _, c := range w.job.chosen {
		if c.from.Version < c.to.Version {
			r.Streams++
		}
	}
	return nil
}

// discard takes away what was written of a run that will not be. What it cannot
// take away nobody reads.
func (w *writing) discard(ctx context.Context) {
	if w.draft != nil {
		_ = w.draft.Abort()
	}
	for _, s := range w.entry.Segments {
		if err := w.job.archive.config.Vault.Remove(context.WithoutCancel(ctx), s.Name); err != nil {
			w.job.archive.config.Logger.Warn("a file of an archive run that failed stays", "file", s.Name, "err", err)
		}
	}
}
