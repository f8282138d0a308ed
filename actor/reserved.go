package actor

import (
	"fmt"
	"strings"

	"github.com/annals-go/annals/store"
)

func (s *System) register(d Definition, builtin bool) error {
	name := d.TypeName()
	switch {
	case builtin != Reserved(name):
		return &store.InvalidError{What: "aggregate type", Value: name, Reason: "the prefix " + reservedPrefix + " is that of built-in aggregates, and theirs alone"}
	case s.kinds[name] != nil:
		return fmt.Errorf("actor config: two aggregates of type %q", name)
	}
	k, err := d.bind(s.config.Log.Codec())
	if err != nil {
		return err
	}
	s.kinds[name] = &registered{kind: k, names: newSharedNames(k.storedNames()), metrics: s.metrics.forKind(name)}
	return nil
}

// reservedPrefix is that of the types of built-in aggregates.
const reservedPrefix = "annals-"

// Reserved reports whether an aggregate type is one that only a built-in aggregate may
// have, or none: streams of such types are this module's own.
func Reserved(aggregateType string) bool { return strings.HasPrefix(aggregateType, reservedPrefix) }
