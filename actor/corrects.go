package actor

import (
	"fmt"

	"github.com/annals-go/annals/store"
)

// link reads what the command says that it corrects, and spells it as it is
// stored.
func (r *request) link() error {
	c := &r.command
	if c.Corrects == "" {
		return nil
	}
	link, err := store.ParseCorrected(c.Corrects)
	if err != nil {
		return err
	}
	c.Corrects = link.String()
	if link.Stream == c.Stream {
		r.corrects = link.Version
	}
	return nil
}

// checkCorrects refuses a command that corrects what has not happened: the link
// would be in the log for ever.
func (t *draft) checkCorrects(r *request) error {
	if r.corrects <= t.version() {
		return nil
	}
	reason := fmt.Sprintf("%s ends at version %d", t.commit.Stream, t.version())
	return &store.InvalidError{What: "corrected event", Value: r.command.Corrects, Reason: reason}
}
