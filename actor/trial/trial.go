package trial

import (
	"context"
	"errors"
	"fmt"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// defaultStates is how many streams a pass folds.
const defaultStates = 100_000

// Config says what is tried. Log is needed.
type Config struct {
	// Log is read from its beginning to where it ends when the trial begins. If it
	// holds personal data, it is one that opens them: what was forgotten is then read as
	// zero values, and what is sealed would not be read at all.
	Log store.Log
	// Aggregates are those of the build. Streams of reserved types ([actor.Reserved]) are
	// passed over.
	Aggregates []actor.Definition
	// Views are asked about every event. May be empty.
	Views []View
	// Snapshots, if not nil, are compared by [Trial.Whatif] with what this build
	// folds.
	Snapshots store.Snapshots
	// States is how many streams are folded side by side, each with its state in
	// memory, and its last snapshot. A log with more of them is read in several
	// passes. Default 100,000.
	States int
	// Progress, if not nil, is told now and then how far the trial is.
	Progress func(Progress)
}

// View is a read model as far as it reads events.
type View interface {
	// Name identifies the view.
	Name() string
	// Check reports why the view cannot read an event, nil if it can or need not.
	Check(e store.Recorded[[]byte]) error
}

// Progress is how far a trial is.
type Progress struct {
	// Pass counts from 1. How many there will be is not known before the end of
	// the first one.
	Pass int
	// At is the position of the last commit that was read in this pass, End where
	// the log ended.
	At, End store.Position
}

// Trial looks at a log with the eyes of a build. Its methods may be called one
// after the other, any number of times.
type Trial struct {
	config Config
	models map[string]*actor.Model
}

// New checks the configuration. It reads nothing.
func New(config Config) (*Trial, error) {
	if config.Log == nil {
		return nil, errors.New("trial config: Log is needed")
	}
	if config.States == 0 {
		config.States = defaultStates
	}
	if config.States < 0 {
		return nil, errors.New("trial config: States is negative")
	}
	t := &Trial{config: config, models: map[string]*actor.Model{}}
	for _, d := range config.Aggregates {
		m, err := actor.NewModel(d, config.Log.Codec())
		if err != nil {
			return nil, err
		}
		if t.models[m.TypeName()] != nil {
			return nil, fmt.Errorf("trial config: two aggregates of type %q", m.TypeName())
		}
		t.models[m.TypeName()] = m
	}
	return t, nil
}

// walk makes a walk to the log's end, which each of its streams takes part in
// by what visit does.
func (t *Trial) walk(ctx context.Context, visit visitor) (*walk, error) {
	end, err := t.config.Log.Tip(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the end of the log: %w", err)
	}
	return &walk{log: t.config.Log, states: t.config.States, progress: t.config.Progress, end: end, visit: visit}, nil
}
