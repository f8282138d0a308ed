package node

import (
	"cmp"
	"context"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store/archive"
	"github.com/annals-go/annals/store/jetstream"
)

func newArchive(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "archive",
		Short: "Move the old events of long streams out of the log",
		Long: `What is archived leaves the servers' disks and is read as before: by histories,
replays and rebuilds, of nodes and commands that are told of the archive with
--archive. Nothing is changed: events keep their versions, positions and hashes.

Keep the archive in a directory, or in an object store: on servers that sync each
write, or on the server of dev, which syncs what was moved before the log gives it
up. On one server of your own that does neither, choose the directory.`,
		Example: `{{name}} archive run TYPE --keep 1000 --to DIR
{{name}} archive ls --archive DIR
{{name}} archive verify --archive DIR`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newArchiveRun(s), newArchiveList(s), newArchiveVerify(s))
	return cmd
}

// openArchived opens the log with the archive at a place, which must be named, and
// be there if it is to be read only.
func openArchived(ctx context.Context, s *Session, place string, add func(context.Context, *jetstream.Config, string) error) (*jetstream.Log, error) {
	if place == "" {
		u := Usage("where is the archive?")
		u.Fix = "name it: --archive DIR, or --archive nats:BUCKET"
		return nil, u
	}
	config, err := s.existing(ctx)
	if err != nil {
		return nil, err
	}
	config.Logger = s.Logger()
	if config.Barrier, err = barrierOf(ctx, config.Conn); err != nil {
		return nil, err
	}
	if err := add(ctx, &config, place); err != nil {
		return nil, err
	}
	return jetstream.Open(ctx, config)
}

func newArchiveList(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List what was archived, run by run",
		Example: `{{name}} archive ls --archive DIR
{{name}} archive ls --archive nats:BUCKET --json`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := openArchived(cmd.Context(), s, s.flags.archive, s.addArchive); err != nil {
				return err
			}
			runs, err := s.archive.Runs(cmd.Context())
			if err != nil {
				return err
			}
			g := s.Grid("RUN", "WHEN", "STREAMS", "EVENTS", "COMMITS", "FROM", "TO", "BYTES", "IN FILES")
			for _, r := range runs {
				if !s.JSON() {
					g.Add(r.Name, s.When(r.Time), humanize.Comma(int64(r.Streams)), humanize.Comma(int64(r.Events)), humanize.Comma(int64(r.Commits)),
						r.First, r.Last, humanize.IBytes(uint64(r.Raw)), humanize.IBytes(uint64(r.Size)))
				} else if err := s.Print(r); err != nil {
					return err
				}
			}
			if s.JSON() {
				return nil
			}
			return g.Render("nothing of " + s.Namespace() + " is archived there")
		},
	}
}

func newArchiveVerify(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Read all that was archived, and check that the log goes on where it ends",
		Long: `Every file is compared with its check sums, every stream is followed through its
chain of hashes, from its first event to where it goes on in the log. The exit
code is not 0 if anything is wrong.`,
		Example: `{{name}} archive verify --archive DIR
{{name}} archive verify --archive nats:BUCKET --json`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := openArchived(cmd.Context(), s, s.flags.archive, s.addArchive)
			if err != nil {
				return err
			}
			p := s.Progress()
			found, err := s.archive.Verify(cmd.Context(), log, func(at archive.Progress) { p.Show("%s: %s", at.Stage, humanize.Comma(int64(at.Done))) })
			p.End()
			if err != nil {
				return err
			}
			return cmp.Or(s.printFindings(found), faulty(s, found))
		},
	}
}

func (s *Session) printFindings(f archive.Findings) error {
	if s.JSON() {
		return s.Print(f)
	}
	for _, fault := range f.Faults {
		fmt.Fprintln(s.Out(), console.Printable(fault))
	}
	_, err := fmt.Fprintf(s.Out(), "%s of %s in %s: %s\n",
		console.Plural(f.Events, "event"), console.Plural(f.Streams, "stream"), console.Plural(f.Files, "file"), console.Plural(f.FaultCount, "fault"))
	if err == nil && f.Unlisted > 0 {
		_, err = fmt.Fprintf(s.Out(), "besides, %s of runs that did not end, or have not yet\n", console.Plural(f.Unlisted, "file"))
	}
	return err
}

func faulty(s *Session, f archive.Findings) error {
	if f.FaultCount == 0 {
		return nil
	}
	return &Failure{
		Code: codeArchiveFaulty, Exit: console.ExitFailure, What: fmt.Sprintf("the archive %s is not what was written: %s", s.archive, console.Plural(f.FaultCount, "fault")),
		Fix: "restore its files from a copy; the log alone does not have these events any more",
	}
}
