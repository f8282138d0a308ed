package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/migrate"
	"github.com/annals-go/annals/store/privacy"
)

// migratedKeys are the keys of both ends of a migration: what is personal is opened under those of the
// old namespace, and sealed anew under those of the new one. A zero migratedKeys: there is nothing personal.
type migratedKeys struct {
	wrapper  privacy.Wrapper
	old      *jetstream.Keys  // nil: the old namespace has none
	opening  *privacy.Keyring // likewise
	new      *jetstream.Keys
	erasures int // that old had when it began
}

// openMigratedKeys opens those of the old namespace, which the session is in.
func (s *Session) openMigratedKeys(ctx context.Context) (*migratedKeys, error) {
	k := &migratedKeys{}
	var err error
	if k.wrapper, err = s.openWrapper(ctx); err != nil {
		return nil, err
	}
	personal, err := s.app.personal()
	if err != nil {
		return nil, err
	}
	switch k.old, err = s.openKeys(ctx, nil); {
	case errors.Is(err, store.ErrNotFound):
		k.old = nil
	case err != nil:
		return nil, err
	}
	switch {
	case k.wrapper == nil && k.old != nil:
		return nil, &Failure{
			Code: codeNoKek, Exit: console.ExitUsage, What: "namespace " + s.Namespace() + " has personal data, and their keys are not at hand",
			Why: "they are sealed for their places in it, and are sealed anew in the new one", Fix: "name the wrapping keys with --" + kekFlag,
		}
	case k.wrapper == nil && len(personal) > 0:
		return nil, s.needsKek(personal)
	case k.wrapper == nil || k.old == nil:
		return k, nil
	}
	if k.erasures, err = erasuresOf(ctx, k.old); err != nil {
		return nil, err
	}
	k.opening, err = s.checkedKeyring(ctx, k.old, k.wrapper)
	return k, err
}

func erasuresOf(ctx context.Context, keys privacy.Keys) (n int, err error) {
	for r, err := range keys.All(ctx) {
		if err != nil {
			return n, err
		}
		n += len(r.Erased)
	}
	return n, nil
}

// reads is the old log, in plain.
func (k *migratedKeys) reads(log store.Log) store.Log {
	if k.opening == nil {
		return log
	}
	return privacy.NewLog(log, k.opening)
}

// openNew makes the key store of the new namespace, which knows at once who was forgotten, and has what is
// stored there sealed.
func (k *migratedKeys) openNew(ctx context.Context, s *Session, m *migrating, to *jetstream.Log, config *migrate.Config) error {
	if k.wrapper == nil {
		return nil
	}
	made, err := s.existing(ctx)
	if err != nil {
		return err
	}
	made.Namespace, made.Logger = m.to, s.Logger()
	keys := keysConfigOf(made)
	keys.Create = true
	if k.new, err = jetstream.OpenKeys(ctx, keys); err != nil {
		return err
	}
	if k.old != nil {
		if _, err := privacy.CarryErasures(ctx, k.old, k.new); err != nil {
			return err
		}
	}
	sealing, err := s.checkedKeyring(ctx, k.new, k.wrapper)
	if err != nil {
		return err
	}
	log := privacy.NewLog(to, sealing)
	config.To, config.Loader = log, privacy.NewLoader(config.Loader, log)
	return nil
}

// unmoved checks that nobody was forgotten in the old namespace meanwhile: what of them was copied before is
// sealed in the new one, under keys that may be used for what came after.
func (k *migratedKeys) unmoved(ctx context.Context, from string) error {
	if k.old == nil || k.new == nil {
		return nil
	}
	now, err := erasuresOf(ctx, k.old)
	if err != nil || now == k.erasures {
		return err
	}
	return movedFailure(from, fmt.Errorf("%d data subjects were forgotten in it", now-k.erasures))
}
