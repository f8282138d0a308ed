package exchange

import (
	"context"
	"fmt"

	"github.com/annals-go/annals/store"
)

// ExportConfig says what is exported, and how.
type ExportConfig struct {
	// Log is what is read. Required.
	Log store.Log
	// Namespace is what a CloudEvent names as its source. Required for [CloudEvents].
	Namespace string
	// Form is what the lines look like. Default: [JSONLines].
	Form Form
	// Types are the aggregate types whose events are exported. Empty: all.
	Types []string
	// After is the position after which to begin. A commit that has an event
	// beyond it is exported whole: half a commit could not be imported.
	After store.Position
	// To is the last position; a commit that begins beyond it is left out.
	// Default 0: the end of the log as it is when the export begins.
	To store.Position
	// Withhold exports values that are sealed in Log as a text in their place, in lines
	// that say so and that no import takes. Default false: they end the export with
	// [ErrSealed].
	Withhold bool
	// Progress, if not nil, is called after each batch of commits.
	Progress func(Count)
}

// Count is how far an export or an import has come.
type Count struct {
	// Streams is how many were met; an export does not count them.
	Streams uint64 `json:"streams,omitempty"`
	Commits uint64 `json:"commits"`
	Events  uint64 `json:"events"`
	// Position is that of the last event exported. Lines is how many were read by
	// an import.
	Position store.Position `json:"position,omitempty"`
	Lines    int            `json:"lines,omitempty"`
}

// exportBatch is how many commits are taken from the feed at once.
const exportBatch = 256

// Export passes the events of the log to emit, one line each without its end, in
// the order of the log. The line is only valid during the call. The errors are
// those of [store.Log] and of emit, and [ErrSealed]; a stream that is damaged ends it.
func Export(ctx context.Context, config ExportConfig, emit func(line []byte) error) (Count, error) {
	e := exporter{ExportConfig: config, emit: emit}
	tip, err := e.Log.Tip(ctx, e.Types...)
	if err != nil {
		return Count{}, fmt.Errorf("export: %w", err)
	}
	if e.To == 0 || e.To > tip {
		e.To = tip
	}
	if e.After >= e.To {
		return Count{}, nil
	}
	if err := e.run(ctx); err != nil {
		return e.count, fmt.Errorf("export: %w", err)
	}
	return e.count, nil
}

type exporter struct {
	ExportConfig
	emit  func([]byte) error
	count Count
}

func (e *exporter) run(ctx context.Context) error {
	feed, err := e.Log.Follow(ctx, store.Follow{After: e.After, Types: e.Types})
	if err != nil {
		return err
	}
	defer func() { _ = feed.Close() }()
	for {
		commits, err := feed.Next(ctx, exportBatch)
		if err != nil {
			return err
		}
		for _, c := range commits {
			if store.PositionOf(c.Sequence, 0) > e.To {
				return nil
			}
			if err := e.commit(c); err != nil {
				return err
			}
		}
		if e.Progress != nil {
			e.Progress(e.count)
		}
		if e.count.Position >= e.To {
			return nil
		}
	}
}

func (e *exporter) commit(c *store.Commit) error {
	codec, index := e.Log.Codec(), 0
	for r := range c.Recorded() {
		made, err := e.event(codec, c, index, r)
		var line []byte
		if err == nil {
			line, err = e.Form.marshal(made, e.Namespace)
		}
		if err != nil {
			return fmt.Errorf("position %d: %w", r.Position, err)
		}
		if err := e.emit(line); err != nil {
			return err
		}
		index++
	}
	e.count.Commits++
	e.count.Events += uint64(len(c.Events))
	e.count.Position = c.Last()
	return nil
}

func (e *exporter) event(codec store.Codec, c *store.Commit, index int, r store.Recorded[[]byte]) (*event, error) {
	data, marked, err := newMarked(codec, r.Data, r.Personal, e.Withhold)
	if err != nil {
		return nil, err
	}
	command, err := newCommand(codec, &r.Command, e.Withhold)
	return &event{
		Stream: r.Stream.String(), Version: r.Version, Position: r.Position, ID: r.ID,
		Type: r.Type, Schema: r.Schema, Time: r.Time, Epoch: r.Epoch,
		Commit:  part{ID: c.ID, Index: index, Count: len(c.Events)},
		Command: command,
		Codec:   codec.Name(),
		marks:   marked,
		payload: data,
	}, err
}
