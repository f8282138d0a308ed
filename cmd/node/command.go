package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
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
		RunE:    console.Group,
	}
	cmd.AddCommand(newCommandSend(s))
	return cmd
}

func newCommandSend(s *Session) *cobra.Command {
	var id, corrects string
	var expected uint64
	var waitFor []string
	cmd := &cobra.Command{
		Use:   "send TYPE ID COMMAND [JSON|-]",
		Short: "Send one command and show what it did",
		Long: `The body is JSON; - reads it from standard input; without one it is empty. A
command sent twice under the same --id takes effect once, and gets the first
result both times.

With --wait-for it waits until the views have what the command did. If one is late
the command took effect all the same: the result is printed, and the exit code is 5.

With --corrects the command says which event it makes good; aggregate history shows
the link at both of them.`,
		Example: `{{name}} command send TYPE ID COMMAND
{{name}} command send TYPE ID COMMAND '{"field": "value"}' --id invoice-7
{{name}} command send TYPE ID COMMAND - --expected-version 3 < body.json
{{name}} command send TYPE ID COMMAND --wait-for VIEW,VIEW
{{name}} command send TYPE ID COMMAND '{"field": "value"}' --corrects 3`,
		Args:              console.Args(3, 4),
		ValidArgsFunction: completeCommands(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			stream, _, err := parseStream(args, "")
			if err != nil {
				return err
			}
			r := gateway.Request{Stream: stream, Name: args[2], Codec: store.JSON, Options: gateway.Options{ID: id}}
			if r.Corrects, err = parseCorrects(stream, corrects); err != nil {
				return err
			}
			if cmd.Flags().Changed("expected-version") {
				r.Expected, r.HasExpected = expected, true
			}
			if len(args) == 4 {
				if r.Body, err = s.body(args[3]); err != nil {
					return err
				}
			}
			return s.send(cmd.Context(), r, waitFor)
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "command `ID`; a repetition takes effect once (default: made up)")
	cmd.Flags().Uint64Var(&expected, "expected-version", 0, "refuse unless the aggregate is at this `VERSION`; 0: it has no events")
	cmd.Flags().StringSliceVar(&waitFor, "wait-for", nil, "wait until these `VIEW`s have what the command did")
	cmd.Flags().StringVar(&corrects, "corrects", "", "the `EVENT` that this makes good: its version here, its id, or TYPE/ID/VERSION")
	console.PerCall(cmd, "id", "expected-version", "wait-for", "corrects")
	_ = cmd.RegisterFlagCompletionFunc("wait-for", completeAnyViews(s))
	return cmd
}

// parseCorrects reads the flag --corrects. A number is a version of the stream
// that the command is for.
func parseCorrects(stream store.StreamID, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if _, err := strconv.ParseUint(text, 10, 64); err == nil {
		text = stream.String() + "/" + text
	}
	corrected, err := store.ParseCorrected(text)
	if err != nil {
		return "", Usage("--corrects: %v", err)
	}
	return corrected.String(), nil
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
	// Views are those that were waited for.
	Views []gateway.ViewWait `json:"views,omitempty"`
}

func (s *Session) send(ctx context.Context, r gateway.Request, waitFor []string) error {
	client, err := s.Client(ctx)
	if err != nil {
		return err
	}
	result, err := s.sent(ctx, client, r, waitFor)
	if err != nil {
		return s.sendFailure(ctx, client, r, waitFor, err)
	}
	if err := s.printSent(r, result); err != nil {
		return err
	}
	return s.lateFailure(result)
}

func (s *Session) sent(ctx context.Context, client *gateway.Client, r gateway.Request, waitFor []string) (gateway.Sent, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout())
	defer cancel()
	if len(waitFor) > 0 {
		return client.SendAndWait(ctx, r, waitFor...)
	}
	result, err := client.Send(ctx, r)
	return gateway.Sent{Result: result}, err
}

// lateFailure says which views are late, if any is.
func (s *Session) lateFailure(result gateway.Sent) error {
	late, ok := errors.AsType[*gateway.LateError](result.Late())
	if !ok {
		return nil
	}
	var names, why []string
	for _, v := range late.Views {
		names = append(names, v.View)
		why = append(why, v.Description)
	}
	return &Failure{
		Code: codeViewsLate, Exit: console.ExitUnavailable, Err: late,
		What: "the command took effect, but it is not seen yet by " + strings.Join(names, ", "), Why: strings.Join(why, "; "),
		Fix: fmt.Sprintf("do not send it again; wait for them: %s view wait %d %s", s.app.Name, result.Position, strings.Join(names, " ")),
	}
}

func (s *Session) printSent(r gateway.Request, result gateway.Sent) error {
	out := sent{Aggregate: r.Stream.Type, ID: r.Stream.ID, Version: result.Version, Position: result.Position, Events: result.Events, Duplicate: result.Duplicate, Views: result.Views}
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
	_, err := fmt.Fprintf(s.Out(), "%s   version %d   position %d   %s\n",
		s.Style(s.Out()).Strong(console.Printable(r.Stream.String())), out.Version, out.Position, console.Printable(did))
	return err
}

// sendFailure helps with an aggregate type, a command or a view that the system
// does not have.
func (s *Session) sendFailure(ctx context.Context, client *gateway.Client, r gateway.Request, waitFor []string, err error) error {
	if errors.Is(err, projector.ErrNoView) {
		return s.viewsFailure(ctx, client, waitFor, err)
	}
	if !errors.Is(err, store.ErrUnknownType) {
		return err
	}
	info, asked := request(ctx, s, "info", client.Info)
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
