package store

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// maxSequence is the largest sequence that fits into a [Position].
const maxSequence = 1<<(64-positionIndexBits) - 1

// maxSchema bounds schema versions: more than any type will see.
const maxSchema = 1 << 15

// Validate reports whether a commit may remember the command: an id and a name,
// every text within its limit, and without characters that cannot be seen. The
// error is an [*InvalidError] or a [*TooLargeError].
func (c *Command) Validate() error {
	if c.ID == "" {
		return &InvalidError{What: "command id", Value: c.ID, Reason: "it is empty"}
	}
	if err := ValidateName("command name", c.Name); err != nil {
		return err
	}
	if err := validateText("command id", c.ID, MaxCommandIDBytes); err != nil {
		return err
	}
	if err := validateText("correlation id", c.CorrelationID, MaxMetadataBytes); err != nil {
		return err
	}
	if err := validateText("causation id", c.CausationID, MaxMetadataBytes); err != nil {
		return err
	}
	if err := validateText("principal", c.Principal, MaxMetadataBytes); err != nil {
		return err
	}
	if err := validateText("traceparent", c.Traceparent, MaxMetadataBytes); err != nil {
		return err
	}
	return validateCorrects(c.Corrects)
}

func validateText(what, text string, limit int) error {
	if len(text) > limit {
		return &TooLargeError{What: what, Size: len(text), Limit: limit}
	}
	if isPrintableASCII(text) {
		return nil
	}
	if !utf8.ValidString(text) {
		return &InvalidError{What: what, Value: text, Reason: "it is not UTF-8"}
	}
	for _, r := range text {
		if unicode.Is(unseen, r) {
			return &InvalidError{What: what, Value: text, Reason: fmt.Sprintf("the character %U cannot be seen", r)}
		}
	}
	return nil
}

func isPrintableASCII(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// validate reports whether c may be stored.
func (c *Commit) validate() error {
	if err := ValidateName("aggregate type", c.Stream.Type); err != nil {
		return err
	}
	if _, err := tokenSize(c.Stream.ID); err != nil {
		return err
	}
	if len(c.Events) > MaxEvents {
		return &TooLargeError{What: "count of events in a commit", Size: len(c.Events), Limit: MaxEvents}
	}
	if reason := c.faultOfShape(); reason != "" {
		return &InvalidError{What: "commit of", Value: c.Stream.String(), Reason: reason}
	}
	for i := range c.Commands {
		if err := c.Commands[i].Validate(); err != nil {
			return err
		}
	}
	for i := range c.Events {
		if err := ValidateName("event type", c.Events[i].Type); err != nil {
			return err
		}
	}
	return nil
}

// faultOfShape names what is wrong in how the parts of c go together. It looks
// at nothing that a later build may see differently, for it judges what was
// stored long ago too.
func (c *Commit) faultOfShape() string {
	switch {
	case c.ID == uuid.Nil:
		return "it has no id"
	case (c.After.Version == 0) != (c.After.Sequence == 0):
		return "it follows a head with a version and no sequence, or the reverse"
	case c.After.Version == 0 && c.After.Hash != Hash{}:
		return "it follows nothing, but holds a hash"
	case c.After.Sequence > maxSequence:
		return "it follows a sequence that no log reaches"
	case len(c.Events) == 0:
		return "it has no events"
	case len(c.Commands) == 0:
		return "it has no commands"
	case c.Time.Before(earliest) || c.Time.After(latest):
		return "its time is not within the years 1 to 9999"
	}
	if reason := c.faultOfCommands(); reason != "" {
		return reason
	}
	return c.faultOfEvents()
}

// faultOfCommands checks that what is kept of a command says how to read it.
func (c *Commit) faultOfCommands() string {
	for i := range c.Commands {
		m := &c.Commands[i]
		if (len(m.Data) == 0) != (m.Schema == 0) || m.Schema < 0 || m.Schema > maxSchema {
			return "a command has data and no schema version, or the reverse"
		}
	}
	return ""
}

// The times that RFC 3339 can print.
var (
	earliest = time.Time{}
	latest   = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
)

// faultOfEvents checks that each command's events stand side by side, in the
// order of the commands, and that each command has some.
func (c *Commit) faultOfEvents() string {
	next := 0 // the command whose first event has not come yet
	for _, e := range c.Events {
		if e.Schema < 1 || e.Schema > maxSchema {
			return "an event has no schema version"
		}
		switch {
		case e.Command == next:
			next++
		case next == 0 || e.Command != next-1:
			return "its events do not stand in the order of its commands"
		}
	}
	if next != len(c.Commands) {
		return "a command has no events"
	}
	return ""
}
