package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor/trial"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store/jetstream"
)

// errSchema is why a check of the schema ends with an exit code.
var errSchema = errors.New("this build cannot read what is stored")

func newSchemaCheck(s *Session) *cobra.Command {
	var states int
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check before a deployment that this build can read the whole log",
		Long: `Every event of the namespace is decoded with this build's types, as its aggregate
and each view that follows it would, and every stream is folded. What fails is
listed by type and schema version, with the first place. It reads only, and needs
no node; run it with the new binary beside the old one that serves.

The exit code is 1 if anything fails.`,
		Example: `{{name}} schema check
{{name}} schema check --json
{{name}} schema check --jq .failed[]`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, done, err := s.checker(cmd.Context(), "schema check", states, false)
			if err != nil {
				return err
			}
			report, err := c.Schema(cmd.Context())
			done()
			if err != nil {
				return err
			}
			return s.printReport(report)
		},
	}
	addStates(cmd, &states)
	return cmd
}

func addStates(cmd *cobra.Command, states *int) {
	cmd.Flags().IntVar(states, "states", 0, "hold the states of so many `STREAMS` in memory; a log of more is read several times (default 100000)")
	console.PerCall(cmd, "states")
}

// checker opens the log to read, with the application's types. done takes the
// progress away.
func (s *Session) checker(ctx context.Context, command string, states int, snapshots bool) (c *trial.Trial, done func(), err error) {
	if len(s.app.Aggregates) == 0 {
		return nil, nil, s.noApplication(command)
	}
	if states < 0 {
		return nil, nil, Usage("--states is %d; it must not be negative", states)
	}
	log, err := s.openPlain(ctx, leftOut)
	if err != nil {
		return nil, nil, err
	}
	p := s.Progress()
	config := trial.Config{Log: log, Aggregates: s.app.Aggregates, States: states, Progress: progressOf(p)}
	if config.Views, err = s.viewCheckers(log.raw); err != nil {
		return nil, nil, err
	}
	if snapshots {
		config.Snapshots = log.snapshots()
		if config.Snapshots == nil {
			s.Logger().Warn("snapshots are not compared, and personal data are read as forgotten", "fix", "--"+kekFlag)
		}
	}
	c, err = trial.New(config)
	return c, p.End, err
}

func (s *Session) viewCheckers(log *jetstream.Log) (views []trial.View, err error) {
	for _, d := range s.app.Projections {
		v, err := projector.NewChecker(d, log.Codec())
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

// progressOf draws a line about how far a check is.
func progressOf(p *console.Progress) func(trial.Progress) {
	return func(at trial.Progress) {
		text := fmt.Sprintf("%s of %s commits", humanize.Comma(int64(at.At.Sequence())), humanize.Comma(int64(at.End.Sequence())))
		if at.Pass > 1 {
			text += fmt.Sprintf(", pass %d", at.Pass)
		}
		p.Show("%s  %s", console.Bar(float64(at.At.Sequence())/max(1, float64(at.End.Sequence()))), text)
	}
}

func (s *Session) printReport(r trial.Report) error {
	err := s.showReport(r)
	if err != nil || r.Failures == 0 {
		return err
	}
	f := &Failure{Code: codeSchema, Exit: console.ExitFailure, Err: errSchema, What: fmt.Sprintf("this build fails at %s of what is stored", events(r.Failures))}
	if len(r.Failed) > 0 {
		first := r.Failed[0]
		f.Why = fmt.Sprintf("%s: %s in schema version %d, first at position %d (%s version %d): %s",
			first.In, first.Type, first.Schema, first.Position, first.Stream, first.Version, first.Reason)
	}
	f.Fix = "give the types back what they had, or an upcaster from the version that is stored"
	return f
}

func (s *Session) showReport(r trial.Report) error {
	if s.JSON() {
		return s.Print(r)
	}
	g := s.Grid("AGGREGATE", "TYPE", "SCHEMA", "EVENTS", "FAILURES")
	failures := map[[3]string]uint64{}
	key := func(aggregate, typ string, schema int) [3]string {
		return [3]string{aggregate, typ, fmt.Sprint(schema)}
	}
	for _, f := range r.Failed {
		failures[key(f.Aggregate, f.Type, f.Schema)] += f.Count
	}
	for _, t := range r.Types {
		g.Add(t.Aggregate, t.Type, t.Schema, humanize.Comma(int64(t.Events)), humanize.Comma(int64(failures[key(t.Aggregate, t.Type, t.Schema)])))
	}
	if err := g.Render("the log has no events"); err != nil {
		return err
	}
	if err := s.showFailed(r.Failed); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.Out(), "%s of %s, up to position %d: %s\n",
		events(r.Events), console.Plural(r.Streams, "stream"), r.Position, console.Plural(r.Failures, "failure"))
	return err
}

func (s *Session) showFailed(failed []trial.Failed) error {
	if len(failed) == 0 {
		return nil
	}
	g := s.Grid("FAILS IN", "TYPE", "SCHEMA", "COUNT", "FIRST POSITION", "STREAM", "REASON")
	for _, f := range failed {
		g.Add(f.In, f.Type, f.Schema, humanize.Comma(int64(f.Count)), f.Position, fmt.Sprintf("%s v%d", f.Stream, f.Version), s.Wrapped(f.Reason))
	}
	return g.Render("")
}

func events(n uint64) string { return console.Plural(n, "event") }
