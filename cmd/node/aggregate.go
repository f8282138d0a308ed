package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

func newAggregate(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "aggregate",
		Aliases: []string{"agg"},
		Short:   "Look at aggregates: state and history, now and then",
		Example: `{{name}} aggregate types
{{name}} aggregate get TYPE ID
{{name}} aggregate history TYPE ID --at 2006-01-02T15:04
{{name}} aggregate diff TYPE ID 3 7`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newAggregateGet(s), newAggregateHistory(s), newAggregateDiff(s), newAggregateTypes(s))
	return cmd
}

func newAggregateGet(s *Session) *cobra.Command {
	var at string
	var live, linearizable bool
	cmd := &cobra.Command{
		Use:   "get TYPE ID",
		Short: "Show the state of one aggregate, now or as it was",
		Long: `The state is folded from the log. With --live it is the owner's, from its memory
and under its lease: the same, without a read of the log. With --linearizable the
owner makes sure first that nobody else has become the owner meanwhile.`,
		Example: `{{name}} aggregate get TYPE ID
{{name}} aggregate get TYPE ID --at 3
{{name}} aggregate get TYPE ID --at 90m --jq .state
{{name}} aggregate get TYPE ID --linearizable`,
		Args:              console.Args(2, 2),
		ValidArgsFunction: completeTypes(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			stream, when, err := parseStream(args, at)
			if err != nil {
				return err
			}
			if at != "" && (live || linearizable) {
				return Usage("--at is answered from the log, --live and --linearizable from the owner's memory; want one of them")
			}
			client, err := s.Client(cmd.Context())
			if err != nil {
				return err
			}
			verb := "aggregate.get"
			if live || linearizable {
				verb = notControl
			}
			state, err := request(cmd.Context(), s, verb, func(ctx context.Context) (gateway.State, error) {
				if live || linearizable {
					return client.Read(ctx, stream, linearizable)
				}
				return client.State(ctx, stream, when)
			})
			if err != nil {
				return s.aggregateFailure(cmd.Context(), client, stream, when, err)
			}
			return s.printState(state)
		},
	}
	cmd.Flags().StringVar(&at, "at", "", atHelp)
	cmd.Flags().BoolVar(&live, "live", false, "ask the owner's memory")
	cmd.Flags().BoolVar(&linearizable, "linearizable", false, "ask the owner's memory, and be certain that it is the owner")
	console.PerCall(cmd, "at", "live", "linearizable")
	return cmd
}

func (s *Session) printState(state gateway.State) error {
	if s.JSON() {
		return s.Print(state)
	}
	y := s.Style(s.Out())
	_, err := fmt.Fprintf(s.Out(), "%s   version %d   position %d   %s\n%s\n",
		y.Strong(console.Printable(state.Aggregate+"/"+state.ID)), state.Version, state.Position, s.When(state.Time), console.Indented(state.State))
	return err
}

func newAggregateHistory(s *Session) *cobra.Command {
	var at string
	var changes bool
	cmd := &cobra.Command{
		Use:   "history TYPE ID",
		Short: "Show what happened to one aggregate",
		Example: `{{name}} aggregate history TYPE ID
{{name}} aggregate history TYPE ID --at 3
{{name}} aggregate history TYPE ID --changes
{{name}} aggregate history TYPE ID --jq .type`,
		Args:              console.Args(2, 2),
		ValidArgsFunction: completeTypes(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			stream, when, err := parseStream(args, at)
			if err != nil {
				return err
			}
			client, err := s.Client(cmd.Context())
			if err != nil {
				return err
			}
			show := s.printHistory
			if changes {
				show = s.printChanges
			}
			err = s.reaches(cmd.Context(), client, stream, when)
			if err == nil {
				err = show(cmd.Context(), client, stream, when)
			}
			if err != nil {
				return s.aggregateFailure(cmd.Context(), client, stream, when, err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&at, "at", "", atHelp)
	cmd.Flags().BoolVar(&changes, "changes", false, changesHelp)
	console.PerCall(cmd, "at", "changes")
	return cmd
}

// reaches refuses a version beyond the stream's end, as aggregate get does. What
// else hinders the fold does not hinder who looks at the events.
func (s *Session) reaches(ctx context.Context, client *gateway.Client, stream store.StreamID, at actor.At) error {
	if at.Version == 0 {
		return nil
	}
	_, err := request(ctx, s, "aggregate.get", func(ctx context.Context) (gateway.State, error) { return client.State(ctx, stream, at) })
	if errors.Is(err, store.ErrInvalid) {
		return err
	}
	return nil
}

func (s *Session) printHistory(ctx context.Context, client *gateway.Client, stream store.StreamID, at actor.At) error {
	g := s.Grid("VERSION", "EVENT", "TIME", "COMMAND", "POSITION", "DATA")
	found := false
	for e, err := range client.History(ctx, stream, 0) {
		if err != nil {
			return err
		}
		if !covers(at, e.Version, e.Time) {
			break
		}
		found = true
		if !s.JSON() {
			g.Add(e.Version, e.Type, s.When(e.Time), withCorrections(stream, e), e.Position, s.Shortened(e.Data, 78))
			continue
		}
		if err := s.Print(eventLine{Stream: stream.String(), Event: e}); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s has no events%s: %w", stream, since(at), store.ErrNotFound)
	}
	if s.JSON() {
		return nil
	}
	return g.Render("")
}

// withCorrections names the command of an event, what it made good, and what
// made the event good.
func withCorrections(stream store.StreamID, e gateway.Event) string {
	notes := []string{e.Command.Name}
	if e.Command.Corrects != "" {
		notes = append(notes, "corrects "+strings.TrimPrefix(e.Command.Corrects, stream.String()+"/"))
	}
	for _, version := range e.CorrectedBy {
		notes = append(notes, fmt.Sprintf("corrected by %d", version))
	}
	return strings.Join(notes, ", ")
}

// since says, in a message, that a point of time was asked for.
func since(at actor.At) string {
	if at.Time.IsZero() {
		return ""
	}
	return " at " + at.Time.Format(time.RFC3339)
}

func newAggregateTypes(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:     "types",
		Aliases: []string{"ls"},
		Short:   "List the aggregate types of the running system, with their commands and events",
		Example: `{{name}} aggregate types
{{name}} aggregate types --jq .commands`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, err := s.info(cmd.Context())
			if err != nil {
				return err
			}
			g := s.Grid("TYPE", "COMMANDS", "EVENTS")
			for _, a := range info.Aggregates {
				if s.JSON() {
					if err := s.Print(a); err != nil {
						return err
					}
					continue
				}
				g.Add(a.Type, s.Wrapped(a.Commands...), s.Wrapped(a.Events...))
			}
			if s.JSON() {
				return nil
			}
			return g.Render("no aggregates: this system runs without an application")
		},
	}
}

// info asks the running system what it serves.
func (s *Session) info(ctx context.Context) (gateway.Info, error) {
	client, err := s.Client(ctx)
	if err != nil {
		return gateway.Info{}, err
	}
	return request(ctx, s, "info", client.Info)
}

// request calls do, which asks something once, with the time that one request may take. It ends as soon as
// the server refuses to pass on what is asked at this control verb, if it goes to one.
func request[T any](ctx context.Context, s *Session, verb string, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout())
	defer cancel()
	var answer T
	err := s.refused.unlessRefused(ctx, verb, func(ctx context.Context) (err error) {
		answer, err = do(ctx)
		return err
	})
	return answer, err
}

// parseStream reads the arguments TYPE ID and the flag --at.
func parseStream(args []string, at string) (store.StreamID, actor.At, error) {
	stream := store.StreamID{Type: args[0], ID: args[1]}
	if err := stream.Validate(); err != nil {
		return stream, actor.At{}, err
	}
	when, err := parseAt(at, time.Now())
	return stream, when, err
}

// completeTypes completes the first argument with the application's aggregate
// types; it asks nobody.
func completeTypes(s *Session) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var types []string
		if len(args) == 0 {
			for _, a := range s.app.Aggregates {
				types = append(types, a.TypeName())
			}
		}
		return types, cobra.ShellCompDirectiveNoFileComp
	}
}
