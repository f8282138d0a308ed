package node

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/jetstream"
)

// keysAt is the key store of a namespace on a site, as its log is.
func (s *Session) keysAt(at *site, log jetstream.Config) jetstream.KeysConfig {
	return jetstream.KeysConfig{
		Conn: at.conn, Namespace: log.Namespace, Replicas: log.Replicas, InMemory: log.InMemory, Barrier: at.barrier, Logger: s.Logger(),
	}
}

// addKeys has a backup name the keys of its personal data, and copy them to a place that is named.
func (s *Session) addKeys(ctx context.Context, at *site, log jetstream.Config, to string, source *backup.Source) error {
	keys, err := jetstream.OpenKeys(ctx, s.keysAt(at, log))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	source.Keys = keys
	if to == "" {
		s.Logger().Warn("the keys of personal data are not copied: without them nobody reads these in what is restored", "fix", "--keys DIR")
		return nil
	}
	source.KeysTo, err = vaultAt(ctx, at.conn, to, log.Replicas)
	return err
}

// addKeysTo has a restore fill the key store, from the copy that is named, and apply its erasures.
func (s *Session) addKeysTo(ctx context.Context, at *site, log jetstream.Config, from string, m *backup.Manifest, target *backup.Target) error {
	switch {
	case m.Realm == uuid.Nil:
		return nil
	case from == "":
		s.Logger().Warn("the backup has personal data, and the keys are not restored: unless the server has them nobody reads these", "fix", "--keys DIR")
		return nil
	}
	vault, err := vaultToRead(ctx, at.conn, from)
	if err == nil {
		_, err = backup.OpenKeys(ctx, vault, m.Namespace)
	}
	if err != nil {
		return &Failure{
			Code: codeNoKeyCopy, Exit: exitNotFound, What: "there is no copy of the keys of " + m.Namespace + " in " + from, Why: err.Error(),
			Fix: "name the place that backup create was given with --keys; or leave --keys out, and the personal data unreadable", Err: err,
		}
	}
	config := s.keysAt(at, log)
	config.Create, config.Realm = true, m.Realm
	keys, err := jetstream.OpenKeys(ctx, config)
	if err != nil {
		return err
	}
	target.Keys, target.KeysFrom = keys, vault
	return nil
}
