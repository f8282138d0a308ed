package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/migrate"
)

// Upcast returns the transformation that schema migrate has unless the
// application has its own: each event becomes what this build would have stored
// instead of it. An aggregate type that is not among the given ends it with
// [store.ErrUnknownType].
func Upcast(aggregates ...actor.Definition) migrate.Transform {
	of := map[string]actor.Definition{}
	for _, a := range aggregates {
		of[a.TypeName()] = a
	}
	return migrate.Events(func(dst []store.Event, codec store.Codec, stream store.StreamID, e store.Event) ([]store.Event, error) {
		a := of[stream.Type]
		if a == nil {
			return nil, &store.UnknownTypeError{What: "aggregate", Name: stream.Type}
		}
		return a.Upcast(dst, codec, e)
	})
}

// migrating is what the arguments of schema migrate say.
type migrating struct {
	from, to   string
	dryRun     bool
	served     bool // the old namespace may be
	logStreams int  // of the new namespace; 0: as many as the old one has
	stored     uint64
}

func newSchemaMigrate(s *Session) *cobra.Command {
	var m migrating
	cmd := &cobra.Command{
		Use:   "migrate OLD NEW",
		Short: "Copy a namespace into a new one, with every event in its schema of this build",
		Long: `Copy the log of the namespace OLD into the new namespace NEW, through the
upcasting of this build or the application's own transformation. The order, the
times and the ids of commands are kept; versions count what is left. OLD is only
read, and nothing may be written to it meanwhile: stop its nodes first; after dev,
run dev with another --ns on the same --data. NEW is made like OLD, or with
--log-streams of its own, and is not served before it is whole. A migration that
was interrupted goes on when the same command is given again. Personal data, which
--kek opens, are sealed anew under keys of NEW; what was forgotten stays forgotten,
and NEW knows who was. At the end both logs
are read once more and compared with what was copied. Several log streams take
two to seven times as long as one.

With --served nodes may serve OLD. The copy ends where OLD ended when the command
began, and so much is compared: what is written meanwhile is not in NEW, and
cannot be added once NEW is whole. --dry-run looks at as much.`,
		Example: `{{name}} schema migrate {{name}} {{name}}-2 --dry-run
{{name}} schema migrate {{name}} {{name}}-2`,
		Args: console.Args(2, 2),
		RunE: func(cmd *cobra.Command, given []string) error {
			m.from, m.to = given[0], given[1]
			err := s.migrate(cmd.Context(), &m)
			return s.onInterrupt(cmd.Context(), err, m.interrupted())
		},
	}
	cmd.Flags().BoolVar(&m.dryRun, "dry-run", false, "transform every event, say what would come of it, and store nothing")
	cmd.Flags().BoolVar(&m.served, "served", false, "copy although nodes serve OLD; what is written meanwhile is not copied")
	cmd.Flags().IntVar(&m.logStreams, "log-streams", 0, "spread NEW over so many `STREAMS` (default: as OLD is)")
	console.PerCall(cmd, "dry-run", "served", "log-streams")
	return cmd
}

// interrupted says what was done until then.
func (m *migrating) interrupted() string {
	if m.dryRun {
		return "interrupted: nothing was stored"
	}
	return fmt.Sprintf("interrupted: %s commits are copied, and %s is not served; the same command goes on", comma(m.stored), m.to)
}

func (s *Session) migrate(ctx context.Context, m *migrating) error {
	for _, namespace := range []string{m.from, m.to} {
		if err := store.ValidateName("namespace", namespace); err != nil {
			return Usage("%v", err)
		}
	}
	if m.from == m.to {
		return Usage("a namespace is not migrated into itself: %s", m.from)
	}
	s.flags.namespace = m.from // which what follows speaks of
	raw, err := openToRead(ctx, s)
	if err != nil {
		return err
	}
	ends, err := s.openMigratedKeys(ctx)
	if err != nil {
		return err
	}
	config := migrate.Config{From: ends.reads(raw), Transform: s.app.Transform, Prefix: m.served || m.dryRun, Progress: m.progress(s)}
	if config.Transform == nil {
		config.Transform = Upcast(s.app.Aggregates...)
	}
	marking, err := newIntake(raw.Codec(), s.app, false, nil)
	if err != nil {
		return err
	}
	config.Transform = sparing(marked(config.Transform, marking))
	if m.dryRun {
		config.DryRun = true
		return s.runMigration(ctx, m, config, func(context.Context) error { return nil })
	}
	if !m.served {
		if err := s.refuseMoving(ctx, m.from); err != nil {
			return err
		}
	}
	to, err := s.openToMigrate(ctx, m)
	if err != nil {
		return err
	}
	loader, err := to.Loader(ctx)
	if err != nil {
		return err
	}
	defer loader.Close()
	config.To, config.Loader = to, loader
	if err := ends.openNew(ctx, s, m, to, &config); err != nil {
		return err
	}
	began := time.Now()
	return s.runMigration(ctx, m, config, func(ctx context.Context) error {
		if err := ends.unmoved(ctx, m.from); err != nil {
			return err
		}
		if err := to.Finish(ctx); err != nil {
			return err
		}
		made, err := s.configOfNew(ctx, m)
		if err != nil {
			return err
		}
		return s.actedIn(ctx, made, "schema.migrate", m.from+" to "+m.to, began)
	})
}

// sparing leaves what the system keeps about itself as it is: no build has other schemas of it.
func sparing(transform migrate.Transform) migrate.Transform {
	return func(codec store.Codec, c *store.Commit) error {
		if actor.Reserved(c.Stream.Type) {
			return nil
		}
		return transform(codec, c)
	}
}

// refuseMoving refuses to copy the namespace of the session if a node answers
// for it: it would be written to meanwhile.
func (s *Session) refuseMoving(ctx context.Context, namespace string) error {
	client, err := s.Client(ctx)
	if err != nil {
		return err
	}
	_, err = request(ctx, s, "info", client.Info)
	if errors.Is(err, nats.ErrNoResponders) {
		return nil
	}
	if err != nil {
		return err // a node may be there
	}
	return &Failure{
		Code: codeServed, Exit: console.ExitConflict, What: "a node serves namespace " + namespace, Why: "what is written to it while it is copied would be missed",
		Fix: "stop its nodes first (after dev: run dev with another --ns on the same --data), or copy what is there now with --served",
	}
}

// movedFailure says that the old namespace was written to after all.
func movedFailure(namespace string, err error) error {
	return &Failure{
		Code: codeMoved, Exit: console.ExitConflict, What: namespace + " was written to meanwhile", Why: err.Error(),
		Fix: "stop its nodes and give the command again: what is copied stays copied", Err: err,
	}
}

// openToMigrate opens the new namespace, and makes it like the old one.
func (s *Session) openToMigrate(ctx context.Context, m *migrating) (*jetstream.Log, error) {
	config, err := s.configOfNew(ctx, m)
	if err != nil {
		return nil, err
	}
	config.FilledFrom = "namespace " + m.from
	return jetstream.Open(ctx, config)
}

// configOfNew is the new namespace, like the old one.
func (s *Session) configOfNew(ctx context.Context, m *migrating) (jetstream.Config, error) {
	config, err := s.existing(ctx)
	config.Namespace, config.LogStreams, config.Logger = m.to, cmp.Or(m.logStreams, config.LogStreams), s.Logger()
	return config, err
}

// migrated is what schema migrate prints.
type migrated struct {
	From   string `json:"from_namespace"`
	To     string `json:"to_namespace"`
	DryRun bool   `json:"dry_run,omitempty"`
	migrate.Report
	Seconds float64 `json:"seconds"`
}

func (s *Session) runMigration(ctx context.Context, m *migrating, config migrate.Config, finish func(context.Context) error) error {
	began := time.Now()
	migration, err := migrate.New(config)
	if err != nil {
		return err
	}
	report, err := migration.Run(ctx)
	s.Progress().End()
	if err == nil {
		err = finish(ctx)
	}
	if errors.Is(err, migrate.ErrMoved) {
		return movedFailure(m.from, err)
	}
	if err != nil {
		return err
	}
	return s.printMigrated(migrated{m.from, m.to, m.dryRun, report, time.Since(began).Round(time.Millisecond).Seconds()})
}

func (s *Session) printMigrated(m migrated) error {
	if s.JSON() {
		return s.Print(m)
	}
	what, compared := "copied", "both logs were read again and are what was copied"
	if m.DryRun {
		what, compared = "would be copied", "nothing was stored"
	}
	_, err := fmt.Fprintf(s.Out(), "%s of %s %s from %s, %s to %s; %s changed, %s without events left out, %s there already; %s\n",
		console.Plural(m.Report.From.Events, "event"), console.Plural(m.Streams, "stream"), what, m.From, console.Plural(m.Report.To.Events, "event"), m.To,
		console.Plural(m.Changed, "commit"), comma(m.Dropped), comma(m.Found), compared)
	return err
}

func comma(n uint64) string { return humanize.Comma(int64(n)) }

// progress draws how far a migration is, with the time that is left, and notes it.
func (m *migrating) progress(s *Session) func(migrate.Progress) {
	line, began := s.Progress(), time.Now()
	return func(p migrate.Progress) {
		m.stored = p.Stored
		if p.Verifying {
			line.Show("comparing both logs")
			return
		}
		left := ""
		if done := p.Position.Sequence(); done > 0 {
			rest := float64(p.Tip.Sequence()-done) / float64(done)
			left = ", " + (time.Duration(rest * float64(time.Since(began)))).Round(time.Second).String() + " left"
		}
		line.Show("%s events, position %d of %d, %s commits stored%s", comma(p.Events), p.Position, p.Tip, comma(p.Stored), left)
	}
}
