package node

import (
	"encoding/json"
	"fmt"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// eventLine is an event as the commands that list events print it.
type eventLine struct {
	Stream string `json:"stream"`
	gateway.Event
}

// eventPrinter returns what prints an event of the log: a line of JSON, or a
// line for people. The data are decoded without the application's types, so
// that it works on any namespace.
func (s *Session) eventPrinter(codec store.Codec) func(store.Recorded[[]byte]) error {
	return func(e store.Recorded[[]byte]) error {
		data, err := eventData(codec, e)
		if err != nil {
			return fmt.Errorf("decode event %s of %s at position %d: %w", e.Type, e.Stream, e.Position, err)
		}
		if !s.JSON() {
			return s.printEvent(e, data)
		}
		return s.Print(eventLine{Stream: e.Stream.String(), Event: gateway.Event{
			Version: e.Version, Position: e.Position, ID: e.ID, Type: e.Type, Schema: e.Schema, Time: e.Time,
			Command: gateway.EventCommand{
				ID: e.Command.ID, Name: e.Command.Name, CorrelationID: e.Command.CorrelationID,
				CausationID: e.Command.CausationID, Principal: e.Command.Principal, Traceparent: e.Command.Traceparent,
				Corrects: e.Command.Corrects,
			},
			Shredded: store.ShreddedIn(codec, e.Data), Data: data,
		}})
	}
}

// eventData is the data of an event in JSON: those of a notice, whose type is known, as it writes them.
func eventData(codec store.Codec, e store.Recorded[[]byte]) (json.RawMessage, error) {
	if privacy.IsNotice(&e) {
		if n, err := privacy.ReadNotice(codec, e.Data); err == nil {
			return console.Marshal(n)
		}
	}
	return readable(codec, e.Data)
}

func (s *Session) printEvent(e store.Recorded[[]byte], data json.RawMessage) error {
	y := s.Style(s.Out())
	_, err := fmt.Fprintf(s.Out(), "%s  %s  %s  %s  %s\n",
		y.Faint(fmt.Sprintf("%10d", e.Position)), y.Faint(s.When(e.Time)),
		console.Printable(fmt.Sprintf("%s v%d", e.Stream, e.Version)), y.Strong(console.Printable(e.Type)), s.Shortened(data, 75))
	return err
}

// readable turns encoded data into JSON. The codec bounds what the data can
// cost.
func readable(codec store.Codec, data []byte) (json.RawMessage, error) {
	if codec.Name() == store.JSON.Name() {
		return data, nil
	}
	var v any
	if err := codec.Unmarshal(data, &v, false); err != nil {
		return nil, err
	}
	return console.Marshal(v)
}
