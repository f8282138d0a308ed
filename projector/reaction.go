package projector

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// Where a reaction begins that never ran.
const (
	// FromBeginning: with the first event of the log.
	FromBeginning = "beginning"
	// FromNow: with the first event that comes after its first start.
	FromNow = "now"
)

// Reaction defines what is done outside because of events: a mail, a call, a
// command. It is a value; a [Group] runs it, on any store. It keeps nothing but
// checkpoints.
//
// It reacts at least once: what it did in the moments before a crash it does
// again. [store.Recorded.ID] is the same each time.
type Reaction[E any] struct {
	// Name, Types, Events, Only and Skip are as in [Documents].
	Name   string
	Types  []string
	Events store.Types[E]
	Only   []string
	Skip   []SkipEvent
	// Version is as in [Documents], but that a new version goes on where the one
	// before it is: nothing is done twice.
	Version int
	// Workers is how many workers share the events, by their streams: the events of
	// one stream come in order, those of several workers side by side. 1 to 64;
	// default 1. Another number needs a new version. Where the store
	// is shared they may run in several groups, see [Config.Spread].
	Workers int
	// React is called for each event, again if it fails; of one that is split
	// ([store.Split]) for each part, and again for all of them. An error or a panic that
	// stays parks the event's stream; an error that matches [store.ErrUnavailable]
	// has the worker wait instead. ctx ends when the worker is to stop.
	React func(ctx context.Context, e store.Recorded[E]) error
	// From is where to begin: [FromBeginning] or [FromNow]. Default FromBeginning.
	From string
	// Forgotten is called for each notice that a person was forgotten, at least once,
	// after the person's events before it, as React is: it may have somebody else
	// forget as well. A view that gets a handler, or loses it, needs another Version. Default nil.
	Forgotten func(ctx context.Context, n privacy.Notice) error
}

// Describe implements [Definition].
func (v Reaction[E]) Describe() Description { return v.common().describe() }

func (v Reaction[E]) validate() error { return v.common().validate() }

func (v Reaction[E]) common() common {
	c := common{
		kind: ofReactions, name: v.Name, version: v.Version, types: v.Types, known: v.Events.Names(), origins: v.Events.Origins(v.Only...),
		only: v.Only, skip: v.Skip, workers: v.Workers, from: cmp.Or(v.From, FromBeginning),
	}
	c.events, c.told = personalEvents(v.Events, v.Only), v.Forgotten != nil
	if v.React == nil {
		c.missing = "React"
	}
	if v.From != "" && v.From != FromBeginning && v.From != FromNow {
		c.wrong = fmt.Sprintf("it begins neither %q nor %q", FromBeginning, FromNow)
	}
	return c
}

func (v Reaction[E]) folder(codec store.Codec, _ part) folder {
	return &reactionFolder[E]{view: v, wire: v.wire(codec)}
}

func (v Reaction[E]) wire(codec store.Codec) *wire[E] {
	return newWire(v.Events, codec, v.Describe(), v.Only)
}

func (v Reaction[E]) shower(codec store.Codec) shower { return v.wire(codec) }

// reactionFolder is the folder of a reaction: to apply an event is to react.
type reactionFolder[E any] struct {
	view   Reaction[E]
	wire   *wire[E]
	staged []reading[E]
}

func (f *reactionFolder[E]) stage(a arrival) error {
	e, err := f.wire.read(a)
	if err == nil {
		f.staged = append(f.staged, e)
	}
	return err
}

func (f *reactionFolder[E]) missing() []string { return nil }

func (f *reactionFolder[E]) admit([]string, []Document) error { return nil }

// fold stops when it is time to write, or to end: nobody knows how long reacting takes.
func (f *reactionFolder[E]) fold(ctx context.Context, most room) (applied int, err error) {
	for i := range f.staged {
		if applied > 0 && !time.Now().Before(most.until) {
			break
		}
		if ctx.Err() != nil {
			err = errTold
			break
		}
		if err = most.check(); err != nil {
			break
		}
		if err = f.reactAll(ctx, &f.staged[i]); err != nil {
			break
		}
		applied++
	}
	f.staged = append(f.staged[:0], f.staged[applied:]...)
	return applied, err
}

func (f *reactionFolder[E]) reactAll(ctx context.Context, r *reading[E]) error {
	for nth := range r.count() {
		if err := f.react(ctx, r.nth(nth), r.notice); err != nil {
			return err
		}
	}
	return nil
}

func (f *reactionFolder[E]) react(ctx context.Context, e store.Recorded[E], n *privacy.Notice) (err error) {
	defer f.wire.fault.contain(eventOf(e), &err)
	if n != nil {
		err = f.view.Forgotten(ctx, *n)
	} else {
		err = f.view.React(ctx, e)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errTold
	}
	return f.wire.fault.handler(eventOf(e), err)
}

// drop reports whether nothing that is staged is to be dropped: all of it is needed.
func (f *reactionFolder[E]) drop(erased func([]store.KeyRef) bool) bool {
	return !slices.ContainsFunc(f.staged, func(r reading[E]) bool { return r.holds(erased) })
}

func (f *reactionFolder[E]) holds(Document, string) bool { return false }

func (f *reactionFolder[E]) pending() (changes, error) { return changes{}, nil }

func (f *reactionFolder[E]) clean() {}

func (f *reactionFolder[E]) trim(int) {}

func (f *reactionFolder[E]) partly() bool { return false }

// whole is true: what was done is done, and is not to be done again.
func (f *reactionFolder[E]) whole() bool { return true }
