package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// aggregateFailure helps with a type that the system does not have, and with a
// time at which the stream had no events.
func (s *Session) aggregateFailure(ctx context.Context, client *gateway.Client, stream store.StreamID, at actor.At, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound) && !at.Time.IsZero():
		return s.tooEarly(ctx, client, stream, at, err)
	case !errors.Is(err, store.ErrUnknownType):
		return err
	}
	info, asked := request(ctx, s, "info", client.Info)
	if asked != nil {
		return err
	}
	var types []string
	for _, a := range info.Aggregates {
		types = append(types, a.Type)
		if a.Type == stream.Type {
			return err // the type is known: something else is not
		}
	}
	return s.unknown(err, gateway.CodeUnknownType, "aggregate type", stream.Type, types)
}

// tooEarly says when the stream begins, if it does.
func (s *Session) tooEarly(ctx context.Context, client *gateway.Client, stream store.StreamID, at actor.At, err error) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout())
	defer cancel()
	for first, asked := range client.History(ctx, stream, 0) {
		if asked != nil {
			break
		}
		begin := first.Time.Format(time.RFC3339Nano)
		return &Failure{
			Code: gateway.CodeNotFound, Exit: console.ExitNotFound, Err: err,
			What: fmt.Sprintf("%s had no events at %s", stream, at.Time.Format(time.RFC3339Nano)),
			Why:  "its first event is of " + begin,
			Fix:  "name that time or a later one: " + begin,
		}
	}
	return err
}

// unknown is the failure for a name that is not among those of the system.
func (s *Session) unknown(err error, code gateway.Code, what, name string, names []string) *Failure {
	f := &Failure{Code: code, Exit: console.ExitNotFound, What: fmt.Sprintf("no %s %q", what, name), Err: err}
	if len(names) == 0 {
		f.Why = fmt.Sprintf("the system of namespace %s has none", s.Namespace())
		return f
	}
	f.Why = fmt.Sprintf("the system of namespace %s has: %s", s.Namespace(), strings.Join(names, ", "))
	if near := console.Nearest(name, names); near != "" {
		f.Fix = fmt.Sprintf("did you mean: %s", near)
	}
	return f
}
