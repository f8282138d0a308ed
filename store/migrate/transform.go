package migrate

import (
	"fmt"

	"github.com/annals-go/annals/store"
)

// Transform changes a commit on its way into the new log: its events, and what
// is known of its commands. It may drop events, and all of them, and then the
// commit is left out; and put several in the place of one. The commit is the
// transformation's to change; what it sets of Sequence, Local, Hash and After is
// replaced. Personal of an event names places in its Data: who changes these sets it anew, or
// has another transformation do so that knows the types, as the command schema migrate does.
//
// It is pure: no clock, no I/O, no randomness. An interrupted migration runs it
// again and compares.
type Transform func(codec store.Codec, c *store.Commit) error

// Events returns the transformation that puts in the place of each event what f
// appends to dst, in order; nothing drops it. What f appends answers the event's
// command, whatever it says. A command of which no event is left is left out.
func Events(f func(dst []store.Event, codec store.Codec, stream store.StreamID, e store.Event) ([]store.Event, error)) Transform {
	return func(codec store.Codec, c *store.Commit) error {
		events := make([]store.Event, 0, len(c.Events))
		for i, e := range c.Events {
			before, err := len(events), error(nil)
			if events, err = f(events, codec, c.Stream, e); err != nil {
				return fmt.Errorf("%s version %d, %s v%d: %w", c.Stream, c.After.Version+uint64(i)+1, e.Type, e.Schema, err)
			}
			for n := before; n < len(events); n++ {
				events[n].Command = e.Command
			}
		}
		c.Events = events
		dropCommands(c)
		return nil
	}
}

// dropCommands leaves out the commands that have no events.
func dropCommands(c *store.Commit) {
	kept, last := c.Commands[:0:0], -1
	for i := range c.Events {
		e := &c.Events[i]
		if e.Command != last {
			last = e.Command
			kept = append(kept, c.Commands[last])
		}
		e.Command = len(kept) - 1
	}
	c.Commands = kept
}
