package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// intake looks at each commit of a file before it is
// stored. What the system of another namespace kept about itself is passed over, or a file could say
// who did what here. What is personal is found by the application's types, and sealed by the log; without
// keys it is refused.
type intake struct {
	codec  store.Codec
	models map[string]*actor.Model // of all aggregates
	keys   bool                    // the namespace has some
	ring   *privacy.Keyring        // by which the log seals; nil: it does not
	left   atomic.Int64            // events that were passed over
}

// newIntake reads the types. With keys aggregates that are not the application's are refused: whether they have
// something personal is not known.
func newIntake(codec store.Codec, app App, keys bool, ring *privacy.Keyring) (*intake, error) {
	in := &intake{codec: codec, models: map[string]*actor.Model{}, keys: keys, ring: ring}
	for _, d := range app.Aggregates {
		m, err := actor.NewModel(d, codec)
		if err != nil {
			return nil, err
		}
		in.models[m.TypeName()] = m
	}
	return in, nil
}

// take is exchange.ImportConfig.Prepare.
func (in *intake) take(ctx context.Context, c *store.Commit) (bool, error) {
	if actor.Reserved(c.Stream.Type) {
		in.left.Add(int64(len(c.Events)))
		return false, nil
	}
	found, err := in.mark(c)
	if err != nil || !found {
		return err == nil, err
	}
	if in.ring == nil {
		return false, plainFailure(c.Stream)
	}
	return true, in.leaveOutForgotten(ctx, c)
}

// mark sets what is personal in a commit in plain, and reports whether anything is. What the
// commit says itself must be among it.
func (in *intake) mark(c *store.Commit) (found bool, err error) {
	m := in.models[c.Stream.Type]
	if m == nil {
		return false, in.unknown(c)
	}
	for i := range c.Events {
		e := &c.Events[i]
		spans, err := m.EventSpans(*e)
		if err == nil {
			err = allMarked(spans, e.Personal)
		}
		if err != nil {
			return false, fmt.Errorf("look for personal data in %s v%d of %s: %w", e.Type, e.Schema, c.Stream, err)
		}
		e.Personal, found = spans, found || len(spans) > 0
	}
	for i := range c.Commands {
		k := &c.Commands[i]
		if len(k.Data) == 0 {
			continue
		}
		spans, err := m.CommandSpans(k)
		if err == nil {
			err = allMarked(spans, k.Personal)
		}
		if err != nil {
			return false, fmt.Errorf("look for personal data in command %s v%d of %s: %w", k.Name, k.Schema, c.Stream, err)
		}
		k.Personal, found = spans, found || len(spans) > 0
	}
	return found, nil
}

// unknown refuses what this build has no types of, if it may be about a person.
func (in *intake) unknown(c *store.Commit) error {
	named := slices.ContainsFunc(c.Events, func(e store.Event) bool { return len(e.Personal) > 0 }) ||
		slices.ContainsFunc(c.Commands, func(m store.Command) bool { return len(m.Personal) > 0 })
	if !named && !in.keys {
		return nil
	}
	return &Failure{
		Code: codePlain, Exit: console.ExitConflict, What: c.Stream.String() + " may have personal data in plain",
		Why: "this binary does not have the types of aggregate " + c.Stream.Type, Fix: "import with the application's binary",
	}
}

// allMarked checks that what is said to be personal was found to be.
func allMarked(spans, said []store.Personal) error {
	for _, p := range said {
		if !slices.ContainsFunc(spans, func(s store.Personal) bool {
			inside, is := strings.CutPrefix(p.Path, s.Path)
			return is && (inside == "" || inside[0] == '.' || inside[0] == '[')
		}) {
			return &Failure{
				Code: codePlain, Exit: console.ExitConflict, What: p.Path + " was personal where it was exported, and is not to this build",
				Fix: "mark the field as personal in the type, and in those of its older schemas",
			}
		}
	}
	return nil
}

// leaveOutForgotten leaves out what is about persons who were forgotten here since, as the key
// store or the log says: a file that is older does not bring it back.
func (in *intake) leaveOutForgotten(ctx context.Context, c *store.Commit) error {
	forgotten := func(p *store.Personal) (bool, error) {
		last, err := in.ring.Forgotten(ctx, cmp.Or(p.Subject, c.Stream.ID))
		return !last.IsZero() && !last.Before(c.Time), err
	}
	for i := range c.Events {
		e := &c.Events[i]
		if err := leaveOut(in.codec, &e.Data, &e.Personal, forgotten); err != nil {
			return err
		}
	}
	for i := range c.Commands {
		k := &c.Commands[i]
		if err := leaveOut(in.codec, &k.Data, &k.Personal, forgotten); err != nil {
			return err
		}
	}
	return nil
}

// leaveOut takes the values out that are forgotten. The places of the others are found anew: they are
// marked by a value of their own length first.
func leaveOut(codec store.Codec, data *[]byte, spans *[]store.Personal, forgotten func(*store.Personal) (bool, error)) error {
	var kept []store.Personal
	gone := false
	for i := range *spans {
		is, err := forgotten(&(*spans)[i])
		if err != nil {
			return err
		}
		if gone = gone || is; !is {
			kept = append(kept, (*spans)[i])
		}
	}
	if !gone {
		return nil
	}
	// What stays is sealed for a moment in nothing, so that opening it says where it is now.
	n := 0
	veiled, err := store.ReplaceSpans(codec, *data, *spans, func(i int, value []byte) ([]byte, error) {
		if n < len(kept) && kept[n].Start == (*spans)[i].Start {
			n++
			return store.SealedForm(codec, value), nil
		}
		return nil, nil
	})
	if err != nil {
		return err
	}
	n = 0
	plain, again, _, err := store.OpenSealed(codec, veiled, func(_ string, value []byte) ([]byte, store.Personal, error) {
		n++
		return value, kept[n-1], nil
	})
	*data, *spans = plain, again
	return err
}

func plainFailure(stream store.StreamID) error {
	return &Failure{
		Code: codePlain, Exit: console.ExitConflict, What: stream.String() + " has personal data in plain",
		Why: "without its keys they cannot be sealed, and then could not be forgotten", Fix: "name the wrapping keys of the namespace with --" + kekFlag,
	}
}
