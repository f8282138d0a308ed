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
	if !ofOne(c) {
		l.keys.warm(ctx, subjectsOf(c), true)
	}
	r := sealer{keyring: l.keys, scratch: l.keys.borrow(), used: make([]store.KeyRef, 0, 1+len(c.Rests))}
	defer l.keys.giveBack(r.scratch)
	sealed := *c
	if err := l.sealEvents(ctx, &r, &sealed); err != nil {
		return nil, nil, err
	}
	if err := l.sealCommands(ctx, &r, &sealed); err != nil {
		return nil, nil, err
	}
	return &sealed, r.used, nil
}

// sealEvents gives c events of its own, if it has to change them.
func (l *Log) sealEvents(ctx context.Context, r *sealer, c *store.Commit) error {
	if !slices.ContainsFunc(c.Events, func(e store.Event) bool { return len(e.Personal) > 0 }) {
		return nil
	}
	events, codec, i := slices.Clone(c.Events), l.Codec(), 0
	for recorded := range c.Recorded() {
		e := &events[i]
		i++
		if len(e.Personal) == 0 {
			continue
		}
		scope := eventScope(&recorded)
		data, err := r.seal(ctx, &scope, codec, e.Data, e.Personal)
		if err != nil {
			return fmt.Errorf("seal event %s: %w", e.Type, err)
		}
		e.Data, e.Personal = data, nil
	}
	c.Events = events
	return nil
}

// sealCommands does the same with commands.
func (l *Log) sealCommands(ctx context.Context, r *sealer, c *store.Commit) error {
	if !slices.ContainsFunc(c.Commands, func(m store.Command) bool { return len(m.Personal) > 0 }) {
		return nil
	}
	commands, codec := slices.Clone(c.Commands), l.Codec()
	for i := range commands {
		m := &commands[i]
		if len(m.Personal) == 0 {
			continue
		}
		scope := commandScope(c.Stream, m)
		data, err := r.seal(ctx, &scope, codec, m.Data, m.Personal)
		if err != nil {
			return fmt.Errorf("seal command %s: %w", m.Name, err)
		}
		m.Data, m.Personal = data, nil
	}
	c.Commands = commands
	return nil
}

func eventScope(r *store.Recorded[[]byte]) Scope {
	return Scope{Kind: KindEvent, Stream: r.Stream, Event: r.ID, Type: r.Type, Schema: r.Schema}
}

func commandScope(id store.StreamID, m *store.Command) Scope {
	return Scope{Kind: KindCommand, Stream: id, Command: m.ID, Type: m.Name, Schema: m.Schema}
}

// ofOne reports whether what c has in plain is of one subject, at most.
func ofOne(c *store.Commit) bool {
	one, first := true, ""
	eachSpan(c, func(subject string, _ store.KeyID) {
		one = one && (first == "" || subject == first)
		first = subject
	})
	return one
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
			subject := subjectOf(c.Stream, &spans[i])
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
	note := func(spans []store.Personal) {
		for i := range spans {
			each(subjectOf(c.Stream, &spans[i]), spans[i].Key)
		}
	}
	for i := range c.Events {
		note(c.Events[i].Personal)
	}
	for i := range c.Commands {
		note(c.Commands[i].Personal)
	}
}
