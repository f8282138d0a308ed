package archive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/annals-go/annals/store"
)

// Findings is what a verification found.
type Findings struct {
	Runs    int    `json:"runs"`
	Files   int    `json:"files"`
	Streams int    `json:"streams"`
	Commits uint64 `json:"commits"`
	Events  uint64 `json:"events"`
	// Unlisted counts the files that belong to no run: of one that was
	// interrupted, or that is under way.
	Unlisted int `json:"unlisted"`
	// Faults are what is wrong, in words that name the file, or the stream and its
	// version; the first [MaxFaults] of FaultCount.
	Faults     []string `json:"faults,omitempty"`
	FaultCount int      `json:"fault_count"`
}

// MaxFaults is how many faults a verification names.
const MaxFaults = 100

func (f *Findings) blame(format string, args ...any) {
	f.FaultCount++
	if len(f.Faults) < MaxFaults {
		f.Faults = append(f.Faults, fmt.Sprintf(format, args...))
	}
}

// Verify reads all of the archive: every file against its sums and its index,
// every stream from its first commit on by its chain, through all files. With a
// log, which was opened with this archive, it also checks that each stream goes on
// in the log where the archive ends, and that the two hold every sequence together.
// What is wrong is in the findings; the error is that of a vault or a log that
// cannot be asked.
func (a *Archive) Verify(ctx context.Context, log store.Log, progress func(Progress)) (Findings, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	var f Findings
	if _, err := a.refresh(ctx, a.current()); err != nil && !errors.Is(err, store.ErrDamaged) {
		return f, fmt.Errorf("verify archive %s: %w", a, err)
	} else if err != nil {
		f.blame("%v", err)
	}
	c := a.current()
	f.Runs, f.Files = len(c.entries), len(c.segments)
	ids, err := a.verifyFiles(ctx, c, &f, progress)
	if err == nil {
		err = a.verifyStreams(ctx, log, ids, &f, progress)
	}
	if err == nil && log != nil {
		err = verifyTogether(ctx, log, &f, progress)
	}
	if err != nil {
		return f, fmt.Errorf("verify archive %s: %w", a, err)
	}
	unlisted, err := a.unlisted(ctx)
	if err != nil {
		return f, fmt.Errorf("verify archive %s: %w", a, err)
	}
	f.Unlisted = len(unlisted)
	return f, nil
}

// verifyFiles verifies each file and returns the streams that they have, with
// the version that each ends at.
func (a *Archive) verifyFiles(ctx context.Context, c *catalogue, f *Findings, progress func(Progress)) (map[store.StreamID]uint64, error) {
	ends := map[store.StreamID]uint64{}
	for i, s := range c.segments {
		err := a.verifyFile(ctx, s, ends, f)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, store.ErrUnavailable):
			return nil, err
		case err != nil:
			f.blame("%s: %v", s.Name, err)
		}
		progress(Progress{Stage: "files", Done: uint64(i) + 1})
	}
	f.Streams = len(ends)
	return ends, nil
}

func (a *Archive) verifyFile(ctx context.Context, s *shelved, ends map[store.StreamID]uint64, f *Findings) error {
	file, err := a.files.open(ctx, s)
	if err != nil {
		return err
	}
	defer a.files.release(file)
	for span := range file.reader.Streams() {
		ends[span.Stream] = max(ends[span.Stream], span.Last.Version)
		if !s.mayHold(hashOf(span.Stream)) {
			f.blame("%s: the catalogue does not know that it has %s", s.Name, span.Stream)
		}
	}
	info := file.reader.Info()
	f.Commits, f.Events = f.Commits+info.Commits, f.Events+info.Events
	return file.reader.Verify(ctx)
}

// verifyStreams follows each stream through the files and on into the log.
func (a *Archive) verifyStreams(ctx context.Context, log store.Log, ends map[store.StreamID]uint64, f *Findings, progress func(Progress)) error {
	for i, id := range slices.SortedFunc(maps.Keys(ends), compareIDs) {
		last, err := a.verifyChain(ctx, id)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, store.ErrUnavailable):
			return err
		case err != nil:
			f.blame("%s: %v", id, err)
		case last.Version != ends[id]:
			f.blame("%s: no file has version %d", id, last.Version+1)
		case log != nil:
			if err := a.verifyJoint(ctx, log, id, last, f); err != nil {
				return err
			}
		}
		progress(Progress{Stage: "streams", Done: uint64(i) + 1})
	}
	return nil
}

// verifyChain is Last that also checks that each file goes on from the very commit
// that the one before it ended with. That within a file a stream is a chain is what
// verifying the file shows.
func (a *Archive) verifyChain(ctx context.Context, id store.StreamID) (head store.Head, err error) {
	c := a.current()
	for {
		f, err := a.next(ctx, c, id, head.Version)
		if err != nil || f == nil {
			return head, err
		}
		if head.Version > 0 {
			for _, err = range f.reader.Stream(id, head) {
				break // the first says whether it follows
			}
		}
		span, _ := f.reader.Find(id)
		a.files.release(f)
		if err != nil {
			return head, fmt.Errorf("%s: %w", f.of.Name, err)
		}
		head = span.Last
	}
}

// verifyTogether follows the log from its first commit to its end: an archive does
// not know what it lacks if the entry of a run is gone, or all of it.
func verifyTogether(ctx context.Context, log store.Log, f *Findings, progress func(Progress)) error {
	err := follow(ctx, log, nil, 0, func(_ *store.Commit, n uint64) (bool, error) {
		if n%stride == 0 {
			progress(Progress{Stage: "log", Done: n})
		}
		return true, nil
	})
	if errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrArchived) {
		f.blame("log and archive: %v", err)
		return nil
	}
	return err
}

// verifyJoint checks that the log goes on where the archive ends.
func (a *Archive) verifyJoint(ctx context.Context, log store.Log, id store.StreamID, last store.Head, f *Findings) error {
	for _, err := range log.Read(ctx, id, last) {
		if errors.Is(err, store.ErrUnavailable) {
			return err
		}
		if err != nil {
			f.blame("%s: the log does not go on at version %d: %v", id, last.Version+1, err)
		}
		return nil
	}
	f.blame("%s: the log has nothing after version %d", id, last.Version)
	return nil
}
