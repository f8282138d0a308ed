package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/store"
)

// ImportConfig says where events are imported to, and how.
type ImportConfig struct {
	// Log is what is appended to. Required.
	Log store.Log
	// Form is what the lines look like. Default: [JSONLines].
	Form Form
	// AtOnce is how many streams are appended to at the same time, 1 to 256.
	// Default 64. Within a stream the order is always that of the file; between
	// streams it is only with 1, which costs a round trip for each commit.
	AtOnce int
	// MaxStreams bounds the streams of one file, of each of which about 200 bytes
	// are kept in memory. Default 4,194,304.
	MaxStreams int
	// DryRun reads and checks the file, compares it with what its streams hold
	// already, and appends nothing.
	DryRun bool
	// MaxEpoch is the highest epoch that a commit is stored with, for a namespace
	// whose leases count from there: a commit with a higher one would tell every owner
	// that a later one has written. It must be the same each time. Default 0: epochs
	// are stored as they are.
	MaxEpoch uint64
	// Prepare, if not nil, is given each commit before it is appended, or compared. It
	// may change the data of events and commands, and says what in them is personal: of
	// what the file says there are spans with a Path and no place, which no log takes.
	// With take false the commit is passed over. Several goroutines call it.
	Prepare func(ctx context.Context, c *store.Commit) (take bool, err error)
	// Progress, if not nil, is called now and then, by one goroutine at a time.
	Progress func(Count)
}

const (
	defaultAtOnce     = 64
	maxAtOnce         = 256
	defaultMaxStreams = 4 << 20
	// queued is how many commits wait for each of the streams at work.
	queued = 2
	// progressEvery is after how many commits the progress is told.
	progressEvery = 256
)

func (c ImportConfig) withDefaults() (ImportConfig, error) {
	if c.AtOnce == 0 {
		c.AtOnce = defaultAtOnce
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = defaultMaxStreams
	}
	if c.AtOnce < 1 || c.AtOnce > maxAtOnce {
		return c, &store.InvalidError{What: "number of streams at once", Value: fmt.Sprint(c.AtOnce), Reason: fmt.Sprintf("want 1 to %d", maxAtOnce)}
	}
	if c.MaxStreams < 1 {
		return c, &store.InvalidError{What: "number of streams", Value: fmt.Sprint(c.MaxStreams), Reason: "want at least 1"}
	}
	return c, nil
}

// Import appends the events in the lines of r, which may come from anywhere, to
// the log: each stream from its first version on, commit by commit, with their
// ids and times. Where it stops before the end, what stands before is stored,
// and the same import again takes up there: a commit that the log holds already,
// the same byte for byte, is passed over. A stream that holds anything else is
// refused. All errors but those of reading r and of the configuration are a
// [*LineError].
func Import(ctx context.Context, config ImportConfig, r io.Reader) (Count, error) {
	config, err := config.withDefaults()
	if err != nil {
		return Count{}, fmt.Errorf("import: %w", err)
	}
	i := &importer{ImportConfig: config}
	if err := i.run(ctx, newLineReader(r)); err != nil {
		return i.snapshot(), fmt.Errorf("import: %w", err)
	}
	return i.snapshot(), nil
}

type importer struct {
	ImportConfig
	streams, commits, events, lines atomic.Int64
	telling                         sync.Mutex
}

// arrived is a commit of the file, and the line that it began in.
type arrived struct {
	line   int
	commit *store.Commit
}

func (i *importer) run(ctx context.Context, lines *lineReader) error {
	writers, ctx := errgroup.WithContext(ctx)
	queues := make([]chan arrived, i.AtOnce)
	for n := range queues {
		queues[n] = make(chan arrived, queued)
		writers.Go(func() error { return i.write(ctx, queues[n]) })
	}
	bad := i.read(ctx, lines, queues)
	for _, q := range queues {
		close(q)
	}
	if err := writers.Wait(); err != nil {
		return err
	}
	return bad
}

// read puts the commits together and gives each to the writer of its stream.
func (i *importer) read(ctx context.Context, lines *lineReader, queues []chan arrived) error {
	a := assembly{form: i.Form, codec: i.Log.Codec()}
	for begin := 0; ; {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			if err := a.end(); err != nil {
				return &LineError{Line: begin, Err: err}
			}
			return nil
		}
		if errors.Is(err, store.ErrTooLarge) {
			return &LineError{Line: lines.line, Err: err}
		}
		if err != nil {
			return fmt.Errorf("read line %d: %w", lines.line, err)
		}
		if a.commit == nil {
			begin = lines.line
		}
		c, id, err := a.add(line)
		if err != nil {
			return &LineError{Line: lines.line, Stream: id, Err: err}
		}
		i.lines.Store(int64(lines.line))
		if c == nil {
			continue
		}
		select {
		case queues[c.Stream.Partition(len(queues))] <- arrived{line: begin, commit: c}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// write appends the commits of a queue, one after the other.
func (i *importer) write(ctx context.Context, queue <-chan arrived) error {
	heads := map[store.StreamID]store.Head{}
	rehearsing := newRehearsal(i.Log)
	for a := range queue {
		take, err := i.prepare(ctx, a.commit)
		if err != nil {
			return &LineError{Line: a.line, Stream: a.commit.Stream, Err: err}
		}
		if !take {
			continue
		}
		head, known := heads[a.commit.Stream]
		if !known && i.streams.Add(1) > int64(i.MaxStreams) {
			return &LineError{Line: a.line, Stream: a.commit.Stream, Err: &store.TooLargeError{What: "number of streams", Limit: i.MaxStreams}}
		}
		head, err = i.store(ctx, a.commit, head, rehearsing)
		if err != nil {
			return &LineError{Line: a.line, Stream: a.commit.Stream, Err: err}
		}
		heads[a.commit.Stream] = head
		i.events.Add(int64(len(a.commit.Events)))
		if n := i.commits.Add(1); i.Progress != nil && n%progressEvery == 0 {
			i.tell()
		}
	}
	return nil
}

func (i *importer) prepare(ctx context.Context, c *store.Commit) (bool, error) {
	if i.Prepare == nil {
		return true, nil
	}
	return i.Prepare(ctx, c)
}

// store appends the commit after the head, or rehearses that, and returns the
// next.
func (i *importer) store(ctx context.Context, c *store.Commit, after store.Head, rehearsing *rehearsal) (store.Head, error) {
	switch {
	case c.After.Version > after.Version && after.Version == 0:
		return after, outOfOrder("the stream begins with version %d; what comes before is missing", c.After.Version+1)
	case c.After.Version > after.Version:
		return after, outOfOrder("version %d follows version %d", c.After.Version+1, after.Version)
	case c.After.Version < after.Version:
		return after, outOfOrder("version %d comes again, or too late: the stream is at version %d", c.After.Version+1, after.Version)
	}
	c.After = after
	put := func(ctx context.Context, c *store.Commit) (store.Head, error) { return i.put(ctx, c, rehearsing) }
	if i.DryRun {
		put = rehearsing.append
	}
	epoch := c.Epoch
	if i.MaxEpoch > 0 {
		c.Epoch = min(epoch, i.MaxEpoch)
	}
	head, err := put(ctx, c)
	if errors.Is(err, ErrOtherEvents) && c.Epoch != epoch {
		c.Epoch = epoch // the log may be the one that the file came from
		head, err = put(ctx, c)
	}
	if archived, is := errors.AsType[*store.ArchivedError](err); is {
		return after, archived // that the outcome is unknown says nothing here: an import is repeated
	}
	return head, err
}

// put appends the commit. One that the log sealed in other bytes, or of which something
// was forgotten since, is known by what it says.
func (i *importer) put(ctx context.Context, c *store.Commit, rehearsing *rehearsal) (store.Head, error) {
	head, err := i.Log.Append(ctx, c)
	if errors.Is(err, store.ErrConflict) && i.Prepare != nil {
		if has, found, failed := rehearsing.next(ctx, c.Stream, c.After); failed == nil && found && has.same(i.Log.Codec(), c) {
			return has.Head, nil
		}
	}
	if errors.Is(err, store.ErrConflict) {
		return c.After, fmt.Errorf("%w: %w", ErrOtherEvents, err)
	}
	return head, err
}

func (i *importer) tell() {
	i.telling.Lock()
	defer i.telling.Unlock()
	i.Progress(i.snapshot())
}

func (i *importer) snapshot() Count {
	return Count{
		Streams: uint64(i.streams.Load()), Commits: uint64(i.commits.Load()), Events: uint64(i.events.Load()), Lines: int(i.lines.Load()),
	}
}
