package node

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
)

func newProjectionRebuild(s *Session) *cobra.Command {
	var r projector.Rebuild
	var parity string
	var leave bool
	cmd := &cobra.Command{
		Use:   "rebuild VIEW",
		Short: "Build a view again from the first event",
		Long: `In place, the new model is served at once and reads wait until it has caught up.
With --online it is built beside the model that is served, which goes on to be;
once it has caught up, its documents are compared with those, and it is served
with --switch if they are equal, else with projection promote.

It shows how the rebuild comes along until it is over. Ctrl-C ends that, and not
the rebuild.`,
		Example: `{{name}} projection rebuild VIEW --online --switch
{{name}} projection rebuild VIEW --online --to 2 --parity 1000
{{name}} projection rebuild VIEW --dry-run
{{name}} projection rebuild VIEW --yes --json`,
		Args:              console.Args(1, 1),
		ValidArgsFunction: completeViews(s),
	}
	agreed := console.AddConsent(cmd)
	cmd.Flags().BoolVar(&r.Online, "online", false, "build beside the model that is served")
	cmd.Flags().IntVar(&r.Version, "to", 0, "build this `VERSION` of the definition (default: the live one's)")
	cmd.Flags().StringVar(&parity, "parity", "all", "compare all, `N` or none of the documents before the switch; an SQL view has none")
	cmd.Flags().BoolVar(&r.Switch, "switch", false, "serve it as soon as it has caught up and nothing differs")
	cmd.Flags().BoolVar(&leave, "no-wait", false, "begin, and do not wait until it is over")
	console.PerCall(cmd, "online", "to", "parity", "switch", "no-wait")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkRebuild(cmd, &r, parity); err != nil {
			return err
		}
		return s.operate(cmd.Context(), args[0], func(ctx context.Context, o gateway.Operator) error {
			return s.rebuild(ctx, o, args[0], r, agreed, leave)
		})
	}
	return cmd
}

// checkRebuild completes r by what --parity says.
func checkRebuild(cmd *cobra.Command, r *projector.Rebuild, parity string) error {
	if !r.Online {
		for _, name := range []string{"parity", "switch"} {
			if cmd.Flags().Changed(name) {
				return Usage("--%s needs --online: in place there is nothing to compare with", name)
			}
		}
		return nil
	}
	switch parity {
	case "all":
		r.Parity = -1
	case "none":
		r.Parity = 0
	default:
		n, err := strconv.Atoi(parity)
		if err != nil || n < 1 {
			return Usage("--parity %q: want all, none or a number from 1", parity)
		}
		r.Parity = n
	}
	return nil
}

func (s *Session) rebuild(ctx context.Context, o gateway.Operator, view string, r projector.Rebuild, agreed *console.Consent, leave bool) error {
	before, err := request(ctx, s, "projection.info", o.Info)
	if err != nil {
		return err
	}
	word, would := view, fmt.Sprintf("build view %s again in place; reads wait until it has caught up", view)
	if r.Online {
		word, would = "", fmt.Sprintf("build view %s again beside %s", view, servedOf(before.Models))
	}
	if previous := modelIn(before.Models, projector.RolePrevious); previous != "" {
		would += ", and drop " + previous + ", to which it could be rolled back"
	}
	if r.Version != 0 {
		would += fmt.Sprintf(", as version %d", r.Version)
	}
	if ok, err := s.Agree(ctx, agreed, word, "%s", would+modelsText(before.Models)); !ok {
		return err
	}
	model, err := request(ctx, s, "projection.rebuild", func(ctx context.Context) (projector.Model, error) { return o.Rebuild(ctx, r) })
	if err != nil {
		return err
	}
	if leave {
		if s.JSON() {
			return s.Print(model)
		}
		_, err := fmt.Fprintf(s.Out(), "%s is being built; see: %s projection info %s\n", model, s.app.Name, view)
		return err
	}
	f := following{session: s, operator: o, model: model, asked: r}
	return f.run(ctx)
}
