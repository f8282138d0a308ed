package node

import (
	"strconv"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// atHelp is what --at accepts.
const atHelp = "as it was at `VERSION|TIME`; " + timeHelp

const timeHelp = "a time is 2006-01-02, 2006-01-02T15:04, RFC 3339, or a duration back such as 90m"

// timeLayouts are the forms of a time; those without a zone are local.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly}

// parseAt reads the value of --at; empty is now.
func parseAt(text string, now time.Time) (actor.At, error) {
	version, t, err := parseMoment("--at", "version", text, now)
	return actor.At{Version: version, Time: t}, err
}

// parsePast reads the value of --at where views are asked; empty is now.
func parsePast(text string, now time.Time) (projector.Moment, error) {
	position, t, err := parseMoment("--at", "position", text, now)
	return projector.Moment{Position: store.Position(position), Time: t}, err
}

// parseMoment reads a number from 1, or a time, or nothing. what was given it,
// and number is what a number would be.
func parseMoment(what, number, text string, now time.Time) (uint64, time.Time, error) {
	if text == "" {
		return 0, time.Time{}, nil
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil && n > 0 {
		return n, time.Time{}, nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return 0, t.UTC(), nil
		}
	}
	if back, err := time.ParseDuration(text); err == nil && back > 0 {
		return 0, now.Add(-back).UTC(), nil
	}
	f := Usage("%s %q is neither a %s nor a time", what, text, number)
	f.Fix = "give a " + number + " from 1, a time such as 2006-01-02T15:04, or a duration back such as 90m"
	return 0, time.Time{}, f
}

// covers reports whether an event belongs to what at asks for.
func covers(at actor.At, version uint64, t time.Time) bool {
	return (at.Version == 0 || version <= at.Version) && (at.Time.IsZero() || !t.After(at.Time))
}
