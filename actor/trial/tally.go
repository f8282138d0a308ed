package trial

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// tally counts what a trial of the schema finds.
type tally struct {
	events, streams, failures uint64
	types                     map[typeKey]*TypeCount
	failed                    map[failedKey]*Failed
}

type typeKey struct {
	aggregate, event string
	schema           int
}

type failedKey struct {
	in string
	of typeKey
}

func newTally() *tally {
	return &tally{types: map[typeKey]*TypeCount{}, failed: map[failedKey]*Failed{}}
}

func (t *tally) commit(c *store.Commit) {
	t.events += uint64(len(c.Events))
	if c.After.Version == 0 {
		t.streams++
	}
	for i := range c.Events {
		e := &c.Events[i]
		if known := t.types[typeKey{c.Stream.Type, e.Type, e.Schema}]; known != nil {
			known.Events++
			continue
		}
		t.firstOf(c, i)
	}
}

// firstOf begins to count a type. The names are cloned: those of a commit hold on
// to all its texts.
func (t *tally) firstOf(c *store.Commit, i int) {
	k := typeKey{strings.Clone(c.Stream.Type), strings.Clone(c.Events[i].Type), c.Events[i].Schema}
	t.types[k] = &TypeCount{Aggregate: k.aggregate, Type: k.event, Schema: k.schema, Events: 1, First: store.PositionOf(c.Sequence, i)}
}

// fail counts a failure. In the first pass they come in the order of the log, in
// the later ones those of other streams.
func (t *tally) fail(in string, e store.Recorded[[]byte], err error) {
	t.failures++
	k := failedKey{in, typeKey{e.Stream.Type, e.Type, e.Schema}}
	f := t.failed[k]
	if f == nil {
		if len(t.failed) == MaxKinds {
			return
		}
		k.of = typeKey{strings.Clone(e.Stream.Type), strings.Clone(e.Type), e.Schema}
		f = &Failed{In: in, Aggregate: k.of.aggregate, Type: k.of.event, Schema: e.Schema}
		t.failed[k] = f
	}
	f.Count++
	if f.Position == 0 || e.Position < f.Position {
		f.Position, f.Stream, f.Version, f.Reason = e.Position, e.Stream.String(), e.Version, reasonOf(err)
	}
}

// reasonOf says why in words; of a panic it tells the value, as far as that is told.
func reasonOf(err error) string {
	if p, ok := errors.AsType[*actor.PanicError](err); ok {
		return fmt.Sprintf("%s panicked: %v", p.In, p.Value)
	}
	return err.Error()
}

func (t *tally) report(end store.Position) Report {
	r := Report{
		Events: t.events, Streams: t.streams, Failures: t.failures, Position: end,
		Types: []TypeCount{}, Failed: []Failed{},
	}
	for _, k := range slices.SortedFunc(maps.Keys(t.types), typeKey.compare) {
		r.Types = append(r.Types, *t.types[k])
	}
	for _, k := range slices.SortedFunc(maps.Keys(t.failed), failedKey.compare) {
		r.Failed = append(r.Failed, *t.failed[k])
	}
	return r
}

func (k typeKey) compare(other typeKey) int {
	return cmp.Or(cmp.Compare(k.aggregate, other.aggregate), cmp.Compare(k.event, other.event), cmp.Compare(k.schema, other.schema))
}

func (k failedKey) compare(other failedKey) int {
	return cmp.Or(k.of.compare(other.of), cmp.Compare(k.in, other.in))
}
