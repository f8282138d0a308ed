package store

import (
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Corrected names an event that a later command makes good: by its id, or by
// its stream and version.
type Corrected struct {
	// Event is the event's id; the zero id if it is named by Stream and Version.
	Event uuid.UUID
	// Stream and Version, from 1, are the event's place.
	Stream  StreamID
	Version uint64
}

// String prints the id, or the stream and the version as type/id/version. It is
// what [Command.Corrects] holds.
func (c Corrected) String() string {
	if c.Event != uuid.Nil {
		return c.Event.String()
	}
	return c.Stream.String() + "/" + strconv.FormatUint(c.Version, 10)
}

// ParseCorrected reads what String prints; a stream's id may have slashes in it.
// An id may be written in any form that RFC 9562 allows. The error is an
// [*InvalidError] or a [*TooLargeError].
func ParseCorrected(text string) (Corrected, error) {
	kind, rest, isPlace := strings.Cut(text, "/")
	if !isPlace {
		id, err := uuid.Parse(text)
		if err != nil || id == uuid.Nil {
			return Corrected{}, invalidCorrects(text, "want the id of an event, or type/id/version")
		}
		return Corrected{Event: id}, nil
	}
	slash := strings.LastIndexByte(rest, '/')
	if slash < 0 {
		return Corrected{}, invalidCorrects(text, "there is no version behind the stream: want type/id/version")
	}
	c := Corrected{Stream: StreamID{Type: kind, ID: rest[:slash]}}
	if err := c.Stream.Validate(); err != nil {
		return Corrected{}, err
	}
	version, err := strconv.ParseUint(rest[slash+1:], 10, 64)
	if err != nil || version == 0 {
		return Corrected{}, invalidCorrects(text, "the version is not a number from 1 on")
	}
	c.Version = version
	return c, nil
}

// validateCorrects accepts only what String prints, so that a link can be
// compared as text.
func validateCorrects(text string) error {
	if text == "" {
		return nil
	}
	c, err := ParseCorrected(text)
	if err != nil {
		return err
	}
	if c.String() != text {
		return invalidCorrects(text, "it is spelt "+c.String())
	}
	return nil
}

func invalidCorrects(text, reason string) error {
	return &InvalidError{What: "corrected event", Value: text, Reason: reason}
}
