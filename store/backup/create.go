package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// leftoverAge is how old a file without a manifest must be before the next backup
// takes it for one that was interrupted, and removes it.
const leftoverAge = 24 * time.Hour

// Options say how a backup is made.
type Options struct {
	// Full makes a backup that is complete in itself. Default false: it goes on
	// from the last one, if there is one.
	Full bool
	// Progress is told now and then how far it is, by the goroutine that called.
	// Default nil.
	Progress func(Progress)
	// now and fileBytes are changed by tests.
	now       func() time.Time
	fileBytes int64
}

// Create makes a backup of a namespace up to where its log ends now, and returns
// its manifest. Until the manifest is written there is no backup; what an
// interrupted one has left is removed a day later. While it runs it takes the
// memory of the index of one file and of a few hundred commits. Errors:
//   - [store.ErrAhead]: the log ends before the last backup does: it has lost its
//     end, or the vault has backups of another history. Nothing is written.
//   - [store.ErrDamaged]: the log is not what was written, or not what is in
//     the last backup.
//   - [store.ErrInvalid]: the vault has the copy of the namespace's keys, or that for the keys
//     has backups.
//   - [store.ErrUnavailable]: log or vault could not be asked; or ctx's error.
//
// It is a [*ParentError] too if a full backup, or another vault, would do.
func Create(ctx context.Context, v segment.Vault, namespace string, source Source, o Options) (*Manifest, error) {
	if o.now == nil {
		o.now = time.Now
	}
	if o.fileBytes == 0 {
		o.fileBytes = segment.MaxBytes
	}
	if err := store.ValidateName("namespace", namespace); err != nil {
		return nil, err
	}
	c := &creation{vault: v, source: source, options: o, manifest: &Manifest{
		Format: manifestFormat, Namespace: namespace, Created: o.now().UTC().Truncate(time.Millisecond),
		Codec: source.Log.Codec().Name(), Partitions: source.Log.Partitions(), LogStreams: max(1, source.LogStreams), KeepsCommands: source.KeepsCommands,
	}}
	if source.Keys != nil {
		c.manifest.Realm = source.Keys.Realm()
	}
	if err := c.run(ctx); err != nil {
		return nil, fmt.Errorf("back up %s: %w", namespace, err)
	}
	return c.manifest, nil
}

// ParentError says that a log cannot be backed up after the last backup: that one
// is damaged, or the log does not have what it ended with. It matches what Reason
// does.
type ParentError struct {
	// ID is the last backup.
	ID     string
	Reason error
}

func (e *ParentError) Error() string { return e.Reason.Error() }

// Unwrap returns the reason.
func (e *ParentError) Unwrap() error { return e.Reason }

// creation is one backup under way.
type creation struct {
	vault    segment.Vault
	source   Source
	options  Options
	manifest *Manifest

	draft  segment.Draft // of the open file; nil if none is
	writer *segment.Writer
	total  uint64
}

func (c *creation) run(ctx context.Context) (err error) {
	if err := c.begin(ctx); err != nil {
		return err
	}
	tip, err := c.source.Log.Tip(ctx)
	if err != nil {
		return err
	}
	m := c.manifest
	if tip < m.Position {
		return &ParentError{m.Parent, &store.AheadError{What: "backup " + m.Parent, Has: m.Position, Log: tip}}
	}
	if err := c.sameEnd(ctx); err != nil {
		return err
	}
	c.total = tip.Sequence() - m.After
	if tip > m.Position {
		if err := c.copyLog(ctx, tip); err != nil {
			c.abort()
			return err
		}
	}
	if err := c.copyRest(ctx); err != nil {
		return err
	}
	// Every key that the log needs was stored before the log was read.
	if c.source.Keys != nil && c.source.KeysTo != nil {
		if _, err := CopyKeys(ctx, c.source.KeysTo, m.Namespace, c.source.Keys, m.ID); err != nil {
			return err
		}
	}
	data, err := m.seal()
	if err != nil {
		return err
	}
	return segment.WriteFile(ctx, c.vault, m.file(manifestName), data)
}

// begin finds the backup to go on from.
func (c *creation) begin(ctx context.Context) error {
	m := c.manifest
	if err := refuseKeys(ctx, c.vault, m.Namespace); err != nil {
		return err
	}
	if c.source.KeysTo != nil {
		if err := refuseData(ctx, c.source.KeysTo, m.Namespace); err != nil {
			return err
		}
	}
	complete, left, err := ids(ctx, c.vault, m.Namespace)
	if err != nil {
		return err
	}
	for _, f := range left {
		if c.options.now().Sub(f.Time) > leftoverAge {
			if err := c.vault.Remove(ctx, f.Name); err != nil {
				return err
			}
		}
	}
	if m.ID, err = newID(m.Created, complete); err != nil || len(complete) == 0 || c.options.Full {
		return err
	}
	last := complete[len(complete)-1]
	parent, err := read(ctx, c.vault, m.Namespace, last)
	if err != nil {
		return &ParentError{last, fmt.Errorf("%w; a full backup needs no other", err)}
	}
	if parent.Codec != m.Codec || parent.LogStreams != m.LogStreams {
		reason := fmt.Sprintf("it has codec %s and %d log streams, the namespace %s and %d: it is another's; make a full backup", parent.Codec, parent.LogStreams, m.Codec, m.LogStreams)
		return &ParentError{last, &store.InvalidError{What: "last backup", Value: parent.ID, Reason: reason}}
	}
	m.Parent, m.ParentSum = parent.ID, parent.sum
	m.After, m.Sequence, m.Position, m.Chain = parent.Sequence, parent.Sequence, parent.Position, parent.Chain
	return nil
}

// copyLog copies the commits up to tip.
func (c *creation) copyLog(ctx context.Context, tip store.Position) error {
	err := follow(ctx, c.source.Log, c.manifest.Position, tip, func(commit *store.Commit) error {
		if c.options.Progress != nil && c.manifest.Commits%feedBatch == 0 {
			c.options.Progress(Progress{Done: c.manifest.Commits, Total: c.total})
		}
		return c.add(ctx, commit)
	})
	if err != nil {
		return err
	}
	return c.endFile()
}

// sameEnd checks that the log has the commit that the backup before ended with: a
// log that lost its end and went on has another in its place, also where it has
// come no further than before.
func (c *creation) sameEnd(ctx context.Context) error {
	m := c.manifest
	if m.Full() || m.Sequence == 0 {
		return nil
	}
	b, err := Open(ctx, c.vault, m.Namespace, m.Parent)
	if err != nil {
		return &ParentError{m.Parent, err}
	}
	last, err := b.At(ctx, m.Sequence)
	if err != nil {
		return &ParentError{m.Parent, err}
	}
	if last == nil {
		return nil
	}
	for commit, err := range c.source.Log.Read(ctx, last.Stream, last.After) {
		switch {
		case err != nil:
			return &ParentError{m.Parent, fmt.Errorf("where backup %s ended: %w", m.Parent, err)}
		case commit.Hash != last.Hash || commit.Sequence != last.Sequence:
			reason := fmt.Sprintf("backup %s ends with another commit, of hash %s", m.Parent, last.Hash)
			return &ParentError{m.Parent, &store.DamageError{Stream: last.Stream, Version: last.After.Version + 1, Sequence: last.Sequence, Reason: reason}}
		}
		return nil
	}
	what := "backup " + m.Parent + ", of " + last.Stream.String()
	return &ParentError{m.Parent, &store.AheadError{What: what, Has: store.Position(last.Local), Log: store.Position(last.After.Sequence)}}
}

func (c *creation) add(ctx context.Context, commit *store.Commit) error {
	m := c.manifest
	if commit.Sequence != m.Sequence+1 {
		return &gapError{First: m.Sequence + 1, Last: commit.Sequence - 1}
	}
	if err := c.open(ctx); err != nil {
		return err
	}
	if err := c.writer.Add(commit); err != nil {
		return err
	}
	m.Sequence, m.Position = commit.Sequence, commit.Last()
	m.Commits++
	m.Events += uint64(len(commit.Events))
	m.Chain = link(m.Chain, commit.Hash)
	if commit.Time.After(m.Time) {
		m.Time = commit.Time
	}
	if c.writer.Raw() >= c.options.fileBytes {
		return c.endFile()
	}
	return nil
}

func (c *creation) open(ctx context.Context) (err error) {
	if c.draft != nil {
		return nil
	}
	name := fmt.Sprintf("%s%06d", logPrefix, len(c.manifest.Log)+1)
	if c.draft, err = c.vault.Create(ctx, c.manifest.file(name)); err != nil {
		return err
	}
	c.writer = segment.NewWriter(c.draft, c.source.Log.Codec())
	c.manifest.Log = append(c.manifest.Log, LogFile{Name: name})
	return nil
}

// endFile gives the open file its name.
func (c *creation) endFile() error {
	if c.draft == nil {
		return nil
	}
	info, err := c.writer.Close()
	if err != nil {
		return err
	}
	f := &c.manifest.Log[len(c.manifest.Log)-1]
	*f = LogFile{
		Name: f.Name, Size: info.Size, Sum: info.Sum, First: info.First, Last: info.Last, Commits: info.Commits, Events: info.Events,
		Streams: info.Streams, From: info.From, To: info.To, Raw: info.Raw,
	}
	draft := c.draft
	c.draft, c.writer = nil, nil
	return draft.Close()
}

func (c *creation) abort() {
	if c.draft != nil {
		_ = c.draft.Abort()
		c.draft = nil
	}
}

// copyRest copies what is kept beside the log. A snapshot that is made of more
// than the backup has is left out.
func (c *creation) copyRest(ctx context.Context) (err error) {
	m := c.manifest
	if c.source.Snapshots != nil {
		m.Snapshots, err = c.values(ctx, snapshotsName, func(add func(string, []byte) error) error {
			for s, err := range c.source.Snapshots(ctx) {
				if err != nil {
					return err
				}
				if s.Position > m.Position {
					continue
				}
				data, err := store.EncodeSnapshot(s)
				if err == nil {
					err = add(s.Stream.String(), data)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil && len(c.source.Tables) > 0 {
		m.Tables, err = c.values(ctx, tablesName, func(add func(string, []byte) error) error { return addTables(ctx, c.source.Tables, add) })
	}
	return err
}

// tableKey is how a file of values has a table's key.
type tableKey struct {
	Table string `json:"table"`
	Key   string `json:"key"`
}

func addTables(ctx context.Context, tables []Table, add func(string, []byte) error) error {
	for _, t := range tables {
		all, err := t.All(ctx)
		if err != nil {
			return fmt.Errorf("table %s: %w", t.Name(), err)
		}
		for key, value := range all {
			name, err := json.Marshal(tableKey{t.Name(), key})
			if err == nil {
				err = add(string(name), value)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// values writes a file of what fill adds.
func (c *creation) values(ctx context.Context, name string, fill func(add func(string, []byte) error) error) (f *ValueFile, err error) {
	draft, err := c.vault.Create(ctx, c.manifest.file(name))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, draft.Abort()) }()
	f = &ValueFile{Name: name}
	w := segment.NewValueWriter(io.Writer(draft))
	err = fill(func(key string, value []byte) error {
		err := w.Add(key, value)
		if errors.Is(err, store.ErrTooLarge) {
			f.TooLarge++
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if f.Values, f.Size, f.Sum, err = w.Close(); err != nil {
		return nil, err
	}
	return f, draft.Close()
}
