package node

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// projectionChange is a subcommand that changes a view and needs no more than
// its name.
type projectionChange struct {
	verb, short, long string
	// would is what it would do, with the view's name for %s.
	would string
	// needs is the role of the model that there has to be, and missing the error if
	// there is none; "": any will do.
	needs   string
	missing error
	// final: it cannot be taken back.
	final bool
	// done is what it has done, with the view's name and the model that is served;
	// {{name}} is the binary.
	done string
	do   func(gateway.Operator, context.Context) (gateway.Projection, error)
}

var projectionChanges = []projectionChange{
	{
		verb: "promote", short: "Serve the model that was built beside the live one",
		long: `The candidate of a rebuild --online is served from now on, and the model that
was live is kept up to date for a roll-back. It is refused if the candidate is
behind or differs, unless --force.`,
		would: "serve the candidate of view %s instead of its live model", needs: projector.RoleCandidate, missing: projector.ErrNoCandidate,
		done: "%s: %s is served; undo: {{name}} projection rollback %[1]s",
	},
	{
		verb: "rollback", short: "Serve the model again that was live before",
		would: "serve the previous model of view %s instead of its live one", do: gateway.Operator.Rollback,
		needs: projector.RolePrevious, missing: projector.ErrNoPrevious,
		done: "%s: %s is served again; undo: {{name}} projection rollback %[1]s",
	},
	{
		verb: "cancel", short: "Give up a rebuild, and drop what was built",
		would: "give up the rebuild of view %s and drop the model that is built", final: true, do: gateway.Operator.Cancel,
		done: "%s: nothing is built any more; %s is served",
	},
	{
		verb: "retire", short: "Drop the model that was kept for a roll-back",
		would: "drop the previous model of view %s, to which it can be rolled back", final: true, do: gateway.Operator.Retire,
		needs: projector.RolePrevious, missing: projector.ErrNoPrevious,
		done: "%s: the previous model is dropped; %s is served",
	},
	{
		verb: "pause", short: "Stop bringing a view up to date",
		long: `The view is served as it is, and gets further behind until resume. It stays
paused when nodes are started or stopped.`,
		would: "stop bringing view %s up to date", do: gateway.Operator.Pause,
		done: "%s is paused: %s is served as it is; undo: {{name}} projection resume %[1]s",
	},
	{
		verb: "resume", short: "Bring a paused view up to date again",
		would: "bring view %s up to date again", do: gateway.Operator.Resume,
		done: "%s goes on: %s is brought up to date",
	},
}

func newProjectionChange(s *Session, c projectionChange) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   c.verb + " VIEW",
		Short: c.short,
		Long:  c.long,
		Example: fmt.Sprintf(`{{name}} projection %[1]s VIEW --dry-run
{{name}} projection %[1]s VIEW`, c.verb),
		Args:              console.Args(1, 1),
		ValidArgsFunction: completeViews(s),
	}
	agreed := console.AddConsent(cmd)
	if c.do == nil { // promote
		cmd.Flags().BoolVar(&force, "force", false, "serve it even if it is behind or differs")
		console.PerCall(cmd, "force")
		c.do = func(o gateway.Operator, ctx context.Context) (gateway.Projection, error) {
			return o.Promote(ctx, force)
		}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.operate(cmd.Context(), args[0], func(ctx context.Context, o gateway.Operator) error {
			return s.changeView(ctx, o, args[0], c, agreed, force)
		})
	}
	return cmd
}

func (s *Session) changeView(ctx context.Context, o gateway.Operator, view string, c projectionChange, agreed *console.Consent, force bool) error {
	before, err := request(ctx, s, "projection.info", o.Info) // also tells whether there is such a view
	if err != nil {
		return err
	}
	if c.needs != "" && modelIn(before.Models, c.needs) == "" {
		return fmt.Errorf("view %s: %w", view, c.missing)
	}
	word, would := "", fmt.Sprintf(c.would, view)+modelsText(before.Models)
	if c.final || force {
		word = view
	}
	if ok, err := s.Agree(ctx, agreed, word, "%s", would); !ok {
		return err
	}
	after, err := request(ctx, s, "projection."+c.verb, func(ctx context.Context) (gateway.Projection, error) { return c.do(o, ctx) })
	if err != nil {
		return err
	}
	if s.JSON() {
		return s.printAll(after.Models)
	}
	done := fmt.Sprintf(console.WithName(c.done, s.app.Name), view, servedOf(after.Models))
	_, err = fmt.Fprintln(s.Out(), console.Printable(done))
	return err
}

// modelsText names the models that a change is about.
func modelsText(models []projector.Status) string {
	var texts []string
	for _, m := range models {
		if m.Role != "" {
			texts = append(texts, m.Role+" "+modelOf(m).String())
		}
	}
	if texts == nil {
		return ""
	}
	return " (" + strings.Join(texts, ", ") + ")"
}

// servedOf is the model that is served.
func servedOf(models []projector.Status) string {
	return cmp.Or(modelIn(models, projector.RoleLive), "no model")
}

// modelIn is the model in a role, "" if there is none.
func modelIn(models []projector.Status, role string) string {
	for _, m := range models {
		if m.Role == role {
			return modelOf(m).String()
		}
	}
	return ""
}

func newProjectionRewind(s *Session) *cobra.Command {
	var to uint64
	cmd := &cobra.Command{
		Use:   "rewind VIEW --to POSITION",
		Short: "Have a reaction or an SQL view go over past events once more",
		Long: `The events after the position are applied again, in order: a reaction does again
what it did. Views of documents are built again instead.`,
		Example: `{{name}} projection rewind VIEW --to 268475392 --dry-run
{{name}} projection rewind VIEW --to 0 --yes`,
		Args:              console.Args(1, 1),
		ValidArgsFunction: completeViews(s),
	}
	agreed := console.AddConsent(cmd)
	cmd.Flags().Uint64Var(&to, "to", 0, "`POSITION` after which the events are applied again; 0 is the beginning")
	console.PerCall(cmd, "to")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("to") {
			return Usage("--to is needed: the position after which the events are applied again")
		}
		c := projectionChange{
			final: true,
			would: fmt.Sprintf("apply the events after position %d to view %%s once more", to),
			done:  "%s goes over them again: %s",
			do: func(o gateway.Operator, ctx context.Context) (gateway.Projection, error) {
				return o.Rewind(ctx, store.Position(to))
			},
		}
		return s.operate(cmd.Context(), args[0], func(ctx context.Context, o gateway.Operator) error {
			return s.changeView(ctx, o, args[0], c, agreed, false)
		})
	}
	return cmd
}
