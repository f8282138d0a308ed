package trial

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// whatifFolding is a stream whose commands are decided again.
type whatifFolding struct {
	visitor  *whatifVisitor
	stream   store.StreamID
	model    *actor.Model
	replica  *actor.Replica
	snapshot *store.Snapshot // until the fold has come to it
	lacking  bool            // something that was folded had been forgotten
}

func (f *whatifFolding) fold(c *store.Commit) (bool, error) {
	next := 0
	for i := range c.Commands {
		first := next
		for next < len(c.Events) && c.Events[next].Command == i {
			next++
		}
		if err := f.decide(c, i, first, next); err != nil {
			return false, err
		}
		if !f.evolve(c.Events[first:next]) {
			return false, nil
		}
	}
	return true, f.compareState(c)
}

// evolve folds events. It reports whether the stream can be folded further.
func (f *whatifFolding) evolve(events []store.Event) bool {
	for _, e := range events {
		if err := f.replica.Evolve(e); err != nil {
			f.visitor.sum.Failures++
			return false
		}
		f.visitor.sum.Events++
		f.lacking = f.lacking || f.shredded(e.Data)
	}
	return true
}

// decide decides the command i of a commit again; its events are those from
// first to before end.
func (f *whatifFolding) decide(c *store.Commit, i, first, end int) error {
	command := &c.Commands[i]
	if len(command.Data) == 0 {
		f.visitor.sum.NotKept++
		return nil
	}
	recorded, ok := f.upcast(c.Events[first:end])
	if !ok {
		return nil // the fold stops there, too, and counts it
	}
	if f.forgotten(command, c.Events[first:end]) {
		f.visitor.sum.Forgotten++
		return nil
	}
	now, refusal := f.replica.Decide(command)
	if refusal == nil {
		same, err := f.model.SameEvents(recorded, now)
		if err != nil {
			return fmt.Errorf("compare what %s of %s decided: %w", command.Name, f.stream, err)
		}
		if same {
			f.visitor.sum.Commands++
			return nil
		}
	}
	if f.lacking { // it may be owed to that
		f.visitor.sum.Forgotten++
		return nil
	}
	f.visitor.sum.Commands++
	f.visitor.sum.Decisions++
	d := Difference{
		Kind: DecisionDiffers, Stream: f.stream.String(), Version: c.After.Version + uint64(first) + 1,
		Position: store.PositionOf(c.Sequence, first), Command: command.Name, ID: command.ID,
	}
	if refusal != nil {
		d.Error = reasonOf(refusal)
	}
	return f.reportDecision(d, recorded, now)
}

// forgotten reports whether a command, or what it led to, is not whole any more.
func (f *whatifFolding) forgotten(command *store.Command, events []store.Event) bool {
	return f.shredded(command.Data) || slices.ContainsFunc(events, func(e store.Event) bool { return f.shredded(e.Data) })
}

func (f *whatifFolding) shredded(data []byte) bool {
	return store.ShreddedIn(f.visitor.trial.config.Log.Codec(), data) != nil
}

func (f *whatifFolding) reportDecision(d Difference, recorded, now []store.Event) (err error) {
	if d.Recorded, err = f.outcomes(recorded); err != nil {
		return err
	}
	if d.Now, err = f.outcomes(now); err != nil {
		return err
	}
	return f.visitor.report(d)
}

func (f *whatifFolding) upcast(stored []store.Event) (all []store.Event, ok bool) {
	for _, e := range stored {
		now, err := f.model.Upcast(e)
		if err != nil {
			return nil, false
		}
		all = append(all, now...)
	}
	return all, true
}

func (f *whatifFolding) outcomes(events []store.Event) ([]Outcome, error) {
	var all []Outcome
	for _, e := range events {
		data, err := f.model.EventJSON(e)
		if err != nil {
			return nil, fmt.Errorf("show event %s of %s: %w", e.Type, f.stream, err)
		}
		all = append(all, Outcome{Type: e.Type, Data: json.RawMessage(data)})
	}
	return all, nil
}

// compareState compares the snapshot with the fold, at the commit that it was
// made after.
func (f *whatifFolding) compareState(c *store.Commit) error {
	s := f.snapshot
	if s == nil || s.Head.Version > c.Head().Version {
		return nil
	}
	f.snapshot = nil
	if s.Head.Version < c.Head().Version { // within the commit: of another history
		f.visitor.sum.Aliens++
		return nil
	}
	switch same, err := f.replica.Same(s.State); {
	case err != nil: // it costs a replay once this build is deployed, nothing else
		f.visitor.sum.Aliens++
	case same:
		f.visitor.sum.Snapshots++
	default:
		f.visitor.sum.Snapshots++
		f.visitor.sum.States++
		return f.reportState(s)
	}
	return nil
}

func (f *whatifFolding) reportState(s *store.Snapshot) (err error) {
	d := Difference{Kind: StateDiffers, Stream: f.stream.String(), Version: s.Head.Version, Position: s.Position}
	if d.Is, err = f.replica.StateJSON(); err != nil {
		return fmt.Errorf("show the state of %s: %w", f.stream, err)
	}
	was := f.model.NewReplica()
	if err := was.Load(s.State); err != nil {
		return fmt.Errorf("load the snapshot of %s: %w", f.stream, err)
	}
	if d.Was, err = was.StateJSON(); err != nil {
		return fmt.Errorf("show the snapshot of %s: %w", f.stream, err)
	}
	return f.visitor.report(d)
}

// end counts a snapshot that the fold did not come to: it is newer than where
// the walk ended.
func (f *whatifFolding) end() error {
	if f.snapshot != nil {
		f.visitor.sum.Aliens++
	}
	return nil
}
