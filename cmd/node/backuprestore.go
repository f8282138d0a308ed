package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/segment"
)

// restoreFlags are what restore is told.
type restoreFlags struct {
	from, data, time string
	position         uint64
	replicas         int
	keys             keysPlace
}

func newBackupRestore(s *Session) *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:   "restore WHERE [ID]",
		Short: "Make a namespace of a backup, the last one or ID",
		Long: `The namespace must not be there, or be empty: everything gets the place that it
had, so that positions, versions and hashes are what they were. What is restored
is read back and compared. Until all is there no node serves the namespace; a
restore that was interrupted goes on when the same command is given again, to
the same end: a duration back counts from when the restore began. A namespace
with several log streams takes two to seven times as long.

Where there are personal data, --keys-from names the copy of their keys. It is of the
last time, and so are the erasures in it: who was forgotten after the backup was
made, and before the copy was, stays forgotten.

No node may serve the namespace meanwhile: stop them, or use --data with dev's
directory.

` + backupPlace,
		Example: `{{name}} backup restore ./backups --data ./data
{{name}} backup restore ./backups --keys-from ./keys
{{name}} backup restore ./backups -s nats://n1:4222 --replicas 3
{{name}} backup restore ./backups --ns copy --from-ns {{name}} --to-time 2026-01-02T15:04
{{name}} backup restore ./backups --to-position 268435456`,
		Args: console.Args(1, 2),
	}
	cmd.Flags().StringVar(&f.from, "from-ns", "", "the `NAMESPACE` that was backed up (default: that of --ns)")
	cmd.Flags().Uint64Var(&f.position, "to-position", 0, "end with the commit that holds this `POSITION`")
	cmd.Flags().StringVar(&f.time, "to-time", "", "end before the first commit later than this `TIME`: 2006-01-02T15:04, RFC 3339, or a duration back such as 90m")
	cmd.Flags().IntVar(&f.replicas, "replicas", 1, "keep so many copies: 3 in production")
	f.keys.flags(cmd, "keys-from", "take the copy of the keys from", "restore the data alone, unreadable where they are personal; keys restore gives them their keys later")
	dataFlag(cmd, &f.data)
	console.PerCall(cmd, "from-ns", "to-position", "to-time", "replicas", "data")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.keys.check("keys-from"); err != nil {
			return err
		}
		until, err := f.until(cmd.Flags().Changed)
		if err != nil {
			return err
		}
		err = s.restoreBackup(cmd.Context(), args[0], argument(args, 1), f, until)
		return s.onInterrupt(cmd.Context(), err, "interrupted; the same command goes on")
	}
	return cmd
}

func (f *restoreFlags) until(chosen func(flag string) bool) (u backup.Until, err error) {
	u.Position = store.Position(f.position)
	if u.Position == 0 && chosen("to-position") {
		return u, &store.InvalidError{What: "--to-position", Value: "0", Reason: "no event has it; leave it out to restore all"}
	}
	if !chosen("to-time") {
		return u, nil
	}
	at, err := parseAt(f.time, time.Now())
	if err != nil || at.Time.IsZero() {
		return u, Usage("--to-time %q: want a time such as 2006-01-02T15:04, or a duration back such as 90m", f.time)
	}
	u.Time = at.Time
	return u, nil
}

// name says what fills the namespace: the same restore goes on, another is
// refused. It ends with the time, so that a restore that goes on finds it there.
func (f *restoreFlags) name(b *backup.Backup, u backup.Until) string {
	name := "backup " + b.Manifest().ID
	if u.Position > 0 {
		name += fmt.Sprintf(" up to position %d", u.Position)
	}
	if !u.Time.IsZero() {
		name += upTo + u.Time.UTC().Format(time.RFC3339Nano)
	}
	return name
}

const upTo = " up to "

// goOn returns where the restore ends that a namespace was begun with, if it is the
// same one: "90m ago" is another time each time.
func (f *restoreFlags) goOn(ctx context.Context, at *site, namespace string, b *backup.Backup, u backup.Until) (backup.Until, error) {
	if back, err := time.ParseDuration(f.time); err != nil || back <= 0 {
		return u, nil //nolint:nilerr // it is a time, and always the same
	}
	mark, err := jetstream.FilledFrom(ctx, jetstream.Config{Conn: at.conn, Namespace: namespace})
	if errors.Is(err, store.ErrNotFound) {
		return u, nil
	}
	if err != nil {
		return u, err
	}
	i := strings.LastIndex(mark, upTo)
	if i < 0 {
		return u, nil
	}
	began := u
	if began.Time, err = time.Parse(time.RFC3339Nano, mark[i+len(upTo):]); err == nil && f.name(b, began) == mark {
		return began, nil
	}
	return u, nil
}

func (s *Session) restoreBackup(ctx context.Context, where, id string, f restoreFlags, until backup.Until) error {
	at, b, err := s.openRestore(ctx, where, id, f, until)
	if err != nil {
		return err
	}
	defer at.close()
	keysFrom, err := f.keys.copyOf(ctx, at.conn, b.Manifest())
	if err != nil {
		return err
	}
	if f.data == "" {
		if err := s.refuseServed(ctx); err != nil {
			return err
		}
	}
	codec, err := b.Codec()
	if err != nil {
		return err
	}
	if until, err = f.goOn(ctx, at, s.Namespace(), b, until); err != nil {
		return err
	}
	m := b.Manifest()
	config := jetstream.Config{
		Conn: at.conn, Namespace: s.Namespace(), Partitions: m.Partitions, LogStreams: m.LogStreams, Codec: codec, Replicas: f.replicas, KeepCommands: m.KeepsCommands,
		Barrier: at.barrier, Logger: s.Logger(), FilledFrom: f.name(b, until),
	}
	began := time.Now()
	restored, conflicts, err := s.fill(ctx, config, b, until, keysFrom)
	if err == nil {
		err = s.actedIn(ctx, config, "backup.restore", f.name(b, until)+" of "+m.Namespace, began)
	}
	if err = cmp.Or(err, conflicts); err != nil {
		return err
	}
	if s.JSON() {
		return s.Print(restored)
	}
	_, err = fmt.Fprintf(s.Out(), "restored %s: %s in %s, %s, up to position %d\n", console.Printable(s.Namespace()),
		console.Plural(restored.Commits, "commit"), console.Plural(restored.Streams, "stream"), console.Plural(restored.Snapshots, "snapshot"), restored.Position)
	if err == nil && restored.Keys != nil {
		_, err = fmt.Fprintln(s.Out(), keysRestored(restored.Keys))
	}
	return err
}

// openRestore opens the backup, and then where it goes: nothing is made for a
// restore that has nothing to restore.
func (s *Session) openRestore(ctx context.Context, where, id string, f restoreFlags, until backup.Until) (_ *site, _ *backup.Backup, err error) {
	at := &site{}
	if f.data == "" || strings.HasPrefix(where, inBucket) { // a bucket in a directory, which is there then
		if at, err = s.openSite(ctx, f.data); err != nil {
			return nil, nil, err
		}
	} else if err = s.checkData(f.data); err != nil {
		return nil, nil, err
	}
	b, err := s.openBackup(ctx, at.conn, where, cmp.Or(f.from, s.Namespace()), id)
	if err == nil {
		err = b.Check(ctx, until)
	}
	if err == nil && (at.conn != nil || !strings.HasPrefix(f.keys.where, inBucket)) {
		_, err = f.keys.copyOf(ctx, at.conn, b.Manifest())
	}
	if err != nil {
		at.close()
		return nil, nil, err
	}
	if at.conn == nil {
		at, err = s.startSite(f.data)
	}
	return at, b, err
}

// fill restores the backup into the namespace, and says that it is complete: also if subjects have two keys, which
// would be so each time.
func (s *Session) fill(
	ctx context.Context, config jetstream.Config, b *backup.Backup, until backup.Until, keysFrom segment.Vault,
) (r backup.Restored, conflicts, err error) {
	log, err := jetstream.Open(ctx, config)
	if err != nil {
		return r, nil, err
	}
	defer log.Close()
	loader, err := log.Loader(ctx)
	if err != nil {
		return r, nil, err
	}
	defer loader.Close()
	line := s.Progress()
	until.Progress = drawCommits(line, "restored")
	target := backup.Target{Loader: loader, Log: log, Snapshots: log.Snapshots(), Tables: []backup.Table{newModels(config)}}
	var keys *jetstream.Keys
	if keysFrom != nil {
		if keys, err = targetKeys(ctx, config, b.Manifest().Realm, nil); err != nil {
			return r, nil, err
		}
		target.Keys, target.KeysFrom = keys, keysFrom
	}
	r, err = b.Restore(ctx, target, until)
	line.End()
	if s.tellConflicts(err) {
		conflicts, err = err, nil
	}
	if err == nil {
		err = complete(ctx, config, log, keys)
	}
	return r, conflicts, err
}

// complete says that a namespace that was filled is whole.
func complete(ctx context.Context, config jetstream.Config, log *jetstream.Log, keys *jetstream.Keys) error {
	// The epochs in the commits are of the nodes that wrote them.
	if err := cluster.Forget(ctx, config.Conn, config.Namespace); err != nil {
		return err
	}
	if keys != nil {
		if err := keys.Finish(ctx); err != nil {
			return err
		}
	}
	return log.Finish(ctx)
}

// refuseServed refuses to fill a namespace that a node serves: it would go on to
// serve what it had. A node that does not answer may serve it, too.
func (s *Session) refuseServed(ctx context.Context) error {
	client, err := s.Client(ctx)
	if err != nil {
		return err
	}
	_, err = request(ctx, s, "info", client.Info)
	if errors.Is(err, nats.ErrNoResponders) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look whether a node serves %s: %w", s.Namespace(), err)
	}
	return &Failure{
		Code: codeServed, Exit: console.ExitConflict, What: "a node serves namespace " + s.Namespace(),
		Why: "it would not see what is restored under it", Fix: "stop the nodes first, or restore to another namespace with --ns and --from-ns",
	}
}
