package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// maxBodyBytes bounds what is read as the body of a command; what the gateway
// takes is less.
const maxBodyBytes = 1 << 20

func newCommand(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "command",
		Aliases: []string{"cmd"},
		Short:   "Send commands",
		Example: `{{name}} command send TYPE ID COMMAND '{"field": "value"}'`,
		Args:    cobra.ArbitraryArgs,
		RunE:    group,
	}
	cmd.AddCommand(newCommandSend(s))
	return cmd
}

func newCommandSend(s *Session) *cobra.Command {
	var id string
	var expected uint64
	cmd := &cobra.Command{
		Use:   "send TYPE ID COMMAND [JSON|-]",
		Short: "Send one command and show what it did",
		Long: `The body is JSON; - reads it from standard input; without one it is empty. A
command sent twice under the same --id takes effect once, and gets the first
result both times.`,
		Example: `{{name}} command send TYPE ID COMMAND
{{name}} command send TYPE ID COMMAND '{"field": "value"}' --id invoice-7
{{name}} command send TYPE ID COMMAND - --expected-version 3 < body.json`,
		Args:              args(3, 4),
		ValidArgsFunction: completeCommands(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			stream, _, err := parseStream(args, "")
			if err != nil {
				return err
			}
			r := gateway.Request{Stream: stream, Name: args[2], Codec: store.JSON, Options: gateway.Options{ID: id}}
			if cmd.Flags().Changed("expected-version") {
				r.Expected, r.HasExpected = expected, true
			}
			if len(args) == 4 {
				if r.Body, err = s.body(args[3]); err != nil {
					return err
				}
			}
			return s.send(cmd.Context(), r)
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "command `ID`; a repetition takes effect once (default: made up)")
	cmd.Flags().Uint64Var(&expected, "expected-version", 0, "refuse unless the aggregate is at this `VERSION`; 0: it has no events")
	perCall(cmd, "id", "expected-version")
	return cmd
}

// body returns the body that an argument names.
func (s *Session) body(arg string) ([]byte, error) {
	if arg != "-" {
		return []byte(arg), nil
	}
	data, err := io.ReadAll(io.LimitReader(s.In(), maxBodyBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(data) > maxBodyBytes {
		return nil, &store.TooLargeError{What: "command body", Limit: maxBodyBytes}
	}
	return data, nil
}

// sent is what is printed of a command's result.
type sent struct {
	Aggregate string         `json:"aggregate"`
	ID        string         `json:"id"`
	Version   uint64         `json:"version"`
	Position  store.Position `json:"position"`
	Events    []string       `json:"events"`
	Duplicate bool           `json:"duplicate"`
}

func (s *Session) send(ctx context.Context, r gateway.Request) error {
	client, err := s.Client(ctx)
	if err != nil {
		return err
	}
	result, err := request(ctx, s, func(ctx context.Context) (actor.Result, error) { return client.Send(ctx, r) })
	if err != nil {
		return s.sendFailure(ctx, client, r, err)
	}
	out := sent{Aggregate: r.Stream.Type, ID: r.Stream.ID, Version: result.Version, Position: result.Position, Events: result.Events, Duplicate: result.Duplicate}
	if out.Events == nil {
		out.Events = []string{}
	}
	if s.JSON() {
		return s.Print(out)
	}
	did := strings.Join(out.Events, ", ")
	switch {
	case did == "":
		did = "nothing to do"
	case out.Duplicate:
		did += " (already there)"
	}
	_, err = fmt.Fprintf(s.Out(), "%s   version %d   position %d   %s\n",
		s.style(s.Out()).strong(printable(r.Stream.String())), out.Version, out.Position, printable(did))
	return err
}

// sendFailure helps with an aggregate type or a command that the system does
// not have.
func (s *Session) sendFailure(ctx context.Context, client *gateway.Client, r gateway.Request, err error) error {
	if !errors.Is(err, store.ErrUnknownType) {
		return err
	}
	info, asked := request(ctx, s, client.Info)
	if asked != nil {
		return err
	}
	for _, a := range info.Aggregates {
		if a.Type == r.Stream.Type {
			return s.unknown(err, gateway.CodeUnknownType, "command of "+a.Type, r.Name, a.Commands)
		}
	}
	return s.aggregateFailure(ctx, client, r.Stream, actor.At{}, err)
}

// completeCommands completes TYPE and COMMAND; it asks nobody.
func completeCommands(s *Session) cobra.CompletionFunc {
	types := completeTypes(s)
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) != 2 {
			return types(cmd, args, toComplete)
		}
		for _, a := range s.app.Aggregates {
			if a.TypeName() == args[0] {
				return a.CommandNames(), cobra.ShellCompDirectiveNoFileComp
			}
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}
