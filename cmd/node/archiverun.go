package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/archive"
	"github.com/annals-go/annals/store/jetstream"
)

// archiving is what archive run is told.
type archiving struct {
	keep, below uint64
	to          string
	streams     []store.StreamID
	types       []string
}

func newArchiveRun(s *Session) *cobra.Command {
	var a archiving
	cmd := &cobra.Command{
		Use:   "run [TYPE [ID...]]",
		Short: "Archive the old events of streams",
		Long: `Of each stream, of all, of a type or of those named, the events before the last
--keep, or below version --below, go into files at --to. What goes stands before a
snapshot that a replay by this binary has proved: streams without one, or with one
that a replay does not give, are left and named. The last event always stays.

The files are read back and compared with the log before anything is taken out of
it. A run that was interrupted is taken up by the next one.

Tell every node of the archive first (--archive): until then it cannot read what
is moved. The servers give the disk space back when they compact, within two sync
intervals (four minutes, unless configured).`,
		Example: `{{name}} archive run TYPE --keep 1000 --to DIR
{{name}} archive run TYPE ID --below 990001 --to nats:BUCKET --yes
{{name}} archive run --keep 1000 --to DIR --json`,
		Args: console.Args(0, -1),
	}
	agreed := console.AddConsent(cmd)
	cmd.Flags().Uint64Var(&a.keep, "keep", 0, "leave the last `N` events of each stream in the log, and those of their commit")
	cmd.Flags().Uint64Var(&a.below, "below", 0, "archive events below this `VERSION`")
	cmd.Flags().StringVar(&a.to, "to", "", "`PLACE` to archive to: DIR or nats:BUCKET (default: that of --archive)")
	console.PerCall(cmd, "keep", "below")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.check(cmd, s, args); err != nil {
			return err
		}
		if agreed.DryRun {
			return a.rehearse(cmd.Context(), s)
		}
		ok, err := s.Agree(cmd.Context(), agreed, s.Namespace(), "%s", a.change(s))
		if !ok {
			return err
		}
		return a.run(cmd.Context(), s)
	}
	return cmd
}

func (a *archiving) check(cmd *cobra.Command, s *Session, args []string) error {
	if a.to = cmp.Or(a.to, s.flags.archive); a.to == "" {
		return Usage("where to? name a directory or a bucket: --to DIR, --to nats:BUCKET")
	}
	keeps, cuts := cmd.Flags().Changed("keep"), cmd.Flags().Changed("below")
	if keeps == cuts {
		return Usage("say what stays: --keep N events of each stream, or what goes: --below VERSION")
	}
	if keeps && a.keep == 0 || cuts && a.below < 2 {
		return Usage("the last event of a stream always stays: --keep wants 1 or more, --below 2 or more")
	}
	if len(s.app.Aggregates) == 0 {
		u := Usage("%s knows no aggregates: it cannot tell whether a snapshot is right", s.app.Name)
		u.Fix = "run this with the application's own binary"
		return u
	}
	for _, d := range s.app.Aggregates {
		a.types = append(a.types, d.TypeName())
	}
	if len(args) == 0 {
		return nil
	}
	if f := unknownAggregate(s, args[0]); f != nil {
		return f
	}
	a.types = args[:1]
	for _, id := range args[1:] {
		stream := store.StreamID{Type: args[0], ID: id}
		if err := stream.Validate(); err != nil {
			return Usage("%v", err)
		}
		a.streams = append(a.streams, stream)
	}
	return nil
}

// unknownAggregate returns the failure for an aggregate that the application does
// not have, or nil.
func unknownAggregate(s *Session, name string) error {
	var known []string
	for _, d := range s.app.Aggregates {
		if known = append(known, d.TypeName()); d.TypeName() == name {
			return nil
		}
	}
	f := &Failure{Code: console.CodeUsage, Exit: console.ExitUsage, What: fmt.Sprintf("%s has no aggregate %q", s.app.Name, name)}
	if near := console.Nearest(name, known); near != "" {
		f.Fix = "did you mean: " + near
	} else if len(known) > 0 {
		f.Fix = "it has: " + strings.Join(known, ", ")
	}
	return f
}

// what says what would be moved.
func (a *archiving) what() string {
	which := "every stream of " + fmt.Sprint(a.types)
	if len(a.streams) > 0 {
		which = fmt.Sprint(a.streams)
	}
	if a.below > 0 {
		return fmt.Sprintf("the events below version %d of %s", a.below, which)
	}
	return fmt.Sprintf("all but the last %d events of %s", a.keep, which)
}

// change says what a run does.
func (a *archiving) change(s *Session) string {
	return fmt.Sprintf("move %s to %s, out of the log of %s; nodes and commands without --archive %s cannot read them from then on",
		a.what(), a.to, s.Namespace(), a.to)
}

func (a *archiving) run(ctx context.Context, s *Session) error {
	var t touch
	log, err := openArchived(ctx, s, a.to, s.addArchiveToWrite(&t))
	if err != nil {
		return err
	}
	var report archive.Report
	var c *cutter
	err = s.acting(ctx, "archive.run", a.what()+" to "+a.to, func() (err error) {
		report, c, err = a.job(ctx, s, log, t.log(log), false)
		return t.outcome(err)
	})
	if err != nil {
		return err
	}
	return cmp.Or(s.printArchived(report), c.unproved())
}

// prover is what proves snapshots: with personal data in plain, for they are folded with these.
func (s *Session) prover(ctx context.Context, log *jetstream.Log) (*actor.System, error) {
	plain, err := s.plain(ctx, log)
	if err != nil {
		return nil, err
	}
	if plain.keys != nil && plain.keyring == nil {
		return nil, &Failure{Code: codeNoKek, Exit: console.ExitUsage, What: "snapshots with personal data cannot be proved without the wrapping keys", Fix: "name them with --" + kekFlag}
	}
	return actor.NewSystem(actor.Config{
		Log: plain, Snapshots: plain.snapshots(), Aggregates: s.app.Aggregates, Partitions: log.Partitions(),
		Logger: slog.New(slog.DiscardHandler), // what it would say of a snapshot the report says
	})
}

// job runs the job, or a rehearsal of it. What is moved is moved as it is stored, and from is the log that is
// relieved of it.
func (a *archiving) job(ctx context.Context, s *Session, log *jetstream.Log, from archive.Log, dryRun bool) (archive.Report, *cutter, error) {
	system, err := s.prover(ctx, log)
	if err != nil {
		return archive.Report{}, nil, err
	}
	c := &cutter{archiving: a, system: system}
	p := s.Progress()
	defer p.End()
	report, err := s.archive.Run(ctx, archive.Job{
		Log: from, Types: a.types, Streams: a.streams, Cut: c.cut, DryRun: dryRun,
		Progress: func(at archive.Progress) { p.Show("%s: %s", at.Stage, humanize.Comma(int64(at.Done))) },
	})
	return report, c, err
}

// cutter decides where streams are cut.
type cutter struct {
	*archiving
	system *actor.System
	faulty int // streams whose snapshot a replay does not give
}

func (c *cutter) cut(ctx context.Context, id store.StreamID, version uint64) (store.Head, error) {
	limit := c.below
	if limit > 0 {
		limit = min(limit, version) - 1
	} else if version > c.keep {
		limit = version - c.keep
	}
	if limit == 0 {
		return store.Head{}, nil
	}
	proof, err := c.system.Prove(ctx, id, limit)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Head{}, fmt.Errorf("%w: it has no snapshot that this build can use", archive.ErrNotCut)
	case errors.Is(err, store.ErrDamaged), errors.Is(err, store.ErrAhead):
		c.faulty++
		return store.Head{}, fmt.Errorf("%w: %w", archive.ErrNotCut, err)
	}
	return proof.Cut, err
}

// unproved is the failure if a snapshot or a stream is not what it should be.
func (c *cutter) unproved() error {
	if c.faulty == 0 {
		return nil
	}
	return &Failure{
		Code: codeArchiveLeft, Exit: console.ExitDegraded, What: console.Plural(c.faulty, "stream") + " left as they are: a replay does not give their snapshots",
		Fix: "see which in the report; a snapshot is made again when its actor is",
	}
}

func (s *Session) printArchived(r archive.Report) error {
	if s.JSON() {
		return s.Print(r)
	}
	s.printLeft(r)
	if r.Run.Name == "" {
		_, err := fmt.Fprintf(s.Out(), "nothing new to archive in %s; the log is relieved of the archived events of %s\n", console.Plural(r.Looked, "stream"), console.Plural(r.Truncated, "stream"))
		return err
	}
	_, err := fmt.Fprintf(s.Out(), "archived %s of %s in %s; the log is relieved of them\n",
		console.Plural(r.Run.Events, "event"), console.Plural(r.Run.Streams, "stream"), humanize.IBytes(uint64(r.Run.Size)))
	return err
}

// printLeft names the streams that cannot be cut.
func (s *Session) printLeft(r archive.Report) {
	for _, l := range r.Left {
		fmt.Fprintf(s.Out(), "left: %s: %s\n", console.Printable(l.Stream.String()), console.Printable(l.Reason))
	}
	if more := r.LeftCount - len(r.Left); more > 0 {
		fmt.Fprintf(s.Out(), "left: %s more\n", humanize.Comma(int64(more)))
	}
}
