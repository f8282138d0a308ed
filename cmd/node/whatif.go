package node

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor/trial"
	"github.com/annals-go/annals/cmd/node/console"
)

// errDiffers is why whatif ends with an exit code.
var errDiffers = errors.New("this build decides otherwise")

func newWhatif(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "whatif",
		Short:   "Find out what this build would have decided otherwise",
		Example: `{{name}} whatif run`,
		Args:    cobra.ArbitraryArgs,
		RunE:    console.Group,
	}
	cmd.AddCommand(newWhatifRun(s))
	return cmd
}

func newWhatifRun(s *Session) *cobra.Command {
	var states int
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Decide the recorded commands again with this build, beside what was recorded",
		Long: `The log is folded with this build. Each command that was kept is decided again on
the state that it met, and what it leads to now is compared with what is recorded;
snapshots of the same state schema are compared with what this build folds. A
difference is shown as it is found. It reads only, and needs no node.

Commands are kept by namespaces that were told so: {{name}} node --keep-commands.
Those that stored nothing, because they were rejected, are in no log: what this
build would accept instead is not seen.

The exit code is 6 if anything differs. With --json each difference is a line, and
the last line is the summary.`,
		Example: `{{name}} whatif run
{{name}} whatif run --json
{{name}} whatif run --jq 'select(.kind == "decision") | [.stream, .version, .error]'`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, done, err := s.checker(cmd.Context(), "whatif run", states, true)
			if err != nil {
				return err
			}
			sum, err := c.Whatif(cmd.Context(), func(d trial.Difference) error {
				done() // its line would be in the way
				return s.printTurned(d)
			})
			done()
			if err != nil {
				return err
			}
			return s.printSummary(sum)
		},
	}
	addStates(cmd, &states)
	return cmd
}

func (s *Session) printTurned(d trial.Difference) error {
	if s.JSON() {
		return s.Print(d)
	}
	y := s.Style(s.Out())
	head := fmt.Sprintf("%s  %s", y.Strong(console.Printable(fmt.Sprintf("%s v%d", d.Stream, d.Version))), y.Faint(fmt.Sprintf("position %d", d.Position)))
	if d.Kind == trial.StateDiffers {
		_, err := fmt.Fprintf(s.Out(), "%s  state\n  recorded  %s\n  now       %s\n", head, s.Shortened(d.Was, 12), s.Shortened(d.Is, 12))
		return err
	}
	now := s.outcomes(d.Now)
	if d.Error != "" {
		now = console.Printable(d.Error)
	}
	_, err := fmt.Fprintf(s.Out(), "%s  %s\n  recorded  %s\n  now       %s\n", head, console.Printable(d.Command), s.outcomes(d.Recorded), now)
	return err
}

// outcomes prints events on one line.
func (s *Session) outcomes(events []trial.Outcome) string {
	if len(events) == 0 {
		return "nothing"
	}
	var texts []string
	for _, e := range events {
		texts = append(texts, console.Printable(e.Type)+" "+s.Shortened(e.Data, 20+len(e.Type)))
	}
	return strings.Join(texts, ", ")
}

// summaryLine is the last line of --json.
type summaryLine struct {
	Kind string `json:"kind"`
	trial.Summary
}

func (s *Session) printSummary(sum trial.Summary) error {
	if err := s.showSummary(sum); err != nil {
		return err
	}
	switch {
	case sum.Failures > 0:
		return &Failure{
			Code: codeSchema, Exit: console.ExitFailure, Err: errSchema,
			What: fmt.Sprintf("this build cannot fold %s streams", humanize.Comma(int64(sum.Failures))),
			Fix:  "see why: " + s.app.Name + " schema check",
		}
	case sum.Differs():
		return &Failure{
			Code: codeTurned, Exit: console.ExitDegraded, Err: errDiffers,
			What: fmt.Sprintf("this build would have decided %s of %s commands otherwise, and folds %s of %s snapshots to another state",
				humanize.Comma(int64(sum.Decisions)), humanize.Comma(int64(sum.Commands)),
				humanize.Comma(int64(sum.States)), humanize.Comma(int64(sum.Snapshots))),
		}
	case sum.Commands == 0 && sum.NotKept > 0:
		_, err := fmt.Fprintf(s.Err(), "no decision was compared: this namespace has kept no commands; it does from now on with: %s node --keep-commands\n", s.app.Name)
		return err
	}
	return nil
}

func (s *Session) showSummary(sum trial.Summary) error {
	if s.JSON() {
		return s.Print(summaryLine{Kind: "summary", Summary: sum})
	}
	_, err := fmt.Fprintf(s.Out(), "%s of %s streams, up to position %d: %s commands decided again, %s otherwise (%s were not kept, %s are forgotten); %s snapshots compared, %s otherwise\n",
		events(sum.Events), humanize.Comma(int64(sum.Streams)), sum.Position, humanize.Comma(int64(sum.Commands)), humanize.Comma(int64(sum.Decisions)),
		humanize.Comma(int64(sum.NotKept)), humanize.Comma(int64(sum.Forgotten)), humanize.Comma(int64(sum.Snapshots)), humanize.Comma(int64(sum.States)))
	return err
}
