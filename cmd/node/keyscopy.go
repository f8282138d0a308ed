package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/jetstream"
)

func newKeysCopy(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "copy PLACE",
		Short: "Replace the copy of the keys in a place by the keys as they are now",
		Long: `The place is what backup create calls --keys-to: a directory, or nats:BUCKET. There is one
copy, of the last time: do this after somebody was forgotten, and the copy does not have that key
any more. Keys stay wrapped as they are.`,
		Example: `{{name}} keys copy ./keys
{{name}} keys copy nats:KEYS`,
		Args: console.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.copyKeys(cmd.Context(), args[0])
		},
	}
}

func (s *Session) copyKeys(ctx context.Context, place string) error {
	if err := s.apart("keys copy "+place, place, ""); err != nil {
		return err
	}
	keys, err := s.keyStore(ctx, nil)
	if err != nil {
		return err
	}
	config, err := s.existing(ctx)
	if err != nil {
		return err
	}
	var t touch
	vault, err := keysVaultToWrite(ctx, config.Conn, place, config.Replicas, &t)
	if err != nil {
		return err
	}
	var m *backup.KeysManifest
	err = s.acting(ctx, "keys.copy", place, func() (err error) {
		m, err = backup.CopyKeys(ctx, vault, s.Namespace(), keys, "")
		return t.outcome(err)
	})
	if err != nil {
		return err
	}
	if s.JSON() {
		return s.Print(m)
	}
	_, err = fmt.Fprintf(s.Out(), "%s, %s and %s of %s: %s\n", console.Plural(m.Records, "record"), console.Plural(m.Keys, "key"), console.Plural(m.Erased, "erasure"), console.Printable(s.Namespace()), console.Printable(place))
	return err
}

func newKeysRestore(s *Session) *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "restore PLACE",
		Short: "Give a namespace the keys and erasures that a copy of them has",
		Long: `For a namespace that has lost its keys, or was restored without them. Its log must be the
one that the keys are for, or a copy of it. A key that the copy or the namespace knows to be
erased is erased afterwards, whatever the other has. Where there are no keys, no node starts
before all are there: a restore that was interrupted goes on when the same command is given again.`,
		Example: `{{name}} keys restore ./keys
{{name}} keys restore ./keys --ns copy --from-ns {{name}}`,
		Args: console.Args(1, 1),
	}
	cmd.Flags().StringVar(&from, "from-ns", "", "the `NAMESPACE` whose keys were copied (default: that of --ns)")
	console.PerCall(cmd, "from-ns")
	agreed := console.AddConsent(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.restoreKeys(cmd.Context(), agreed, args[0], cmp.Or(from, s.Namespace()))
	}
	return cmd
}

func (s *Session) restoreKeys(ctx context.Context, agreed *console.Consent, place, from string) error {
	config, err := s.existing(ctx)
	if err != nil {
		return err
	}
	config.Logger = s.Logger()
	kept, err := s.keysIn(ctx, config.Conn, place, from)
	if err != nil {
		return err
	}
	m := kept.Manifest()
	if ok, err := s.Agree(ctx, agreed, "", "give %s %d keys, and %d erasures", s.Namespace(), m.Keys, m.Erased); !ok {
		return err
	}
	log, err := openToRead(ctx, s)
	if err != nil {
		return err
	}
	tip, err := log.Tip(ctx)
	if err != nil {
		return err
	}
	var done backup.KeysRestored
	var t touch
	err = s.acting(ctx, "keys.restore", from+" from "+place, func() (err error) {
		done, err = s.fillKeys(ctx, config, kept, tip, t.take)
		return t.outcome(err)
	})
	if err != nil {
		return err
	}
	if s.JSON() {
		return s.Print(done)
	}
	_, err = fmt.Fprintln(s.Out(), keysRestored(&done))
	return err
}

// fillKeys joins the copy with the key store, or fills one with it. One that is filled is ready when it has
// all that the copy has, but for keys that are not those of another copy that it was begun with: it cannot
// have both. changing hears of each request that may change it.
func (s *Session) fillKeys(ctx context.Context, config jetstream.Config, kept *backup.KeysCopy, tip store.Position, changing func()) (done backup.KeysRestored, err error) {
	keys, err := targetKeys(ctx, config, kept.Manifest().Realm, changing)
	if err != nil {
		return done, err
	}
	filling, err := keys.Filling(ctx)
	if err != nil {
		return done, err
	}
	done, err = kept.Restore(ctx, keys, tip)
	both := s.tellConflicts(err)
	if err == nil || both {
		err = errors.Join(err, keys.Finish(ctx))
	}
	if err == nil || both || !errors.Is(context.Cause(ctx), errInterrupted) {
		return done, err
	}
	note := "interrupted: give the same command again, so that the erasures of the copy hold"
	if filling {
		note = "interrupted: the keys are not all there, and no node starts without them; give the same command again"
	}
	return done, s.onInterrupt(ctx, fmt.Errorf("%w: %w", errInterrupted, err), note)
}

// tellConflicts reports whether an error says that subjects have two keys, and logs which.
func (s *Session) tellConflicts(err error) bool {
	conflicts, both := errors.AsType[*backup.KeyConflicts](err)
	if both {
		for _, c := range conflicts.First {
			s.Logger().Error("a data subject has two keys", "subject", c.Subject, "key", c.Has, "copied", c.Copy)
		}
	}
	return both
}

// keysIn opens the copy of a namespace's keys.
func (s *Session) keysIn(ctx context.Context, conn *nats.Conn, place, from string) (*backup.KeysCopy, error) {
	vault, err := vaultToRead(ctx, conn, place)
	var kept *backup.KeysCopy
	if err == nil {
		kept, err = backup.OpenKeys(ctx, vault, from)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = noKeysCopy(from, place, err)
	}
	return kept, err
}

// keysRestored says it for people.
func keysRestored(k *backup.KeysRestored) string {
	text := "keys: " + console.Plural(k.Records, "record")
	if k.Erased > 0 {
		text += fmt.Sprintf(", %s erased for good", console.Plural(k.Erased, "key"))
	}
	if k.Reopened > 0 {
		text += fmt.Sprintf("; %s were forgotten after the log's end, which the nodes write down again", comma(k.Reopened))
	}
	return text
}
