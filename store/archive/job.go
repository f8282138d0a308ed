package archive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/annals-go/annals/store"
)

// Log is a log that can be relieved of what is archived.
type Log interface {
	store.Log
	store.Truncater
}

// Job says what a run archives. Log and Cut are required.
type Job struct {
	// Log is the log, opened with the archive that runs the job.
	Log Log
	// Types are the aggregate types whose streams are looked at. Default: all.
	Types []string
	// Streams are the only streams that are looked at, whatever Types says.
	// Default: all of the types.
	Streams []store.StreamID
	// Cut says up to which head a stream that ends at version may go into the
	// archive: one before its last commit, and not beyond a snapshot that was found
	// to equal a replay. The zero Head leaves the stream as it is. An error that
	// matches [ErrNotCut] leaves it and is counted; every other ends the run.
	Cut func(ctx context.Context, id store.StreamID, version uint64) (store.Head, error)
	// DryRun chooses, counts what would be moved, and changes nothing.
	DryRun bool
	// Progress is told from time to time how far the run is. Default: nobody.
	Progress func(Progress)
}

// ErrNotCut says that a stream cannot be cut for a reason of its own, such as a
// snapshot that a replay does not give.
var ErrNotCut = errors.New("not cut")

// Progress is how far a run is. Done counts in what the stage goes through:
// commits or streams.
type Progress struct {
	Stage string // "survey", "choose", "copy", "prove", "truncate"
	Done  uint64
}

// Report is what a run did.
type Report struct {
	// Run is what was added to the archive; its Name is empty if nothing was.
	Run Run `json:"run"`
	// Looked counts the streams that were looked at, Chosen those of which
	// something was moved now or before, Truncated those that the log is relieved of.
	Looked    int `json:"looked"`
	Chosen    int `json:"chosen"`
	Truncated int `json:"truncated"`
	// Planned is what a dry run would add to the archive; the zero Plan of a run.
	Planned Plan `json:"planned,omitzero"`
	// Left are streams that cannot be cut, and why; the first [MaxLeft] of LeftCount.
	Left      []Left `json:"left,omitempty"`
	LeftCount int    `json:"left_count"`
}

// Plan is how much a dry run would add to the archive.
type Plan struct {
	Events  uint64 `json:"events"`
	Streams int    `json:"streams"`
}

// MaxLeft is how many streams that cannot be cut a report names.
const MaxLeft = 100

// Left is a stream that cannot be cut.
type Left struct {
	Stream store.StreamID `json:"stream"`
	Reason string         `json:"reason"`
}

// chosen is a stream of which something is moved.
type chosen struct {
	from store.Head // what the archive has already
	to   store.Head
	at   store.Head // how far the copy is
}

// job is a run under way.
type job struct {
	Job
	archive *Archive
	chosen  map[store.StreamID]*chosen
	report  Report
}

// Run archives what a job says, in steps each of which can be the last:
//
//  1. choose the streams and where each is cut;
//  2. copy their commits from one pass over the log into files;
//  3. read the files back, and compare them with what the log gave;
//  4. name the files in the catalogue, in one step: from then on they count;
//  5. truncate the streams, one by one, when all of that is on the disk, and after
//     the log has read each commit that it gives up from the archive again.
//
// A run that was interrupted before step 4 leaves files that nobody reads, after
// it streams that are archived and not truncated: the next run of the same job
// does what is missing. Errors are those of the log, the vault and the job's Cut.
func (a *Archive) Run(ctx context.Context, j Job) (Report, error) {
	if j.Log == nil || j.Cut == nil {
		return Report{}, &store.InvalidError{What: "archive job", Reason: "it needs a log and where to cut"}
	}
	if j.Progress == nil {
		j.Progress = func(Progress) {}
	}
	if len(j.Streams) > 0 {
		j.Types = typesOf(j.Streams)
	}
	run := &job{Job: j, archive: a, chosen: map[store.StreamID]*chosen{}}
	err := run.run(ctx)
	if err != nil {
		err = fmt.Errorf("archive to %s: %w", a, err)
	}
	return run.report, err
}

func typesOf(streams []store.StreamID) (types []string) {
	for _, id := range streams {
		types = append(types, id.Type)
	}
	slices.Sort(types)
	return slices.Compact(types)
}

func (j *job) run(ctx context.Context) error {
	if _, err := j.archive.refresh(ctx, j.archive.current()); err != nil {
		return err
	}
	ends, err := j.survey(ctx)
	if err != nil {
		return err
	}
	j.report.Looked = len(ends)
	if err := j.choose(ctx, ends); err != nil {
		return err
	}
	plan := j.plan()
	if j.DryRun {
		j.report.Planned = plan
		return nil
	}
	if plan.Streams > 0 {
		if err := j.copy(ctx); err != nil {
			return err
		}
	}
	return j.truncate(ctx)
}

// plan returns how much is to be copied.
func (j *job) plan() (p Plan) {
	for _, c := range j.chosen {
		if c.from.Version < c.to.Version {
			p.Streams++
			p.Events += c.to.Version - c.from.Version
		}
	}
	return p
}

// survey returns the versions at which the job's streams end.
func (j *job) survey(ctx context.Context) (map[store.StreamID]uint64, error) {
	ends := map[store.StreamID]uint64{}
	if len(j.Streams) == 0 {
		err := j.follow(ctx, 0, "survey", func(c *store.Commit) (bool, error) {
			ends[c.Stream] = c.Head().Version
			return true, nil
		})
		return ends, err
	}
	for _, id := range j.Streams {
		last, err := j.archive.Last(ctx, id)
		if err != nil {
			return nil, err
		}
		for c, err := range j.Log.Read(ctx, id, last) {
			if err != nil {
				return nil, err
			}
			ends[id] = c.Head().Version
		}
		if ends[id] == 0 {
			return nil, fmt.Errorf("stream %s: %w", id, store.ErrNotFound)
		}
	}
	return ends, nil
}

// choose asks for each stream where it is cut.
func (j *job) choose(ctx context.Context, ends map[store.StreamID]uint64) error {
	ids := slices.SortedFunc(maps.Keys(ends), compareIDs)
	for i, id := range ids {
		from, err := j.archive.Last(ctx, id)
		if err != nil {
			return err
		}
		to, err := j.Cut(ctx, id, ends[id])
		switch {
		case errors.Is(err, ErrNotCut):
			j.leave(id, err)
			to = from
		case err != nil:
			return fmt.Errorf("stream %s: %w", id, err)
		}
		if to.Version < from.Version {
			to = from
		}
		if to.Version > 0 {
			j.chosen[id] = &chosen{from: from, to: to, at: from}
		}
		j.Progress(Progress{Stage: "choose", Done: uint64(i) + 1})
	}
	j.report.Chosen = len(j.chosen)
	return nil
}

func (j *job) leave(id store.StreamID, err error) {
	j.report.LeftCount++
	if len(j.report.Left) < MaxLeft {
		j.report.Left = append(j.report.Left, Left{Stream: id, Reason: err.Error()})
	}
}

// truncate relieves the log of all that is archived of the job's streams. It waits for
// the disk whoever wrote the archive: a run that was killed may not have.
func (j *job) truncate(ctx context.Context) error {
	if barrier := j.archive.config.Barrier; barrier != nil && len(j.chosen) > 0 {
		if err := barrier(ctx); err != nil {
			return fmt.Errorf("wait for the disk: %w", err)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(j.chosen), compareIDs) {
		if err := j.Log.Truncate(ctx, id, j.chosen[id].to); err != nil {
			return err
		}
		j.report.Truncated++
		j.Progress(Progress{Stage: "truncate", Done: uint64(j.report.Truncated)})
	}
	return nil
}
