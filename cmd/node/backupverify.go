package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/segment"
)

func newBackupVerify(s *Session) *cobra.Command {
	var live bool
	var data string
	cmd := &cobra.Command{
		Use:   "verify [WHERE [ID]]",
		Short: "Look for damage in a backup, and in the log",
		Long: `It reads all files of the backup, and of those that it goes on from: check sums,
hash chains, sequences. With --live it reads the log instead, from its beginning
to its end, and compares it with the backup, commit by commit, and with the
snapshots: that a log has lost its end shows in nothing else. Without WHERE it
compares with the snapshots alone.

What is damaged is printed, with stream, version and sequence, or the file; the
exit code is 1 then.

` + backupPlace,
		Example: `{{name}} backup verify ./backups
{{name}} backup verify ./backups --live
{{name}} backup verify --live --data ./data --json`,
		Args: args(0, 2),
	}
	cmd.Flags().BoolVar(&live, "live", false, "verify the log instead of the backup")
	dataFlag(cmd, &data)
	perCall(cmd, "live", "data")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !live && len(args) == 0 || !live && data != "" {
			return Usage("want WHERE, or --live, which --data needs")
		}
		v := verification{session: s, line: s.progress(), data: data, live: live}
		v.where, v.id = argument(args, 0), argument(args, 1)
		report, err := v.run(cmd.Context())
		v.line.end()
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
	session         *Session
	line            *progress
	where, id, data string
	live            bool
}

func (v *verification) run(ctx context.Context) (backup.Report, error) {
	if v.live {
		return v.log(ctx)
	}
	vault, closed, err := v.session.vault(ctx, v.where)
	if err != nil {
		return backup.Report{}, err
	}
	defer closed()
	b, err := backup.Open(ctx, vault, v.session.Namespace(), v.id)
	if errors.Is(err, store.ErrDamaged) {
		return backup.Report{Findings: []backup.Finding{{File: v.where, Reason: err.Error()}}}, nil
	}
	if err != nil {
		return backup.Report{}, err
	}
	return b.Verify(ctx, v.line.commits("verified"))
}

// log verifies the live log.
func (v *verification) log(ctx context.Context) (backup.Report, error) {
	at, err := v.session.openSite(ctx, v.data)
	if err != nil {
		return backup.Report{}, err
	}
	defer at.close()
	log, config, err := v.session.openLog(ctx, at)
	if err != nil {
		return backup.Report{}, err
	}
	defer log.Close()
	live := backup.Live{Log: log, Snapshots: log.AllSnapshots, Progress: v.line.commits("verified")}
	if v.where != "" {
		vault, err := vaultIn(ctx, at.conn, v.where, config.Replicas)
		if err != nil {
			return backup.Report{}, err
		}
		if live.Backup, err = backup.Open(ctx, vault, v.session.Namespace(), v.id); err != nil {
			return backup.Report{}, err
		}
	}
	return live.Verify(ctx)
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
		if _, err := fmt.Fprintf(s.Out(), "%s %s: %s\n", s.style(s.Out()).bad("damaged"), printable(placeOf(f)), printable(f.Reason)); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(s.Out(), "%s commits, %s events, %s streams, up to position %d; running hash %s\n", humanize.Comma(int64(r.Commits)),
		humanize.Comma(int64(r.Events)), humanize.Comma(int64(r.Streams)), r.Position, r.Chain); err != nil {
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
	f := &Failure{Code: gateway.CodeDamaged, Exit: exitFailure, What: fmt.Sprintf("%d places are damaged", len(r.Findings)), Why: placeOf(r.Findings[0])}
	if len(r.Findings) == 1 {
		f.What = "one place is damaged"
	}
	f.Fix = "restore the log from a backup that verifies: " + v.session.app.Name + " backup restore"
	if !v.live {
		f.Fix = "make a full backup now: " + v.session.app.Name + " backup create --full"
	}
	return f
}

// vault opens what WHERE names where no other server plays a part.
func (s *Session) vault(ctx context.Context, where string) (v segment.Vault, closed func(), err error) {
	at := &site{}
	if strings.HasPrefix(where, "nats:") {
		if at, err = s.openSite(ctx, ""); err != nil {
			return nil, nil, err
		}
	}
	if v, err = vaultIn(ctx, at.conn, where, 1); err != nil {
		at.close()
		return nil, nil, err
	}
	return v, at.close, nil
}
