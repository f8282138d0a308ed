package node

import (
	"context"
	"errors"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/privacy"
)

// reading is a log that a command reads, with personal data as far as it may see them.
type reading struct {
	store.Log                // as the command sees it
	raw       *jetstream.Log // as it is stored
	keys      *jetstream.Keys
	keyring   *privacy.Keyring // nil: nothing is opened
}

// What stands for personal data where there is no key for them.
type veil string

const (
	// shown puts a text in their place, for people, and gone where the person was forgotten.
	shown veil = privacy.Veiled
	gone  veil = "[forgotten]"
	// leftOut leaves them out as forgotten ones, for types to decode.
	leftOut veil = ""
)

// openPlain opens the log of the namespace as it is. With --kek its personal data are opened; otherwise they
// are veiled.
func (s *Session) openPlain(ctx context.Context, v veil) (*reading, error) {
	raw, err := openToRead(ctx, s)
	if err != nil {
		return nil, err
	}
	r, err := s.plain(ctx, raw)
	if err != nil || r.keyring != nil {
		return r, err
	}
	if v == leftOut {
		r.Log = veiled{Log: raw}
		return r, nil
	}
	r.Log, err = newShown(raw)
	return r, err
}

// plain is a log that is open already: with --kek its personal data are opened, otherwise
// they stay as they are stored.
func (s *Session) plain(ctx context.Context, raw *jetstream.Log) (*reading, error) {
	r := &reading{Log: raw, raw: raw}
	if err := r.openKeys(ctx, s); err != nil {
		return nil, err
	}
	if r.keyring != nil {
		r.Log = privacy.NewLog(raw, r.keyring)
	}
	return r, nil
}

// openKeys opens the key store, if there is one, and with --kek a keyring on it.
func (r *reading) openKeys(ctx context.Context, s *Session) error {
	wrapper, err := s.openWrapper(ctx)
	if err != nil {
		return err
	}
	if r.keys, err = s.openKeys(ctx, nil); errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || wrapper == nil {
		return err
	}
	r.keyring, err = s.checkedKeyring(ctx, r.keys, wrapper)
	return err
}

// openKeys opens the key store of the namespace. The error matches [store.ErrNotFound] if it has none.
func (s *Session) openKeys(ctx context.Context, changing func()) (*jetstream.Keys, error) {
	log, err := s.existing(ctx)
	if err != nil {
		return nil, err
	}
	return jetstream.OpenKeys(ctx, jetstream.KeysConfig{
		Conn: log.Conn, Namespace: log.Namespace, Replicas: log.Replicas, InMemory: log.InMemory, Logger: s.Logger(), Changing: changing,
	})
}

// snapshots are those of the log, nil if they cannot be read here.
func (r *reading) snapshots() store.Snapshots {
	switch kept, ok := r.raw.Snapshots().(store.PastSnapshots); {
	case r.keys == nil:
		return r.raw.Snapshots()
	case r.keyring == nil || !ok:
		return nil
	default:
		return privacy.NewSnapshots(kept, r.keyring)
	}
}
