package actor

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/annals-go/annals/store"
)

// Errors end in logs, which nobody can make forget. So whatever may quote a person's
// data is left out of the errors of aggregates that have such; what was wrong, and
// where, stays.

// personal reports whether commands or events have personal fields. It is asked for
// errors only.
func (a *Aggregate[S, C, E]) personal() bool {
	for _, name := range a.Events.Names() {
		if a.Events.Personal(name) != nil {
			return true
		}
	}
	for _, name := range a.Commands.Names() {
		if a.Commands.Personal(name) != nil {
			return true
		}
	}
	return false
}

// contain turns a panic of the user's code into an error, deferred: it must not take
// down the other actors of the process.
func (a *Aggregate[S, C, E]) contain(in string, err *error) {
	v := recover()
	if v == nil {
		return
	}
	if a.personal() {
		v = withoutText(v)
	}
	*err = &PanicError{In: in, Value: v, Stack: debug.Stack()}
}

// withoutText returns what may be told of a panic's value. The runtime's own errors
// quote indexes and types, but no data.
func withoutText(v any) any {
	if own, ok := v.(runtime.Error); ok {
		return own
	}
	return fmt.Sprintf("%T, withheld: the aggregate has personal fields", v)
}

// withhold returns err without what it quotes, if that may be personal: an error of
// a codec shows the bytes that it cannot read.
func withhold(err error, personal bool) error {
	if err == nil || !personal {
		return err
	}
	if e, ok := errors.AsType[*store.InvalidError](err); ok {
		return &store.InvalidError{What: e.What, Reason: "the reason is withheld: there are personal data in it"}
	}
	if e, ok := errors.AsType[*json.MarshalerError](err); ok {
		return fmt.Errorf("%s fails, and why is withheld: there may be personal data in it", e.Type)
	}
	return err
}

func (a *Aggregate[S, C, E]) withheld(err error) error { return withhold(err, a.personal()) }

// eventOf returns a recorded event as it was stored.
func eventOf(r store.Recorded[[]byte]) store.Event {
	return store.Event{Type: r.Type, Schema: r.Schema, Personal: r.Personal, Data: r.Data}
}
