package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/segment"
)

// keysPlace is where the copy of the keys goes to, or comes from: never where the data are.
type keysPlace struct {
	where string
	none  bool // it is known that there is none
}

// flags adds the two flags; verb says what is done to the copy.
func (k *keysPlace) flags(cmd *cobra.Command, name, verb, none string) {
	cmd.Flags().StringVar(&k.where, name, "", verb+" `PLACE`: a directory, or nats:BUCKET")
	cmd.Flags().BoolVar(&k.none, "no-keys", false, none)
	console.PerCall(cmd, name, "no-keys")
}

// check refuses what contradicts itself.
func (k *keysPlace) check(flag string) error {
	if k.none && k.where != "" {
		return Usage("--no-keys does not go with --%s", flag)
	}
	return nil
}

// told says where a backup goes to, for the audit log.
func (k *keysPlace) told(where string, keys bool) string {
	switch {
	case keys && k.where != "":
		return "to " + where + ", keys to " + k.where
	case keys:
		return "to " + where + ", without keys"
	}
	return "to " + where
}

// apart refuses to keep the copy of the keys where the data go to, which may be nowhere: it would be as old as the
// oldest copy of these, and have the keys of all who were forgotten since. Other backups of the namespace are data,
// and so is its archive, that which --archive names though nothing is in it yet.
func (s *Session) apart(asked, keys, data string) error {
	if keys == "" {
		return nil
	}
	for _, other := range []string{data, s.flags.archive} {
		if other == "" {
			continue
		}
		if is, err := together(keys, other); err != nil || is {
			return cmp.Or(err, error(notApart(asked, other)))
		}
	}
	near, err := copiesNear(keys, s.Namespace())
	if err != nil || near == "" {
		return err
	}
	return notApart(asked, near)
}

func notApart(keys, data string) *Failure {
	f := Usage("%s: the keys are kept apart from the data in %s", keys, data)
	f.Fix = "name another place, not in it nor around it, of which older copies are deleted: who was forgotten since could be read with them"
	return f
}

// sourceKeys opens the key store for a backup, nil if there is none, and the place for its copy, nil if it is to
// be left out. What is written there is noticed.
func (k *keysPlace) sourceKeys(ctx context.Context, s *Session, c jetstream.Config, t *touch) (*jetstream.Keys, segment.Vault, error) {
	keys, err := jetstream.OpenKeys(ctx, keysConfigOf(c))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil, nil
	case err != nil, k.none:
		return keys, nil, err
	case k.where == "":
		return nil, nil, &Failure{
			Code: codeKeysPlace, Exit: console.ExitUsage, What: "namespace " + s.Namespace() + " has personal data, and no place is named for their keys",
			Why: "without its keys nobody can read them after a restore",
			Fix: "name a place apart from the data: --keys-to PLACE; or say that the keys are copied otherwise: --no-keys",
		}
	}
	vault, err := keysVaultToWrite(ctx, c.Conn, k.where, c.Replicas, t)
	return keys, vault, err
}

// keysConfigOf is the key store beside a log.
func keysConfigOf(c jetstream.Config) jetstream.KeysConfig {
	return jetstream.KeysConfig{
		Conn: c.Conn, Namespace: c.Namespace, Replicas: c.Replicas, InMemory: c.InMemory, Barrier: c.Barrier, Logger: c.Logger,
	}
}

// copyOf opens the copy of the keys that a backup needs, nil if it needs none.
func (k *keysPlace) copyOf(ctx context.Context, conn *nats.Conn, m *backup.Manifest) (segment.Vault, error) {
	switch {
	case m.Realm == uuid.Nil, k.none:
		return nil, nil
	case k.where == "":
		return nil, &Failure{
			Code: codeKeysPlace, Exit: console.ExitUsage, What: "backup " + m.ID + " has personal data, and its keys are elsewhere",
			Why: "without them nobody can read these data, and it is not known who was forgotten",
			Fix: "name the place that backup create was given as --keys-to: --keys-from PLACE; or restore the data alone: --no-keys",
		}
	}
	vault, err := vaultToRead(ctx, conn, k.where)
	if err == nil {
		_, err = backup.OpenKeys(ctx, vault, m.Namespace)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, noKeysCopy(m.Namespace, k.where, err)
	}
	return vault, err
}

func noKeysCopy(namespace, where string, err error) error {
	return &Failure{
		Code: codeNoKeyCopy, Exit: console.ExitNotFound, What: fmt.Sprintf("no copy of the keys of %s in %s", namespace, where), Why: err.Error(), Err: err,
		Fix: "name the place that backup create was given as --keys-to",
	}
}

// targetKeys opens the key store of a namespace that is restored, in the realm of the backup. One that it makes
// is nobody else's before it is finished: a node would make new keys beside those that are still missing.
// changing, if not nil, hears of each request that may change it.
func targetKeys(ctx context.Context, c jetstream.Config, realm uuid.UUID, changing func()) (*jetstream.Keys, error) {
	config := keysConfigOf(c)
	config.Fill, config.Realm, config.Changing = true, realm, changing
	return jetstream.OpenKeys(ctx, config)
}

// verifyKeys adds what is wrong with the copy of the keys to a report.
func (k *keysPlace) verifyKeys(ctx context.Context, s *Session, conn *nats.Conn, b *backup.Backup, r *backup.Report) error {
	m := b.Manifest()
	if m.Realm != uuid.Nil && k.where == "" && !k.none {
		s.Logger().Warn("the copy of the keys was not verified", "backup", m.ID, "fix", "--keys-from PLACE")
		return nil
	}
	vault, err := k.copyOf(ctx, conn, m)
	if errors.Is(err, store.ErrDamaged) {
		r.Findings = append(r.Findings, backup.Find(err))
		return nil
	}
	if err != nil || vault == nil {
		return err
	}
	_, found, err := b.VerifyKeys(ctx, vault)
	r.Findings = append(r.Findings, found...)
	return err
}
