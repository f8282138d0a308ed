package trial

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Summary is what a build would have made of the commands of a log.
type Summary struct {
	// Events and Streams are how many were folded.
	Events  uint64 `json:"events"`
	Streams uint64 `json:"streams"`
	// Commands is how many were decided again and compared, NotKept how many could not
	// be, because the log did not keep them.
	Commands uint64 `json:"commands"`
	NotKept  uint64 `json:"not_kept"`
	// Forgotten is how many of the commands could not be compared, because personal
	// data that they, their events or their state had were forgotten.
	Forgotten uint64 `json:"forgotten,omitempty"`
	// Decisions is how many of the commands would be decided otherwise.
	Decisions uint64 `json:"decisions"`
	// Snapshots is how many were compared with what this build folds, States how
	// many of those differ. Aliens were not compared: they are of another schema of
	// the state, or beyond the events that were read.
	Snapshots uint64 `json:"snapshots"`
	States    uint64 `json:"states"`
	Aliens    uint64 `json:"aliens"`
	// Failures is how many streams cannot be folded to their end; what comes after
	// was not looked at. [Trial.Schema] tells why.
	Failures uint64 `json:"failures"`
	// Position is where the log ended.
	Position store.Position `json:"position"`
}

// Differs reports whether this build would have done anything otherwise.
func (s Summary) Differs() bool { return s.Decisions > 0 || s.States > 0 }

// What a [Difference] is about.
const (
	DecisionDiffers = "decision"
	StateDiffers    = "state"
)

// Difference is a decision, or a state, that would be another one.
type Difference struct {
	// Kind is [DecisionDiffers] or [StateDiffers].
	Kind   string `json:"kind"`
	Stream string `json:"stream"`
	// Version is that of the first event that was recorded for the command, or
	// that of the state.
	Version  uint64         `json:"version"`
	Position store.Position `json:"position"`
	// Command and ID name the command of a decision.
	Command string `json:"command,omitempty"`
	ID      string `json:"id,omitempty"`
	// Recorded are the events in the log, as this build reads them, Now those that
	// it decides. Error is why it decides none.
	Recorded []Outcome `json:"recorded,omitempty"`
	Now      []Outcome `json:"now,omitempty"`
	Error    string    `json:"error,omitempty"`
	// Was is the state in the snapshot, Is what this build folds.
	Was json.RawMessage `json:"was,omitempty"`
	Is  json.RawMessage `json:"is,omitempty"`
}

// Outcome is an event that a command led to.
type Outcome struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// Whatif folds the log with this build. Before the events of each command that
// was kept are folded, the command is decided on the state before them, and what
// is decided is compared with them. Each difference goes to report, in the order
// of the log within a pass; an error of report ends the walk.
//
// A command that stored nothing, because it was rejected or had nothing to do,
// is not in the log: what this build would accept instead cannot be told. Nor can a
// decision that rests on what was forgotten be compared: it is counted apart.
func (t *Trial) Whatif(ctx context.Context, report func(Difference) error) (Summary, error) {
	v := &whatifVisitor{trial: t, report: report}
	w, err := t.walk(ctx, v)
	if err != nil {
		return Summary{}, err
	}
	if err := w.run(ctx); err != nil {
		return Summary{}, err
	}
	v.sum.Position = w.end
	return v.sum, nil
}

type whatifVisitor struct {
	trial  *Trial
	report func(Difference) error
	sum    Summary
}

func (*whatifVisitor) commit(*store.Commit) {}

func (v *whatifVisitor) begin(ctx context.Context, id store.StreamID) (folding, error) {
	model := v.trial.models[id.Type]
	if model == nil {
		v.sum.Failures++
		return nil, nil
	}
	snapshot, err := v.snapshot(ctx, model, id)
	if err != nil {
		return nil, err
	}
	v.sum.Streams++
	return &whatifFolding{visitor: v, stream: id, model: model, replica: model.NewReplica(), snapshot: snapshot}, nil
}

// snapshot returns that of the stream if it can be compared, else nil.
func (v *whatifVisitor) snapshot(ctx context.Context, model *actor.Model, id store.StreamID) (*store.Snapshot, error) {
	if v.trial.config.Snapshots == nil {
		return nil, nil
	}
	s, err := v.trial.config.Snapshots.Load(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case errors.Is(err, store.ErrDamaged) || err == nil && s.Schema != model.StateSchema():
		v.sum.Aliens++
		return nil, nil
	case err != nil:
		return nil, err
	}
	s.Memory = nil // not needed, and as large as the state
	return s, nil
}
