package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/segment"
)

func newBackup(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Keep copies of the log, verify them and the log, and restore",
		Long: `A backup has every commit of the namespace as it is stored, the snapshots, and
which models of the views there are. It does not have what the views contain,
which follows from the log, and no keys: where there are personal data, a copy of
their keys is kept in a place of its own.

` + backupPlace,
		Example: `{{name}} backup create ./backups
{{name}} backup create ./backups --keys-to ./keys
{{name}} backup verify ./backups --live
{{name}} backup restore ./backups --data ./data`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newBackupCreate(s), newBackupList(s), newBackupVerify(s), newBackupRestore(s))
	return cmd
}

// dataFlag lets a command work on the directory of dev or of a single server
// while that does not run.
func dataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", "", "work on the data in `DIR`, which no other process uses, instead of on a NATS server")
}

func newBackupCreate(s *Session) *cobra.Command {
	var o backup.Options
	var data string
	var keys keysPlace
	cmd := &cobra.Command{
		Use:   "create WHERE",
		Short: "Back up what is new since the last backup, or all of it",
		Long: `It goes on from the last backup in WHERE and ends where the log ends when it
begins; the system runs on. The log must still have what the last backup ended
with: one that has lost its end is refused.

Where there are personal data, --keys-to names the place for a copy of their keys,
wrapped as they are: not WHERE, and none of which older copies are kept. There is
one, of the last time, so that it does not have the keys of those who were
forgotten; keys copy makes it anew between backups.

That a backup is made is in the audit log, and so in the backup, which ends before it
is over. Where nothing can be written it is made all the same, and says so.

` + backupPlace,
		Example: `{{name}} backup create ./backups
{{name}} backup create ./backups --full
{{name}} backup create ./backups --keys-to ./keys
{{name}} backup create nats:BACKUPS --json`,
		Args: console.Args(1, 1),
	}
	cmd.Flags().BoolVar(&o.Full, "full", false, "make one that needs no other")
	keys.flags(cmd, "keys-to", "keep the copy of the keys in", "make none, although the backup cannot be read without: they are copied otherwise")
	dataFlag(cmd, &data)
	console.PerCall(cmd, "full", "data")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := keys.check("keys-to"); err != nil {
			return err
		}
		if err := s.apart("--keys-to "+keys.where, keys.where, args[0]); err != nil {
			return err
		}
		err := s.createBackup(cmd.Context(), args[0], data, o, &keys)
		return s.onInterrupt(cmd.Context(), err, "interrupted: no backup was made; the same command makes it")
	}
	return cmd
}

func (s *Session) createBackup(ctx context.Context, where, data string, o backup.Options, place *keysPlace) error {
	at, err := s.openSite(ctx, data)
	if err != nil {
		return err
	}
	defer at.close()
	log, config, err := s.openLog(ctx, at)
	if err != nil {
		return err
	}
	defer log.Close()
	var t touch
	keys, keysTo, err := place.sourceKeys(ctx, s, config, &t)
	if err != nil {
		return err
	}
	vault, err := vaultToWrite(ctx, at.conn, where, &t, func(ctx context.Context) (segment.Vault, error) {
		return vaultAt(ctx, at.conn, where, config.Replicas)
	})
	if err != nil {
		return err
	}
	line := s.Progress()
	o.Progress = drawCommits(line, "backed up")
	source := backup.Source{
		Log: log, LogStreams: config.LogStreams, KeepsCommands: log.KeepsCommands(),
		Snapshots: log.AllSnapshots, Tables: []backup.Table{newModels(config)},
	}
	if keys != nil {
		source.Keys = keys
	}
	if keys != nil && keysTo != nil {
		source.KeysTo = keysTo
	}
	write, err := s.scribeOf(ctx, at, log)
	if err != nil {
		return err
	}
	var m *backup.Manifest
	err = s.copied(ctx, write, "backup.create", place.told(where, source.Keys != nil), func() (err error) {
		m, err = backup.Create(ctx, vault, s.Namespace(), source, o)
		line.End()
		return t.outcome(err)
	})
	if err != nil {
		return s.adviseFull(ctx, err, where, data)
	}
	return s.printBackup(m)
}

func (s *Session) printBackup(m *backup.Manifest) error {
	if s.JSON() {
		return s.Print(describeBackup(m))
	}
	_, err := fmt.Fprintf(s.Out(), "backup %s: %s, %s, up to position %d%s\n",
		m.ID, console.Plural(m.Commits, "commit"), humanize.IBytes(uint64(m.Size())), m.Position, goesOn(m))
	return err
}

// adviseFull tells who cannot go on from the last backup what to do.
func (s *Session) adviseFull(ctx context.Context, err error, where, data string) error {
	_, is := errors.AsType[*backup.ParentError](err)
	if !is || !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrAhead) && !errors.Is(err, store.ErrInvalid) {
		return err
	}
	f := *explain(ctx, s, err)
	f.Fix = fmt.Sprintf("see whether the log is good: %s backup verify --live%s; if so: %s, or name another WHERE",
		s.app.Name, onData(data), s.createFull(where, data))
	return &f
}

// createFull is the command that makes a backup which needs no other.
func (s *Session) createFull(where, data string) string {
	return fmt.Sprintf("%s backup create %s --full%s", s.app.Name, where, onData(data))
}

// onData is the flag that a command was given, for the next.
func onData(data string) string {
	if data == "" {
		return ""
	}
	return " --data " + data
}

func goesOn(m *backup.Manifest) string {
	if m.Full() {
		return ""
	}
	return ", after " + m.Parent
}

// describedBackup is what --json prints of a backup.
type describedBackup struct {
	ID       string    `json:"id"`
	Parent   string    `json:"parent,omitempty"`
	Created  time.Time `json:"created"`
	Commits  uint64    `json:"commits"`
	Events   uint64    `json:"events"`
	Sequence uint64    `json:"sequence"`
	Position uint64    `json:"position"`
	Time     time.Time `json:"time,omitzero"`
	Bytes    int64     `json:"bytes"`
	Sum      string    `json:"sum,omitempty"`
	Damage   string    `json:"damage,omitempty"`
}

func describeBackup(m *backup.Manifest) describedBackup {
	return describedBackup{
		ID: m.ID, Parent: m.Parent, Created: m.Created, Commits: m.Commits, Events: m.Events,
		Sequence: m.Sequence, Position: uint64(m.Position), Time: m.Time, Bytes: m.Size(), Sum: m.Sum().String(),
	}
}

func newBackupList(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls WHERE",
		Short: "List the backups, oldest first",
		Example: `{{name}} backup ls ./backups
{{name}} backup ls nats:BACKUPS --json`,
		Args: console.Args(1, 1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		all, err := s.backups(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if s.JSON() {
			for _, l := range all {
				if err := s.Print(describeListed(l)); err != nil {
					return err
				}
			}
			return nil
		}
		g := s.Grid("BACKUP", "MADE", "COMMITS", "SIZE", "POSITION", "AFTER")
		for _, l := range all {
			if l.Manifest == nil {
				g.Add(l.ID, "", "", "", "", console.Painted(s.Style(s.Out()).Bad("damaged: "+console.Printable(l.Err.Error()))))
				continue
			}
			m := l.Manifest
			g.Add(m.ID, s.When(m.Created), humanize.Comma(int64(m.Commits)), humanize.IBytes(uint64(m.Size())), m.Position, m.Parent)
		}
		return g.Render(fmt.Sprintf("no backup of %s; make one with: %s backup create %s", s.Namespace(), s.app.Name, args[0]))
	}
	return cmd
}

// backups returns what a place has; one that is not there has none.
func (s *Session) backups(ctx context.Context, where string) ([]backup.Listed, error) {
	at, err := s.placeSite(ctx, where)
	if err != nil {
		return nil, err
	}
	vault, err := vaultToRead(ctx, at.conn, where)
	if errors.Is(err, store.ErrNotFound) {
		return nil, store.ValidateName("namespace", s.Namespace())
	}
	if err != nil {
		return nil, err
	}
	return backup.List(ctx, vault, s.Namespace())
}

func describeListed(l backup.Listed) describedBackup {
	if l.Manifest == nil {
		return describedBackup{ID: l.ID, Damage: l.Err.Error()}
	}
	return describeBackup(l.Manifest)
}

// drawCommits returns a function that draws how many commits are done.
func drawCommits(p *console.Progress, verb string) func(backup.Progress) {
	began, drawn := time.Now(), time.Time{}
	return func(now backup.Progress) {
		if now.Total == 0 || time.Since(drawn) < drawEvery {
			return
		}
		drawn = time.Now()
		share := min(1, float64(now.Done)/float64(now.Total))
		rate := float64(now.Done) / max(time.Since(began).Seconds(), 0.001)
		p.Show("%s %3.0f %%  %s of %s commits %s, %s a second", console.Bar(share), 100*share,
			humanize.Comma(int64(now.Done)), humanize.Comma(int64(now.Total)), verb, humanize.Comma(int64(rate)))
	}
}

const drawEvery = 100 * time.Millisecond
