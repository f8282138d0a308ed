package gateway

import (
	"context"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Sender sends the commands of one aggregate.
type Sender[C any] struct {
	client   *Client
	typeName string
	commands store.Types[C]
}

// For binds an aggregate's types to a client:
//
//	accounts := gateway.For(client, Accounts)
//	result, err := accounts.Send(ctx, "a-1", Deposit{Cents: 100})
func For[S, C, E any](c *Client, a actor.Aggregate[S, C, E]) Sender[C] {
	return Sender[C]{client: c, typeName: a.Type, commands: a.Commands}
}

// Send sends a command to the instance id, as [Client.Send] does, under an id
// that is made up for this call. It says in which schema version the command is
// written, so that a node of a later build reads it as this one means it.
func (s Sender[C]) Send(ctx context.Context, id string, command C) (actor.Result, error) {
	return s.SendWith(ctx, id, command, Options{})
}

// SendWith sends a command with options, such as a command id of the caller's
// own or an expected version. The error matches [store.ErrUnknownType] if the
// command's type has no wire name, and is otherwise that of [Client.Send].
func (s Sender[C]) SendWith(ctx context.Context, id string, command C, o Options) (actor.Result, error) {
	r, err := s.request(id, command, o)
	if err != nil {
		return actor.Result{}, err
	}
	return s.client.Send(ctx, r)
}

func (s Sender[C]) request(id string, command C, o Options) (Request, error) {
	encoded, err := s.commands.Encode(s.client.config.Codec, command)
	return Request{Stream: store.StreamID{Type: s.typeName, ID: id}, Name: encoded.Name, Body: encoded.Data, Codec: s.client.config.Codec, Schema: encoded.Schema, Options: o}, err
}
