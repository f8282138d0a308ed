package node

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/privacy"
)

func newKeysRewrap(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rewrap",
		Short: "Wrap all keys by the current wrapping key",
		Long: `Nodes wrap new keys by it from then on, so all of them must have it before: a file is
read anew when it changes, a variable only at start. Keys stay usable meanwhile. What an older wrapping key has wrapped is erased in the
key store; on disks there may be traces of it until keys rotate.`,
		Example: `{{name}} keys generate kek && {{name}} keys rewrap --kek file:kek`,
		Args:    console.Args(0, 0),
	}
	agreed := console.AddConsent(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.changeKeys(cmd.Context(), agreed, "keys.rewrap", "wrap all keys anew", s.rewrap)
	}
	return cmd
}

func newKeysRotate(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Move all keys to a new stream, wrapped by the current wrapping key, and delete the old one",
		Long: `Afterwards no file of any server has what was erased before, nor what an older wrapping
key has wrapped: older copies of the disks, and who has the older wrapping key, read
nothing that was forgotten. Older copies of the keys that a backup made (backup create
--keys-to, keys copy) are still opened by the older wrapping key: make a new copy, and once keys ls
has nothing under the older key, take it out of its file and destroy it everywhere.
Then those older copies are opened by nobody; backups themselves are read with the new copy
as before. Keys can be used meanwhile; new ones, and forgettings, wait
for seconds. One that was interrupted must be gone on with: give the same command again.
It takes the rights to make and delete streams. All nodes must have the wrapping key
before, as for keys rewrap.`,
		Example: `{{name}} keys generate kek && {{name}} keys rotate --kek file:kek
{{name}} keys rotate --kek file:kek --dry-run`,
		Args: console.Args(0, 0),
	}
	agreed := console.AddConsent(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.changeKeys(cmd.Context(), agreed, "keys.rotate", "move all keys to a new stream and delete the old one", s.rotate)
	}
	return cmd
}

// keysChanged is what rewrap and rotate print.
type keysChanged struct {
	Current   string  `json:"current"` // the wrapping key
	Epoch     uint64  `json:"epoch,omitempty"`
	Records   int     `json:"records"`
	Rewrapped int     `json:"rewrapped"`
	Seconds   float64 `json:"seconds"`
}

// changeKeys does something with all keys, and writes down that it did.
func (s *Session) changeKeys(ctx context.Context, agreed *console.Consent, action, would string,
	do func(context.Context, *jetstream.Keys, privacy.Wrapper) (keysChanged, error),
) error {
	wrapper, err := s.openWrapper(ctx)
	if err != nil {
		return err
	}
	if wrapper == nil {
		return &Failure{Code: codeNoKek, Exit: console.ExitUsage, What: "keys cannot be wrapped without the wrapping keys", Fix: "name them with --" + kekFlag}
	}
	wrapper = privacy.Pin(wrapper) // one key for all steps
	var t touch
	keys, err := s.keyStore(ctx, t.take)
	if err != nil {
		return err
	}
	if err := s.refuseNoKeys(ctx, keys); err != nil {
		return err
	}
	if ok, err := s.Agree(ctx, agreed, "", "%s, wrapped by %s", would, wrapper.Current()); !ok {
		return err
	}
	began := time.Now()
	var done keysChanged
	err = s.acting(ctx, action, wrapper.Current(), func() (err error) {
		done, err = do(ctx, keys, wrapper)
		return t.outcome(err)
	})
	if err != nil {
		return err
	}
	done.Current, done.Seconds = wrapper.Current(), time.Since(began).Round(time.Millisecond).Seconds()
	return s.printKeysChanged(done)
}

// refuseNoKeys refuses where no key was ever made: it would do nothing but bind the nodes to a wrapping key that
// none of them may have.
func (s *Session) refuseNoKeys(ctx context.Context, keys privacy.Keys) error {
	r, err := keys.Load(ctx, privacy.WrappingSubject)
	if err != nil || r.Key != (store.KeyID{}) {
		return err
	}
	for r, err := range keys.All(ctx) {
		if err != nil || r.Key != (store.KeyID{}) {
			return err
		}
	}
	return &Failure{
		Code: codeNoKeys, Exit: console.ExitNotFound, What: "namespace " + s.Namespace() + " has no keys yet", Why: "there is nothing to wrap anew",
		Fix: "to begin with this wrapping key, have it be the last one in what --" + kekFlag + " of the nodes names: the first key that they make is wrapped by it",
	}
}

func (s *Session) rewrap(ctx context.Context, keys *jetstream.Keys, wrapper privacy.Wrapper) (keysChanged, error) {
	progress := s.Progress()
	defer progress.End()
	count, err := privacy.Rewrap(ctx, keys, wrapper, func(r privacy.Rewrapped) { progress.Show("%d keys, %d wrapped anew", r.Seen, r.Changed) })
	return keysChanged{Records: count.Seen, Rewrapped: count.Changed}, strangersKek(err)
}

// rotate wraps first, while keys can be made and given up, so that the move is short.
func (s *Session) rotate(ctx context.Context, keys *jetstream.Keys, wrapper privacy.Wrapper) (keysChanged, error) {
	done, err := s.rewrap(ctx, keys, wrapper)
	if err != nil {
		return done, err
	}
	progress := s.Progress()
	defer progress.End()
	again := func(ctx context.Context, r privacy.Record) (privacy.Record, error) {
		r, _, err := privacy.RewrapRecord(ctx, wrapper, keys.Realm(), r)
		return r, err
	}
	moved, err := keys.RotateKeys(ctx, again, func(r jetstream.KeysRotated) {
		progress.Show("%s  %d of %d records", console.Bar(float64(r.Records)/float64(max(1, r.Total))), r.Records, r.Total)
	})
	persons := max(0, moved.Records-1) // one record is that of the wrapping key
	return keysChanged{Epoch: moved.Epoch, Records: persons, Rewrapped: done.Rewrapped + moved.Rewrapped}, err
}

func (s *Session) printKeysChanged(k keysChanged) error {
	if s.JSON() {
		return s.Print(k)
	}
	where := ""
	if k.Epoch > 0 {
		where = fmt.Sprintf(", in epoch %d; the epoch before is deleted", k.Epoch)
	}
	_, err := fmt.Fprintf(s.Out(), "%s, %s wrapped anew by %s in %.1f s%s\n", console.Plural(k.Records, "record"), console.Plural(k.Rewrapped, "key"), console.Printable(k.Current), k.Seconds, where)
	return err
}
