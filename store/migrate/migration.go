package migrate

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/store"
)

// Config says what is copied where. From, To, Loader and Transform are required.
type Config struct {
	// From is the old log. It is only read.
	From store.Log
	// To is the new log, to which nobody else writes. It has the codec of the old
	// one. What it holds must have been written by the same migration.
	To store.Log
	// Loader appends to To. It is the caller's to close.
	Loader Loader
	// Transform is what becomes of each commit.
	Transform Transform
	// DryRun transforms everything and stores nothing; there is no To and no Loader,
	// and nothing to compare at the end.
	DryRun bool
	// Prefix copies the old log to where it ends when Run begins, and compares so
	// much: what is written to it meanwhile is left alone. Default false: all is
	// copied, and a write while both logs are compared ends it with [ErrMoved].
	Prefix bool
	// MaxStreams bounds the streams, of each of which about 300 bytes are kept in
	// memory. Default 16,777,216.
	MaxStreams int
	// Progress, if not nil, is called after each batch of commits, by one
	// goroutine.
	Progress func(Progress)
}

// Loader appends commits at the end of a log that nobody else writes to.
type Loader interface {
	// End returns the sequence of the last commit in the log or given to Place.
	End() uint64
	// Place appends c, sets its Sequence, Local and Hash, and returns the head that
	// its stream will have. It may return before c is stored.
	Place(ctx context.Context, c *store.Commit) (store.Head, error)
	// Flush returns when all that was given to Place is stored and durable.
	Flush(ctx context.Context) error
}

// Progress is how far a migration has come.
type Progress struct {
	// Verifying is set when everything is copied and is being compared.
	Verifying bool
	// Position is in the old log, up to which everything was read; Tip is where it
	// ended when that was asked last.
	Position, Tip store.Position
	Events        uint64 // read from the old log
	Stored        uint64 // commits in the new log
}

// Report is what a migration did.
type Report struct {
	// From and To are what the logs come to.
	From Sum `json:"from"`
	To   Sum `json:"to"`
	// Streams is the number of streams in the old log.
	Streams int `json:"streams"`
	// Found is how many commits of the new log were there before.
	Found uint64 `json:"found"`
	// Dropped is how many commits of the old log have no events any more.
	Dropped uint64 `json:"dropped"`
	// Changed is how many commits have other events than before.
	Changed uint64 `json:"changed"`
}

const defaultMaxStreams = 16 << 20

// rounds is how often what was added to the old log meanwhile is copied, too.
const rounds = 16

// Migration is one copy of a log. See [Migration.Run].
type Migration struct {
	config  Config
	streams map[store.StreamID]*heads
	report  Report
	found   found
	tip     store.Position
	at      store.Position
}

// heads are where a stream has come to in both logs.
type heads struct{ from, to store.Head }

// New checks the configuration. The error matches [store.ErrInvalid].
func New(config Config) (*Migration, error) {
	if config.DryRun && config.From != nil {
		config.To, config.Loader = config.From, &nowhere{codec: config.From.Codec()}
	}
	reason := ""
	switch {
	case config.From == nil || config.To == nil || config.Loader == nil || config.Transform == nil:
		reason = "two logs, a loader and a transformation are needed"
	case config.From.Codec() != config.To.Codec():
		reason = fmt.Sprintf("the old log has the codec %s, the new one %s", config.From.Codec().Name(), config.To.Codec().Name())
	case config.MaxStreams < 0:
		reason = "a negative number of streams"
	}
	if reason != "" {
		return nil, &store.InvalidError{What: "migration", Reason: reason}
	}
	if config.MaxStreams == 0 {
		config.MaxStreams = defaultMaxStreams
	}
	return &Migration{config: config, streams: map[store.StreamID]*heads{}}, nil
}

// Run copies the old log to its end, with Prefix to the one that it has when Run
// begins, and then reads both again and compares what they come to. What an
// earlier run has stored is made once more, compared and not stored again; so a migration that was interrupted at any moment goes on. Run
// must be called once. Errors match [ErrDiverged], [ErrMoved], [store.ErrDamaged]
// if a log is, [store.ErrTooLarge] for too many streams or a commit that has grown
// over its limit, or are those of the logs, the loader and the transformation.
func (m *Migration) Run(ctx context.Context) (Report, error) {
	m.found = found{log: m.config.To, end: m.config.Loader.End()}
	defer m.found.close()
	if err := m.copy(ctx); err != nil {
		return m.report, fmt.Errorf("migrate: %w", err)
	}
	if m.config.DryRun {
		return m.report, nil
	}
	if err := m.verify(ctx); err != nil {
		return m.report, fmt.Errorf("verify the migration: %w", err)
	}
	return m.report, nil
}

// copy goes on until the old log has not grown since it was asked for its end.
func (m *Migration) copy(ctx context.Context) error {
	for range rounds {
		tip, err := m.config.From.Tip(ctx)
		if err != nil {
			return err
		}
		if tip == m.tip {
			return m.finish(ctx)
		}
		after := m.tip
		m.tip = tip
		if err := each(ctx, m.config.From, after, tip, func(c *store.Commit) error { return m.commit(ctx, c) }); err != nil {
			return err
		}
		if m.config.Prefix {
			return m.finish(ctx)
		}
	}
	return ErrMoved
}

func (m *Migration) finish(ctx context.Context) error {
	if has := m.found.end; has > m.report.To.Commits {
		reason := fmt.Sprintf("it has %d commits, of the old one come %d", has, m.report.To.Commits)
		return &DivergedError{Sequence: m.report.To.Commits + 1, Reason: reason}
	}
	m.tell(false)
	return m.config.Loader.Flush(ctx)
}

// commit copies one commit.
func (m *Migration) commit(ctx context.Context, c *store.Commit) error {
	h, err := m.headsOf(c.Stream)
	if err != nil {
		return err
	}
	if err := c.Follows(h.from); err != nil {
		return err
	}
	h.from, m.at = c.Head(), c.Last()
	m.report.From.add(c)
	if m.report.From.Commits%batch == 0 {
		m.tell(false)
	}
	before := outline(c)
	if err := m.config.Transform(m.config.From.Codec(), c); err != nil {
		return fmt.Errorf("transform position %d: %w", m.at, err)
	}
	if len(c.Events) == 0 {
		m.report.Dropped++
		return nil
	}
	if outline(c) != before {
		m.report.Changed++
	}
	unkeyed(c)
	// Leases of the old namespace say nothing in the new one, where their numbers
	// begin again.
	c.After, c.Epoch = h.to, 0
	if h.to, err = m.place(ctx, c); err != nil {
		return err
	}
	m.report.To.add(c)
	return nil
}

// unkeyed takes the keys of the old namespace away: the new one has its own.
func unkeyed(c *store.Commit) {
	for i := range c.Events {
		for n := range c.Events[i].Personal {
			c.Events[i].Personal[n].Key = store.KeyID{}
		}
	}
	for i := range c.Commands {
		for n := range c.Commands[i].Personal {
			c.Commands[i].Personal[n].Key = store.KeyID{}
		}
	}
}

// place finds c in the new log, or appends it.
func (m *Migration) place(ctx context.Context, c *store.Commit) (store.Head, error) {
	if m.report.To.Commits < m.found.end {
		m.report.Found++
		return m.found.next(ctx, c, m.at)
	}
	return m.config.Loader.Place(ctx, c)
}

func (m *Migration) headsOf(id store.StreamID) (*heads, error) {
	h := m.streams[id]
	if h == nil {
		if len(m.streams) == m.config.MaxStreams {
			return nil, &store.TooLargeError{What: "number of streams", Limit: m.config.MaxStreams}
		}
		h = &heads{}
		m.streams[id] = h
		m.report.Streams++
	}
	return h, nil
}

// verify reads both logs again.
func (m *Migration) verify(ctx context.Context) error {
	m.tell(true)
	var from, to Sum
	tip, err := m.config.To.Tip(ctx)
	if err != nil {
		return err
	}
	both, reading := errgroup.WithContext(ctx)
	both.Go(func() (err error) { from, err = SumOf(reading, m.config.From, m.tip); return err })
	both.Go(func() (err error) { to, err = SumOf(reading, m.config.To, tip); return err })
	if err := both.Wait(); err != nil {
		return err
	}
	if err := m.unmoved(ctx); err != nil {
		return err
	}
	return m.compare(from, to, tip)
}

// unmoved checks that the old log still ends where the copy does, if all of it is
// wanted.
func (m *Migration) unmoved(ctx context.Context) error {
	if m.config.Prefix {
		return nil
	}
	now, err := m.config.From.Tip(ctx)
	if err == nil && now != m.tip {
		err = ErrMoved
	}
	return err
}

// compare tells the logs as they were read from what was copied.
func (m *Migration) compare(from, to Sum, tip store.Position) error {
	if from != m.report.From {
		return fmt.Errorf("%w: the old log reads otherwise the second time: %d commits with hash %s, before %d with %s",
			store.ErrDamaged, from.Commits, from.Hash, m.report.From.Commits, m.report.From.Hash)
	}
	if to != m.report.To {
		reason := fmt.Sprintf("it has %d commits with hash %s, what was stored has %d with %s", to.Commits, to.Hash, m.report.To.Commits, m.report.To.Hash)
		return &DivergedError{Sequence: tip.Sequence(), Reason: reason}
	}
	return nil
}

func (m *Migration) tell(verifying bool) {
	if m.config.Progress != nil {
		m.config.Progress(Progress{Verifying: verifying, Position: m.at, Tip: m.tip, Events: m.report.From.Events, Stored: m.report.To.Commits})
	}
}
