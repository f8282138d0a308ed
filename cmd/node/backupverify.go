package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
)

func newBackupVerify(s *Session) *cobra.Command {
	v := verification{session: s}
	cmd := &cobra.Command{
		Use:   "verify [WHERE [ID]]",
		Short: "Look for damage in a backup, and in the log",
		Long: `It reads all files of the backup, and of those that it goes on from: check sums,
hash chains, sequences. With --live it reads the log instead, from its beginning
to its end, and compares it with the backup, commit by commit, and with the
snapshots: that a log has lost its end shows in nothing else. Without WHERE it
compares with the snapshots alone.

With --keys-from the copy of the keys is verified, too, and that it is not older
than the backup.

What is damaged is printed, with stream, version and sequence, or the file; the
exit code is 1 then.

` + backupPlace,
		Example: `{{name}} backup verify ./backups
{{name}} backup verify ./backups --live
{{name}} backup verify ./backups --live --ns copy --from-ns {{name}}
{{name}} backup verify --live --data ./data --json`,
		Args: console.Args(0, 2),
	}
	cmd.Flags().BoolVar(&v.live, "live", false, "verify the log instead of the backup")
	v.keys.flags(cmd, "keys-from", "verify the copy of the keys, too, in", "leave the keys out")
	cmd.Flags().StringVar(&v.from, "from-ns", "", "the `NAMESPACE` that was backed up (default: that of --ns)")
	dataFlag(cmd, &v.data)
	console.PerCall(cmd, "live", "from-ns", "data")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !v.live && len(args) == 0 || !v.live && v.data != "" {
			return Usage("want WHERE, or --live, which --data needs")
		}
		if v.live && v.keys.where != "" {
			return Usage("--keys-from does not go with --live: the copy of the keys belongs to a backup")
		}
		if err := v.keys.check("keys-from"); err != nil {
			return err
		}
		v.line, v.where, v.id = s.Progress(), argument(args, 0), argument(args, 1)
		report, err := v.run(cmd.Context())
		v.line.End()
		if err != nil {
			return err
		}
		return v.show(report)
	}
	return cmd
}

func argument(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

type verification struct {
	session   *Session
	line      *console.Progress
	where, id string
	from      string // the namespace that was backed up; empty: that of --ns
	data      string
	live      bool
	keys      keysPlace
}

func (v *verification) run(ctx context.Context) (backup.Report, error) {
	if v.live {
		return v.log(ctx)
	}
	place := v.where
	if strings.HasPrefix(v.keys.where, inBucket) {
		place = v.keys.where
	}
	at, err := v.session.placeSite(ctx, place)
	if err != nil {
		return backup.Report{}, err
	}
	b, damaged, err := v.backup(ctx, at)
	if err != nil || len(damaged) > 0 {
		return backup.Report{Findings: damaged}, err
	}
	report, err := b.Verify(ctx, drawCommits(v.line, "verified"))
	if err != nil {
		return report, err
	}
	return report, v.keys.verifyKeys(ctx, v.session, at.conn, b, &report)
}

// backup opens the backup. That it is damaged is a finding, of a file.
func (v *verification) backup(ctx context.Context, at *site) (*backup.Backup, []backup.Finding, error) {
	from := cmp.Or(v.from, v.session.Namespace())
	b, err := v.session.openBackup(ctx, at.conn, v.where, from, v.id)
	if !errors.Is(err, store.ErrDamaged) {
		return b, nil, err
	}
	f := backup.Find(err)
	f.File = cmp.Or(f.File, from)
	return nil, []backup.Finding{f}, nil
}

// log verifies the live log.
func (v *verification) log(ctx context.Context) (backup.Report, error) {
	at, err := v.session.openSite(ctx, v.data)
	if err != nil {
		return backup.Report{}, err
	}
	defer at.close()
	log, _, err := v.session.openLog(ctx, at)
	if err != nil {
		return backup.Report{}, err
	}
	defer log.Close()
	live := backup.Live{Log: log, Snapshots: log.AllSnapshots, Progress: drawCommits(v.line, "verified")}
	var damaged []backup.Finding
	if v.where != "" {
		if live.Backup, damaged, err = v.backup(ctx, at); err != nil {
			return backup.Report{}, err
		}
	}
	report, err := live.Verify(ctx)
	if len(damaged) > 0 {
		report.Findings = append(damaged, report.Findings...)
	}
	return report, err
}

func (v *verification) show(r backup.Report) error {
	s := v.session
	if s.JSON() {
		if err := s.Print(r); err != nil {
			return err
		}
		return v.verdict(r)
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(s.Out(), "%s %s: %s\n", s.Style(s.Out()).Bad("damaged"), console.Printable(placeOf(f)), console.Printable(f.Reason)); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(s.Out(), "%s, %s, %s, up to position %d; running hash %s\n", console.Plural(r.Commits, "commit"),
		console.Plural(r.Events, "event"), console.Plural(r.Streams, "stream"), r.Position, r.Chain); err != nil {
		return err
	}
	return v.verdict(r)
}

// placeOf names where a finding is.
func placeOf(f backup.Finding) string {
	var parts []string
	if f.File != "" {
		parts = append(parts, f.File)
	}
	if f.Stream != "" {
		parts = append(parts, fmt.Sprintf("%s from version %d", f.Stream, f.Version))
	}
	if f.Sequence > 0 {
		parts = append(parts, fmt.Sprintf("sequence %d", f.Sequence))
	}
	return strings.Join(parts, ", ")
}

func (v *verification) verdict(r backup.Report) error {
	if len(r.Findings) == 0 {
		return nil
	}
	f := &Failure{Code: gateway.CodeDamaged, Exit: console.ExitFailure, What: fmt.Sprintf("%d places are damaged", len(r.Findings)), Why: placeOf(r.Findings[0])}
	if len(r.Findings) == 1 {
		f.What = "one place is damaged"
	}
	ofLog := func(f backup.Finding) bool { return f.File == "" }
	f.Fix = fmt.Sprintf("restore the log from a backup that verifies: %s backup restore %s", v.session.app.Name, cmp.Or(v.where, "WHERE"))
	if !v.live || !slices.ContainsFunc(r.Findings, ofLog) {
		f.Fix = "make a new full backup: " + v.session.createFull(v.where, v.data)
	}
	return f
}

// placeSite connects to the server if WHERE is on it.
func (s *Session) placeSite(ctx context.Context, where string) (*site, error) {
	if !strings.HasPrefix(where, inBucket) {
		return &site{}, nil
	}
	return s.openSite(ctx, "")
}
