package node

import (
	"strconv"
	"time"

	"github.com/annals-go/annals/actor"
)

// atHelp is what --at accepts.
const atHelp = "as it was at `VERSION|TIME`; a time is 2006-01-02, 2006-01-02T15:04, RFC 3339, or a duration back such as 90m"

// timeLayouts are the forms of a time; those without a zone are local.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly}

// parseAt reads the value of --at; empty is now.
func parseAt(text string, now time.Time) (actor.At, error) {
	if text == "" {
		return actor.At{}, nil
	}
	if version, err := strconv.ParseUint(text, 10, 64); err == nil && version > 0 {
		return actor.At{Version: version}, nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return actor.At{Time: t.UTC()}, nil
		}
	}
	if back, err := time.ParseDuration(text); err == nil && back > 0 {
		return actor.At{Time: now.Add(-back).UTC()}, nil
	}
	f := Usage("--at %q is neither a version nor a time", text)
	f.Fix = "give a version from 1, a time such as 2006-01-02T15:04, or a duration back such as 90m"
	return actor.At{}, f
}

// covers reports whether an event belongs to what at asks for.
func covers(at actor.At, version uint64, t time.Time) bool {
	return (at.Version == 0 || version <= at.Version) && (at.Time.IsZero() || !t.After(at.Time))
}
