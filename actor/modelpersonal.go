package actor

import "github.com/annals-go/annals/store"

// EventSpans returns what is personal in an event in plain, which may come from anywhere,
// by the type of the schema that it is in. The errors are those of [store.Types.Spans],
// and a [*PanicError]; they quote nothing of the event.
func (m *Model) EventSpans(e store.Event) ([]store.Personal, error) { return m.kind.eventSpans(e) }

// CommandSpans is EventSpans for a command that a commit keeps.
func (m *Model) CommandSpans(c *store.Command) ([]store.Personal, error) {
	return m.kind.commandSpans(c)
}

func (b *boundAggregate[S, C, E]) eventSpans(e store.Event) (_ []store.Personal, err error) {
	defer b.contain("upcast", &err)
	return spansIn(b.Events, b.codec, e.Type, e.Schema, e.Data)
}

func (b *boundAggregate[S, C, E]) commandSpans(c *store.Command) (_ []store.Personal, err error) {
	defer b.contain("upcast", &err)
	return spansIn(b.Commands, b.codec, c.Name, c.Schema, c.Data)
}

func spansIn[T any](types store.Types[T], codec store.Codec, name string, schema int, data []byte) ([]store.Personal, error) {
	spans, err := types.Spans(codec, name, schema, data)
	return spans, withhold(err, true)
}
