package node

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
)

// completionTime bounds what a completion may ask a running system: somebody
// sits there with a finger on the tab key.
const completionTime = time.Second

// completeViews completes the first argument with the application's views; it
// asks nobody.
func completeViews(s *Session) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return s.views(), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeAnyViews completes the value of a flag with the application's views.
func completeAnyViews(s *Session) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return s.views(), cobra.ShellCompDirectiveNoFileComp
	}
}

// views are the names of the application's views, each once.
func (s *Session) views() []string {
	var views []string
	for _, p := range s.app.Projections {
		if name := p.Describe().Name; !slices.Contains(views, name) {
			views = append(views, name)
		}
	}
	return views
}

// completeLetters completes the first argument with the ids of dead letters,
// which it asks the running system for. Where that is of no use it says nothing.
func completeLetters(s *Session) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var ids []string
		if len(args) > 0 || s.prepare(cmd, args) != nil {
			return ids, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		client, err := s.Client(ctx)
		if err != nil {
			return ids, cobra.ShellCompDirectiveNoFileComp
		}
		_ = s.eachLetter(ctx, client, "", func(_ gateway.Operator, l projector.DeadLetter) error {
			ids = append(ids, l.ID+"\t"+console.Printable(l.String()+" "+l.Stream.String()+": "+l.Error))
			return nil
		})
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}
