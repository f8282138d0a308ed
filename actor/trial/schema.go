package trial

import (
	"context"
	"errors"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Report is what a build would make of a log.
type Report struct {
	// Events and Streams are how many the log holds.
	Events  uint64 `json:"events"`
	Streams uint64 `json:"streams"`
	// Failures is how often something would fail: an event that an aggregate or a
	// view cannot read, or that cannot be folded.
	Failures uint64 `json:"failures"`
	// Position is where the log ended.
	Position store.Position `json:"position"`
	// Types are what the log holds of each type, sorted.
	Types []TypeCount `json:"types"`
	// Failed are the failures of each kind, sorted; at most [MaxKinds].
	Failed []Failed `json:"failed"`
}

// TypeCount is how much the log holds of one type of events in one schema version.
type TypeCount struct {
	Aggregate string `json:"aggregate"`
	Type      string `json:"type"`
	Schema    int    `json:"schema"`
	Events    uint64 `json:"events"`
	// First is the position of the first of them.
	First store.Position `json:"first"`
}

// Failed is what fails in one place for one type in one schema version.
type Failed struct {
	// In is what fails: "aggregate application", "fold of application" or
	// "view outcomes".
	In        string `json:"in"`
	Aggregate string `json:"aggregate"`
	Type      string `json:"type"`
	Schema    int    `json:"schema"`
	Count     uint64 `json:"count"`
	// Position, Stream and Version are those of the first, Reason is why.
	Position store.Position `json:"position"`
	Stream   string         `json:"stream"`
	Version  uint64         `json:"version"`
	Reason   string         `json:"reason"`
}

// MaxKinds bounds a report: of more kinds of failures only the count is told.
const MaxKinds = 1000

// Schema reads the whole log: each event is decoded as its aggregate and each
// view that follows it would, and each stream is folded. What this build cannot
// do is in the report; the error is that the log could not be read, or is
// damaged.
func (t *Trial) Schema(ctx context.Context) (Report, error) {
	v := &schemaVisitor{trial: t, tally: newTally()}
	w, err := t.walk(ctx, v)
	if err != nil {
		return Report{}, err
	}
	if err := w.run(ctx); err != nil {
		return Report{}, err
	}
	return v.tally.report(w.end), nil
}

type schemaVisitor struct {
	trial *Trial
	tally *tally
}

// commit decodes, whatever becomes of the stream: a fold ends at the first event
// that fails, and the others are to be reported too.
func (v *schemaVisitor) commit(c *store.Commit) {
	v.tally.commit(c)
	model := v.trial.models[c.Stream.Type]
	for e := range c.Recorded() {
		if err := readable(model, e); err != nil {
			v.tally.fail("aggregate "+e.Stream.Type, e, err)
		}
		for _, view := range v.trial.config.Views {
			if err := view.Check(e); err != nil {
				v.tally.fail("view "+view.Name(), e, err)
			}
		}
	}
}

// readable reports why an aggregate cannot read an event. model is nil if the
// build does not have it.
func readable(model *actor.Model, e store.Recorded[[]byte]) error {
	if model == nil {
		return &store.UnknownTypeError{What: "aggregate", Name: e.Stream.Type}
	}
	return model.CheckEvent(store.Event{Type: e.Type, Schema: e.Schema, Personal: e.Personal, Data: e.Data})
}

func (v *schemaVisitor) begin(_ context.Context, id store.StreamID) (folding, error) {
	model := v.trial.models[id.Type]
	if model == nil {
		return nil, nil
	}
	return &schemaFolding{tally: v.tally, replica: model.NewReplica()}, nil
}

type schemaFolding struct {
	tally   *tally
	replica *actor.Replica
}

func (f *schemaFolding) fold(c *store.Commit) (bool, error) {
	i := 0
	for e := range c.Recorded() {
		if err := f.replica.Evolve(c.Events[i]); err != nil {
			if isEvolve(err) { // what cannot be decoded is counted already
				f.tally.fail("fold of "+e.Stream.Type, e, err)
			}
			return false, nil
		}
		i++
	}
	return true, nil
}

// isEvolve reports whether it was the fold that failed, and not the decoding
// before it.
func isEvolve(err error) bool {
	p, ok := errors.AsType[*actor.PanicError](err)
	return ok && p.In == "evolve"
}

func (*schemaFolding) end() error { return nil }
