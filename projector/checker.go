package projector

import (
	"errors"

	"github.com/annals-go/annals/store"
)

// Checker reads events as a view would, and does nothing with them. It belongs to
// one goroutine.
type Checker struct {
	desc  Description
	known map[string]bool // followed aggregate types
	read  func(store.Recorded[[]byte]) error
}

// NewChecker returns the checker of a view on a log with the codec. The error is
// that of a definition that no group would run.
func NewChecker(d Definition, codec store.Codec) (*Checker, error) {
	if err := d.validate(); err != nil {
		return nil, err
	}
	c := &Checker{desc: d.Describe(), known: map[string]bool{}, read: d.shower(codec).check}
	for _, t := range c.desc.Types {
		c.known[t] = true
	}
	return c, nil
}

// Name is the view's name.
func (c *Checker) Name() string { return c.desc.Name }

// Check reports why the view cannot read an event, nil if it can, does not
// follow it, or has it on its skip list. The error is that of decoding, or a
// [*PanicError].
func (c *Checker) Check(e store.Recorded[[]byte]) error {
	if !c.known[e.Stream.Type] || !c.desc.wants(&e) {
		return nil
	}
	if _, skipped := c.desc.skip[eventAt{e.Stream, e.Version}]; skipped {
		return nil
	}
	err := c.read(e)
	if failed, ok := errors.AsType[*EventError](err); ok {
		return failed.Reason // where it is, the caller knows
	}
	return err
}

// check reports why an event cannot be read.
func (w *wire[E]) check(e store.Recorded[[]byte]) error {
	_, err := w.read(arrival{Recorded: e})
	return err
}
