package privacy

import (
	"context"
	"fmt"
	"slices"

	"github.com/annals-go/annals/store"
)

// personal reports whether c has, or rests on, personal data.
func personal(c *store.Commit) bool {
	return len(c.Rests) > 0 ||
		slices.ContainsFunc(c.Events, func(e store.Event) bool { return len(e.Personal) > 0 }) ||
		slices.ContainsFunc(c.Commands, func(m store.Command) bool { return len(m.Personal) > 0 })
}

// sealable reports whether the parts of c belong together well enough to name its
// events. The log below says what is wrong with those that do not.
func sealable(c *store.Commit) bool {
	return len(c.Events) <= store.MaxEvents && !slices.ContainsFunc(c.Events, func(e store.Event) bool {
		return e.Command < 0 || e.Command >= len(c.Commands)
	})
}

// seal returns a copy of c whose personal data are sealed, and the keys of these.
func (l *Log) seal(ctx context.Context, c *store.Commit) (*store.Commit, []store.KeyRef, error) {
	l.keys.warm(ctx, subjectsOf(c), true)
	sealed := *c
	sealed.Events, sealed.Commands = slices.Clone(c.Events), slices.Clone(c.Commands)
	var used []store.KeyRef
	codec, i := l.Codec(), 0
	for r := range c.Recorded() {
		e := &sealed.Events[i]
		i++
		if len(e.Personal) == 0 {
			continue
		}
		data, keys, err := l.keys.Seal(ctx, eventScope(&r), codec, e.Data, e.Personal)
		if err != nil {
			return nil, nil, fmt.Errorf("seal event %s: %w", e.Type, err)
		}
		e.Data, e.Personal, used = data, nil, append(used, keys...)
	}
	for i := range sealed.Commands {
		m := &sealed.Commands[i]
		if len(m.Personal) == 0 {
			continue
		}
		data, keys, err := l.keys.Seal(ctx, commandScope(c.Stream, m), codec, m.Data, m.Personal)
		if err != nil {
			return nil, nil, fmt.Errorf("seal command %s: %w", m.Name, err)
		}
		m.Data, m.Personal, used = data, nil, append(used, keys...)
	}
	return &sealed, used, nil
}

func eventScope(r *store.Recorded[[]byte]) Scope {
	return Scope{Kind: KindEvent, Stream: r.Stream, Event: r.ID, Type: r.Type, Schema: r.Schema}
}

func commandScope(id store.StreamID, m *store.Command) Scope {
	return Scope{Kind: KindCommand, Stream: id, Command: m.ID, Type: m.Name, Schema: m.Schema}
}

// subjectsOf returns whose data c has in plain, each once.
func subjectsOf(c *store.Commit) []string {
	var subjects []string
	eachSpan(c, func(subject string, _ store.KeyID) {
		if !slices.Contains(subjects, subject) {
			subjects = append(subjects, subject)
		}
	})
	return subjects
}

// cameUnder returns the keys under which personal data of c were read before: of events
// that are copied from elsewhere.
func cameUnder(c *store.Commit) []store.KeyRef {
	var refs []store.KeyRef
	eachSpan(c, func(subject string, key store.KeyID) {
		ref := store.KeyRef{Subject: subject, ID: key}
		if key != (store.KeyID{}) && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	})
	return refs
}

// keyed says in c under which keys its personal data were stored, as if it had been
// read: a writer's state rests on them from now on.
func keyed(c *store.Commit, used []store.KeyRef) {
	note := func(spans []store.Personal) {
		for i := range spans {
			subject := subjectOf(Scope{Stream: c.Stream}, &spans[i])
			n := slices.IndexFunc(used, func(ref store.KeyRef) bool { return ref.Subject == subject })
			if n >= 0 {
				spans[i].Key = used[n].ID
			}
		}
	}
	for i := range c.Events {
		note(c.Events[i].Personal)
	}
	for i := range c.Commands {
		note(c.Commands[i].Personal)
	}
}

func eachSpan(c *store.Commit, each func(subject string, key store.KeyID)) {
	scope := Scope{Stream: c.Stream}
	note := func(spans []store.Personal) {
		for i := range spans {
			each(subjectOf(scope, &spans[i]), spans[i].Key)
		}
	}
	for i := range c.Events {
		note(c.Events[i].Personal)
	}
	for i := range c.Commands {
		note(c.Commands[i].Personal)
	}
}
